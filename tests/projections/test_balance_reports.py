"""What brokers report of the balance, before an order: what contradicts the records, and what only came late."""

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
    CashKind,
    CashMoved,
    FeeCharged,
    OrderFilled,
    PositionAdjusted,
    TradeCorrected,
)
from tests.projections.checked_orders import (
    BUY,
    PASS,
    SELL,
    check_order,
    rejection,
    room,
)
from tests.projections.rules_day import NOON, SECOND, Day

pytestmark = pytest.mark.in_each_place(slow=True)

GRACE = 5 * SECOND
PAST_GRACE = 6 * SECOND


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
