"""The orders view compared with its model, on whatever the venue and the trader may say of an order, in any order."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from projections.views.orders.order import Order
from tests.proving import rounds
from tests.reference.facts import Fact
from tests.reference.histories import event_of
from tests.reference.orders import OrderFigures, Orders
from tests.views.order_folding import OrderFolding

pytestmark = pytest.mark.untraced

SILENT = ("ACCEPT", "TRIGGER", "REJECT", "CANCEL_REQUEST", "CANCEL", "CANCEL_REJECT", "REPLACE_REJECT", "EXPIRE")
SIZED = ("SUBMIT", "SUBMIT", "REPLACE_REQUEST", "REPLACE", "REDUCE")
REPORTED = ("NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "PENDING_CANCEL", "PENDING_REPLACE")
LATER = 10**6


def words(seed: int) -> list[Fact]:
    """Return twelve facts of one order, of which none need follow from another."""
    chance, facts = random.Random(seed), []
    for log in range(1, 13):
        kind = chance.choice((*SILENT, *SIZED, "REPORT", "REPORT", *["FILL"] * 4, "BUST", "BUST", "CORRECT"))
        fact = Fact(kind, log, log, stream="order/O-1", symbol="ESH6")
        if kind in SIZED:
            made = chance.choice((log, chance.randint(1, log))) if kind == "REPLACE" else log
            fact = replace(fact, at=made, side=1, quantity=Decimal(chance.randint(1, 6)))
        elif kind == "REPORT":
            # Some reports are recorded after others that were made later, or at the same instant.
            made = chance.choice((log, log, chance.randint(1, log)))
            size = chance.choice((None, None, Decimal(chance.randint(1, 6))))
            fact = replace(fact, at=made, reason=chance.choice(REPORTED), quantity=size)
        elif kind not in SILENT:
            trade = replace(fact, id=chance.choice("ABCD"), side=1)
            fact = replace(trade, quantity=Decimal(chance.randint(1, 4)), price=Decimal(chance.randint(90, 110)))
            # A bust comes after its trade in the world, wherever it stands in the log.
            fact = fact if kind == "FILL" else replace(fact, at=log + LATER)
        facts.append(fact)
    return facts


def differs(order: Order, expected: OrderFigures) -> bool:
    found = (order.status.value, order.quantity, order.cumulative, order.leaves)
    if found != (expected.status, expected.quantity, expected.cumulative, expected.leaves):
        return True
    average = order.average_price or Decimal(0)
    return abs(Fraction(average) - (expected.average_price or Fraction(0))) > Fraction(1, 10**20)


def test_the_view_agrees_with_the_model_after_every_word() -> None:
    for seed in rounds("words of an order", test=1_000, prove=50_000):
        model, folding = Orders(), OrderFolding()
        for fact in words(seed):
            model.apply(fact)
            event = event_of(fact)
            assert event is not None
            made = fact.at if fact.kind in {"REPORT", "REPLACE"} else None
            folding.deliver(folding.record("order/A/O-1", event, occurred_at=made))
            order, expected = folding.orders.get("A", "O-1"), model.get("O-1")
            assert order is not None
            assert not differs(order, expected), (seed, fact, order, expected)
