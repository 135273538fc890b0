"""What brokers report of orders, positions and balances, before an order: the worse counts, and what contradicts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventstore import Event, Record
from eventstore.trading import (
    AccountConfigured,
    AccountUpdated,
    AdjustmentReason,
    Allows,
    CashKind,
    CashMoved,
    FeeCharged,
    OrderCanceled,
    OrderFilled,
    OrderReduced,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    PositionAdjusted,
    PositionReported,
    TradeBusted,
    TradeCorrected,
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
    assert room(most) == 5, "the same report again confirms nothing"
    report_balance(most, "40000")
    assert rejection(most) == (
        "the broker reports a balance of 40,000.00 USD, the records give 50,000.00: "
        "append what is missing (fills, fees, CashMoved), or a newer report"
    )
    report_balance(most, "50000")
    assert room(most) == 5


def test_a_balance_that_waited_in_a_queue_is_not_compared_with_what_happened_since(most: Day) -> None:
    most.pass_seconds(10)
    most.make("-1000")
    most.pass_seconds(5)
    for second in (8, 9):
        report_balance(most, "50000", NOON + second * SECOND)
    most.pass_seconds(10)
    assert room(most) == 5
    report_balance(most, "50000", NOON + 11 * SECOND)
    assert "the broker reports a balance of 50,000.00 USD, the records give 49,000.00" in rejection(most)


def test_nor_with_what_happened_since_and_was_recorded_before_a_late_fill(most: Day) -> None:
    configure(most, balance_kind="realized")
    most.pass_seconds(20)
    for second, side, price in ((1, BUY, "5000"), (10, SELL, "4900"), (2, BUY, "5000")):
        most.fill(side, price, when=NOON + second * SECOND)
    report_balance(most, "50000", NOON + 5 * SECOND)
    most.pass_seconds(10)
    most.quote("5000")
    assert room(most) == 4, "5,000 were lost after the report was made"
    report_balance(most, "50000", NOON + 11 * SECOND)
    most.pass_seconds(10)
    most.quote("5000")
    assert "the broker reports a balance of 50,000.00 USD, the records give 45,000.00" in rejection(most)


@pytest.mark.parametrize(
    ("stream", "event"),
    [
        ("order/A/{}", TradeCorrected(trade_id="T2", quantity=Decimal(1), price=Decimal(5_060))),
        ("order/A/{}", FeeCharged(trade_id="T2", amount=Decimal(500), currency="USD")),
        (
            "position/A/ES",
            PositionAdjusted(symbol="ES", quantity=Decimal(-1), price=Decimal(5_060), reason=AdjustmentReason.EXPIRY),
        ),
    ],
)
def test_a_balance_of_before_a_correction_a_fee_or_an_expiry_is_not_compared(
    most: Day, stream: str, event: Event
) -> None:
    configure(most, balance_kind="realized")
    most.fill(BUY, "5000", quantity="2")
    sold = most.fill(SELL, "5000")
    most.pass_seconds(1)
    report_balance(most, "50000")
    most.pass_seconds(10)
    most.quote("5000")
    assert check_order(most).verdict is PASS
    changed = msgspec.structs.replace(event, trade_id=trade_of(sold)) if hasattr(event, "trade_id") else event
    most.book.append(stream.format(sold.entity), changed)
    most.pass_seconds(10)
    most.quote("5000")
    assert check_order(most).verdict is PASS
    report_balance(most, "49999")
    report_balance(most, "49900")
    most.pass_seconds(6)
    most.quote("5000")
    assert "the broker reports a balance of 49,900.00 USD, the records give " in rejection(most)


def trade_of(record: Record) -> str:
    assert isinstance(record.event, OrderFilled)
    return record.event.trade_id


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
    day.policies.stop()
    day.restart([MaximumContracts()])
    day.limit("maximum-contracts", limit="5")
    report_position(day, 9)
    assert not day.is_locked()
    report_position(day, 9)
    assert [each.allows for each in day.book.lockouts.active("A", NOON)] == [Allows.REDUCE_ONLY]
