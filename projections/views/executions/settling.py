"""Placing an item among those of its position, and folding what follows from it: totals, days and round trips."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from projections.decimals import ZERO
from projections.views.executions import window as window_limits
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.appending import append, fix, fix_oldest, with_trade
from projections.views.executions.fees import negated, with_fees
from projections.views.executions.items import Item, ItemKind, in_position, place_of, with_fees_taken
from projections.views.executions.ledger_entry import LedgerEntry, ledger_key, negative
from projections.views.executions.prices import quotient
from projections.views.executions.reported import after_restating, after_trade, explained, superseded
from projections.views.executions.state import ExecutionsState, Holding, TermsPoints, Unsettled, mark, with_points
from projections.views.executions.window import (
    NOTHING,
    Outcome,
    Run,
    Window,
    run,
    stands_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from projections.views.executions.trip import RoundTrip


_SPLIT, _TRADE, _RECONCILED = ItemKind.SPLIT, ItemKind.TRADE, ItemKind.RECONCILED


def place(state: ExecutionsState, key: str, item: Item, recorded_at: int) -> Item:
    """Put a new item where it happened, or at the end, marked LATE, if that was before the window; return it there."""
    window, at = state.windows[key], item.at
    if (at > window.last_at or _is_last(window, item)) and at > window.gap_at and item.place is None:
        # The usual case: nothing has happened later.
        if state.unsettled:
            settle_now(state, key, recorded_at)
        append(state, key, window, item, recorded_at)
        return item
    where = place_of(item)
    standing = window.reconciliation_of(item.at, item.log_position) if stands_for(item) else None
    mark_instant(state, key, standing, item.at, item.log_position)
    last = place_of(window.items[-1]) if window.items else window.fixed
    is_late = where < window.fixed
    if standing is None and (is_late or where >= last):
        settle_now(state, key, recorded_at)
        if is_late:
            mark(state, key, TradeAnomalyKind.LATE, item.log_position)
            item = replace(item, place=max(where, last))
            window.note(item)
        append(state, key, window, item, recorded_at)
        return item
    return _insert(state, key, item, recorded_at, standing, is_late=is_late)


def mark_instant(state: ExecutionsState, key: str, standing: int | None, at: int, log_position: int) -> None:
    """Mark what happened at the very instant of the reconciliation that stands for it: it may not have."""
    if standing is not None and state.windows[key].items[standing].at == at:
        mark(state, key, TradeAnomalyKind.AT_RECONCILIATION, log_position)


def _is_last(window: Window, item: Item) -> bool:
    if item.at != window.last_at:
        return item.at > window.last_at
    return not window.items or item.log_position > window.items[-1].log_position


def _insert(
    state: ExecutionsState, key: str, item: Item, recorded_at: int, standing: int | None, *, is_late: bool
) -> Item:
    """Put an item between others, and return it as it is there."""
    window = state.windows[key]
    # What a split makes of others depends on all before it, so nothing is put off beside one.
    scales = not window.plain and any(each.kind is _SPLIT for each in window.items)
    if scales or item.kind is _SPLIT:
        scales = True
        settle_now(state, key, recorded_at)
    before = state.unsettled.get(key) or Unsettled(recorded_at, tuple(window.items))
    count_item(state, key, item, recorded_at, moves=standing is None)
    where = place_of(item)
    if standing is not None:
        item = replace(item, gap=window.items[standing].log_position)
    if is_late and standing is not None:
        # A reconciliation has stood for it: it comes just before that, and nothing later changes.
        gap = window.items[standing]
        quantity = window.scaled(item.quantity, where, standing)
        scale = None if quantity == item.quantity else (quantity, item.quantity)
        index, item = standing, replace(item, scale=scale, place=place_of(gap))
    else:
        index = bisect_right(window.items, where, key=place_of)
    window.items.insert(index, item)
    window.note(item)
    if standing is not None:
        absorb(window, standing + (index <= standing), index, in_position(item).quantity)
    state.unsettled[key] = before
    fixed: list[Item] = []
    # A report that differs is explained by the very fill that leaves the reported quantity, whatever the page has next.
    at_once = scales or state.holdings[key].report.differs
    if at_once or index == len(window.items) - 1 or len(window.items) > window_limits.WINDOW_MAX:
        folded = settle_now(state, key, recorded_at)
        if folded is not None and index == folded.opened == len(window.items) - 1 and not window.is_held_open(index):
            fix(state, key, index)
        elif len(window.items) > window_limits.WINDOW_MAX:
            fixed = fix_oldest(state, key)
    return next((each for each in fixed if each.number == item.number), item)


def take_out(state: ExecutionsState, key: str, index: int, recorded_at: int) -> Item:
    """Take an item out of its window, with its fees and counts, as if it had never been."""
    window = change_items(state, key, recorded_at)
    item = window.items[index]
    if item.gap:
        gaps = (number for number, each in enumerate(window.items) if each.number == (item.gap, 0))
        standing = next(gaps, None)
        if standing is not None:
            absorb(window, standing, index, -in_position(item).quantity)
    del window.items[index]
    entry = _counts(item)
    if entry is not None:
        state.ledger.correct(item.at, item.log_position, ledger_key(key, item.terms), negative(entry))
    if item.kind is _TRADE:
        state.seconds.add(item.at, recorded_at, -1)
    settle_now(state, key, recorded_at)
    holding = state.holdings[key]
    fees, sums = with_fees(holding.fees, negated(item.charged)), with_trade(holding.traded, item, by=-1)
    state.holdings[key] = replace(holding, fees=fees, traded=sums)
    return item


def restate(state: ExecutionsState, key: str, recorded_at: int, restated: Callable[[Item], Item]) -> None:
    """Replace the items of a window by what they are under terms that have become known, with their fees and counts."""
    window = change_items(state, key, recorded_at)
    for index, item in enumerate(window.items):
        fresh = restated(item)
        if fresh is item:
            continue
        fresh = with_fees_taken(fresh, item)
        for each, sign in ((item, -1), (fresh, 1)):
            entry = _counts(each)
            if entry is not None:
                name = ledger_key(key, each.terms)
                state.ledger.correct(each.at, each.log_position, name, entry if sign > 0 else negative(entry))
            holding = state.holdings[key]
            fees = each.charged if sign > 0 else negated(each.charged)
            state.holdings[key] = replace(holding, fees=with_fees(holding.fees, fees))
        window.items[index] = fresh
        state.recent.put(fresh)
    settle_now(state, key, recorded_at)


def absorb(window: Window, standing: int, index: int, change: Decimal) -> None:
    """Take a change at an index out of a reconciliation that stood for it: after it the broker's quantity holds."""
    items = window.items
    # Splits in between have multiplied the change.
    for number, ratio in window.ratios(items[:standing]).items():
        if number > index and ratio is not None:
            change = quotient(change * ratio[0], ratio[1])
    # One that closes and opens has two parts: each gives what it stands for, and the first one takes the rest.
    for number in window.parts_of(standing):
        gap = items[number]
        if gap.quantity * change > ZERO:
            part = min(gap.quantity, change, key=abs)
            items[number] = replace(gap, quantity=gap.quantity - part)
            change -= part
    if change:
        items[standing] = replace(items[standing], quantity=items[standing].quantity - change)


