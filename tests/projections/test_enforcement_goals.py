"""What is pending: whatever was answered, a locked account that must be flat is flat or asked for."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

import projections
from eventstore.trading import (
    EnforcementRequested,
    LimitsSet,
    LockoutSet,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    TimeInForce,
)
from projections import view as views
from projections.risk.enforcement.wanted import is_reached
from tests.projections.goals_desk import (
    BUY,
    CANCEL,
    FLATTEN,
    FLATTEN_SYMBOL,
    REDUCE_TO,
    SECOND,
    SELL,
    GoalsDesk,
)

BOTH = [("CANCEL_ORDERS", 1), ("FLATTEN", 1)]


@pytest.fixture
def desk() -> Iterator[GoalsDesk]:
    found = GoalsDesk()
    yield found
    found.close()


def park(desk: GoalsDesk, view: str, account: str = "A") -> None:
    """Let a view fail for an account, as one with a fault does."""
    position = desk.book.position
    desk.book._fold.slots[view].parked[account] = views.PartitionParked(view, account, position, ValueError("broken"))


# Without an answer


def test_who_is_flat_already_is_asked_until_there_is_an_answer(desk: GoalsDesk) -> None:
    desk.lock()
    desk.define("NQZ6")
    assert desk.pending == BOTH
    desk.answer(success=False)
    assert desk.pending == []


def test_what_has_come_about_since_needs_no_answer(desk: GoalsDesk) -> None:
    desk.fill(BUY, 3)
    desk.submit(SELL, 3, "stop")
    desk.lock()
    desk.cancel("stop")
    assert desk.pending == [("FLATTEN", 1)]
    desk.fill(SELL, 2)
    assert desk.pending == [("FLATTEN", 1)]
    desk.fill(SELL, 1)
    assert desk.pending == []
    desk.fill(SELL, 1)
    assert desk.pending == [("FLATTEN", 1)]


def test_a_request_of_no_lockout_is_pending_until_it_is_answered(desk: GoalsDesk) -> None:
    desk.append("enforcement/A/R1", EnforcementRequested(rule_id="desk", action=FLATTEN))
    assert desk.pending == [("FLATTEN", 1)]
    desk.fill(BUY, 1)
    assert desk.pending == [("FLATTEN", 1)]
    desk.answer(success=False)
    assert desk.pending == []


# Answered


@pytest.mark.parametrize("success", [True, False])
def test_an_answer_does_not_end_what_is_not_so(desk: GoalsDesk, success: bool) -> None:
    desk.fill(BUY, 3)
    desk.submit(SELL, 3, "stop")
    desk.lock()
    desk.answer(success=success)
    assert desk.pending == BOTH
    assert all(each.success is success for each in desk.book.enforcement.pending("A"))
    desk.cancel("stop")
    desk.fill(SELL, 3)
    assert desk.pending == []


def test_a_stop_that_was_not_cancelled_is_asked_for_when_it_fills(desk: GoalsDesk) -> None:
    desk.submit(BUY, 3, "stop")
    desk.fill(BUY, 1)
    desk.fill(SELL, 1)
    desk.lock()
    desk.answer()
    assert desk.pending == [("CANCEL_ORDERS", 1)]
    desk.fill(BUY, 3, "stop")
    assert desk.pending == [("FLATTEN", 1)]
    assert desk.book.positions.get("A", "ESZ6").quantity == 3


def test_the_order_that_closes_for_a_request_need_not_be_cancelled(desk: GoalsDesk) -> None:
    desk.fill(BUY, 3)
    cancel, flatten = desk.lock()
    desk.submit(SELL, 3, "close", causation_id=flatten.id)
    desk.answer()
    assert desk.pending == [("FLATTEN", 1)]
    # Once it would do more than close, it must go.
    desk.fill(SELL, 1)
    assert desk.pending == BOTH
    desk.cancel("close")
    desk.submit(SELL, 1, "first", causation_id=flatten.id)
    desk.submit(SELL, 1, "second", causation_id=cancel.id)
    assert desk.pending == [("FLATTEN", 1)]
    desk.submit(SELL, 1, "third", causation_id=flatten.id)
    assert desk.pending == BOTH


def test_an_order_that_another_record_caused_must_be_cancelled(desk: GoalsDesk) -> None:
    desk.fill(BUY, 3)
    desk.lock()
    desk.submit(SELL, 3, "close", causation_id=bytes(15) + b"1")
    desk.answer()
    assert desk.pending == BOTH


def test_an_order_whose_time_is_over_does_not_work(desk: GoalsDesk) -> None:
    order = OrderSubmitted(
        symbol="ESZ6",
        side=BUY,
        quantity=Decimal(1),
        time_in_force=TimeInForce.GOOD_TILL_DATE,
        expires_at=desk.now + 10 * SECOND,
    )
    desk.append("order/A/dated", order)
    desk.lock(CANCEL)
    desk.answer()
    assert desk.pending == [("CANCEL_ORDERS", 1)]
    desk.pass_seconds(10)
    assert desk.pending == []


def test_what_was_reported_filled_without_a_fill_counts(desk: GoalsDesk) -> None:
    desk.submit(BUY, 3, "stop")
    desk.lock()
    desk.append("order/A/stop", OrderReported(status=OrderStatus.CANCELED, filled_quantity=Decimal(2)))
    desk.answer()
    assert desk.pending == [("CANCEL_ORDERS", 1)]
    # Once that contradicts the records, the position that it leads to counts as open.
    desk.pass_seconds(6)
    assert desk.pending == BOTH
    desk.fill(BUY, 2, "stop")
    desk.fill(SELL, 2)
    assert desk.pending == []


# What the broker reports


def test_the_broker_s_report_counts_once_it_contradicts(desk: GoalsDesk) -> None:
    desk.fill(BUY, 2)
    desk.lock()
    desk.fill(SELL, 2)
    desk.answer()
    desk.pass_seconds(1)
    desk.report(2)
    # A report may lag behind the fills for a while.
    assert desk.pending == []
    desk.pass_seconds(1)
    desk.report(2)
    assert desk.pending == [("FLATTEN", 1)]
    desk.pass_seconds(1)
    desk.report(0)
    assert desk.pending == []


def test_a_flat_report_does_not_make_flat_what_the_fills_leave_open(desk: GoalsDesk) -> None:
    desk.fill(BUY, 2)
    desk.lock()
    desk.answer()
    for _ in range(2):
        desk.pass_seconds(10)
        desk.report(0)
    assert desk.pending == [("FLATTEN", 1)]


# The scope


@pytest.mark.parametrize(
    ("scope", "symbol", "pending"),
    [
        ("symbol:ESZ6", "ESZ6", True),
        ("symbol:CON.EP", "ESZ6", True),
        ("root:ES", "ESZ6", True),
        ("root:NQ", "ESZ6", False),
        ("symbol:NQZ6", "ESZ6", False),
        ("symbol:ESZ6", "CON.EP", True),
        # A name that no contract has may mean it.
        ("symbol:ESZ6", "ESX", True),
        ("root:ES", "ESX", True),
    ],
)
def test_only_what_is_in_scope_counts_by_any_name(desk: GoalsDesk, scope: str, symbol: str, pending: bool) -> None:
    desk.define("NQZ6", root="NQ")
    desk.fill(BUY, 1, symbol=symbol)
    desk.submit(BUY, 1, "stop", symbol)
    desk.lock(FLATTEN_SYMBOL, scope=scope)
    desk.answer()
    assert bool(desk.pending) is pending
    assert len(desk.pending) in {0, 2}


def test_a_smaller_lockout_keeps_no_larger_request(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.append("lockout/A/loss", LockoutSet(rule_id="loss", scope="symbol:ESZ6"))
    desk.append("enforcement/A/R1", EnforcementRequested(rule_id="loss", action=FLATTEN))
    desk.answer()
    assert desk.pending == []


def test_a_lockout_of_another_rule_keeps_nothing(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    desk.append("lockout/A/week", LockoutSet(rule_id="week", reason="the week's loss"))
    desk.answer()
    desk.unlock()
    assert desk.pending == []


# A reduction


def test_a_reduction_wants_at_most_its_quantity(desk: GoalsDesk) -> None:
    desk.fill(BUY, 3)
    desk.lock(REDUCE_TO, symbol="CON.EP", quantity=Decimal(2))
    desk.answer()
    assert desk.pending == [("REDUCE_TO", 1)]
    # Orders that would exceed it are the limit's own business.
    desk.submit(BUY, 9, "more")
    desk.fill(SELL, 1)
    assert desk.pending == []
    desk.fill(SELL, 5)
    assert desk.pending == [("REDUCE_TO", 1)]


def test_a_reduction_without_a_quantity_wants_nothing_left(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock(REDUCE_TO)
    desk.answer()
    assert desk.pending == [("REDUCE_TO", 1)]
    desk.fill(SELL, 1)
    assert desk.pending == []


@pytest.mark.parametrize(("weights", "pending"), [({"MES": "0.1"}, False), ({}, True)])
def test_a_reduction_over_all_symbols_is_by_the_limit_s_weights(
    desk: GoalsDesk,
    weights: dict[str, str],
    pending: bool,
) -> None:
    desk.define("MESZ6", root="MES")
    limit = LimitsSet(rule_id="maximum-contracts", parameters={"limit": "2", "weights": weights})
    desk.append("limits/A/maximum-contracts", limit, actor="risk@desk")
    desk.fill(BUY, 10, symbol="MESZ6")
    desk.fill(BUY, 1)
    desk.lock(REDUCE_TO, rule="maximum-contracts", quantity=Decimal(2))
    desk.answer()
    assert bool(desk.pending) is pending


# What cannot be read


@pytest.mark.parametrize("view", ["executions", "orders", "contracts", "lockouts"])
def test_what_cannot_be_read_is_not_reached(desk: GoalsDesk, view: str) -> None:
    desk.lock(FLATTEN_SYMBOL, scope="symbol:ESZ6")
    desk.answer()
    desk.fill(BUY, 1)
    desk.submit(BUY, 1, "stop")
    park(desk, view, "-" if view == "contracts" else "A")
    assert len(desk.pending) == 2


def test_lockouts_that_cannot_be_read_keep_nothing_that_had_ended(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock()
    desk.answer()
    desk.unlock()
    park(desk, "lockouts")
    assert desk.pending == []


# Of which instant, and from what


def test_a_past_state_says_what_was_pending_then(desk: GoalsDesk) -> None:
    desk.fill(BUY, 1)
    desk.lock(seconds=10)
    desk.answer(success=False)
    then, head = desk.now, desk.store.head()
    desk.pass_seconds(60)
    desk.fill(SELL, 1)
    with projections.as_of(desk.store, position=head) as past:
        assert [each.action for each in past.enforcement.pending("A", then)] == [FLATTEN]
        assert past.enforcement.pending("A") == ()
        past.detach()
        assert [each.action for each in past.enforcement.pending("A", then)] == [FLATTEN]


def test_a_restart_finds_the_same(desk: GoalsDesk) -> None:
    desk.submit(BUY, 1, "stop")
    desk.fill(BUY, 1)
    desk.lock()
    desk.answer()
    again = projections.open(desk.store)
    assert again.recovery.pending == again.enforcement.pending() == desk.book.enforcement.pending()
    assert [each.taken for each in again.recovery.pending] == [True, True]


def test_an_account_without_requests_costs_a_look(desk: GoalsDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    monkeypatch.setattr(projections.Book, "keep_up", lambda _: looks.append(None))
    assert desk.book.enforcement.pending("A") == desk.book.enforcement.pending("B") == ()
    assert desk.book.enforcement.pending() == ()
    assert len(looks) == 3


def test_what_another_process_recorded_is_seen() -> None:
    desk = GoalsDesk()
    desk.fill(BUY, 1)
    _, flatten = desk.lock()
    closing = OrderFilled(trade_id="X", symbol="ESZ6", side=SELL, quantity=Decimal(1), price=Decimal(5_000))
    desk.store.append("order/A/X", closing)
    assert desk.pending == []
    assert is_reached(desk.book, flatten, desk.now)
    desk.close()
