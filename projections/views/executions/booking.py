"""Booking what changes of a trade before the window, as items of their own on the day of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.streams import SEPARATOR
from projections.decimals import ZERO
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.appending import with_figures
from projections.views.executions.fees import Fees, negated, with_fees
from projections.views.executions.items import Figures, Item, ItemKind, Place, in_position, place_of
from projections.views.executions.ledger_entry import LedgerEntry, ledger_key
from projections.views.executions.position_totals import scaled_price
from projections.views.executions.prices import has_value, value_of
from projections.views.executions.settling import place
from projections.views.executions.state import (
    Amendment,
    AmendmentKind,
    ExecutionsState,
    mark,
)
from projections.views.executions.trip import RoundTrip, last_of_number, repriced

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore import Record
    from projections.views.executions.window import Window

_OPPOSITE, _REPRICE = ItemKind.OPPOSITE, ItemKind.REPRICE
BOOKED = frozenset({_OPPOSITE, _REPRICE})
LATE = {AmendmentKind.BUST: TradeAnomalyKind.LATE_BUST, AmendmentKind.CORRECTION: TradeAnomalyKind.LATE_CORRECTION}
_NO_ENTRY = LedgerEntry()


def book(
    state: ExecutionsState,
    key: str,
    amendment: Amendment,
    change: tuple[Figures, Figures],
    *,
    trade: Item | None = None,
    fees: Fees = (),
    terms: int = 0,
) -> int:
    """Book what a change does to a position as items of their own, the first with the fees; return how many there are.

    What stays of the quantity moves no lot, only its price.
    """
    inverse = (state.windows[key] if trade is None else trade).inverse
    changes = _parts(*change, inverse=inverse)
    holding, trip = state.holdings[key], 0 if trade is None else trip_of(state, key, trade)
    # One record may change several trades, where a definition shows that they are others.
    mine = [each.part for each in state.windows[key].items if each.log_position == amendment.log_position]
    first = max(mine, default=0) + 1
    for number, (kind, quantity, price) in enumerate(changes, first):
        item = Item(
            kind, amendment.log_position, amendment.at, quantity, price, holding.symbol, holding.side,
            fees=fees if number == first else (), terms=terms, part=number, trip=trip if kind is _REPRICE else 0,
            inverse=inverse,
        )  # fmt: skip
        if item.trip:
            state.trips = tuple(repriced(state.trips, item))
        place(state, key, item, amendment.recorded_at)
    if changes and amendment.kind in LATE:
        mark(state, key, LATE[amendment.kind], amendment.log_position)
    return len(changes)


def _parts(before: Figures, after: Figures, *, inverse: bool) -> list[tuple[ItemKind, Decimal, Decimal | None]]:
    """Return what leads from figures to later ones: a REPRICE by the difference in value, and quantities at prices."""
    old, new = before.quantity, after.quantity
    was, now = _value(before.price, inverse=inverse), _value(after.price, inverse=inverse)
    same = ZERO if old * new <= ZERO else min(old, new, key=abs)
    changes: list[tuple[ItemKind, Decimal, Decimal | None]] = []
    if same and before.price != after.price:
        if was is None or now is None:
            # Nothing can be said of the difference: all is booked back, and again.
            same = ZERO
        else:
            changes.append((_REPRICE, same, was - now))
    if same != old:
        changes.append((_OPPOSITE, same - old, before.price))
    if same != new:
        changes.append((_OPPOSITE, new - same, after.price))
    return changes


def _value(price: Decimal | None, *, inverse: bool) -> Decimal | None:
    return value_of(price, inverse=inverse) if price is not None and has_value(price, inverse=inverse) else None


def book_back(state: ExecutionsState, key: str, twin: Item, record: Record) -> None:
    """Book the opposite of a trade before the window that was none, and take back its fees and counts."""
    window, where = state.windows[key], place_of(twin)
    before = scaled(window, twin, where)
    at, log_position = record.occurred_at, record.position
    back = Amendment(
        AmendmentKind.BUST,
        log_position,
        at,
        record.recorded_at,
        record.stream,
        twin.trade_id or "",
        twin.symbol,
        twin.side,
    )
    book(state, key, back, (before, Figures(before.since, ZERO, before.price)), trade=twin, terms=twin.terms)
    counts = LedgerEntry(
        fees=negated(twin.charged),
        fills=-int(not twin.busted),
        volume=-abs(twin.quantity),
        executions=-1,
        uncertain_fees=-int(bool(twin.fee_conflict)),
    )
    day = ledger_key(key, twin.terms)
    state.ledger.correct(twin.at, twin.log_position, day, counts)
    state.seconds.add(twin.at, record.recorded_at, -1)
    holding, fees = state.holdings[key], twin.charged
    if twin.busted:
        # Its fees were given back on the day of the bust: both go.
        since, bust = twin.figures[-1].since
        state.ledger.correct(since, bust, day, LedgerEntry(fees=fees))
        fees = ()
    sums = with_figures(holding.traded, twin.quantity, twin.price or ZERO, -1)
    state.holdings[key] = replace(holding, fees=with_fees(holding.fees, negated(fees)), traded=sums)


def count_change(
    state: ExecutionsState,
    key: str,
    day: Item | Amendment,
    before: Item | Figures,
    after: Item | Figures,
    *,
    by: int = 1,
    fees: Fees = (),
    key_of_day: str | None = None,
) -> None:
    """Count a trade's later figures instead of its earlier ones, on the day of `day`."""
    was, now = before.quantity, after.quantity
    entry = LedgerEntry(fees=fees, fills=by * (bool(now) - bool(was)), volume=by * (abs(now) - abs(was)))
    terms = day.terms
    if entry != _NO_ENTRY:
        state.ledger.correct(day.at, day.log_position, key_of_day or ledger_key(key, terms), entry)
    holding = state.holdings[key]
    sums = holding.traded
    for figures, sign in ((before, -by), (after, by)):
        sums = with_figures(sums, figures.quantity, figures.price or ZERO, sign)
    state.holdings[key] = replace(holding, traded=sums, fees=with_fees(holding.fees, fees) if fees else holding.fees)


def scaled(window: Window, item: Item, where: Place) -> Figures:
    item = in_position(item)
    quantity, price = window.scaled(item.quantity, where), item.price
    if price is not None and quantity != item.quantity:
        price = scaled_price(price, quantity, item.quantity, inverse=item.inverse)
    return Figures((item.at, item.log_position), quantity, price)


def trip_of(state: ExecutionsState, key: str, trade: Item) -> int:
    """Return the number of the round trip of a trade before the window, 0 for one that is not remembered."""
    found, window = ended_trip(state, key, trade), state.windows[key]
    if found is not None:
        return state.trips[found].number
    if trade.trip:
        return trade.trip if trade.trip == window.base_trip.number else 0
    begun = window.base_trip
    return begun.number if (place_of(trade), trade.log_position) >= (begun.first, begun.number) else 0


def _is_of(trip: RoundTrip, key: str) -> bool:
    return trip.symbol + SEPARATOR + trip.side == key


def ended_trip(state: ExecutionsState, key: str, trade: Item) -> int | None:
    """Return the index of the round trip before the window that a trade belongs to, None if it has not ended there."""
    if trade.trip:
        index = last_of_number(state.trips, trade.trip)
        return index if index is not None and _is_of(state.trips[index], key) else None
    # Late reports lie at the place of the item before them.
    where = place_of(trade), trade.log_position
    for index, trip in enumerate(state.trips):
        if (trip.first, trip.number) <= where <= (trip.last, trip.position) and _is_of(trip, key):
            return index
    return None