def count_item(state: ExecutionsState, key: str, item: Item, recorded_at: int, *, moves: bool) -> None:
    """Count a new item's fees, and a trade, on its day and in its holding; `moves`: no reconciliation stood for it."""
    holding = state.holdings[key]
    report = superseded(holding.report, holding.totals.quantity + item.quantity, by_fill=item.kind is _TRADE)
    entry = _counts(item)
    if entry is not None:
        state.ledger.correct(item.at, item.log_position, ledger_key(key, item.terms), entry)
    if item.kind is _TRADE:
        state.seconds.add(item.at, recorded_at)
    state.holdings[key] = replace(
        holding,
        fees=with_fees(holding.fees, item.charged) if item.fees else holding.fees,
        traded=with_trade(holding.traded, item),
        report=after_trade(report, item, recorded_at) if moves else report,
        last_record=max(holding.last_record, item.log_position),
    )


def _counts(item: Item) -> LedgerEntry | None:
    if item.kind is _TRADE:
        uncertain, fills = int(bool(item.fee_conflict)), int(not item.busted)
        return LedgerEntry(ZERO, ZERO, item.charged, fills, abs(item.quantity), 1, uncertain_fees=uncertain)
    return LedgerEntry(fees=item.fees) if item.fees else None


def change_items(state: ExecutionsState, key: str, recorded_at: int) -> Window:
    """Return a window whose items the caller changes now, and then settles."""
    settle_now(state, key, recorded_at)
    window = state.windows[key]
    state.unsettled[key] = Unsettled(recorded_at, tuple(window.items))
    return window


