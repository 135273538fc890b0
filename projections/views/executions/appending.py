"""Adding an item that comes last in its position, and letting its window begin there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.trading import PositionSide
from projections.decimals import ZERO
from projections.views.executions import window as window_limits
from projections.views.executions.anomalies import with_anomaly
from projections.views.executions.fees import with_fees
from projections.views.executions.items import Item, ItemKind, in_position, place_of
from projections.views.executions.ledger_entry import LedgerEntry, ledger_key
from projections.views.executions.position_totals import LOTS_MAX, RESIDUE_DIGITS, traded
from projections.views.executions.reported import after_item
from projections.views.executions.state import TRIPS_MAX, ExecutionsState, Holding, TermsPoints, Traded, with_points
from projections.views.executions.trip import OpenTrip, counted, ended, repriced
from projections.views.executions.window import (
    BEFORE_ALL,
    SplitRatio,
    is_exact,
    marks_of,
    outcome,
    realizes_exactly,
    run,
    stepped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from projections.views.executions.anomalies import TradeAnomalyKind
    from projections.views.executions.position_totals import PositionTotals
    from projections.views.executions.trip import RoundTrip
    from projections.views.executions.window import Window

_SPLIT, _TRADE, _NET = ItemKind.SPLIT, ItemKind.TRADE, PositionSide.NET


def append(state: ExecutionsState, key: str, window: Window, item: Item, recorded_at: int) -> None:
    """Add an item that comes last in its position, with what it realizes, its fees and counts, and what it ends."""
    holding, items = state.holdings[key], window.items
    before, index = holding.totals, len(items)
    items.append(item)
    count, volume, unpriced, price, log_position = 0, ZERO, False, item.price, item.log_position
    plain = not (item.inverse or item.coin or before.inverse)
    net = item if plain else in_position(item)
    quantity, held, fees = item.quantity, before.quantity, net.fees
    if item.kind is _TRADE and price is not None:
        count, volume = 1, abs(quantity)
        state.seconds.add(item.at, recorded_at)
        # A busted trade that moves to where it happened has no quantity.
        after = traded(before, quantity, price, item.trade_id, log_position) if quantity and plain else None
        if after is None or (after.quantity and after.quantity.adjusted() < RESIDUE_DIGITS):
            after = stepped(before, net)
    else:
        window.note(item)
        if item.trip:
            window.trips = tuple(repriced(window.trips, item))
        after = stepped(before, item, window.ratios(items)[index] if item.kind is _SPLIT else None)
    left = after.quantity
    unusual = not plain or not count or holding.side is not _NET or len(before.lots) >= LOTS_MAX
    if unusual or not is_exact(held, quantity, left) or not realizes_exactly(before, after):
        window.marks = (*window.marks, *marks_of(before, after, net, holding.side))
        unpriced = outcome(before, after, net).unpriced
    window.last_at = item.at if item.place is None else item.place[0]
    # Through flat or to it a round trip ends, through it or from it a window begins.
    turns = bool(held) and (not left or (left > ZERO) is not (held > ZERO))
    base_trip = end_trip(state, key, held, recorded_at) if turns else None
    points = average = ZERO
    if after.realized_points is not before.realized_points:
        points = after.realized_points - before.realized_points
        average = after.realized_points_average_cost - before.realized_points_average_cost
    if count or fees or turns or points or average or unpriced:
        # In the order of the members, here and below: by name it takes longer, and this runs for every fill.
        entry = LedgerEntry(
            points, average, fees, 1 if volume else 0, volume, count, 1 if turns else 0, 1 if unpriced else 0,
            1 if item.fee_conflict else 0,
        )  # fmt: skip
        terms_key = ledger_key(key, item.terms) if item.terms else key
        state.ledger.add_entry(item.at, log_position, terms_key, entry)
    report = holding.report
    state.holdings[key] = Holding(
        holding.symbol,
        holding.side,
        after,
        with_fees(holding.fees, fees) if fees else holding.fees,
        report if report.quantity is None else after_item(report, item, left, recorded_at),
        holding.anomalies,
        window.marks,
        with_figures(holding.traded, quantity, price or ZERO) if count else holding.traded,
        holding.first_record,
        max(log_position, holding.last_record),
        holding.conflicts,
        with_points(holding.by_terms, TermsPoints(item.terms, points, average)) if item.terms else holding.by_terms,
        holding.uncertain_fees,
    )
    if (left and (turns or not held)) or index >= window_limits.WINDOW_MAX:
        _advance(state, key, before, base_trip, opens=bool(left) and (turns or not held))


def _advance(
    state: ExecutionsState, key: str, before: PositionTotals, base_trip: OpenTrip | None, *, opens: bool
) -> None:
    """Let a window begin with its last item if that opened or reversed the position; keep the window bounded."""
    window = state.windows[key]
    index = len(window.items) - 1
    if opens and window.plain and index and window.in_place:
        begin_window(state, key, before, base_trip)
    elif opens and not window.is_held_open(index):
        fix(state, key, index)
    elif index >= window_limits.WINDOW_MAX:
        fix_oldest(state, key)


def end_trip(state: ExecutionsState, key: str, held: Decimal, recorded_at: int) -> OpenTrip:
    """End the round trip in progress with the window's last item; return it as it was before that."""
    holding, window = state.holdings[key], state.windows[key]
    index = len(window.items) - 1
    item = in_position(window.items[index])
    trip = counted(window.trip, window.items[window.trip.index : index], index)
    done, window.trip = ended((holding.symbol, holding.side), trip, item, held, index)
    window.trips = (*window.trips, done)
    state.trip_seconds.add(item.at, recorded_at)
    return trip


