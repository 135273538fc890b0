"""What counts before an order: replaces, brackets, orders past their time, and what the broker reports."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from eventstore.trading import (
    AccountConfigured,
    AccountUpdated,
    AdjustmentReason,
    Allows,
    CashKind,
    CashMoved,
    ContractDefined,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderFilled,
    OrderReduced,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReplaceRequested,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    PositionAdjusted,
    PositionReported,
    Side,
    TimeInForce,
    TradeBusted,
)
from projections import risk
from projections.risk import Checked, Proposal
from tests.projections.checked_orders import BUY, PASS, REJECT, SELL, check_order, enforce, lock, proposal, rejection
from tests.projections.rules_day import NEXT_RESET, NOON, RESET, SECOND, Day

GRACE = 5 * SECOND
PAST_GRACE = 6 * SECOND


@pytest.fixture
def most(day: Day) -> Day:
    """Return a day with at most five contracts in one symbol, quoted."""
    day.limit("maximum-position", limit="5", warn_at="2")
    day.quote("5000")
    return day


def send(day: Day, order_id: str, side: Side, quantity: int, **more: Any) -> None:  # noqa: ANN401 - any member
    event = OrderSubmitted(symbol="ES", side=side, quantity=Decimal(quantity), **more)
    day.book.append(f"order/A/{order_id}", event)


def say(day: Day, order_id: str, *events: Any, when: int | None = None) -> None:  # noqa: ANN401 - an order's events
    day.book.append(f"order/A/{order_id}", list(events), occurred_at=when)


def filled(order_id: str, side: Side, quantity: int, number: int = 1) -> OrderFilled:
    return OrderFilled(
        trade_id=f"{order_id}-{number}", symbol="ES", side=side, quantity=Decimal(quantity), price=Decimal(5_000)
    )


def ask(quantity: int | None = None) -> OrderReplaceRequested:
    return OrderReplaceRequested(quantity=None if quantity is None else Decimal(quantity))


def room(day: Day, side: Side = BUY, **more: Any) -> int:  # noqa: ANN401 - any member
    """Return how many contracts may be added at most."""
    return max((each for each in range(1, 12) if check_order(day, side, str(each), **more).passed), default=0)


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


# What is reported of an order


def test_fills_that_are_only_reported_count_until_they_are_recorded(most: Day) -> None:
    send(most, "O", BUY, 4)
    say(most, "O", OrderReported(status=OrderStatus.FILLED))
    assert room(most) == 1
    say(most, "O", filled("O", BUY, 3))
    assert room(most) == 1
    say(most, "O", filled("O", BUY, 1, 2))
    assert room(most) == 1
    most.fill(SELL, "5000", quantity="4")
    assert room(most) == 5


def test_a_bust_does_not_leave_a_fill_to_come(most: Day) -> None:
    send(most, "O", BUY, 4)
    say(most, "O", filled("O", BUY, 4), OrderReported(status=OrderStatus.FILLED, filled_quantity=Decimal(4)))
    say(most, "O", TradeBusted(trade_id="O-1"))
    assert room(most) == 5


def test_an_order_of_unknown_status_counts_as_working(most: Day) -> None:
    report = {"symbol": "ES", "side": BUY, "quantity": Decimal(4)}
    say(most, "O", OrderReported(status=OrderStatus.UNKNOWN, **report))
    assert room(most) == 1
    say(most, "O", OrderReported(status=OrderStatus.CANCELED))
    assert room(most) == 5


def test_a_reported_total_counts_where_it_is_the_larger_one(most: Day) -> None:
    send(most, "O", BUY, 1)
    say(most, "O", OrderReported(status=OrderStatus.NEW, quantity=Decimal(4)))
    assert room(most) == 1
    most.clock.advance(PAST_GRACE)
    most.quote("5000")
    assert "the broker reports a quantity of 4 for order O, its own events give 1" in rejection(most)
    say(most, "O", OrderReduced(by=Decimal("0.5")))
    assert room(most) == 4


def test_a_report_made_earlier_takes_nothing_back(most: Day) -> None:
    send(most, "O", BUY, 5)
    filled_of = [OrderReported(status=OrderStatus.CANCELED, filled_quantity=Decimal(each)) for each in (4, 1)]
    say(most, "O", filled_of[0], when=NOON + 2)
    say(most, "O", filled_of[1], when=NOON + 1)
    assert room(most) == 1
    say(most, "O", filled_of[1], when=NOON + 3)
    assert room(most) == 4


def test_a_missing_fill_contradicts_after_the_grace_or_with_a_second_report(most: Day) -> None:
    missing = "the broker reports 2 filled of order O, the fills give 0: append the missing fills, or a report of"
    send(most, "O", BUY, 2)
    report = OrderReported(status=OrderStatus.FILLED, filled_quantity=Decimal(2))
    most.pass_seconds(1)
    say(most, "O", report, when=NOON)
    say(most, "O", report, when=NOON)
    assert check_order(most).verdict is PASS, "the same report again is no second one"
    most.pass_seconds(6)
    assert missing in check_order(most).reason
    most.clock.set(NOON + SECOND)
    assert check_order(most).verdict is PASS
    say(most, "O", report)
    assert missing in check_order(most).reason
    # A report of the position that agrees with the fills, and is newer, accounts for it.
    most.book.append("position/A/ES", PositionReported(symbol="ES", quantity=Decimal(0)))
    assert room(most) == 5


def test_evicting_a_closed_order_does_not_forget_its_missing_fills(most: Day) -> None:
    send(most, "O", BUY, 4)
    say(most, "O", OrderReported(status=OrderStatus.FILLED))
    for number in range(1_200):
        most.store.append(
            f"order/A/C{number}", [OrderSubmitted(symbol="ES", side=BUY, quantity=Decimal(1)), OrderCanceled()]
        )
    most.book.refresh()
    most.quote("5000")
    assert room(most) == 1
    say(most, "O", filled("O", BUY, 4))
    most.fill(SELL, "5000", quantity="4")
    assert room(most) == 5


# What is reported of a position


def report_position(day: Day, quantity: int, when: int | None = None) -> None:
    event = PositionReported(symbol="ES", quantity=Decimal(quantity))
    day.book.append("position/A/ES", event, occurred_at=when)


def test_of_a_differing_report_the_worse_position_counts(most: Day) -> None:
    most.fill(BUY, "5000", quantity="1")
    report_position(most, 3)
    assert (room(most), room(most, SELL)) == (2, 6)
    report_position(most, -2)
    assert (room(most), room(most, SELL)) == (4, 3)
    report_position(most, 1)
    assert (room(most), room(most, SELL)) == (4, 6)


def test_a_report_contradicts_after_the_grace(most: Day) -> None:
    report_position(most, 2)
    most.clock.advance(GRACE - 1)
    assert room(most) == 3
    most.clock.advance(SECOND)
    assert rejection(most) == (
        "the broker reports 2 ES, the fills give 0: append the missing fills, or reconcile the position"
    )
    assert rejection(most, symbol="NQ") == rejection(most)
    adjusted = PositionAdjusted(symbol="ES", quantity=Decimal(2), reason=AdjustmentReason.RECONCILED)
    most.book.append("position/A/ES", adjusted)
    most.quote("5000")
    assert "contradict" not in check_order(most).reason
    assert check_order(most).rule_id != "reports"


def test_a_second_report_contradicts_at_once_and_the_same_again_does_not(most: Day) -> None:
    most.pass_seconds(1)
    report_position(most, 2, NOON)
    report_position(most, 2, NOON)
    assert room(most) == 3
    report_position(most, 3)
    assert room(most) == 2, "it differs in another way"
    report_position(most, 3)
    assert check_order(most).rule_id == "reports"
    report_position(most, 0)
    assert room(most) == 5


def test_a_fill_of_the_contract_begins_the_grace_again(most: Day) -> None:
    report_position(most, 2)
    report_position(most, 2)
    most.fill(BUY, "5000")
    assert room(most) == 2, "it may be one of the two, or a third"
    most.clock.advance(PAST_GRACE)
    most.quote("5000")
    assert check_order(most).rule_id == "reports"
    most.fill(BUY, "5000")
    assert room(most) == 3, "the fills account for it"
    most.fill(BUY, "5000")
    most.clock.advance(PAST_GRACE)
    most.quote("5000")
    assert room(most) == 2


def test_a_fill_after_a_report_that_agreed_differs_from_nothing(most: Day) -> None:
    most.fill(BUY, "5000", quantity="2")
    report_position(most, 2)
    most.fill(SELL, "5000", quantity="2")
    most.clock.advance(PAST_GRACE)
    assert (room(most), room(most, SELL)) == (5, 5)


def test_a_fill_recorded_after_the_report_that_knew_it_agrees(most: Day) -> None:
    most.pass_seconds(10)
    report_position(most, 2)
    most.fill(BUY, "5000", quantity="1", when=NOON + 3 * SECOND)
    most.fill(BUY, "5000", quantity="1", when=NOON + 2 * SECOND)
    most.pass_seconds(6)
    most.quote("5000")
    assert room(most) == 3


def test_a_late_report_knows_nothing_of_later_fills(most: Day) -> None:
    most.pass_seconds(10)
    most.fill(BUY, "5000", quantity="2")
    report_position(most, 0, NOON + SECOND)
    most.pass_seconds(6)
    most.quote("5000")
    assert room(most) == 3


def test_under_a_contradiction_no_more_is_closed_than_the_broker_has(most: Day) -> None:
    most.fill(BUY, "5000", quantity="3")
    report_position(most, 2)
    lock(most)
    assert check_order(most, SELL, "3").verdict is PASS, "until then nothing is rejected for the difference"
    report_position(most, 2)
    assert check_order(most, SELL, "2").verdict is PASS
    assert check_order(most, SELL, "3").verdict is REJECT


# What is reported of the balance


def report_balance(day: Day, balance: str, when: int | None = None) -> None:
    event = AccountUpdated(balance=Decimal(balance), currency="USD")
    day.book.append("account/A/-", event, occurred_at=when)


def configure(day: Day, **settings: Any) -> None:  # noqa: ANN401 - any settings
    day.book.append("account/A/-", AccountConfigured(**settings), actor="risk@desk")


@pytest.mark.parametrize(("balance", "differs"), [("50050", False), ("49951", False), ("50050.06", True), ("0", True)])
def test_a_balance_contradicts_beyond_its_tolerance(most: Day, balance: str, *, differs: bool) -> None:
    report_balance(most, balance)
    assert room(most) == 5
    most.clock.advance(PAST_GRACE)
    assert (check_order(most).rule_id == "reports") is differs
    configure(most, balance_tolerance=Decimal("48.99"))
    assert check_order(most).rule_id == "reports"
    most.book.append("account/A/-", CashMoved(amount=Decimal(1), currency="USD", kind=CashKind.DEPOSIT))
    assert room(most) == 5, "a report of before a change is not compared"


def test_a_second_balance_contradicts_at_once(most: Day) -> None:
    most.pass_seconds(1)
    report_balance(most, "40000", NOON)
    report_balance(most, "40000", NOON)
    assert room(most) == 5, "the same report again is no second one"
    report_balance(most, "40000")
    assert rejection(most) == (
        "the broker reports a balance of 40,000.00 USD, the records give 50,000.00: "
        "append what is missing (fills, fees, CashMoved), or a newer report"
    )
    report_balance(most, "50000")
    assert room(most) == 5


@pytest.mark.parametrize(
    ("kind", "agrees"),
    [("realized", "50000"), ("wallet", "50000"), ("net-liquidation", "50500"), (None, "50000"), (None, "50500")],
)
def test_a_balance_is_compared_by_what_the_broker_means(most: Day, kind: str | None, agrees: str) -> None:
    if kind is not None:
        configure(most, balance_kind=kind)
    most.fill(BUY, "5000")
    most.quote("5010")
    report_balance(most, agrees)
    report_balance(most, agrees)
    assert check_order(most).verdict is PASS
    other = {"50000": "50500", "50500": "50000"}[agrees] if kind is not None else "51000"
    report_balance(most, other)
    report_balance(most, other)
    assert check_order(most).rule_id == "reports"


# The rule


def test_one_report_locks_nothing_and_two_do(day: Day) -> None:
    from projections.risk.limits.exposure import MaximumContracts

    day.policies.stop()
    day.restart([MaximumContracts()])
    day.limit("maximum-contracts", limit="5")
    report_position(day, 9)
    assert not day.is_locked()
    report_position(day, 9)
    assert [each.allows for each in day.book.lockouts.active("A", NOON)] == [Allows.REDUCE_ONLY]
