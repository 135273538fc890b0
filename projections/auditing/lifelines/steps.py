"""The steps of an order: each of its records with the order after it, the time that it took, and what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore import Record, UnknownEvent
from eventstore.readable import Readable
from eventstore.trading import OrderFilled, TradeBusted, TradeCorrected, TradeExecuted
from projections.views.orders.order import Order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from projections.auditing.lifelines.answers import Answers


class LifelineStep(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One record of an order, and the order just after it; None where the record says nothing of it.

    `since_occurred` and `since_recorded` are the times since the step before, in ns, by either of the records' times;
    `delay` is how long after it happened the step was recorded. `answers` is the log position of the request that it
    answers, `answered_by` that of the answer to it, `corrects` that of the trade that it corrects or busts and
    `corrected_by` those of what does so to it. `is_late`: it happened before a step that was recorded earlier.
    `is_unread`: its type, or its schema, is not known here, so nobody has folded it.
    """

    record: Record
    order: Order | None
    since_occurred: int | None = None
    since_recorded: int | None = None
    delay: int
    answers: int | None = None
    answered_by: int | None = None
    corrects: int | None = None
    corrected_by: tuple[int, ...] = ()
    is_late: bool = False
    is_unread: bool = False

    @property
    def position(self) -> int:
        """The log position of its record."""
        return self.record.position

    @property
    def is_ahead(self) -> bool:
        """Whether it is stated to have happened after it was recorded: one of the two clocks is wrong."""
        return self.delay < 0


def steps_of(records: Sequence[Record], after: Mapping[int, Order], answers: Answers) -> tuple[LifelineStep, ...]:
    """Return the steps of an order's records, oldest first; `after` has the order after each, by log position."""
    answered = {each.request: each.answer for each in answers.latencies}
    answering = {each.answer: each.request for each in answers.latencies}
    corrects = _corrections(records)
    steps: list[LifelineStep] = []
    before: Record | None = None
    newest = 0
    for record in records:
        place = record.position
        step = LifelineStep(
            record=record,
            order=after.get(place),
            since_occurred=None if before is None else record.occurred_at - before.occurred_at,
            since_recorded=None if before is None else record.recorded_at - before.recorded_at,
            delay=record.recorded_at - record.occurred_at,
            answers=answering.get(place),
            answered_by=answered.get(place),
            corrects=corrects.get(place),
            corrected_by=tuple(by for by, trade in corrects.items() if trade == place),
            is_late=record.occurred_at < newest,
            is_unread=isinstance(record.event, UnknownEvent),
        )
        steps.append(step)
        before, newest = record, max(newest, record.occurred_at)
    return tuple(steps)


def _corrections(records: Sequence[Record]) -> dict[int, int]:
    """Return the first report of the trade that each bust or correction is about, by log positions."""
    reports: dict[str, int] = {}
    for record in records:
        if isinstance(event := record.event, OrderFilled | TradeExecuted):
            reports.setdefault(event.trade_id, record.position)
    found: dict[int, int] = {}
    for record in records:
        # A correction may be recorded before the trade's own report, and be named itself by a later one.
        if isinstance(event := record.event, TradeBusted | TradeCorrected) and event.trade_id in reports:
            found[record.position] = reports[event.trade_id]
            if isinstance(event, TradeCorrected) and event.correction_id is not None:
                reports.setdefault(event.correction_id, reports[event.trade_id])
    return found
