"""What counts before an order: replaces in flight, brackets, and orders past their time."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from eventstore.trading import (
    ContractDefined,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    TimeInForce,
)
from projections import risk
from projections.risk import Checked, Proposal
from tests.projections.checked_orders import (
    BUY,
    PASS,
    REJECT,
    SELL,
    ask,
    check_order,
    enforce,
    filled,
    lock,
    proposal,
    room,
    say,
    send,
)
from tests.projections.rules_day import NEXT_RESET, NOON, RESET, SECOND, Day

pytestmark = pytest.mark.in_each_place(slow=True)

GRACE = 5 * SECOND
PAST_GRACE = 6 * SECOND


# Replaces


def test_a_replace_in_flight_counts_with_the_larger_of_its_totals(most: Day) -> None:
    send(most, "O", BUY, 1)
    say(most, "O", OrderAccepted(), ask(4))
    assert room(most) == 1
    say(most, "O", ask(2), filled("O", BUY, 1))
    assert room(most) == 1, "a total includes what is filled"
    say(most, "O", OrderReplaceRejected())
    assert room(most) == 1, "which of the two was refused is not known"
    say(most, "O", OrderReplaced(quantity=Decimal(2)))
    assert room(most) == 3


def test_a_smaller_total_counts_once_it_is_confirmed(most: Day) -> None:
    send(most, "O", BUY, 4)
    say(most, "O", OrderAccepted(), ask(1))
    assert room(most) == 1
    say(most, "O", OrderReplaced(quantity=Decimal(1)))
    assert room(most) == 4


def test_a_filled_order_may_be_replaced_by_a_larger_one(most: Day) -> None:
    send(most, "O", BUY, 1)
    say(most, "O", filled("O", BUY, 1), ask(4))
    assert room(most) == 1
    say(most, "O", OrderReplaceRejected())
    assert room(most) == 4


def test_a_report_of_the_order_as_it_was_does_not_end_a_replace_in_flight(most: Day) -> None:
    send(most, "O", BUY, 1)
    say(most, "O", OrderAccepted(), ask(4), OrderReported(status=OrderStatus.NEW, quantity=Decimal(1)))
    assert room(most) == 1
    say(most, "O", OrderReported(status=OrderStatus.CANCELED))
    assert room(most) == 5


def test_an_order_counts_until_its_cancel_is_confirmed(most: Day) -> None:
    send(most, "O", BUY, 4)
    say(most, "O", OrderCancelRequested())
    assert room(most) == 1
    say(most, "O", OrderCanceled())
    assert room(most) == 5


def replaced(day: Day, order_id: str | None, quantity: int | None = None, **more: Any) -> Checked:  # noqa: ANN401 - any
    request = Proposal.of("A", ask(quantity), order_id=order_id, **more)
    return risk.check(day.book, request, day.clock.now_ns())


def test_a_replace_is_checked_with_the_worse_of_old_and_new(most: Day) -> None:
    most.limit("order-size", limit="4", warn_at="2")
    send(most, "O", BUY, 2)
    send(most, "P", BUY, 2)
    assert replaced(most, "O", 3).verdict is PASS
    assert replaced(most, "O", 4).reason == "Order blocked: position 6 of at most 5 in ES, working orders counted"
    assert replaced(most, "O", 1).verdict is PASS
    assert replaced(most, "O").verdict is PASS
    say(most, "O", filled("O", BUY, 1))
    assert replaced(most, "O", 3).verdict is PASS, "what is filled is a part of the total"
    assert replaced(most, "O", 5).verdict is REJECT


@pytest.mark.parametrize("quantity", ["NaN", "0", "-1"])
def test_a_replace_by_no_quantity_is_rejected(most: Day, quantity: str) -> None:
    send(most, "O", BUY, 2)
    request = risk.Replace(account="A", order_id="O", quantity=Decimal(quantity))
    assert risk.check(most.book, request, NOON, record=True).rule_id == "input"


def test_a_replace_of_an_order_that_is_unknown_or_over_is_rejected(most: Day) -> None:
    for order_id in ("O", None):
        assert f"order {order_id} is not known" in replaced(most, order_id, 1).reason
    send(most, "O", BUY, 2)
    say(most, "O", OrderCanceled())
    assert "order O is CANCELED and cannot be replaced: send a new order" in replaced(most, "O", 1).reason
    say(most, "R", OrderReported(status=OrderStatus.NEW))
    assert "order R lacks symbol, side or quantity" in replaced(most, "R").reason


def test_under_a_lockout_a_stop_may_be_moved_and_not_enlarged(most: Day) -> None:
    most.fill(BUY, "5000", quantity="3")
    send(most, "STOP", SELL, 3)
    send(most, "ENTRY", BUY, 1)
    lock(most)
    assert replaced(most, "STOP").verdict is PASS
    assert replaced(most, "STOP", 2).verdict is PASS
    assert replaced(most, "STOP", 4).verdict is REJECT
    assert replaced(most, "ENTRY").verdict is REJECT


# Brackets


def test_the_orders_of_a_link_group_count_once(most: Day) -> None:
    most.limit("maximum-position", limit="3", warn_at="2")
    send(most, "ENTRY", BUY, 3, link_group="g")
    for order_id in ("STOP", "TARGET"):
        order = OrderSubmitted(symbol="ES", side=SELL, quantity=Decimal(3), link_group="g")
        assert risk.check(most.book, Proposal.of("A", order), NOON).verdict is PASS
        say(most, order_id, order)
    assert check_order(most, SELL).verdict is REJECT, "it is not of the group"
    say(most, "ENTRY", filled("ENTRY", BUY, 3))
    assert room(most, SELL) == 3


def test_of_a_link_group_the_largest_order_counts(most: Day) -> None:
    send(most, "A", BUY, 2, link_group="g")
    send(most, "B", BUY, 4, link_group="g")
    assert room(most) == 1
    assert room(most, link_group="g") == 5
    assert room(most, link_group="h") == 1


def test_a_child_counts_as_far_as_its_parent_has_filled(most: Day) -> None:
    send(most, "ENTRY", BUY, 3)
    send(most, "STOP", SELL, 3, parent_order_id="ENTRY")
    assert room(most, SELL) == 5
    child = proposal(SELL, "3", parent_order_id="ENTRY")
    assert risk.check(most.book, child, NOON).verdict is PASS
    say(most, "ENTRY", filled("ENTRY", BUY, 2))
    assert room(most, SELL) == 5
    most.fill(SELL, "5000", quantity="2")
    assert room(most, SELL) == 3, "the stop may still sell two"


def test_a_child_of_its_parent_s_side_or_of_an_unknown_one_counts_as_a_whole(most: Day) -> None:
    send(most, "ENTRY", BUY, 2)
    send(most, "MORE", BUY, 2, parent_order_id="ENTRY")
    assert room(most) == 1
    send(most, "STOP", SELL, 4, parent_order_id="NOBODY")
    assert room(most, SELL) == 1


def test_a_flatten_may_take_its_group_s_place(most: Day) -> None:
    most.fill(BUY, "5000", quantity="3")
    for order_id in ("STOP", "TARGET"):
        send(most, order_id, SELL, 3, link_group="g")
    lock(most)
    assert "or cancel orders for 3 first" in check_order(most, SELL, "3").reason
    flat: dict[str, Any] = {"link_group": "g", "order_type": OrderType.MARKET}
    assert check_order(most, SELL, "3", **flat).findings == ()
    send(most, "FLAT", SELL, 3, **flat)
    assert check_order(most, SELL, "3", **flat).verdict is REJECT, "the first one executes before it could end"
    assert room(most, SELL, caused_by=enforce(most), link_group="g") == 0


# Orders past their time


@pytest.mark.parametrize(
    ("terms", "over"),
    [
        ({"time_in_force": TimeInForce.DAY}, RESET),
        ({"time_in_force": TimeInForce.AT_THE_CLOSE}, RESET),
        ({"time_in_force": TimeInForce.GTD, "expires_at": NOON + 7}, NOON + 7),
        ({"expires_at": NEXT_RESET}, NEXT_RESET),
        ({"time_in_force": TimeInForce.GTC, "expires_at": NOON + 7}, None),
        ({"time_in_force": TimeInForce.GTD}, None),
        ({}, None),
    ],
)
def test_an_order_counts_until_its_time_is_over(most: Day, terms: dict[str, Any], over: int | None) -> None:
    send(most, "O", BUY, 3, **terms)
    instants = [NOON, NEXT_RESET + 1] if over is None else [over - 1, over, over - 1]
    found = [risk.check(most.book, proposal(BUY, "3"), instant).passed for instant in instants]
    assert found == [over is not None and instant >= over for instant in instants]


def test_without_a_calendar_or_session_the_end_of_a_day_order_is_not_known(most: Day) -> None:
    most.book.sessions.calendars.clear()
    order = OrderSubmitted(symbol="ES", side=BUY, quantity=Decimal(3), time_in_force=TimeInForce.DAY)
    most.limit("maximum-position", limit="5", warn_at="2")
    most.book.append("order/B/O", order)
    assert most.book.orders.executable("B") != ()
    most.account = "B"
    most.limit("maximum-position", limit="5", warn_at="2")
    assert risk.check(most.book, proposal(BUY, "3", account="B"), NEXT_RESET).verdict is REJECT


def test_an_order_that_the_broker_reports_as_working_after_its_time_works(most: Day) -> None:
    send(most, "O", BUY, 3, time_in_force=TimeInForce.DAY)
    most.clock.set(RESET)
    assert room(most) == 5
    say(most, "O", OrderReported(status=OrderStatus.NEW))
    assert room(most) == 2
    say(most, "O", OrderReported(status=OrderStatus.EXPIRED))
    assert room(most) == 5


def test_an_order_in_an_expired_contract_no_longer_works(day: Day) -> None:
    day.limit("maximum-contracts", limit="5", warn_at="2")
    event = ContractDefined(symbol="ESX6", multiplier=Decimal(50), currency="USD", expiry=date(2026, 11, 20))
    day.book.append("contract/-/ESX6", event)
    day.book.append("order/A/O", OrderSubmitted(symbol="ESX6", side=BUY, quantity=Decimal(3)))
    day.clock.set(RESET - 1)
    assert room(day) == 2
    day.clock.set(RESET)
    assert room(day) == 5
