"""Round trips as a frame: each position from flat to flat, with what it made and how far it went."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, NamedTuple

from projections.analysis.columns import Column, Kind, exact_of
from projections.analysis.excursions import excursion_of, price_paths
from projections.analysis.executions import executions_of
from projections.analysis.folding import Choice, batches_of, choice_of
from projections.analysis.frame import Frame
from projections.analysis.keeping import Keep
from projections.analysis.simple_trips import simple_trips
from projections.analysis.sources import OCCURRED, opened, selection_of
from projections.analysis.tags import together
from projections.analysis.trip_items import OpenItems, TripItems, figures_of, split_trips
from projections.decimals import FIXED
from projections.garbage import gc_disabled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.excursions import PricePath, PricePaths
    from projections.analysis.executions import Executions
    from projections.analysis.sources import Selection, Source
    from projections.views.executions.items import Item
    from projections.views.executions.trip import RoundTrip

LONG, SHORT = "LONG", "SHORT"
ROUND_TRIPS = (
    Column("account", Kind.TEXT),
    Column("symbol", Kind.TEXT),
    Column("direction", Kind.ENUM, (LONG, SHORT)),
    Column("entry_at", Kind.INSTANT),
    Column("exit_at", Kind.INSTANT),
    Column("duration", Kind.DURATION),
    Column("quantity", Kind.DECIMAL),
    Column("entry_price", Kind.DECIMAL),
    Column("exit_price", Kind.DECIMAL),
    Column("gross", Kind.DECIMAL),
    Column("fees", Kind.DECIMAL),
    Column("net", Kind.DECIMAL),
    Column("currency", Kind.TEXT),
    Column("trading_day", Kind.DATE),
    Column("strategy", Kind.TEXT),
    Column("tags", Kind.JSON),
    Column("mae", Kind.DECIMAL),
    Column("mfe", Kind.DECIMAL),
    Column("other_fees", Kind.JSON),
)
"""The columns of round trips."""


class RoundTripRow(NamedTuple):
    """A round trip that has ended: money in `currency`, times and duration in ns, None for what is not known."""

    account: str
    symbol: str
    direction: str
    entry_at: int
    exit_at: int
    duration: int
    quantity: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    gross: Decimal | None
    fees: Decimal
    net: Decimal | None
    currency: str | None
    trading_day: date
    strategy: str | None
    tags: tuple[str, ...]
    mae: Decimal | None
    mfe: Decimal | None
    other_fees: dict[str, Decimal] | None


def round_trips(
    store: Source,
    *,
    account: str | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    tag: str | None = None,
    trading_day: date | str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    prices: object = None,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return the round trips of a history, a row each, by account in the order in which they ended.

    One lasts from flat to flat: a fill through zero ends one, which takes its fee, and begins the next. `direction` is
    LONG or SHORT; `quantity` is all that was opened, `entry_price` and `exit_price` are the mean prices of what was
    opened and closed, rounded to nine decimals with exact=True. `gross` is money before fees, null where the contract's
    multiplier or a price is missing; `net` is less the `fees`, and null if some are in another currency: these are in
    `other_fees`. `trading_day` is the one it ended in. `strategy` is that of all its orders, null if they differ;
    `tags` are those of its trades and of its day. Round trips of an account that was reopened are those since then.

    A correction counts for the round trip of its trade, if that is among the account's last 100, else for the one in
    progress: then `gross` is not what the prices alone say.

    `start` (included) and `stop` (not) bound when it ended; with time="recorded", when the record that ended it was
    recorded, and nothing recorded later is known.

    `prices` is a frame of any library with columns `at` or `time` (instants), `symbol`, and `price` or `high` and
    `low`: `mae` and `mfe` are then the worst and the best that the round trip had made, in money before fees, at these
    prices and at those of its own trades. Null where there is no price between entry and exit.
    """
    asked, paths = exact_of(exact), price_paths(prices)
    choice = choice_of(strategy=strategy, tag=tag, trading_day=trading_day)
    with opened(store) as reader:
        selection = selection_of(reader, account=account, symbol=symbol, start=start, stop=stop, time=time)

    def batches() -> Iterator[object]:
        with opened(store) as reader:
            is_whole = choice == Choice() and symbol is None and paths is None
            simple = simple_trips(reader, selection, ROUND_TRIPS, asked, progress=progress) if is_whole else None
            others = None if simple is None else simple.others
            rows = round_trip_rows(reader, selection, choice, paths=paths, progress=progress, accounts=others)
            folded = batches_of(rows, ROUND_TRIPS, asked)
            yield from folded if simple is None else simple.joined(folded)

    return Frame(ROUND_TRIPS, batches, exact=asked, title="round trips")


