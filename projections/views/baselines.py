"""The baselines view: an account's equity at the resets of its days, as marked; and whether it was flat there."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import AccountReopened, Baseline, ClockJumped, EquityMarked
from projections.decimals import FIXED, ZERO
from projections.valuation import KNOWN, Standing, stale, unknown
from projections.view import View
from projections.views.executions.items import ItemKind
from projections.views.executions.state import VIEW, ExecutionsState
from projections.views.log_clock import LogClock, is_set_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.view import BookReader
    from projections.views.executions.trip import RoundTrip
    from projections.views.executions.window import Window

BASELINES_MAX = 20
LATE_NS = 300 * NANOSECONDS
"""How long after the reset, or the session's open, equity still counts as that at the reset."""


class EquityAtReset(msgspec.Struct, frozen=True):
    """What was marked for a reset: the equity, the balance in it, the currency, and when (UNIX ns)."""

    equity: Decimal
    balance: Decimal
    currency: str | None
    at: Instant


class BaselinesState(msgspec.Struct):
    """One account: the newest marks by the reset, as text, that they are of; and when it was last reopened.

    `later` are those of resets that had not come when the clock was put right.
    """

    marks: dict[str, EquityAtReset] = {}
    later: dict[str, EquityAtReset] = {}
    clock: LogClock = LogClock()
    reopened_at: Instant | None = None


class BaselinesView(View[BaselinesState]):
    """The equity at each reset that an EquityMarked states; the first mark of a reset counts.

    Once the clock is set back, a mark of a later reset does not count, unless the clock is set ahead past it again.
    """

    name: ClassVar[str] = "baselines"
    revision: ClassVar[int] = 3
    types: ClassVar[tuple[type[Event], ...] | None] = (EquityMarked, AccountReopened, ClockJumped)

    @override
    def initial(self) -> BaselinesState:
        return BaselinesState()

    @override
    def apply(self, state: BaselinesState, event: Event, record: Record) -> None:
        if isinstance(event, AccountReopened):
            _begin_again(state, record)
        elif isinstance(event, ClockJumped):
            _jump(state, event, record)
        if not isinstance(event, EquityMarked) or event.reset_at is None:
            return
        name = str(event.reset_at)
        if name in state.marks:
            return
        mark = EquityAtReset(event.equity, event.balance, event.currency, min(record.occurred_at, record.recorded_at))
        state.marks = _newest({**state.marks, name: mark})


def _begin_again(state: BaselinesState, record: Record) -> None:
    # While the log's own time is ahead of a clock that was put right, only `occurred_at` says when it was.
    state.clock = state.clock.advanced(record, record.occurred_at)
    state.marks, state.later, state.reopened_at = {}, {}, state.clock.reached


def _jump(state: BaselinesState, event: ClockJumped, record: Record) -> None:
    state.clock = state.clock.jumped(event, record)
    if is_set_back(event):
        if state.reopened_at is not None:
            # It has been reopened by now: days that begin later belong to its new life.
            state.reopened_at = min(state.reopened_at, event.after)
        later = {name: mark for name, mark in state.marks.items() if int(name) > event.after}
        state.later = _newest({**state.later, **later})
        state.marks = {name: mark for name, mark in state.marks.items() if name not in later}
    elif event.after > event.before:
        come = {name: mark for name, mark in state.later.items() if int(name) <= event.after}
        state.marks = _newest({**come, **state.marks})
        state.later = {name: mark for name, mark in state.later.items() if name not in come}


def _newest(marks: dict[str, EquityAtReset]) -> dict[str, EquityAtReset]:
    kept = dict(marks)
    while len(kept) > BASELINES_MAX:
        del kept[min(kept, key=int)]
    return kept


class Carried(msgspec.Struct, frozen=True):
    """By how much a day's baseline exceeds the balance at its reset, in the account's own currency."""

    amount: Decimal = ZERO
    standing: Standing = KNOWN


NOTHING_CARRIED = Carried()


def mark_of(book: BookReader, account: str, reset_at: int) -> EquityAtReset | None:
    """Return the equity that was marked for a reset, None without a mark."""
    state: BaselinesState | None = book.state(BaselinesView.name, account)
    return None if state is None else state.marks.get(str(reset_at))


def carried_over(
    book: BookReader, account: str, baseline: Baseline, began_at: int | None, opens_at: int | None
) -> Carried:
    """Return what a day's baseline has beyond the balance at its reset: the result of positions open then.

    Nothing if the account was reopened since: it was flat, and what it had made until then belongs to its old life.
    """
    if baseline is Baseline.BALANCE_AT_RESET:
        return NOTHING_CARRIED
    if began_at is None:
        return Carried(ZERO, unknown("it is not known when the trading day began"))
    state: BaselinesState | None = book.state(BaselinesView.name, account)
    is_reopened = state is not None and state.reopened_at is not None and began_at <= state.reopened_at
    if is_reopened or not held_over(book, account, began_at):
        return NOTHING_CARRIED
    mark = mark_of(book, account, began_at)
    if mark is None:
        why = "a position was open at the reset, and the equity there is not recorded: wait for two quotes of it"
        return Carried(ZERO, unknown(f"{why}, or set the account's baseline to {Baseline.BALANCE_AT_RESET}"))
    amount = FIXED.subtract(mark.equity, mark.balance)
    if baseline is Baseline.MAXIMUM:
        amount = max(amount, ZERO)
    late = mark.at - max(began_at, opens_at or began_at)
    if late <= LATE_NS:
        return Carried(amount)
    why = f"the equity at the reset was marked {late / NANOSECONDS:,.0f} s late"
    return Carried(amount, stale(f"{why}: set the account's baseline to {Baseline.BALANCE_AT_RESET} to go on", late))


def held_over(book: BookReader, account: str, at: int) -> bool:
    """Return whether the account may have held a position at an instant: opened before it, and not closed by then."""
    state: ExecutionsState | None = book.state(VIEW, account)
    if state is None:
        return False
    holdings = state.holdings
    for key, window in list(state.windows.items()):
        holding = holdings.get(key)
        if holding is not None and holding.totals.quantity and _opened_at(window) < at:
            return True
        if window.trips and _is_in_a_trip(window.trips, at):
            return True
    return _is_in_a_trip(state.trips, at)


def adjusted_since(book: BookReader, account: str, at: int) -> bool:
    """Return whether a position was changed after an instant, by a fill or an adjustment; a split leaves its value."""
    state: ExecutionsState | None = book.state(VIEW, account)
    if state is None:
        return False
    trips = [*state.trips, *(trip for window in list(state.windows.values()) for trip in window.trips)]
    items = (item for window in list(state.windows.values()) for item in window.items)
    return any(trip.ended_at > at for trip in trips) or any(
        item.at > at and item.quantity and item.kind is not ItemKind.SPLIT for item in items
    )


def _opened_at(window: Window) -> int:
    """Return when the open round trip began; the past if that is not remembered."""
    trip = window.trip
    if trip.number:
        return trip.first[0]
    # Its items may not be counted yet.
    for item in window.items[trip.index :]:
        if item.quantity:
            return item.at
    return 0


def _is_in_a_trip(trips: Sequence[RoundTrip], at: int) -> bool:
    return any(trip.first[0] < at <= trip.ended_at for trip in trips)
