"""Which record of an order answers which request, and how long that took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReplaceRequested,
    OrderSubmitted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventstore import Event, Record

_ANSWERS: dict[type[Event], tuple[type[Event], ...]] = {
    OrderSubmitted: (OrderAccepted, OrderRejected),
    OrderCancelRequested: (OrderCanceled, OrderCancelRejected),
    OrderReplaceRequested: (OrderReplaced, OrderReplaceRejected),
}
REQUESTS: tuple[type[Event], ...] = tuple(_ANSWERS)
"""What the venue is expected to answer."""
_ENDS = (OrderCanceled, OrderExpired, OrderRejected)
"""What ends the order, so that no request of it is answered any more."""
_REQUESTED = (OrderReplaced, OrderReplaceRejected, OrderCancelRejected)
"""What a venue says only if it was asked: an order may be canceled or accepted without a request on record."""


class Latency(msgspec.Struct, frozen=True):
    """How long the answer to a request took: by when both happened, and by when they were recorded, in ns.

    `request` and `answer` are log positions. It is below zero where the answer is stated, or was recorded, earlier.
    """

    request: int
    answer: int
    occurred: int
    recorded: int


class Answers(msgspec.Struct, frozen=True):
    """The requests that were answered, those that were not, and the answers to none, as log positions.

    `ended` are requests that the order's end has overtaken: the venue may leave these without an answer.
    """

    latencies: tuple[Latency, ...]
    unanswered: tuple[int, ...]
    ended: tuple[int, ...]
    unrequested: tuple[int, ...]


def answers_among(records: Sequence[Record], filled_at: int | None) -> Answers:
    """Return how an order's requests were answered, in the order in which all of it happened.

    Of several requests of a kind, the first that has no answer is the one that is answered: venues answer in order.
    `filled_at` is the log position of the fill that completed the order, if one did.
    """
    waiting: dict[type[Event], list[Record]] = {kind: [] for kind in _ANSWERS}
    latencies, ended, unrequested = list[Latency](), list[int](), list[int]()
    for record in in_order_of_occurrence(records):
        kind = type(record.event)
        if kind in _ANSWERS:
            waiting[kind].append(record)
            continue
        of = next((request for request, answers in _ANSWERS.items() if kind in answers), None)
        if of is not None and waiting[of]:
            latencies.append(latency_between(waiting[of].pop(0), record))
        elif kind in _REQUESTED:
            unrequested.append(record.position)
        if kind in _ENDS or record.position == filled_at:
            ended += [each.position for of, left in waiting.items() if of is not OrderSubmitted for each in left]
            waiting[OrderCancelRequested], waiting[OrderReplaceRequested] = [], []
    left = sorted(each.position for several in waiting.values() for each in several)
    latencies.sort(key=lambda each: each.answer)
    return Answers(tuple(latencies), tuple(left), tuple(sorted(ended)), tuple(sorted(unrequested)))


def latency_between(request: Record, answer: Record) -> Latency:
    """Return how long one record came after another, on both axes."""
    occurred, recorded = answer.occurred_at - request.occurred_at, answer.recorded_at - request.recorded_at
    return Latency(request.position, answer.position, occurred, recorded)


def in_order_of_occurrence(records: Iterable[Record]) -> list[Record]:
    """Return records in the order in which they happened; those of one instant in the order of the log."""
    return sorted(records, key=lambda each: (each.occurred_at, each.position))
