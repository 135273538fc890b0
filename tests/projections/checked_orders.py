"""Shared by the tests of checks before an order: an account's day, orders, and requests to check them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from eventstore.trading import (
    Allows,
    EnforcementAction,
    EnforcementRequested,
    LimitsSet,
    LockoutSet,
    OrderFilled,
    OrderReplaceRequested,
    OrderSubmitted,
    PositionSide,
    Side,
    Verdict,
)
from projections import risk
from projections import view as views
from projections.risk import Checked
from projections.risk.proposals import Cancel, Proposal
from tests.projections.rules_day import Day

BUY, SELL = Side.BUY, Side.SELL
PASS, WARNING, REJECT = Verdict.PASS, Verdict.WARNING, Verdict.REJECT


def proposal(side: Side = BUY, quantity: str = "1", symbol: str = "ES", **more: Any) -> Proposal:  # noqa: ANN401 - any member
    return Proposal(**{"account": "A", "symbol": symbol, "side": side, "quantity": Decimal(quantity), **more})


def check_order(day: Day, side: Side = BUY, quantity: str = "1", symbol: str = "ES", **more: Any) -> Checked:  # noqa: ANN401 - any member
    """Check an order now."""
    return risk.check(day.book, proposal(side, quantity, symbol, **more), day.clock.now_ns())


def cancel(day: Day, **more: Any) -> Checked:  # noqa: ANN401 - any member
    return risk.check(day.book, Cancel(**{"account": "A", "order_id": "O1", **more}), day.clock.now_ns())


def lock(day: Day, account: str = "A", **terms: Any) -> None:  # noqa: ANN401 - any member
    day.book.append(
        f"lockout/{account}/desk",
        LockoutSet(**{"rule_id": "desk", "reason": "go home", "allows": Allows.REDUCE_ONLY, **terms}),
    )


def enforce(day: Day, account: str = "A", request_id: str = "R1") -> bytes:
    """Let a rule request that an account be flat, and return the request's id."""
    event = EnforcementRequested(
        rule_id="desk", action=EnforcementAction.FLATTEN, reason="go home", request_id=request_id
    )
    return day.book.append(f"enforcement/{account}/{request_id}", event)[0].id


def work(
    day: Day,
    order_id: str,
    side: Side,
    quantity: str,
    symbol: str = "ES",
    *,
    leg: PositionSide = PositionSide.NET,
    reduce_only: bool = False,
) -> None:
    """Submit an order that stays working."""
    event = OrderSubmitted(
        symbol=symbol, side=side, quantity=Decimal(quantity), position_side=leg, reduce_only=reduce_only
    )
    day.book.append(f"order/A/{order_id}", event)


def set_elsewhere(day: Day, rule_id: str, **parameters: object) -> None:
    """Let another process set a limit that the book has not folded yet."""
    event = LimitsSet(rule_id=rule_id, parameters=parameters)
    day.store.append(f"limits/A/{rule_id}", event, actor="risk@desk")


def park(day: Day, view: str) -> None:
    """Let a view fail on the next record of the account."""
    slot = day.book._fold.slots[view]
    error = views.PartitionParked(view, "A", day.book.position, ValueError("broken"))
    slot.parked["A"] = error
    slot.change_counts["A"] = slot.change_counts.get("A", 0) + 1


def rejection(day: Day, **more: Any) -> str:  # noqa: ANN401 - any member
    """Return the reason of a rejection by exactly one finding."""
    checked = check_order(day, **more)
    assert checked.verdict is REJECT
    [reason] = [finding.reason for finding in checked.findings if finding.verdict is REJECT]
    assert checked.reason == f"Order blocked: {reason}"
    return reason


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
