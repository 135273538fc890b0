"""Lifelines of orders: what is missing or out of order in lives that were damaged, latencies, causes, both times."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import projections
from eventstore import Event, EventStore, InvalidEvent, ManualClock
from eventstore.events import registry
from eventstore.journals.memory import MemoryJournal
from eventstore.streams import stream_of, unescaped
from eventstore.trading import (
    EnforcementAction,
    EnforcementRequested,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderFilled,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReplaceRequested,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    RiskChecked,
    Side,
    TradeBusted,
    Verdict,
)
from projections import auditing
from projections.auditing import Lifeline
from tests.projections.histories import history, store_of
from tests.proving import rounds

MS = 1_000_000
START = 1_764_000_000 * 10**9
ORDER = "order/A/O-1"

Said = tuple[Event, int]
"""An event, and how many milliseconds after the one before it happened."""


def fill(trade_id: str, quantity: int) -> OrderFilled:
    return OrderFilled(
        trade_id=trade_id, symbol="ESZ5", side=Side.BUY, quantity=Decimal(quantity), price=Decimal("5312.25")
    )


SUBMITTED = OrderSubmitted(
    symbol="ESZ5", side=Side.BUY, quantity=Decimal(5), order_type=OrderType.LIMIT, limit_price=Decimal("5312.25")
)
LIFE: tuple[Said, ...] = (
    (SUBMITTED, 0),
    (OrderAccepted(broker_order_id="77"), 12),
    (fill("T1", 2), 100),
    (OrderReplaceRequested(quantity=Decimal(4)), 50),
    (OrderReplaced(quantity=Decimal(4)), 9),
    (OrderCancelRequested(reason="flat by 15:10"), 1_000),
    (OrderCanceled(quantity=Decimal(2)), 15),
)
"""An order to which nothing unusual happens."""


def new_store() -> EventStore:
    clock = ManualClock(START)
    return EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock)


def lived(said: Sequence[Said], store: EventStore | None = None) -> Lifeline:
    store = store or new_store()
    for event, after in said:
        store.clock.advance(after * MS)  # type: ignore[attr-defined]
        store.append(ORDER, event)
    return auditing.lifeline(store, "A", "O-1")


def kinds(found: Lifeline) -> dict[str, tuple[int, ...]]:
    return {str(problem.kind): problem.positions for problem in found.problems}


def without(*places: int) -> list[Said]:
    return [said for place, said in enumerate(LIFE, 1) if place not in places]


def test_an_unknown_order_has_no_steps() -> None:
    store = new_store()
    found = auditing.lifeline(store, "A", "O-1")
    assert (found.order, found.steps, found.problems, found.is_ended) == (None, (), (), False)
    assert found.sentence == "no record of order O-1 in A"
    lived(LIFE, store)
    assert auditing.lifeline(store, "B", "O-1").steps == ()
    assert auditing.lifeline(store, "A", "O-2").steps == ()


@pytest.mark.parametrize("named", [("A/B", "O"), ("", "O"), ("A", ""), (None, "O"), ("A", 7), ("A", "O" * 200)])
def test_what_cannot_be_an_order_is_refused(named: tuple[Any, Any]) -> None:
    with pytest.raises(InvalidEvent):
        auditing.lifeline(new_store(), *named)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (LIFE, {}),
        (without(1), {"NOT_SUBMITTED": (1,)}),
        (LIFE[:1], {"NOT_ANSWERED": (1,), "NOT_ENDED": (1,)}),
        (without(2), {"NOT_ACCEPTED": (1,)}),
        (LIFE[:4], {"REPLACE_UNANSWERED": (4,), "NOT_ENDED": (4,)}),
        (LIFE[:6], {"CANCEL_UNANSWERED": (6,), "NOT_ENDED": (6,)}),
        (without(4), {"UNREQUESTED": (4,)}),
        # A venue cancels by itself too, at the end of the day.
        (without(6), {}),
        ((LIFE[0], LIFE[2], LIFE[1], *LIFE[3:]), {"FILLED_BEFORE_ACCEPTANCE": (2,)}),
        ((LIFE[1], LIFE[0], *LIFE[2:]), {"BEFORE_SUBMISSION": (1,)}),
        ((*LIFE[:2], (fill("T1", 6), 1)), {"OVERFILL": (3,)}),
        ((*LIFE, (fill("T2", 1), 40)), {"FILL_AFTER_CLOSE": (8,)}),
        ((*LIFE[:3], (fill("T1", 3), 1), *LIFE[3:]), {"CONFLICTING_TRADE": (4,)}),
        ((*LIFE, (OrderReported(status=OrderStatus.CANCELED, filled_quantity=Decimal(3)), 9)), {"FILLS_MISSING": (8,)}),
        # The request came too late: the order had been filled, and nobody answers it.
        ((*LIFE[:2], LIFE[5], (fill("T1", 5), 3)), {}),
        ((*LIFE[:2], (fill("T1", 5), 3), LIFE[5]), {"CANCEL_UNANSWERED": (4,)}),
        ((*LIFE[:3], LIFE[0], *LIFE[3:]), {"SUBMITTED_TWICE": (4,)}),
    ],
)  # fmt: skip
def test_what_is_missing_or_out_of_order_is_named(said: Sequence[Said], expected: dict[str, tuple[int, ...]]) -> None:
    assert kinds(lived(said)) == expected


def test_an_ordinary_order_has_its_latencies_and_its_end() -> None:
    found = lived(LIFE)
    assert [(each.request, each.answer, each.occurred, each.recorded) for each in found.latencies] == [
        (1, 2, 12 * MS, 12 * MS),
        (4, 5, 9 * MS, 9 * MS),
        (6, 7, 15 * MS, 15 * MS),
    ]
    assert [step.since_occurred for step in found.steps] == [None, *(after * MS for _, after in LIFE[1:])]
    assert [(step.answers, step.answered_by) for step in found.steps][:2] == [(None, 2), (1, None)]
    assert found.is_ended
    assert found.order is not None
    assert found.order.cumulative == 2
    assert found.sentence == "order O-1 of A: buy 4 ESZ5; CANCELED, 2 filled; 7 records, 0 problems"
    assert "O-1 of A" in found._repr_html_()


def test_requests_of_a_kind_are_answered_in_their_order() -> None:
    asked = [(OrderReplaceRequested(quantity=Decimal(quantity)), 10) for quantity in (4, 3)]
    found = lived([*LIFE[:2], *asked, (OrderReplaced(quantity=Decimal(4)), 5), (OrderReplaceRejected(), 6)])
    assert [(each.request, each.answer) for each in found.latencies] == [(1, 2), (3, 5), (4, 6)]
    assert [each.occurred // MS for each in found.latencies] == [12, 15, 11]


def test_what_is_recorded_late_is_in_its_place_by_the_time_it_happened() -> None:
    store = new_store()
    clock = store.clock
    store.append(ORDER, SUBMITTED)
    clock.advance(100 * MS)  # type: ignore[attr-defined]
    store.append(ORDER, fill("T1", 5))
    clock.advance(100 * MS)  # type: ignore[attr-defined]
    store.append(ORDER, OrderAccepted(), occurred_at=START + 20 * MS)
    found = auditing.lifeline(store, "A", "O-1")
    # The acceptance came before the fill, and was recorded after it: to the fold, after the order had ended.
    assert kinds(found) == {"RECORDED_LATE": (3,), "EVENT_AFTER_CLOSE": (3,)}
    (latency,) = found.latencies
    assert (latency.occurred, latency.recorded) == (20 * MS, 200 * MS + 0)
    assert (found.steps[2].is_late, found.steps[2].delay, found.steps[2].since_occurred) == (True, 180 * MS, -80 * MS)
    # As it was known before, and what had happened by then.
    then = auditing.lifeline(store, "A", "O-1", recorded_at=START + 150 * MS)
    assert kinds(then) == {"NOT_ACCEPTED": (1,)}
    happened = auditing.lifeline(store, "A", "O-1", occurred_at=START + 50 * MS)
    assert [step.position for step in happened.steps] == [1, 3]
    assert kinds(happened) == {"NOT_ENDED": (3,)}


def test_a_time_after_the_record_is_a_wrong_clock() -> None:
    store = new_store()
    store.append(ORDER, SUBMITTED)
    store.append(ORDER, OrderAccepted(), occurred_at=START + 50 * MS)
    assert kinds(auditing.lifeline(store, "A", "O-1")) == {"RECORDED_AHEAD": (2,), "NOT_ENDED": (2,)}


def test_a_bust_of_another_stream_is_a_step_that_names_its_trade() -> None:
    store = new_store()
    lived([*LIFE[:2], (fill("T1", 5), 3)], store)
    store.append("trade/A/T1", TradeBusted(trade_id="T1", reason="erroneous"))
    found = auditing.lifeline(store, "A", "O-1")
    assert [(step.position, step.corrects, step.corrected_by) for step in found.steps][2:] == [
        (3, None, (4,)),
        (4, 3, ()),
    ]
    assert found.order is not None
    assert found.order.cumulative == 0


def test_checks_and_causes_belong_to_it() -> None:
    store = new_store()
    (asked,) = store.append(
        "enforcement/A/E-1", EnforcementRequested(rule_id="daily-loss", action=EnforcementAction.FLATTEN)
    )
    (check,) = store.append("risk/A/O-1", RiskChecked(verdict=Verdict.REJECT, reason="over the limit"))
    store.append(ORDER, SUBMITTED, causation_id=bytes(15) + b"\x07")
    store.append(ORDER, OrderCancelRequested(), causation_id=asked.id)
    found = auditing.lifeline(store, "A", "O-1")
    assert found.checks == (check,)
    assert found.causes == (asked,)
    # A cause that this log has no record of is said to be missing.
    assert found.missing_causes == (bytes(15) + b"\x07",)
    assert kinds(found)["AGAINST_CHECK"] == (2, 3)
    assert "over the limit" in next(each.sentence for each in found.problems if each.kind == "AGAINST_CHECK")


def test_a_record_of_a_newer_version_is_not_read_and_leaves_other_streams_out(monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store()
    lived(LIFE[:2], store)
    with monkeypatch.context() as newer:
        raised = msgspec.structs.replace(registry.by_class(OrderFilled), schema=2)
        classes: dict[Any, Any] = registry._by_class
        newer.setitem(classes, OrderFilled, raised)
        store.append(ORDER, fill("T1", 2))
    lived(LIFE[5:], store)
    found = auditing.lifeline(store, "A", "O-1")
    assert "OrderFilled of schema 2 is not read here" in found.uncertain
    assert kinds(found)["UNREAD"] == (3,)
    # Its own records are read as far as they can be.
    assert [(step.position, step.is_unread) for step in found.steps] == [
        (1, False),
        (2, False),
        (3, True),
        (4, False),
        (5, False),
    ]
    assert found.order is not None
    assert found.order.status == "CANCELED"


def test_every_order_of_random_histories_has_all_its_records() -> None:
    for seed in rounds("lifelines of random histories", test=5, prove=500):
        store = store_of(history(random.Random(seed), 150))
        book = projections.as_of(store)
        orders = {(record.account, unescaped(record.entity)) for record in store.read(stream="order/")}
        for account, order_id in sorted(orders):
            found = auditing.lifeline(store, account, order_id)
            _check(found, store, book.orders.get(account, order_id))


def _check(found: Lifeline, store: EventStore, order: object) -> None:
    own = [record.position for record in store.read(stream=stream_of("order", found.account, found.order_id))]
    places = [step.position for step in found.steps]
    assert set(own) <= set(places)
    assert places == sorted(set(places))
    assert found.order == order
    first, last = found.steps[0].record, found.steps[-1].record
    assert sum(step.since_recorded or 0 for step in found.steps) == last.recorded_at - first.recorded_at
    requests = {each.request for each in found.latencies}
    assert len(requests) == len(found.latencies) == len({each.answer for each in found.latencies})
    named = {position for problem in found.problems for position in problem.positions}
    anomalies = [] if found.order is None else [each for each in found.order.anomalies if each.kind != "UNKNOWN_ORDER"]
    assert {each.position for each in anomalies} <= named <= set(places)