def settle_now(state: ExecutionsState, key: str, recorded_at: int) -> Run | None:
    """Fold a window's items again if they have changed; correct the days and round trips that this changes."""
    if not state.unsettled or (unsettled := state.unsettled.pop(key, None)) is None:
        return None
    before = unsettled.items
    window, holding = state.windows[key], state.holdings[key]
    name, items = (holding.symbol, str(holding.side)), window.items
    same = _common(before, items)
    state.holdings[key] = replace(holding, report=after_restating(holding.report, before[same:], items[same:]))
    prefix = run(window, name, items[:same])
    old = run(window, name, before, prefix, same)
    return refold(state, key, [(key, old)], recorded_at=recorded_at, prefix=prefix, start=same)


def refold(
    state: ExecutionsState,
    key: str,
    before: Sequence[tuple[str, Run]],
    *,
    recorded_at: int,
    prefix: Run | None = None,
    start: int = 0,
) -> Run:
    """Fold a window's items from `start`, and correct what differs from the earlier folds, each of a holding's key."""
    window, holding = state.windows[key], state.holdings[key]
    items = window.items
    new = run(window, (holding.symbol, str(holding.side)), items, prefix, start)
    old = {number: (name, *found) for name, each in before for number, found in each.outcomes.items()}
    for number in dict.fromkeys((*old, *new.outcomes)):
        was, now = old.get(number), new.outcomes.get(number)
        holding = _correct_day(state, holding, was, None if now is None else (key, *now))
    _recount(state, key, [trip for _, each in before for trip in each.trips], new.trips, recorded_at)
    window.trips, window.trip, window.marks = tuple(new.trips), new.trip, tuple(new.marks)
    window.last_at = (place_of(items[-1]) if items else window.fixed)[0]
    report = explained(superseded(holding.report, new.totals.quantity, by_fill=False), new.totals.quantity)
    state.holdings[key] = replace(holding, totals=new.totals, report=report, marks=window.marks)
    return new


def settle(state: ExecutionsState) -> None:
    """Fold every window again whose items have changed."""
    for key, unsettled in list(state.unsettled.items()):
        settle_now(state, key, unsettled.recorded_at)


def _common(before: Sequence[Item], after: Sequence[Item]) -> int:
    """Return how many items are the same at the beginning."""
    same = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a is not b), None)
    return min(len(before), len(after)) if same is None else same


Realized = tuple[str, Item, Outcome]
"""What an item realized, and the key of its holding."""


def _correct_day(state: ExecutionsState, holding: Holding, was: Realized | None, now: Realized | None) -> Holding:
    """Replace what an item realized, on its day, by what it realizes now."""
    if was is not None and now is not None and (was[0], was[2]) == (now[0], now[2]):
        (_, old, _), (_, new, _) = was, now
        if (old.at, old.terms) == (new.at, new.terms):
            return holding
    for found, sign in ((was, -1), (now, 1)):
        if found is not None and found[2] != NOTHING:
            key, item, realized = found
            points, average = realized.points * sign, realized.average * sign
            entry = LedgerEntry(points, average, unpriced=realized.unpriced * sign)
            state.ledger.correct(item.at, item.log_position, ledger_key(key, item.terms), entry)
            if item.terms:
                by_terms = with_points(holding.by_terms, TermsPoints(item.terms, points, average))
                holding = replace(holding, by_terms=by_terms)
    return holding


def _recount(
    state: ExecutionsState, key: str, before: list[RoundTrip], after: list[RoundTrip], recorded_at: int
) -> None:
    """Count the round trips that ended otherwise than they did before; several may end by one event."""
    for trips, others, by in ((before, after, -1), (after, before, 1)):
        ends = Counter(map(_end, others))
        for trip in trips:
            end = _end(trip)
            if ends[end]:
                ends[end] -= 1
                continue
            state.trip_seconds.add(trip.ended_at, recorded_at, by)
            entry = LedgerEntry(round_trips=by)
            state.ledger.correct(trip.ended_at, trip.position, ledger_key(key, trip.terms), entry)


def _end(trip: RoundTrip) -> tuple[int, int, int]:
    return trip.ended_at, trip.position, trip.terms
