"""The limit on the available balance: whose figure counts, the broker's or the folded one, and since when."""

from __future__ import annotations

from decimal import Decimal

import pytest

from eventstore import Event
from eventstore.trading import (
    AccountUpdated,
    CashKind,
    CashMoved,
    FeeCharged,
    OrderReplaced,
    OrderReplaceRequested,
    OrderReported,
    OrderStatus,
    TradeBusted,
    TradeCorrected,
)
from tests.projections.checked_orders import BUY, PASS, REJECT, SELL, check_order, work
from tests.projections.rules_day import NOON, SECOND, Day

pytestmark = pytest.mark.in_each_place(slow=True)


def test_margin_is_taken_from_the_broker_s_available_balance(day: Day) -> None:
    day.limit("available-balance", minimum="1000", margins={"ES": "500"})
    day.book.append("account/A/-", AccountUpdated(available=Decimal(2_000), currency="USD"))
    assert check_order(day).verdict is PASS
    assert check_order(day, quantity="2").reason == (
        "Order allowed, with a warning: "
        "available balance 2,000.00 USD, 1,000.00 after the order; the minimum is 1,000.00"
    )
    assert check_order(day, quantity="3").reason == (
        "Order blocked: available balance 2,000.00 USD, 500.00 after the order; the minimum is 1,000.00"
    )


def test_a_report_of_the_available_balance_does_not_outlast_what_was_lost_since(day: Day) -> None:
    day.limit("available-balance", minimum="40000")
    day.book.append("account/A/-", AccountUpdated(available=Decimal(60_000), currency="USD"))
    assert check_order(day).verdict is PASS
    moved = CashMoved(kind=CashKind.WITHDRAWAL, amount=Decimal(-15_000), currency="USD")
    day.book.append("account/A/-", moved)
    assert check_order(day).reason == (
        "Order blocked: available balance 35,000.00 USD, 35,000.00 after the order; the minimum is 40,000.00"
    )
    day.book.append("account/A/-", AccountUpdated(available=Decimal(51_000), currency="USD"))
    assert check_order(day).verdict is PASS


@pytest.mark.parametrize(
    "event",
    [
        TradeBusted(trade_id="T2"),
        TradeCorrected(trade_id="T2", quantity=Decimal(1), price=Decimal(5_001)),
        FeeCharged(trade_id="T2", amount=Decimal(4_000)),
    ],
)
def test_a_report_of_the_available_balance_does_not_outlast_what_changed_a_trade(day: Day, event: Event) -> None:
    day.limit("available-balance", minimum="52000")
    day.fill(BUY, "5000")
    order = day.fill(SELL, "5100")
    day.book.append("account/A/-", AccountUpdated(available=Decimal(60_000), currency="USD"))
    assert check_order(day).verdict is not REJECT
    day.book.append(order.stream, event)
    assert check_order(day).verdict is REJECT


def test_an_available_balance_that_waited_in_a_queue_knows_nothing_of_what_was_lost_since(day: Day) -> None:
    day.limit("available-balance", minimum="40000")
    day.pass_seconds(10)
    moved = CashMoved(kind=CashKind.WITHDRAWAL, amount=Decimal(-15_000), currency="USD")
    day.book.append("account/A/-", moved)
    report = AccountUpdated(available=Decimal(60_000), currency="USD")
    day.pass_seconds(5)
    day.book.append("account/A/-", report, occurred_at=NOON + 9 * SECOND)
    assert check_order(day).reason == (
        "Order blocked: available balance 35,000.00 USD, 35,000.00 after the order; the minimum is 40,000.00"
    )
    day.book.append("account/A/-", report, occurred_at=NOON + 10 * SECOND)
    assert check_order(day).verdict is PASS


def test_nor_does_one_recorded_after_a_late_fill_know_what_was_lost_before_that_came(day: Day) -> None:
    day.limit("available-balance", margins={"ES": "1000"}, warn_at="2")
    day.pass_seconds(20)
    for second, side, price in ((1, BUY, "5000"), (10, SELL, "4100"), (2, BUY, "5000")):
        day.fill(side, price, when=NOON + second * SECOND)
    report = AccountUpdated(available=Decimal(49_000), currency="USD")
    day.book.append("account/A/-", report, occurred_at=NOON + 5 * SECOND)
    assert check_order(day, quantity="4").verdict is PASS, "45,000 were lost since, and one contract is held"
    assert check_order(day, quantity="5").verdict is REJECT


def test_a_change_dated_ahead_leaves_no_report_behind_it(day: Day) -> None:
    day.limit("available-balance", minimum="40000")
    moved = CashMoved(kind=CashKind.WITHDRAWAL, amount=Decimal(-15_000), currency="USD")
    day.book.append("account/A/-", moved, occurred_at=NOON + 3_600 * SECOND)
    day.pass_seconds(1)
    day.book.append("account/A/-", AccountUpdated(available=Decimal(60_000), currency="USD"))
    assert check_order(day).verdict is PASS


def test_a_report_of_the_available_balance_that_is_lower_counts_whatever_came_since(day: Day) -> None:
    day.limit("available-balance", minimum="40000")
    day.book.append("account/A/-", AccountUpdated(available=Decimal(30_000), currency="USD"))
    deposit = CashMoved(kind=CashKind.DEPOSIT, amount=Decimal(15_000), currency="USD")
    day.book.append("account/A/-", deposit)
    assert "available balance 30,000.00 USD" in (check_order(day).reason or "")


def test_an_order_sent_after_the_report_uses_up_its_margin(day: Day) -> None:
    day.define("NQ")
    day.limit("available-balance", margins={"ES": "20000", "NQ": "20000"}, warn_at="2")
    day.book.append("account/A/-", AccountUpdated(available=Decimal(55_000), currency="USD"))
    assert check_order(day, quantity="2").verdict is PASS
    work(day, "W", SELL, "1", "NQ")
    assert check_order(day).verdict is PASS
    assert check_order(day, quantity="2").verdict is REJECT
    # A new report has what works already.
    day.book.append("account/A/-", AccountUpdated(available=Decimal(45_000), currency="USD"))
    assert check_order(day, quantity="2").verdict is PASS


@pytest.mark.parametrize(
    "event",
    [
        OrderReplaceRequested(quantity=Decimal(2)),
        OrderReplaced(quantity=Decimal(2)),
        OrderReported(status=OrderStatus.NEW, quantity=Decimal(2)),
    ],
)
def test_an_order_enlarged_after_the_report_uses_up_its_margin(day: Day, event: Event) -> None:
    day.define("NQ")
    day.limit("available-balance", margins={"ES": "20000", "NQ": "20000"}, warn_at="2")
    work(day, "W", SELL, "1", "NQ")
    day.book.append("account/A/-", AccountUpdated(available=Decimal(30_000), currency="USD"))
    assert check_order(day).verdict is PASS
    day.book.append("order/A/W", event)
    assert check_order(day).verdict is REJECT, "of 50,000 two NQ take 40,000"
    day.book.append("account/A/-", AccountUpdated(available=Decimal(20_000), currency="USD"))
    assert check_order(day).verdict is PASS


def test_positions_and_working_orders_take_margin_from_the_folded_balance(day: Day) -> None:
    day.define("NQ")
    day.limit("available-balance", margins={"ES": "10000", "NQ": "5000"}, warn_at="2")
    day.fill(BUY, "5000", quantity="2")
    day.quote("5000")
    work(day, "W", SELL, "2", "NQ")
    assert check_order(day, quantity="2").verdict is PASS
    assert check_order(day, quantity="3").verdict is REJECT
