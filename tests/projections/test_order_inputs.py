"""Checks before an order reject an order whose own members are missing, of another type or absurd."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import InvalidEvent
from eventstore.trading import OrderAccepted, OrderSubmitted, OrderType
from projections import risk
from projections.risk.proposals import Cancel, Proposal
from tests.projections.checked_orders import BUY, PASS, REJECT, lock, proposal, rejection
from tests.projections.rules_day import NOON, Day

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.mark.parametrize("quantity", ["NaN", "sNaN", "Infinity", "-Infinity", "0", "-1", "1e100"])
def test_a_quantity_is_a_finite_number_above_zero(day: Day, quantity: str) -> None:
    assert (
        rejection(day, quantity=quantity) == f"its quantity is {Decimal(quantity)}, expected a finite Decimal above 0"
    )


@pytest.mark.parametrize("price", ["NaN", "Infinity"])
@pytest.mark.parametrize("member", ["limit_price", "stop_price"])
def test_a_price_is_a_finite_number(day: Day, member: str, price: str) -> None:
    reason = rejection(day, **{member: Decimal(price)})
    assert reason == f"its {member.replace('_', ' ')} is {price}, expected a finite Decimal"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("side", "BUY"),
        ("position_side", "LONG"),
        ("symbol", ""),
        ("symbol", None),
        ("order_type", "market"),
        ("order_type", 5),
        ("reduce_only", "false"),
        ("reduce_only", None),
        ("link_group", 5),
    ],
)
def test_a_member_of_another_type_is_rejected(day: Day, member: str, value: object) -> None:
    day.fill(BUY, "5000")
    checked = risk.check(day.book, proposal(**{member: value}), NOON)  # type: ignore[arg-type]
    assert (checked.verdict, checked.rule_id) == (REJECT, "input")
    assert member.replace("_", " ") in checked.reason.replace("_", " ")


@pytest.mark.parametrize("given", [OrderSubmitted(symbol="ES", side=BUY, quantity=Decimal(1)), None, "O-1"])
def test_what_is_not_a_proposal_is_refused_with_what_to_give(day: Day, given: Any) -> None:  # noqa: ANN401 - any
    with pytest.raises(InvalidEvent, match="check takes a Proposal, a Replace or a Cancel, not "):
        risk.check(day.book, given, NOON)


@pytest.mark.parametrize("order_type", [OrderType.MARKET, "MARKET"])
def test_a_market_order_of_a_link_group_counts_as_one_whatever_its_type_is_written_as(
    day: Day,
    order_type: Any,  # noqa: ANN401 - text too
) -> None:
    day.limit("maximum-position", limit="2")
    for order_id in ("O-1", "O-2"):
        order = OrderSubmitted(symbol="ES", side=BUY, quantity=Decimal(1), order_type=OrderType.MARKET, link_group="g")
        day.book.append(f"order/A/{order_id}", order)
    assert rejection(day, order_type=order_type, link_group="g") == (
        "position 3 of at most 2 in ES, working orders counted"
    )


@pytest.mark.parametrize("given", [OrderAccepted(), None, "O-1"])
def test_a_proposal_is_of_an_order_or_of_a_replacement(given: Any) -> None:  # noqa: ANN401 - any
    with pytest.raises(InvalidEvent, match="expected an OrderSubmitted or an OrderReplaceRequested, not "):
        Proposal.of("A", given)


def test_an_id_that_is_not_text_is_refused_before_it_is_recorded(day: Day) -> None:
    order: Any = proposal(order_id=5)
    with pytest.raises(InvalidEvent, match="an order's id is text, not 5"):
        risk.check(day.book, order, NOON, record=True)


@pytest.mark.parametrize("quantity", [1, 1.5, "1", None])
def test_a_quantity_that_is_not_a_decimal_is_rejected(day: Day, quantity: Any) -> None:  # noqa: ANN401 - any
    order = Proposal(account="A", symbol="ES", side=BUY, quantity=quantity)
    assert risk.check(day.book, order, NOON).rule_id == "input"


@pytest.mark.parametrize("account", ["", "-", "A/B", "A B"])
def test_an_invalid_account_name_is_rejected(day: Day, account: str) -> None:
    assert rejection(day, account=account)


def test_a_book_of_some_accounts_rejects_orders_of_others(day: Day) -> None:
    book = projections.open(day.store, accounts=["B"])
    assert risk.check(book, proposal(account="B"), NOON).verdict is PASS
    checked = risk.check(book, proposal(), NOON)
    assert checked.verdict is REJECT
    assert "does not fold account A" in checked.reason
    assert risk.check(book, Cancel(account="B", order_id="O1"), NOON).verdict is PASS


def test_absurdly_large_figures_are_rejected(day: Day) -> None:
    day.limit("available-balance", margins={"ES": "500"})
    assert rejection(day, quantity="1e90").startswith("available balance 50,000.00 USD, -5.000e+92 after the order")


def test_an_invalid_cause_id_is_rejected(day: Day) -> None:
    lock(day)
    assert "an id is a UUID" in rejection(day, caused_by=b"short")
