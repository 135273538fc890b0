"""Checks before an order with a book that is behind, closed or parked, or whose policies failed."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import ClassVar

import pytest
from typing_extensions import override

import projections
from eventstore import Event
from eventstore.trading import (
    LimitsSet,
    LockoutSet,
    OrderFilled,
)
from projections import risk
from projections.risk.policies import Decision, Policies, Policy, PolicyFailure, Trigger
from tests.projections.checked_orders import (
    BUY,
    PASS,
    REJECT,
    SELL,
    cancel,
    check_order,
    lock,
    park,
    proposal,
    rejection,
    set_elsewhere,
)
from tests.projections.rules_day import NOON, Day

pytestmark = pytest.mark.in_each_place(slow=True)


def test_a_book_behind_its_log_rejects_new_exposure_and_catches_up_for_a_reduction(day: Day) -> None:
    day.fill(BUY, "5000")
    day.quote("5000")
    set_elsewhere(day, "order-size", limit="0.5")
    with day.book.paused():
        assert (
            rejection(day)
            == f"the book is at position {day.book.position}, behind its log or closed: refresh it or reopen it"
        )
        assert check_order(day, SELL).verdict is REJECT, "what is held is not certain"
    assert check_order(day, SELL).verdict is PASS
    assert check_order(day).rule_id == "order-size"


def test_a_reduction_is_judged_by_what_others_have_sold_meanwhile(day: Day) -> None:
    day.fill(BUY, "5000", quantity="2")
    lock(day)
    sold = OrderFilled(trade_id="elsewhere", symbol="ES", side=SELL, quantity=Decimal(2), price=Decimal(5_000))
    day.store.append("order/A/elsewhere", sold)
    assert check_order(day, SELL, "2").rule_id == "desk"


def test_a_closed_book_rejects_reductions_too(day: Day) -> None:
    day.fill(BUY, "5000")
    day.book.close()
    assert "behind its log or closed" in rejection(day, side=SELL)


def test_a_closed_book_rejects_and_one_of_the_past_does_not(day: Day) -> None:
    past = projections.as_of(day.store, position=day.store.head())
    day.limit("order-size", limit="1")
    day.book.close()
    assert "behind its log or closed" in rejection(day)
    assert risk.check(past, proposal(quantity="5"), NOON).verdict is PASS


@pytest.mark.parametrize("view", ["lockouts", "executions", "orders"])
def test_a_parked_partition_rejects_every_order_that_needs_it(day: Day, view: str) -> None:
    day.fill(BUY, "5000")
    day.quote("5000")
    assert check_order(day).verdict is PASS
    park(day, view)
    for order in (BUY, SELL):
        checked = check_order(day, order)
        assert checked.verdict is REJECT
        assert f"view {view} stopped for A" in checked.reason
    assert check_order(day, account="B").verdict is PASS
    retry(day, view)
    assert check_order(day, SELL).verdict is PASS


@pytest.mark.parametrize(
    ("view", "rule_id", "parameters"),
    [
        ("limits", "order-size", {"limit": "9"}),
        ("accounts", "available-balance", {"minimum": "1"}),
        ("counters", "trade-limit", {"limit": 9}),
        ("bests", "trailing-drawdown", {"distance": "9000"}),
        ("equity", "trailing-drawdown", {"distance": "9000"}),
        ("blackouts", "order-size", {"limit": "9"}),
    ],
)
def test_a_parked_input_rejects_new_exposure_and_no_reduction(
    day: Day, view: str, rule_id: str, parameters: dict[str, object]
) -> None:
    day.limit(rule_id, **parameters)
    day.fill(BUY, "5000")
    day.quote("5000")
    assert check_order(day).verdict is PASS
    park(day, view)
    checked = check_order(day)
    assert checked.verdict is REJECT
    assert f"view {view} stopped for A" in checked.reason
    assert check_order(day, SELL).verdict is PASS
    retry(day, view)
    assert check_order(day).verdict is PASS


def retry(day: Day, view: str) -> None:
    assert day.book.retry(view, "A")


# Policies


class Failing(Policy):
    """Fails at each limit that is set."""

    name = "failing"
    types: ClassVar[tuple[type[Event], ...]] = (LimitsSet,)

    @override
    def decide(self, book: projections.Book, trigger: Trigger) -> Iterable[Decision]:
        if trigger.record is None:
            return ()
        msg = "no"
        raise ValueError(msg)


class Checking(Policy):
    """Checks an order while its own decision is pending."""

    name = "checking"
    types: ClassVar[tuple[type[Event], ...]] = (LimitsSet,)

    def __init__(self) -> None:
        self.found: list[risk.Checked] = []

    @override
    def decide(self, book: projections.Book, trigger: Trigger) -> Iterable[Decision]:
        if trigger.record is None:
            return ()

        def obsolete_if(book: projections.Book) -> bool:
            self.found.append(risk.check(book, proposal(), NOON))
            return True

        return [Decision((("lockout/A/x", LockoutSet(rule_id="x")),), obsolete_if=obsolete_if)]


def test_stopped_policies_reject_new_exposure(day: Day) -> None:
    day.policies.stop()
    policies = Policies(day.book, [Failing()]).start(ticking=False)
    assert check_order(day).verdict is PASS
    day.limit("order-size", limit="9")
    assert "the policies have not decided on every record yet, or have failed" in rejection(day)
    assert check_order(day, account="B").verdict is PASS, "they failed for another account"
    assert cancel(day).verdict is PASS
    with pytest.raises(PolicyFailure):
        policies.stop()


def test_pending_decisions_reject_new_exposure(day: Day) -> None:
    day.policies.stop()
    checking = Checking()
    policies = Policies(day.book, [checking]).start(ticking=False)
    day.limit("order-size", limit="9")
    assert [checked.verdict for checked in checking.found] == [REJECT]
    assert check_order(day).verdict is PASS
    policies.stop()
