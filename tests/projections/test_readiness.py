"""Waiting until it is safe to trade: each thing that stands in the way is named, and ends the wait when it is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest

import eventstore
import projections
from eventstore import InvalidEvent, StoreError
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    AccountUpdated,
    EnforcementAction,
    EnforcementRequested,
    EnforcementTaken,
    LimitsSet,
    LockoutSet,
    OrderReported,
    OrderStatus,
    PositionReported,
    Side,
)
from projections import NotSafe, reconciliation, wait_until_safe
from projections.readiness import why_not_safe
from projections.risk.policies.protocol import PolicyFailure
from projections.rules import shipped_rules
from projections.views.executions.view import ExecutionsView
from tests.places import Place
from tests.projections.policy_scene import fail
from tests.projections.rules_day import SECOND, Day

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    """Return a day of account A with a limit, and policies that run."""
    found = Day(place, shipped_rules())
    found.define("ES")
    found.open_account()
    found.limit("daily-loss", limit="1000")
    yield found
    found.close()


def why(day: Day, account: str = "A") -> str:
    """Return why an account is not safe, and see that waiting for it fails with that."""
    day.book.refresh()
    reasons = why_not_safe(day.book, account)
    with pytest.raises(NotSafe, match=f"{account} is not safe to trade: ") as raised:
        wait_until_safe(day.book, account, timeout=0)
    assert raised.value.reasons == reasons
    return " | ".join(reasons)


def test_an_account_that_is_ready_is_safe_at_once(day: Day) -> None:
    wait_until_safe(day.book, "A", timeout=0)


def test_an_account_that_nobody_opened_is_not(day: Day) -> None:
    assert "account B was never opened: adopt it, or append AccountOpened" in why(day, "B")


def test_a_position_without_a_price_is_not(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.policies.stop()
    day.restart(shipped_rules())
    reasons = why(day)
    assert "an open position cannot be valued: ES was not quoted since the book was opened" in reasons
    assert "limit trailing-drawdown is not judged: ES was not quoted since the book was opened" in reasons
    day.quote("5000")
    wait_until_safe(day.book, "A", timeout=0)


@pytest.mark.parametrize("reported", [1, 0, -2])
def test_a_broker_s_report_that_differs_is_not(day: Day, reported: int) -> None:
    day.fill(Side.BUY, "5000", quantity="2")
    day.quote("5000")
    day.book.append("position/A/ES", PositionReported(symbol="ES", quantity=Decimal(reported)))
    assert "reconcile it" in why(day)
    reconciliation.record(day.book, "A", reconciliation.reconcile(day.book, "A"), actor="me")
    day.quote("5000")
    assert "reconcile it" not in "".join(why_not_safe(day.book, "A"))


def test_a_balance_that_differs_is_not(day: Day) -> None:
    for _ in range(2):
        day.clock.advance(SECOND)
        day.book.append("account/A/-", AccountUpdated(balance=Decimal(49_000)))
    assert "the broker reports a balance of 49,000.00 USD, the records give 50,000.00" in why(day)
    for _ in range(2):
        day.clock.advance(SECOND)
        day.book.append("account/A/-", AccountUpdated(balance=Decimal(50_000)))
    wait_until_safe(day.book, "A", timeout=0)


def test_an_order_that_nobody_here_sent_is_not(day: Day) -> None:
    report = OrderReported(status=OrderStatus.NEW, symbol="ES", side=Side.BUY, quantity=Decimal(1))
    day.book.append("order/A/B-1", report)
    assert "reconcile it" in why(day)


def test_pending_enforcement_is_not(day: Day) -> None:
    event = EnforcementRequested(rule_id="desk", action=EnforcementAction.FLATTEN)
    day.book.append("enforcement/A/R1", event)
    assert "FLATTEN by desk is pending since position" in why(day)
    day.book.append("enforcement/A/R1", EnforcementTaken(request_id="R1", success=True))
    wait_until_safe(day.book, "A", timeout=0)


def test_a_lockout_is_safe_because_it_rejects_orders_anyway(day: Day) -> None:
    day.book.append("lockout/A/desk", LockoutSet(rule_id="desk"))
    wait_until_safe(day.book, "A", timeout=0)


def test_an_account_that_was_reopened_in_use_is_not(day: Day) -> None:
    day.fill(Side.BUY, "5000")
    day.quote("5000")
    day.store.append("account/A/-", AccountReopened(starting_balance=Decimal(50_000)), actor="me")
    assert "was reopened at position" in why(day)


def test_policies_that_do_not_run_are_not(day: Day) -> None:
    day.policies.stop()
    day.clock.advance(2 * SECOND)
    assert "no process runs the policies of log main for A" in why(day)
    day.policies.start(ticking=False)
    wait_until_safe(day.book, "A", timeout=0)


def test_limits_on_a_log_where_no_policies_ever_ran_are_not(place: Place) -> None:
    with eventstore.open(place) as store, projections.open(store) as book:
        book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        wait_until_safe(book, "A", timeout=0)
        book.append("limits/A/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": "1"}), actor="me")
        assert "no policies ever ran on this log" in "".join(why_not_safe(book, "A"))


def test_a_view_that_failed_is_not(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(ExecutionsView, "apply_beside", fail)
        broken.setattr(ExecutionsView, "apply_page", fail)
        day.fill(Side.BUY, "5000")
    assert "view executions stopped for A" in why(day)
    # The policies have stopped, too, and say so once more when they end.
    with pytest.raises(PolicyFailure):
        day.policies.stop()
    day.restart([])


def test_a_closed_book_is_not(day: Day) -> None:
    with projections.open(day.store) as other:
        pass
    assert "behind its log or closed" in " ".join(why_not_safe(other, "A"))


def test_it_waits_until_another_process_has_done_what_is_missing(day: Day) -> None:
    event = EnforcementRequested(rule_id="desk", action=EnforcementAction.FLATTEN)
    day.book.append("enforcement/A/R1", event)
    answer = EnforcementTaken(request_id="R1", success=True)
    later = threading.Timer(0.05, lambda: day.store.append("enforcement/A/R1", answer))
    later.start()
    wait_until_safe(day.book, "A", timeout=30)
    later.join()


def test_what_cannot_be_read_is_not_safe(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        msg = "the disk is gone"
        raise StoreError(msg)

    monkeypatch.setattr(day.book.limits, "unjudged", unreadable)
    assert why(day) == "the disk is gone"


@pytest.mark.parametrize("timeout", [-1, "soon", None])
def test_a_malformed_timeout_is_refused(day: Day, timeout: object) -> None:
    with pytest.raises(InvalidEvent, match="a timeout is a number of seconds"):
        wait_until_safe(day.book, "A", timeout=timeout)  # type: ignore[arg-type]
