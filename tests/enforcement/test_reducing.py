"""Reductions over all symbols: contracts count by the weights of the limit that asks, and whole ones are closed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

import projections
from eventstore import EventStore
from eventstore.trading import (
    Allows,
    ContractDefined,
    EnforcementAction,
    EnforcementRequested,
    LimitsSet,
    LockoutSet,
    OrderFilled,
    Side,
    TradeExecuted,
)
from projections import Book
from projections.enforcer import Task
from projections.risk.enforcement.claims import claim
from projections.risk.enforcement.wanted import is_reached
from tests.enforcement.scene import opened

RULE = "maximum-contracts"


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as found:
        opened(found)
        found.append("contract/-/MES", ContractDefined(symbol="MES", root="MES", multiplier=Decimal(5), currency="USD"))
        yield found


def buy(book: Book, symbol: str, quantity: str) -> None:
    fill = TradeExecuted(trade_id=symbol, symbol=symbol, side=Side.BUY, quantity=Decimal(quantity), price=Decimal(6000))
    book.append(f"trade/A/{symbol}", fill)


def reduction(book: Book, most: str, symbol: str | None = None) -> Task:
    """Lock the account, ask for a reduction, and return it claimed."""
    asked = EnforcementRequested(
        rule_id=RULE, action=EnforcementAction.REDUCE_TO, request_id="R1", quantity=Decimal(most), symbol=symbol
    )
    book.append(f"lockout/A/{RULE}", LockoutSet(rule_id=RULE, allows=Allows.NOTHING))
    book.append("enforcement/A/R1", asked)
    request = book.enforcement.get("A", "R1")
    assert request is not None
    held = claim(book, request, "first")
    assert held is not None
    return Task(book, held)


def close(book: Book, task: Task) -> dict[str, str]:
    """Close what the task names, as an enforcer does, and return how much that was."""
    closed = {}
    for each in task.positions:
        order = task.submit_closing(each.symbol)
        assert order is not None
        assert order.quantity == each.quantity
        fill = OrderFilled(
            trade_id=order.order_id, symbol=each.symbol, side=order.side, quantity=order.quantity, price=Decimal(6000)
        )
        task.record(f"order/A/{order.order_id}", fill)
        closed[each.symbol] = f"{order.quantity:f}"
    return closed


@pytest.mark.parametrize(
    ("weights", "held", "most", "closed"),
    [
        ({"MES": "0.1"}, {"MES": "10", "ES": "2"}, "2", {"ES": "1"}),
        ({"MES": "0.1"}, {"MES": "40", "ES": "1"}, "2", {"MES": "30"}),
        ({"ES": "10"}, {"MES": "5", "ES": "2"}, "20", {"ES": "1"}),
        ({"ES": "10"}, {"MES": "1", "ES": "5"}, "4", {"ES": "5"}),
        ({"ES": "10"}, {"MES": "25", "ES": "2"}, "20", {"MES": "25"}),
        ({"ES": "0.3", "MES": "0.2"}, {"MES": "6", "ES": "5"}, "2", {"ES": "3"}),
        ({"ES": "0"}, {"MES": "3", "ES": "5"}, "2", {"MES": "1"}),
        ({}, {"MES": "1", "ES": "5"}, "2.5", {"ES": "4"}),
        ({}, {"MES": "1", "ES": "0.75"}, "1.5", {"MES": "1"}),
    ],
)
def test_it_closes_the_excess_by_the_weights_of_the_limit(
    book: Book, weights: dict[str, str], held: dict[str, str], most: str, closed: dict[str, str]
) -> None:
    limit = LimitsSet(rule_id=RULE, parameters={"limit": most, "weights": weights})
    book.append(f"limits/A/{RULE}", limit, actor="risk@desk")
    for symbol, quantity in held.items():
        buy(book, symbol, quantity)
    task = reduction(book, most)
    assert close(book, task) == closed
    assert task.positions == ()
    assert is_reached(book, task.request, book.now_ns())


@pytest.mark.parametrize(("held", "most", "closed"), [("5", "3.3", "2"), ("5.5", "3.3", "2.2"), ("5", "5", None)])
def test_of_whole_contracts_a_whole_number_is_closed(book: Book, held: str, most: str, closed: str | None) -> None:
    buy(book, "ES", held)
    task = reduction(book, most, "ES")
    assert close(book, task) == ({} if closed is None else {"ES": closed})
    assert is_reached(book, task.request, book.now_ns())
