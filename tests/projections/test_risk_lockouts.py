"""Checks before an order under a lockout: reductions, requested orders, and the recorded answers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore.trading import (
    Allows,
    BlackoutScheduled,
    ContractDefined,
    EnforcementAction,
    EnforcementRequested,
    EnforcementTaken,
    LockoutCleared,
    LockoutSet,
    OrderCanceled,
    OrderFilled,
    OrderSubmitted,
    RiskChecked,
    SessionOpened,
)
from projections import risk
from projections.risk.proposals import Cancel
from projections.views.limits.limit import Limit
from tests.projections.checked_orders import (
    BUY,
    PASS,
    REJECT,
    SELL,
    WARNING,
    cancel,
    check_order,
    enforce,
    lock,
    park,
    proposal,
    set_elsewhere,
    work,
)
from tests.projections.rules_day import HOUR, NOON, RESET, SECOND, Day, at

pytestmark = pytest.mark.in_each_place(slow=True)

UNTIL = "locked until 2026-11-20 17:00 CST"


def test_a_lockout_s_finding_has_reason_scope_and_current_end(day: Day) -> None:
    reason = "too many losses; locked until 2026-11-20 10:00 CST"
    lock(day, reason=reason, until=RESET, scope="symbol:ES")
    assert check_order(day).reason == f"Order blocked: too many losses for ES; {UNTIL}"
    refused = check_order(day, symbol="ZN").reason
    assert refused == f"Order blocked: too many losses for ES, which ZN may be: no contract has that name; {UNTIL}"
    day.define("ZN")
    assert check_order(day, symbol="ZN").verdict is PASS
    day.clock.set(RESET)
    assert check_order(day).verdict is PASS


@pytest.mark.parametrize("zone", ["Nowhere/Land", "", "America", "../etc"])
def test_an_unknown_zone_does_not_break_the_sentence_of_a_lockout(day: Day, zone: str) -> None:
    event = SessionOpened(trading_day=date(2026, 11, 20), began_at=NOON - HOUR, zone=zone)
    day.book.append("session/B/2026-11-20", event)
    day.book.sessions.calendars.clear()
    lock(day, "B", until=RESET)
    assert check_order(day, account="B").reason.startswith("Order blocked: go home; locked until 2026-11-20 ")


def test_reduce_only_lets_cancels_and_pure_reductions_pass(day: Day) -> None:
    day.fill(BUY, "5000", quantity="3")
    lock(day, allows=Allows.REDUCE_ONLY)
    assert cancel(day).verdict is PASS
    assert check_order(day, SELL, "3").verdict is PASS
    assert check_order(day, SELL, "4").verdict is REJECT, "it would turn the position around"
    assert check_order(day, BUY, "1").verdict is REJECT
    assert check_order(day, SELL, "1", "NQ").verdict is REJECT
    assert check_order(day, SELL, "1", account="B").verdict is PASS, "the other account is not locked"


def test_a_cancel_always_passes(day: Day) -> None:
    work(day, "O1", BUY, "1")
    lock(day, allows=Allows.NOTHING)
    for view in ("lockouts", "orders", "executions"):
        park(day, view)
        assert cancel(day).findings == ()
    assert cancel(day, order_id="nobody's").verdict is PASS
    assert cancel(day, account="C").verdict is PASS


def test_working_orders_may_close_the_position_first(day: Day) -> None:
    day.fill(BUY, "5000", quantity="3")
    lock(day)
    work(day, "STOP", SELL, "2")
    assert check_order(day, SELL, "1").verdict is PASS
    assert check_order(day, SELL, "2").reason == (
        "Order blocked: go home; locked without end unless desk is cleared; "
        "to reduce the position, SELL at most 1, or cancel orders for 2 first"
    )
    assert check_order(day, SELL, "2", reduce_only=True).verdict is REJECT, "STOP may open one after it"
    assert check_order(day, SELL, "1", reduce_only=True).verdict is PASS
    work(day, "MORE", BUY, "5")
    assert check_order(day, SELL, "2").verdict is REJECT, "what would add to it may never be filled"


def test_a_short_position_is_reduced_by_buying(day: Day) -> None:
    day.fill(SELL, "5000", quantity="2")
    lock(day)
    assert check_order(day, BUY, "2").verdict is PASS
    assert check_order(day, BUY, "3").verdict is REJECT
    assert check_order(day, SELL, "1").verdict is REJECT


def test_a_position_under_a_broker_s_symbol_is_the_same_position(day: Day) -> None:
    day.fill(BUY, "5000", "CON.EP", quantity="2")
    work(day, "W", SELL, "1", "CON.EP")
    day.book.append(
        "contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD", broker_ids=("CON.EP",))
    )
    day.quote("5000", "CON.EP")
    lock(day, scope="symbol:NQ")
    day.limit("maximum-position", limit="3")
    for name in ("ES", "CON.EP"):
        assert check_order(day, BUY, "2", name).verdict is REJECT
        assert check_order(day, SELL, "1", name).findings == ()
        assert check_order(day, SELL, "2", name).findings != (), "one is being sold already"


def test_under_nothing_only_orders_of_an_enforcement_request_pass(day: Day) -> None:
    day.fill(BUY, "5000", quantity="2")
    lock(day, allows=Allows.NOTHING)
    cause = enforce(day)
    assert check_order(day, SELL, "2").verdict is REJECT
    assert check_order(day, SELL, "2", caused_by=cause).verdict is PASS
    assert cancel(day, caused_by=cause).verdict is PASS
    elsewhere = enforce(day, "B", "R2")
    assert check_order(day, SELL, "2", caused_by=elsewhere).verdict is REJECT
    assert check_order(day, SELL, "2", caused_by=bytes(16)).verdict is REJECT
    day.book.append("enforcement/A/R1", EnforcementTaken(request_id="R1", success=True))
    assert check_order(day, SELL, "2", caused_by=cause).verdict is PASS, "it is not flat, whatever the answer says"
    day.fill(SELL, "5000", quantity="2")
    assert check_order(day, SELL, "2", caused_by=cause).verdict is REJECT


def test_a_request_opens_a_lockout_for_nothing_but_what_it_asks(day: Day) -> None:
    day.limit("order-size", limit="1")
    day.fill(BUY, "5000", quantity="2")
    lock(day, allows=Allows.NOTHING)
    cause = enforce(day)
    assert check_order(day, SELL, "2", caused_by=cause).findings == ()
    for side, quantity, symbol in ((BUY, "1", "ES"), (SELL, "3", "ES"), (SELL, "1", "NQ")):
        assert check_order(day, side, quantity, symbol, caused_by=cause).rule_id == "desk"
    work(day, "FLAT", SELL, "2")
    assert check_order(day, SELL, "2", caused_by=cause).rule_id == "desk", "it is being closed already"


@pytest.mark.parametrize(
    ("action", "more", "passes"),
    [
        (EnforcementAction.FLATTEN, {}, 3),
        (EnforcementAction.FLATTEN_SYMBOL, {"symbol": "ES"}, 3),
        (EnforcementAction.FLATTEN_SYMBOL, {"symbol": "NQ"}, 0),
        (EnforcementAction.REDUCE_TO, {"symbol": "ES", "quantity": Decimal(1)}, 2),
        (EnforcementAction.REDUCE_TO, {"symbol": "ES", "quantity": Decimal(4)}, 0),
        (EnforcementAction.REDUCE_TO, {"quantity": Decimal(2)}, 1),
        (EnforcementAction.CANCEL_ORDERS, {}, 0),
        (EnforcementAction.NONE, {}, 0),
    ],
)
def test_each_action_asks_for_its_symbol_and_at_most_its_quantity(
    day: Day, action: EnforcementAction, more: dict[str, Any], passes: int
) -> None:
    day.fill(BUY, "5000", quantity="3")
    lock(day, allows=Allows.NOTHING)
    event = EnforcementRequested(rule_id="desk", action=action, **more)
    [record] = day.book.append("enforcement/A/R", event)
    found = [check_order(day, SELL, str(each), caused_by=record.id).passed for each in (1, 2, 3, 4)]
    assert found == [each <= passes for each in (1, 2, 3, 4)]


@pytest.mark.parametrize("view", ["lockouts", "orders", "executions"])
def test_an_order_that_carries_out_a_flatten_passes_where_a_view_has_stopped(day: Day, view: str) -> None:
    day.fill(BUY, "5000", quantity="2")
    lock(day, allows=Allows.NOTHING)
    cause = enforce(day)
    park(day, view)
    assert check_order(day, SELL, "2", caused_by=cause).verdict is PASS
    assert check_order(day, SELL, "3", caused_by=cause).verdict is REJECT
    assert check_order(day, BUY, "2", caused_by=cause).verdict is REJECT
    park(day, "enforcement")
    assert check_order(day, SELL, "2", caused_by=cause).verdict is REJECT


@pytest.mark.parametrize("view", ["orders", "executions"])
def test_no_position_is_closed_twice_where_a_view_has_stopped(day: Day, view: str) -> None:
    day.fill(BUY, "5000", quantity="3")
    lock(day, allows=Allows.NOTHING)
    cause = enforce(day)
    park(day, view)

    def close(order_id: str, quantity: int) -> bool:
        order = OrderSubmitted(symbol="ES", side=SELL, quantity=Decimal(quantity))
        now = day.clock.now_ns()
        return risk.submit(day.book, "A", order_id, order, now, caused_by=cause).answer.passed

    def fill(order_id: str, quantity: int) -> None:
        size, price = Decimal(quantity), Decimal(5_000)
        event = OrderFilled(trade_id=f"{order_id}-{quantity}", symbol="ES", side=SELL, quantity=size, price=price)
        day.book.append(f"order/A/{order_id}", event)

    assert [close("C1", 2), close("C2", 2), close("C3", 1), close("C4", 1)] == [True, False, True, False]
    fill("C1", 1)
    assert not close("C5", 1)
    # What is cancelled may be closed by another order, as far as it was not filled.
    day.book.append("order/A/C1", OrderCanceled())
    assert [close("C6", 2), close("C7", 1), close("C8", 1)] == [False, True, False]
    # An attempt that follows counts what was sent for those before it.
    day.clock.advance(SECOND)
    again = EnforcementRequested(rule_id="desk", action=EnforcementAction.FLATTEN, attempt=2)
    cause = day.book.append("enforcement/A/R1-2", again)[0].id
    assert not close("C9", 1)


def test_the_newest_attempt_stands_for_those_before_it(day: Day) -> None:
    day.fill(BUY, "5000", quantity="2")
    lock(day, allows=Allows.NOTHING)
    first = enforce(day)
    again = EnforcementRequested(rule_id="desk", action=EnforcementAction.FLATTEN, attempt=2)
    second = day.book.append("enforcement/A/R1-2", again)[0].id
    for cause in (first, second):
        assert check_order(day, SELL, "2", caused_by=cause).verdict is PASS
        assert check_order(day, SELL, "3", caused_by=cause).verdict is REJECT
    day.book.append("lockout/A/desk", LockoutCleared(by="risk@desk"))
    lock(day, allows=Allows.NOTHING, rule_id="week")
    for cause in (first, second):
        assert check_order(day, SELL, "2", caused_by=cause).rule_id == "week", "who cleared it ended what it asked for"


def test_of_several_lockouts_the_sentence_names_the_one_that_lasts_longest(day: Day) -> None:
    lock(day, until=RESET)
    later = LockoutSet(rule_id="week", reason="weekly loss", until=RESET + 10 * HOUR)
    day.book.append("lockout/A/week", later)
    assert check_order(day).reason == "Order blocked: weekly loss; locked until 2026-11-21 03:00 CST"
    day.book.append("lockout/A/ever", LockoutSet(rule_id="ever", reason="the account is gone"))
    assert check_order(day).reason == "Order blocked: the account is gone; locked without end unless ever is cleared"
    assert [each.rule_id for each in check_order(day).findings] == ["ever", "week", "desk"]


def test_a_reduction_passes_every_other_check(day: Day) -> None:
    day.fill(BUY, "5000", quantity="2")
    day.limit("order-size", limit="1")
    day.old_limit("daily-loss", limit="broken")
    day.book.append("blackout/-/x", BlackoutScheduled(start=NOON, stop=NOON + HOUR))
    assert check_order(day, SELL, "2").findings == ()
    assert check_order(day, SELL, "3").verdict is REJECT


# The recorded answer


def test_an_answer_is_recorded_on_request(day: Day) -> None:
    day.limit("order-size", limit="1")
    day.limit("maximum-position", limit="10")
    order = proposal(quantity="2", order_id="O/7")
    before = day.store.head()
    risk.check(day.book, order, NOON)
    assert day.store.head() == before
    checked = risk.check(day.book, order, NOON, record=True)
    [record] = day.store.read(types=(RiskChecked,))
    assert (record.stream, day.book.position) == ("risk/A/O%2F7", record.position)
    assert record.event == RiskChecked(
        verdict=REJECT,
        order_id="O/7",
        rule_id="order-size",
        reason=checked.reason,
        symbol="ES",
        side=BUY,
        quantity=Decimal(2),
        figures={
            "order-size": {"verdict": "REJECT", "figure": "2", "limit": "1", "reason": "order of 2, at most 1 ES"},
            "maximum-position": {"verdict": "PASS", "figure": "2", "limit": "10"},
        },
    )


def test_a_cancel_and_an_invalid_order_are_recorded_too(day: Day) -> None:
    lock(day, allows=Allows.NOTHING)
    assert check_order(day, quantity="NaN").verdict is REJECT
    risk.check(day.book, proposal(quantity="NaN"), NOON, record=True)
    risk.check(day.book, Cancel(account="A", order_id="O1"), NOON, record=True)
    found = [record.event for record in day.store.read(types=(RiskChecked,))]
    assert [(each.order_id, each.quantity) for each in found if isinstance(each, RiskChecked)] == [
        (None, None),
        ("O1", None),
    ]


def test_two_findings_of_one_rule_are_both_recorded(day: Day) -> None:
    for name in ("x", "y"):
        day.book.append(f"blackout/-/{name}", BlackoutScheduled(start=NOON, stop=NOON + HOUR, reason=name))
    risk.check(day.book, proposal(), NOON, record=True)
    [record] = day.store.read(types=(RiskChecked,))
    assert isinstance(record.event, RiskChecked)
    assert list(record.event.figures) == ["blackout", "blackout (2)"]


def test_of_a_thousand_limits_the_worst_findings_are_recorded(day: Day) -> None:
    for number in range(900):
        set_elsewhere(day, f"order-size:{number}", limit="10")
    set_elsewhere(day, "order-size:zzz", limit="1")
    day.book.refresh()
    assert risk.check(day.book, proposal(quantity="2"), NOON, record=True).verdict is REJECT
    [record] = day.store.read(types=(RiskChecked,))
    assert isinstance(record.event, RiskChecked)
    assert next(iter(record.event.figures)) == "order-size:zzz"


def test_the_past_is_checked_as_it_was(day: Day) -> None:
    day.limit("order-size", limit="1")
    then = day.store.head()
    day.limit("order-size", limit="0.5")
    set_elsewhere(day, "daily-loss", limit="1")
    past = projections.as_of(day.store, position=then)
    assert risk.check(past, proposal(quantity="1"), NOON).verdict is WARNING
    assert risk.check(past, proposal(quantity="2"), NOON).rule_id == "order-size"
    day.book.refresh()
    assert check_order(day, quantity="1").verdict is REJECT


def test_an_instant_may_be_a_datetime(day: Day) -> None:
    lock(day, until=RESET)
    assert risk.check(day.book, proposal(), datetime(2026, 11, 20, 22, 59, 59, tzinfo=UTC)).verdict is REJECT
    assert risk.check(day.book, proposal(), datetime(2026, 11, 20, 23, 0, tzinfo=UTC)).verdict is PASS
    assert at(20, 23) == RESET


def test_findings_name_limits(day: Day) -> None:
    day.limit("daily-loss:mine", limit="100")
    [finding] = check_order(day).findings
    held = day.book.limits.get("A", "daily-loss:mine", NOON + HOUR)
    assert isinstance(held, Limit)
    assert (finding.rule_id, finding.figure, finding.reason) == (held.rule_id, Decimal(0), "")
