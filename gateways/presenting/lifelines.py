"""An order's lifeline as JSON and as cells of tables: its steps, what is missing, the records that caused it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateways.presenting.documents import plain
from gateways.presenting.presenter import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from eventstore import Record
    from gateways.presenting.presenter import Presenter
    from gateways.presenting.rows import Cells
    from projections.auditing import Latency, Lifeline, LifelineProblem, LifelineStep

STEP_COLUMNS = (">position", "occurred at", ">recorded after", "~what")
LATENCY_COLUMNS = (">request", "what", ">answer", "with", ">took", ">by the log")
PROBLEM_COLUMNS = ("problem", "~what", "by log positions")
CAUSE_COLUMNS = (">position", "recorded at", "stream", "what", "~by")
_NS_PER_MS = 1_000_000


def lifeline_document(found: Lifeline, zone: tzinfo) -> dict[str, Any]:
    """Return an order's lifeline as JSON, with its sentence and whether it has ended."""
    document: dict[str, Any] = plain(found, zone)
    return document | {"sentence": found.sentence, "ended": found.is_ended}


def step_row(step: LifelineStep, shown: Presenter) -> Cells:
    record, order = step.record, step.order
    said = [record.type]
    if order is not None:
        filled, left = shown.quantity(order.cumulative), shown.quantity(order.leaves)
        said = [f"{record.type}: {order.status}, {filled} filled, {left} left"]
    if step.since_occurred is not None:
        said.append(f"{milliseconds(step.since_occurred)} since the last")
    what = "; ".join([*said, *_marks(step)])
    return (str(record.position), shown.time(record.occurred_at), milliseconds(step.delay), what)


def latency_row(latency: Latency, lifeline: Lifeline) -> Cells:
    types = {step.position: step.record.type for step in lifeline.steps}
    request, answer = latency.request, latency.answer
    took = milliseconds(latency.occurred), milliseconds(latency.recorded)
    return str(request), types[request], str(answer), types[answer], *took


def problem_row(problem: LifelineProblem) -> Cells:
    return str(problem.kind), problem.sentence, ", ".join(map(str, problem.positions))


def cause_row(record: Record, shown: Presenter) -> Cells:
    return str(record.position), shown.time(record.recorded_at), record.stream, record.type, record.actor


def milliseconds(duration: int | None) -> str:
    """Return a duration in ns as milliseconds, to the microsecond."""
    return NONE if duration is None else f"{duration / _NS_PER_MS:,.3f} ms"


def _marks(step: LifelineStep) -> Iterator[str]:
    if step.answers is not None:
        yield f"answers {step.answers}"
    if step.answered_by is not None:
        yield f"answered by {step.answered_by}"
    if step.corrects is not None:
        yield f"about the trade at {step.corrects}"
    if step.corrected_by:
        yield f"corrected by {', '.join(map(str, step.corrected_by))}"
    if step.is_late:
        yield "recorded late"
    if step.is_ahead:
        yield "ahead of the log's clock"
    if step.is_unread:
        yield "not read by this version"
