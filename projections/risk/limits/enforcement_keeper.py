"""Keeps asking for what a lockout wants until it is so: again after bounded waits, and a person after a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore.clock import NANOSECONDS
from eventstore.streams import stream_of
from eventstore.trading import (
    Approved,
    EnforcementEscalated,
    EnforcementTaken,
    LockoutCleared,
    LockoutExpired,
    LockoutSet,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderReduced,
    OrderRejected,
    OrderReplaced,
    OrderReported,
    OrderSubmitted,
    PositionAdjusted,
    PositionReported,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import ZERO
from projections.risk.caches import risk_cache
from projections.risk.enforcement.goals import goals_in_force, is_in_force, newest_attempts
from projections.risk.enforcement.requests import next_attempt
from projections.risk.enforcement.wanted import in_scope, is_reached
from projections.risk.holdings import contract_symbol
from projections.risk.policies import Decision, Policy
from projections.view import GROUP, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.enforcement import Enforcement

WAITS = (1, 2, 4, 8, 15, 30)
"""Seconds from an attempt, or from its answer, to the next one; the last holds for all that follow."""
ESCALATED_ATTEMPTS, ESCALATED_AFTER, ESCALATED_EVERY = 3, 15, 300
"""A person has to act from so many attempts or seconds on; as long as nothing changes, again after so many seconds."""


class EnforcementKeeper(Policy):
    """Asks again for what a lockout in force asked for, as long as the account is not in the wanted state.

    It does so when the request was answered without success, was not answered and nobody has claimed it, or was
    answered with success and the account is not, or no longer, in that state: after the next of `waits`, in seconds. A
    fill, or a report, that opens or enlarges a position after an answer is answered at once. Each attempt is a request
    of its own that any process which decides it gives the same id. What is not done after the third attempt, or after
    15 s, is escalated.

    Requests without a lockout in force are left alone. In shadow mode it does the same for a lockout that is in force:
    what was really asked for, by a person or while the account was armed, is asked for until it is so.
    """

    name = "enforcement-keeper"
    types: ClassVar[tuple[type[Event], ...]] = (
        EnforcementTaken,
        LockoutCleared,
        Approved,
        LockoutExpired,
        LockoutSet,
        OrderAccepted,
        OrderCanceled,
        OrderExpired,
        OrderFilled,
        OrderReduced,
        OrderRejected,
        OrderReplaced,
        OrderReported,
        OrderSubmitted,
        PositionAdjusted,
        PositionReported,
        TradeBusted,
        TradeCorrected,
        TradeExecuted,
    )
    timed: ClassVar[bool] = True

    def __init__(
        self,
        waits: Sequence[float] = WAITS,
        escalated_attempts: int = ESCALATED_ATTEMPTS,
        escalated_after: float = ESCALATED_AFTER,
        escalated_every: float = ESCALATED_EVERY,
    ) -> None:
        if not waits or min(waits) <= 0:
            msg = f"waits = {waits}: expected one or more numbers of seconds above 0"
            raise ValueError(msg)
        self._waits = tuple(int(each * NANOSECONDS) for each in waits)
        self._attempts = escalated_attempts
        self._after, self._every = int(escalated_after * NANOSECONDS), int(escalated_every * NANOSECONDS)

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        account = trigger.account
        if account == SHARED or account.startswith(GROUP):
            return
        now = _now(trigger)
        goals = goals_in_force(book, account, now)
        for newest in goals:
            why = self._why_again(book, newest, trigger, now)
            is_loud = self._must_escalate(newest, now)
            if (why or is_loud) and not is_reached(book, newest, now):
                if why:
                    yield _again(newest, why, now)
                if is_loud:
                    yield self._escalation(newest, now)

    def _why_again(self, book: Book, newest: Enforcement, trigger: Trigger, now: int) -> str:
        """Return why a goal has to be asked for again now, if it is not reached; empty if it has not."""
        if newest.is_claimed(now):
            return ""
        since = newest.requested_at if newest.taken_at is None else newest.taken_at
        wait = self._waits[min(newest.attempt, len(self._waits)) - 1]
        # A time that is further ahead than the wait is of a clock that was wrong.
        if since - wait <= now < since + wait and not _is_undone(book, newest, trigger):
            return ""
        if not newest.taken:
            return "nobody has answered"
        return "it is not so, though the answer says it is" if newest.success else "the answer says that it failed"

    def _must_escalate(self, newest: Enforcement, now: int) -> bool:
        # What was done in time, and is undone later, has its time again.
        is_late = not newest.success and now >= newest.asked_since + self._after
        if newest.attempt < self._attempts and not is_late:
            return False
        return newest.escalated_at is None or not newest.escalated_at <= now < newest.escalated_at + self._every

    def _escalation(self, newest: Enforcement, now: int) -> Decision:
        def is_escalated(book: Book) -> bool:
            known, at = _newest_of(book, newest), max(now, book.now_ns())
            return known is None or not self._must_escalate(known, at) or _is_over(book, known, at)

        what = newest.action if newest.symbol is None else f"{newest.action} {newest.symbol}"
        waited = max(now - newest.asked_since, 0) // NANOSECONDS
        why = f"{what} for {newest.rule_id}: not so after {newest.attempt:,} attempts in {waited:,} s"
        event = EnforcementEscalated(request_id=newest.request_id, attempts=newest.attempt, why=why)
        # In a stream of the goal, whichever attempt it is by then: two processes escalate it once.
        first = newest.first_id.hex()
        return Decision(
            ((stream_of("enforcement", newest.account, f"goal-{first}"), event),),
            obsolete_if=is_escalated,
            key=f"{first}/escalated/{newest.escalated_at or 0}",
            cause=newest.first_id,
        )


def _now(trigger: Trigger) -> int:
    """Return the instant that a decision is of: that of the log, because waits do not depend on what a record says."""
    if trigger.record is None:
        return trigger.at
    return trigger.record.recorded_at if trigger.taken_at is None else trigger.taken_at


def _again(newest: Enforcement, why: str, now: int) -> Decision:
    def is_obsolete(book: Book) -> bool:
        # As of the time of the append: a record of yesterday must not ask for what a lockout of yesterday wanted.
        known, at = _newest_of(book, newest), max(now, book.now_ns())
        return known is None or known.position != newest.position or known.is_claimed(at) or _is_over(book, known, at)

    # Not of the record that it follows: each attempt would add to a chain of causes that has no end.
    return Decision(
        (next_attempt(newest, why),),
        obsolete_if=is_obsolete,
        key=f"{newest.first_id.hex()}/{newest.attempt + 1}",
        cause=newest.first_id,
    )


def _newest_of(book: Book, request: Enforcement) -> Enforcement | None:
    """Return the newest attempt of the goal of one, None if another one has taken the goal's place."""
    found = next((each for each in newest_attempts(book, request.account) if each.goal == request.goal), None)
    return found if found is not None and found.first_id == request.first_id else None