def with_trade(sums: Traded, item: Item, by: int = 1) -> Traded:
    """Return a holding's sums with one more trade, or with `by` -1 without it; anything else changes nothing."""
    return with_figures(sums, item.quantity, item.price or ZERO, by) if item.kind is _TRADE else sums


def with_figures(sums: Traded, quantity: Decimal, price: Decimal, by: int = 1) -> Traded:
    """Return sums with one more signed quantity at a price, or with `by` -1 without it; zero counts as busted."""
    bought, sold, bought_value, sold_value = sums.bought, sums.sold, sums.bought_value, sums.sold_value
    if not quantity:
        return Traded(sums.count, bought, sold, bought_value, sold_value, sums.busted + by)
    more = quantity if by > 0 else -quantity
    value = more * price
    if quantity > ZERO:
        return Traded(sums.count + by, bought + more, sold, bought_value + value, sold_value, sums.busted)
    return Traded(sums.count + by, bought, sold - more, bought_value, sold_value - value, sums.busted)


def begin_window(state: ExecutionsState, key: str, before: PositionTotals, base_trip: OpenTrip | None) -> None:
    """Let a window begin with its last item, which opened or reversed the position; `fix` for the usual case."""
    window = state.windows[key]
    items, trips = window.items, window.trips
    item, gone = items[-1], trips if base_trip is None else trips[:-1]
    state.take_fixed(key, items[:-1], gone)
    window.base, window.fixed = before, max(window.fixed, place_of(items[-2]))
    window.items, window.trips = [item], trips[len(gone) :]
    if base_trip is None:
        # It was flat: the round trip begins with this item, unless what was flat left something to count.
        window.base_trip = window.trip = counted(window.trip, items[window.trip.index : -1], 0)
    else:
        window.base_trip = replace(base_trip, index=0)
        window.trip = replace(window.trip, index=1)
    if window.marks:
        _keep_marks(state, key, [each for each in window.marks if each.position != item.log_position])


def _keep_marks(state: ExecutionsState, key: str, marks: list[tuple[TradeAnomalyKind, int]]) -> None:
    """Keep the marks of items that are fixed."""
    window, holding = state.windows[key], state.holdings[key]
    anomalies = holding.anomalies
    for each in marks:
        anomalies = with_anomaly(anomalies, *each)
    window.marks = window.marks[len(marks) :]
    state.holdings[key] = replace(holding, anomalies=anomalies, marks=window.marks)


def fix_oldest(state: ExecutionsState, key: str) -> list[Item]:
    """Fix the older half of a window that has too many items; return what `fix` does."""
    items, count = state.windows[key].items, window_limits.WINDOW_MAX // 2
    if not state.windows[key].plain and any(item.history for item in items[:count]):
        # A split multiplies what the venue held at its time, which nothing tells any more of what is fixed.
        splits = (index for index in range(len(items) - 1, count - 1, -1) if items[index].kind is _SPLIT)
        count = next(splits, count - 1) + 1
    return fix(state, key, count)


def fix(state: ExecutionsState, key: str, count: int) -> list[Item]:
    """Fix the oldest items of a window: what concerns them from now on is booked at the end.

    Return the trades among them on which their round trips are written now.
    """
    window, holding = state.windows[key], state.holdings[key]
    if not count:
        return []
    gone, left = window.items[:count], window.items[count:]
    folded = run(window, (holding.symbol, str(holding.side)), gone)
    if not window.plain:
        ratios = window.ratios(gone)
        fixed = tuple(SplitRatio(place_of(gone[at]), *ratio) for at, ratio in ratios.items() if ratio is not None)
        window.splits = (*window.splits, *fixed)[-TRIPS_MAX:]
    trip = counted(folded.trip, gone[folded.trip.index :], 0)
    # The trips are the window's own: a later item that stays may have changed the price of one.
    number = len(folded.trips)
    state.take_fixed(key, gone, window.trips[:number])
    window.trips = window.trips[number:]
    window.fixed = max(window.fixed, place_of(gone[-1]))
    window.base, window.base_trip, window.items = folded.totals, trip, left
    index = window.trip.index - count
    window.trip = replace(window.trip, index=index) if index > 0 else trip
    if not window.plain:
        window.plain, window.gap_at = True, BEFORE_ALL[0]
        for each in left:
            window.note(each)
    if folded.marks:
        _keep_marks(state, key, list(folded.marks))
    if window.in_place:
        return []
    window.in_place = all(each.place is None for each in left)
    return _write_trips(state, gone, folded.trips, trip.number)


def _write_trips(
    state: ExecutionsState, items: Sequence[Item], ended_trips: Sequence[RoundTrip], number: int
) -> list[Item]:
    """Write the round trip of each trade on it, and return these.

    Where items lie elsewhere than where they happened, several are at one place: it does not tell which belong to which
    trip. `number` is that of the trip in progress after the items.
    """
    written, left = [], list(ended_trips[::-1])
    for item in items:
        if item.kind is _TRADE:
            written.append(replace(item, trip=left[-1].number if left else number))
            state.recent.put(written[-1])
        if left and left[-1].position == item.log_position:
            left.pop()
    return written
