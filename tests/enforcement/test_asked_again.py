"""The enforcer together with the policies that ask again: what fails, or is undone, is carried out until it is so."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.trading import EnforcementAction, OrderFilled, OrderSubmitted, OrderType, Side
from projections import Book, Enforcer, Policies, Task
from projections.risk.enforcement.stopping import stop
from projections.rules import shipped_rules
from tests.enforcement.enforcing import settle
from tests.enforcement.scene import SECOND, opened, trade


class Desk(NamedTuple):
    """A stopped account with a position of two, policies that run, and a broker that may fail."""

    book: Book
    policies: Policies
    clock: ManualClock
    failing: list[str]
    sent: list[Decimal]

    def carry_out(self, task: Task) -> None:
        if self.failing:
            raise ConnectionError(self.failing.pop())
        for position in task.positions:
            closing = task.submit_closing(position.symbol)
            assert closing is not None
            self.sent.append(closing.quantity)
            fill = OrderFilled(
                trade_id=closing.order_id,
                symbol="ES",
                side=closing.side,
                quantity=closing.quantity,
                price=Decimal(6000),
            )
            task.record(f"order/A/{closing.order_id}", fill)

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(SECOND)
            self.policies.tick()


@pytest.fixture
def desk(store: EventStore, clock: ManualClock) -> Iterator[Desk]:
    with projections.open(store) as book:
        opened(book)
        policies = Policies(book, shipped_rules()).start(ticking=False)
        trade(book, Side.BUY, "2")
        stop(store, ["A"], "enough")
        book.refresh()
        yield Desk(book, policies, clock, [], [])
        policies.stop()


def test_what_fails_is_carried_out_when_it_is_asked_again(desk: Desk) -> None:
    desk.failing.extend(["no route", "no route"])
    enforcer = Enforcer(desk.book, desk.carry_out)
    settle(enforcer)
    assert desk.sent == []
    desk.wait(2)
    # No order works, so only the position has to be closed.
    assert [(each.action, each.attempt) for each in desk.book.enforcement.pending("A")] == [("FLATTEN", 2)]
    settle(enforcer)
    assert desk.sent == [Decimal(2)]
    desk.wait(40)
    assert desk.book.enforcement.pending("A") == ()
    assert desk.book.positions.get("A", "ES").quantity == 0


def test_a_fill_after_the_answer_is_closed_too(desk: Desk) -> None:
    """An order that nobody could cancel in time opens a position again."""
    resting = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(3), order_type=OrderType.STOP)
    desk.book.append("order/A/late", resting)
    enforcer = Enforcer(desk.book, desk.carry_out)
    settle(enforcer)
    assert desk.sent == [Decimal(2)]
    late = OrderFilled(trade_id="late", symbol="ES", side=Side.BUY, quantity=Decimal(3), price=Decimal(6010))
    desk.clock.advance(SECOND)
    desk.book.append("order/A/late", late)
    assert EnforcementAction.FLATTEN in {each.action for each in desk.book.enforcement.pending("A")}
    settle(enforcer)
    desk.wait(2)
    settle(enforcer)
    assert desk.sent == [Decimal(2), Decimal(3)]
    assert desk.book.positions.get("A", "ES").quantity == 0
