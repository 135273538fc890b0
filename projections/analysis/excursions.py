"""How far a round trip went against its holder, and for him, at prices that are given."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from eventstore import InvalidEvent
from eventstore.errors import shown
from projections.analysis.libraries import arrow, compute, library
from projections.analysis.trip_items import steps_of
from projections.decimals import ZERO
from projections.views.executions.prices import has_value, quotient, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from projections.analysis.trip_items import TripItems
    from projections.views.executions.items import Item

_TIMES, _SYMBOL, _PRICES = ("at", "time"), "symbol", (("price", "price"), ("high", "low"))


class PricePath(NamedTuple):
    """One symbol's prices: instants in UNIX ns, sorted, with the highest and the lowest price of each."""

    times: Any
    highs: Any
    lows: Any


PricePaths: TypeAlias = "Mapping[str, PricePath]"


def price_paths(prices: object) -> PricePaths | None:
    """Return prices by symbol, from a frame of any library; None for None.

    Raises InvalidEvent, naming what is missing, for anything else.
    """
    if prices is None:
        return None
    table = _table_of(prices)
    pa, pc, np = arrow(), compute(), library("numpy")
    names = set(table.column_names)
    at = next((name for name in _TIMES if name in names), None)
    pair = next((pair for pair in _PRICES if names.issuperset(pair)), None)
    if at is None or pair is None or _SYMBOL not in names:
        msg = (
            "prices is a frame with the columns at or time, symbol, and price or high and low; "
            f"it has {', '.join(table.column_names) or 'none'}"
        )
        raise InvalidEvent(msg)
    if not pa.types.is_timestamp(table.column(at).type) or table.column(at).type.tz is None:
        msg = f"the instants of prices, {at}, have a time zone: give them as in pandas.to_datetime(…, utc=True)"
        raise InvalidEvent(msg)
    try:
        columns = {
            "at": table.column(at).cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()),
            "symbol": table.column(_SYMBOL).cast(pa.string()),
            "high": table.column(pair[0]).cast(pa.float64()),
            "low": table.column(pair[1]).cast(pa.float64()),
        }
    except pa.ArrowException as e:
        msg = f"prices cannot be read: {e}"
        raise InvalidEvent(msg) from e
    whole = pa.table(columns).drop_null()
    # A price that is not a number is none.
    whole = whole.filter(pc.and_(pc.is_finite(whole.column("high")), pc.is_finite(whole.column("low"))))
    found: dict[str, PricePath] = {}
    for name in pc.unique(whole.column("symbol")).to_pylist():
        own = whole.filter(pc.equal(whole.column("symbol"), name)).sort_by("at")
        found[name] = PricePath(*(np.asarray(own.column(each)) for each in ("at", "high", "low")))
    return found


def _table_of(prices: object) -> Any:  # noqa: ANN401 - a table of Arrow's
    pa = arrow()
    try:
        return pa.table(prices)
    except (TypeError, ValueError, pa.ArrowException) as e:
        msg = f"prices is a frame of pandas, polars or Arrow, or columns by name, not {shown(prices)}"
        raise InvalidEvent(msg) from e


def excursion_of(
    trip: TripItems, paths: Sequence[PricePath], now: Mapping[int, Item] | None = None
) -> tuple[Decimal, Decimal] | None:
    """Return the least and the most that a round trip had made, in points; None without a price in between.

    `paths` are those of its contract. At each price, that is what had been received less what had been paid, and the
    value of what was held. `now` as for `steps_of`. To be asked in the context of projections.decimals.FIXED.
    """
    held = cash = ZERO
    made, is_priced = list[Decimal](), False
    since = trip.items[0].at
    for step in steps_of(trip, now):
        found = _extremes(paths, since, step.item.at, inverse=trip.items[0].inverse)
        is_priced = is_priced or bool(found)
        made += [cash + held * value for value in found]
        since = step.item.at
        if step.ratio is not None:
            held = quotient(held * step.ratio[0], step.ratio[1])
            continue
        if step.value is None:
            return None
        held += step.quantity
        cash -= step.quantity * step.value
        made.append(cash + held * step.value)
    return (min(made), max(made)) if is_priced else None


def _extremes(paths: Sequence[PricePath], since: int, until: int, *, inverse: bool) -> list[Decimal]:
    """Return what the highest and the lowest price count for between two instants, both included."""
    found = []
    for times, highs, lows in paths:
        first, last = times.searchsorted(since, "left"), times.searchsorted(until, "right")
        if first < last:
            found += [Decimal(repr(float(each))) for each in (highs[first:last].max(), lows[first:last].min())]
    return [value_of(price, inverse=inverse) for price in found if has_value(price, inverse=inverse)]
