"""What brokers report of orders and positions, before an order: the worse counts, and what contradicts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from eventstore import Record
from eventstore.trading import (
    AdjustmentReason,
    Allows,
    OrderCanceled,
    OrderFilled,
    OrderReduced,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    PositionAdjusted,
    PositionReported,
    TradeBusted,
)
from projections.reconciliation import reconcile, record
from projections.rules import MaximumContracts
from tests.projections.checked_orders import (
    BUY,
    PASS,
    REJECT,
    SELL,
    check_order,
    filled,
    lock,
    rejection,
    room,
    say,
    send,
)
from tests.projections.rules_day import NOON, SECOND, Day

pytestmark = pytest.mark.in_each_place(slow=True)

GRACE = 5 * SECOND
PAST_GRACE = 6 * SECOND


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
    say(most, "O", OrderReported(status=OrderStatus.UNKNOWN, symbol="ES", side=BUY, quantity=Decimal(4)))
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
    assert check_order(most).verdict is PASS, "the same report again confirms nothing"
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


def bust(day: Day, executed: Record, when: int) -> None:
    assert isinstance(executed.event, OrderFilled)
    day.book.append(executed.stream, TradeBusted(trade_id=executed.event.trade_id), occurred_at=when)


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


def test_a_late_report_knows_nothing_of_later_busts(most: Day) -> None:
    most.pass_seconds(10)
    executed = most.fill(BUY, "5000", quantity="2", when=NOON)
    bust(most, executed, NOON + 4 * SECOND)
    report_position(most, 2, NOON + SECOND)
    most.pass_seconds(6)
    most.quote("5000")
    assert room(most) == 5, "it was made before the bust"
    report_position(most, 2)
    assert room(most) == 3, "and this one was not"


def test_a_bust_of_before_a_report_that_is_recorded_after_it_is_a_part_of_it(most: Day) -> None:
    executed = most.fill(BUY, "5000", quantity="2")
    most.fill(BUY, "5000", quantity="1")
    most.clock.advance(SECOND)
    report_position(most, 1)
    most.fill(BUY, "5000", quantity="3")
    bust(most, executed, NOON)
    most.clock.advance(PAST_GRACE)
    most.quote("5000")
    assert room(most) == 1


def test_what_is_booked_for_a_report_ends_its_contradiction_whatever_was_filled_since(most: Day) -> None:
    most.fill(BUY, "5000", quantity="1")
    report_position(most, 2)
    most.clock.advance(SECOND)
    most.fill(BUY, "5000", quantity="2")
    record(most.book, "A", reconcile(most.book, "A"), actor="ops@desk")
    most.clock.advance(PAST_GRACE)
    most.quote("5000")
    assert room(most) == 1


def test_fills_at_the_instant_of_a_report_are_a_part_of_it_where_they_account_for_it(most: Day) -> None:
    report_position(most, 2, NOON)
    most.pass_seconds(6)
    most.fill(BUY, "5000", quantity="1", when=NOON)
    most.clock.advance(PAST_GRACE)
    most.quote("5000")
    assert check_order(most).rule_id == "reports"
    most.fill(BUY, "5000", quantity="1", when=NOON)
    most.fill(BUY, "5000", quantity="1")
    assert room(most) == 2


def test_under_a_contradiction_no_more_is_closed_than_the_broker_has(most: Day) -> None:
    most.fill(BUY, "5000", quantity="3")
    report_position(most, 2)
    lock(most)
    assert check_order(most, SELL, "3").verdict is PASS, "until then nothing is rejected for the difference"
    report_position(most, 2)
    assert check_order(most, SELL, "2").verdict is PASS
    assert check_order(most, SELL, "3").verdict is REJECT


# The rule


def test_one_report_locks_nothing_and_two_do(day: Day) -> None:
    day.policies.stop()
    day.restart([MaximumContracts()])
    day.limit("maximum-contracts", limit="5")
    report_position(day, 9)
    assert not day.is_locked()
    report_position(day, 9)
    assert [each.allows for each in day.book.lockouts.active("A", NOON)] == [Allows.REDUCE_ONLY]