def round_trip_rows(
    reader: EventReader,
    selection: Selection,
    choice: Choice,
    *,
    paths: PricePaths | None = None,
    progress: bool | None = False,
    accounts: frozenset[str] | None = None,
) -> Iterator[RoundTripRow]:
    """Yield what the fold makes of the round trips of each account, or of some, account by account."""
    if accounts is not None and not accounts:
        return
    for executions in executions_of(reader, selection, Keep.ITEMS, progress=progress, accounts=accounts):
        with gc_disabled(), decimal.localcontext(FIXED):
            found = [
                row
                for log_position, row in rows_of(executions, paths)
                if _is_chosen(row, log_position, selection, executions)
                and choice.has(strategy=row.strategy, tags=row.tags, trading_day=row.trading_day)
            ]
        yield from found


def _is_chosen(row: RoundTripRow, log_position: int, selection: Selection, executions: Executions) -> bool:
    first, last = selection.occurred
    if selection.symbol is not None and executions.rates.symbol(selection.symbol) != row.symbol:
        return False
    return (
        log_position > selection.after
        and (first is None or first <= row.exit_at)
        and (last is None or row.exit_at < last)
    )


def rows_of(executions: Executions, paths: PricePaths | None = None) -> Iterator[tuple[int, RoundTripRow]]:
    """Yield an account's round trips in the order they ended, each with the log position of the record that ended it.

    To be asked in the context of projections.decimals.FIXED.
    """
    now = executions.trades()
    of_symbols: dict[str, list[PricePath]] = {}
    for name, path in (paths or {}).items():
        of_symbols.setdefault(executions.rates.symbol(name), []).append(path)
    for trip, items in trips_of(executions):
        yield trip.position, _row_of(executions, trip, items, now, of_symbols)


def trips_of(executions: Executions) -> list[tuple[RoundTrip, TripItems]]:
    """Return an account's round trips, all since it was reopened last, in the order they ended, with their items."""
    state, history = executions.state, executions.history
    trips, items = [*history.trips, *state.trips], list(history.trip_items)
    for key, window in state.windows.items():
        pending = history.open_items.get(key) or OpenItems()
        ended, _ = split_trips(window, window.items, window.trips, pending.copy())
        trips += window.trips
        items += ended
    assert len(trips) == len(items), "each round trip has its items"
    return sorted(zip(trips, items, strict=True), key=lambda each: (each[0].ended_at, each[0].position))


def _row_of(
    executions: Executions,
    trip: RoundTrip,
    items: TripItems,
    now: Mapping[int, Item],
    paths: Mapping[str, Sequence[PricePath]],
) -> RoundTripRow:
    figures, later = figures_of(items), None
    if trip.points is not None and figures.points != trip.points:
        # A trade was corrected after the position had been flat.
        figures, later = figures_of(items, now), now
    terms, gross, fees, net, others = executions.result_of(trip)
    unit = terms.multiplier
    day = executions.day_of(trip.ended_at, trip.position)
    trades = [now.get(each.log_position, each) for each in items.items if each.is_trade]
    strategies = {executions.strategy_of(each) for each in trades}
    excursion = None
    if unit is not None and terms.symbol in paths:
        excursion = excursion_of(items, paths[terms.symbol], later)
    return RoundTripRow(
        executions.account,
        terms.symbol,
        LONG if figures.is_long else SHORT,
        figures.entry_at,
        trip.ended_at,
        trip.ended_at - figures.entry_at,
        figures.quantity,
        figures.entry_price,
        figures.exit_price,
        gross,
        fees,
        net,
        terms.currency,
        day,
        next(iter(strategies)) if len(strategies) == 1 else None,
        together(executions.tags_of_day(day), *[executions.tags_of(each, day) for each in trades]),
        None if excursion is None or unit is None else excursion[0] * unit,
        None if excursion is None or unit is None else excursion[1] * unit,
        others or None,
    )
