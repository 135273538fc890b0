"""What is missing in an order's life, or out of order, each with a sentence and the records that show it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from eventstore.trading import (
    OrderAccepted,
    OrderCancelRequested,
    OrderFilled,
    OrderRejected,
    OrderReplaceRequested,
    OrderStatus,
    OrderSubmitted,
    RiskChecked,
    Verdict,
)
from projections.auditing.lifelines.answers import in_order_of_occurrence
from projections.decimals import ZERO
from projections.views.orders.order import CLOSED, OrderAnomalyKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import Record
    from projections.auditing.lifelines.answers import Answers
    from projections.auditing.lifelines.steps import LifelineStep
    from projections.views.orders.order import Order


class LifelineProblemKind(enum.StrEnum):
    """What is missing, out of order or anomalous in the life of an order."""

    NOT_SUBMITTED = "NOT_SUBMITTED"
    """No submission is recorded."""
    BEFORE_SUBMISSION = "BEFORE_SUBMISSION"
    """Something happened to it before it was submitted."""
    AGAINST_CHECK = "AGAINST_CHECK"
    """It was submitted although the newest check before had rejected it."""
    NOT_ANSWERED = "NOT_ANSWERED"
    """The venue never said anything of it."""
    NOT_ACCEPTED = "NOT_ACCEPTED"
    """The venue worked on it, and its acceptance is missing."""
    FILLED_BEFORE_ACCEPTANCE = "FILLED_BEFORE_ACCEPTANCE"
    """A fill happened before the acceptance."""
    CANCEL_UNANSWERED = "CANCEL_UNANSWERED"
    """A cancel request has no answer, and the order has not ended since."""
    REPLACE_UNANSWERED = "REPLACE_UNANSWERED"
    """A replace request has no answer, and the order has not ended since."""
    UNREQUESTED = "UNREQUESTED"
    """An answer to a request that is not recorded."""
    RECORDED_LATE = "RECORDED_LATE"
    """Something happened before what was recorded earlier."""
    RECORDED_AHEAD = "RECORDED_AHEAD"
    """Something is stated to have happened after it was recorded: a clock was wrong."""
    FILLS_MISSING = "FILLS_MISSING"
    """The broker reported more as filled than the fills recorded."""
    NOT_ENDED = "NOT_ENDED"
    """It has neither been filled, canceled or rejected, nor has it expired; or what became of it is not known."""
    UNREAD = "UNREAD"
    """A record of a type or schema that this version does not know: whatever it says is not counted."""
    OVERFILL = "OVERFILL"
    FILL_AFTER_CLOSE = "FILL_AFTER_CLOSE"
    REMAINDER = "REMAINDER"
    OVER_REDUCED = "OVER_REDUCED"
    SUBMITTED_TWICE = "SUBMITTED_TWICE"
    EVENT_AFTER_CLOSE = "EVENT_AFTER_CLOSE"
    DUPLICATE_TRADE = "DUPLICATE_TRADE"
    CONFLICTING_TRADE = "CONFLICTING_TRADE"
    UNKNOWN_TRADE = "UNKNOWN_TRADE"


_SENTENCES = {
    OrderAnomalyKind.OVERFILL: "more was filled than ordered",
    OrderAnomalyKind.FILL_AFTER_CLOSE: "filled after the order had ended",
    OrderAnomalyKind.REMAINDER: "the venue canceled another quantity than was left",
    OrderAnomalyKind.OVER_REDUCED: "reduced by more than was left",
    OrderAnomalyKind.SUBMITTED_TWICE: "the same order id was submitted again; the first submission counts",
    OrderAnomalyKind.EVENT_AFTER_CLOSE: "reported after the order had ended, which only an open one can be",
    OrderAnomalyKind.DUPLICATE_TRADE: "the same trade was reported or busted again; the first time counts",
    OrderAnomalyKind.CONFLICTING_TRADE: "the same trade was reported again with other figures; the first ones count",
    OrderAnomalyKind.UNKNOWN_TRADE: "a bust or correction of a trade that is not recorded, or was busted",
}


class LifelineProblem(msgspec.Struct, frozen=True):
    """What is missing, out of order or anomalous: a sentence, and the log positions of the records that show it."""

    kind: LifelineProblemKind
    sentence: str
    positions: tuple[int, ...] = ()


def problems_of(
    steps: Sequence[LifelineStep], order: Order | None, answers: Answers, checks: Sequence[Record]
) -> tuple[LifelineProblem, ...]:
    """Return what is missing, out of order or anomalous in an order's steps, in the order of the log."""
    found = [
        *_of_the_beginning(steps, checks),
        *_of_requests(steps, answers),
        *_of_times(steps),
        *_of_the_end(order),
    ]
    anomalies: dict[OrderAnomalyKind, list[int]] = {}
    for each in () if order is None else order.anomalies:
        # What follows from a missing submission is one problem, not one for each record.
        if each.kind is not OrderAnomalyKind.UNKNOWN_ORDER:
            anomalies.setdefault(each.kind, []).append(each.position)
    for kind, positions in anomalies.items():
        found.append(LifelineProblem(LifelineProblemKind(kind), _SENTENCES[kind], tuple(positions)))
    return tuple(sorted(found, key=lambda each: each.positions or (steps[-1].position,)))