def _is_over(book: Book, newest: Enforcement, now: int) -> bool:
    """Return whether nothing has to be asked for: the lockout has ended, or the wanted state is reached."""
    return not is_in_force(book, newest, now) or is_reached(book, newest, now)


def _is_undone(book: Book, newest: Enforcement, trigger: Trigger) -> bool:
    """Return whether a record opens or enlarges a position after a request for less was answered."""
    record, event = trigger.record, trigger.event
    if record is None or newest.taken_position is None or record.position <= newest.taken_position:
        return False
    if isinstance(event, OrderFilled | TradeExecuted):
        moved = event.quantity if event.side is Side.BUY else -event.quantity
    elif isinstance(event, PositionReported | PositionAdjusted):
        moved = event.quantity
    else:
        return False
    cache = risk_cache(book, newest.account, _now(trigger))
    symbol = contract_symbol(book, event.symbol)
    if not in_scope(cache, newest, symbol):
        return False
    held = [each for each in cache.positions if (each.symbol, each.side) == (symbol, event.position_side)]
    if isinstance(event, PositionReported):
        # It counts once it contradicts the fills: `is_reached` waits for that as well.
        return any(abs(each.reported or ZERO) > abs(each.quantity) for each in held)
    return any(each.quantity * moved > ZERO for each in held)
