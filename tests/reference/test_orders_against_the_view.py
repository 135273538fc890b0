"""The orders view compared with its model, through a book, on histories reported late and under other order ids."""

from __future__ import annotations

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from projections.views.orders.order import Order
from tests.proving import rounds
from tests.reference.facts import Fact
from tests.reference.histories import START, event_of, history, place_of
from tests.reference.orders import Orders
from tests.reference.test_orders_by_words import differs

pytestmark = pytest.mark.untraced

RULES = ("late", "repeated", "changes")


def problems(facts: list[Fact]) -> list[str]:
    """Return where the book's orders, asked in any way after each fact, are not the model's: at the first such fact.

    Histories are read of orders that have changed; of all after the last fact.
    """
    model, clock, known, before = Orders(), ManualClock(START), set[str](), dict[str, Order | None]()
    with (
        EventStore(MemoryJournal(clock=clock), clock=clock) as store,
        projections.open(store, snapshots=False) as book,
    ):
        for fact in facts:
            model.apply(fact)
            event = event_of(fact)
            if event is None:
                continue
            clock.advance(max(0, fact.at - clock.now_ns()))
            book.append(place_of(fact, "A"), event, occurred_at=fact.at if fact.timed else None)
            known |= {fact.stream.removeprefix("order/")} if fact.stream.startswith("order/") else set()
            orders = {order_id: book.orders.get("A", order_id) for order_id in sorted(known)}
            found = [
                f"{order_id} after {fact}: {order}, not {model.get(order_id)}"
                for order_id, order in orders.items()
                if order is None or differs(order, model.get(order_id))
            ]
            found += [
                f"{order_id} after {fact}: its history ends otherwise"
                for order_id, order in orders.items()
                if (order != before.get(order_id) or fact is facts[-1])
                and [each for _, each in book.orders.history("A", order_id)][-1] != order
            ]
            is_open = {order_id for order_id, order in orders.items() if order is not None and order.is_open}
            if {order.order_id for order in book.orders.open("A")} != is_open:
                found.append(f"open orders after {fact}: {book.orders.open('A')}, not {is_open}")
            if found:
                return found
            before = orders
    return []


def test_orders_agree_with_their_model_after_every_fact() -> None:
    for seed in rounds("orders against their model", test=100, prove=20_000):
        assert problems(history(seed, rules=RULES)) == []