def has_ended(order: Order) -> bool:
    """Return whether an order has been filled, canceled or rejected, or has expired, as far as the log says.

    A request that the last fill has overtaken leaves it pending, as FIX has it, though the venue is done with it.
    """
    return order.status is not OrderStatus.UNKNOWN and order.base in CLOSED


def _of_the_beginning(steps: Sequence[LifelineStep], checks: Sequence[Record]) -> Iterator[LifelineProblem]:
    kinds = LifelineProblemKind
    records = [step.record for step in steps]
    happened = in_order_of_occurrence(records)
    submitted = next((each for each in happened if isinstance(each.event, OrderSubmitted)), None)
    accepted = next((each for each in happened if isinstance(each.event, OrderAccepted)), None)
    rejected = any(isinstance(each.event, OrderRejected) for each in records)
    filled = [each for each in happened if isinstance(each.event, OrderFilled)]
    if submitted is None:
        yield LifelineProblem(kinds.NOT_SUBMITTED, "no submission is recorded", (records[0].position,))
    else:
        before = [each.position for each in happened[: happened.index(submitted)]]
        if before:
            sentence = "happened before the order was submitted"
            yield LifelineProblem(kinds.BEFORE_SUBMISSION, sentence, tuple(sorted(before)))
        yield from _against_check(submitted, checks)
        if len([each for each in records if not isinstance(each.event, _OWN)]) == 0:
            yield LifelineProblem(kinds.NOT_ANSWERED, "the venue never answered", (submitted.position,))
        elif accepted is None and not rejected:
            sentence = "the venue worked on it, but its acceptance is not recorded"
            yield LifelineProblem(kinds.NOT_ACCEPTED, sentence, (submitted.position,))
    early = [each.position for each in filled if accepted is not None and _precedes(each, accepted)]
    if early:
        yield LifelineProblem(kinds.FILLED_BEFORE_ACCEPTANCE, "filled before it was accepted", tuple(sorted(early)))


_OWN = OrderSubmitted | OrderCancelRequested | OrderReplaceRequested
"""What we say of an order; everything else the venue or the broker says."""


def _precedes(one: Record, other: Record) -> bool:
    return (one.occurred_at, one.position) < (other.occurred_at, other.position)


def _against_check(submitted: Record, checks: Sequence[Record]) -> Iterator[LifelineProblem]:
    earlier = [each for each in checks if each.position < submitted.position]
    newest = earlier[-1] if earlier else None
    if newest is not None and isinstance(newest.event, RiskChecked) and newest.event.verdict is Verdict.REJECT:
        sentence = f"submitted although its check had rejected it: {newest.event.reason or newest.event.rule_id or ''}"
        yield LifelineProblem(
            LifelineProblemKind.AGAINST_CHECK, sentence.rstrip(": "), (newest.position, submitted.position)
        )


def _of_requests(steps: Sequence[LifelineStep], answers: Answers) -> Iterator[LifelineProblem]:
    events = {step.position: step.record.event for step in steps}
    for kind, cls, name in (
        (LifelineProblemKind.CANCEL_UNANSWERED, OrderCancelRequested, "cancel"),
        (LifelineProblemKind.REPLACE_UNANSWERED, OrderReplaceRequested, "replace"),
    ):
        left = tuple(each for each in answers.unanswered if isinstance(events[each], cls))
        if left:
            yield LifelineProblem(kind, f"the {name} request has no answer", left)
    if answers.unrequested:
        sentence = "answers a request that is not recorded"
        yield LifelineProblem(LifelineProblemKind.UNREQUESTED, sentence, answers.unrequested)


def _of_times(steps: Sequence[LifelineStep]) -> Iterator[LifelineProblem]:
    for kind, sentence, found in (
        (
            LifelineProblemKind.RECORDED_LATE,
            "recorded late: it happened before what was recorded earlier",
            [step.position for step in steps if step.is_late],
        ),
        (
            LifelineProblemKind.RECORDED_AHEAD,
            "stated to have happened after it was recorded: a clock was wrong",
            [step.position for step in steps if step.is_ahead],
        ),
        (
            LifelineProblemKind.UNREAD,
            "not read: update eventstore, or import the module that registers the event",
            [step.position for step in steps if step.is_unread],
        ),
    ):
        if found:
            yield LifelineProblem(kind, sentence, tuple(found))


def _of_the_end(order: Order | None) -> Iterator[LifelineProblem]:
    if order is None:
        return
    missing = order.shortfall
    if missing is not None and missing > ZERO:
        sentence = f"the broker reports {missing:f} more as filled than the fills recorded"
        yield LifelineProblem(LifelineProblemKind.FILLS_MISSING, sentence, (order.last_position,))
    if order.status is OrderStatus.UNKNOWN:
        sentence = "what became of it is not known: neither a submission nor a report says so"
        yield LifelineProblem(LifelineProblemKind.NOT_ENDED, sentence, (order.last_position,))
    elif not has_ended(order):
        left = "" if order.leaves is None else f", {order.leaves:f} left"
        sentence = f"it has not ended: {order.status}{left}"
        yield LifelineProblem(LifelineProblemKind.NOT_ENDED, sentence, (order.last_position,))
