"""Races of processes on one journal for one headroom: what is recorded never exceeds the limit."""

from __future__ import annotations

import functools
import random
import threading
from decimal import Decimal
from typing import Any

import pytest

import eventstore
import projections
from eventstore import EventStore, Overloaded
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    LimitsSet,
    OrderCanceled,
    OrderSubmitted,
    RiskChecked,
    Side,
)
from projections import Book, risk
from tests.places import Place, within
from tests.proving import rounds
from tests.together import run_together

THREADS = 2
RACES = 40
MAXIMUM = Decimal(5)
WAIT_SECONDS = 60.0


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.in_each_place
def test_no_race_of_processes_exceeds_the_maximum(place: Place) -> None:
    # 1,000 races in full: 25 rounds of 40, each on a log of its own.
    for seed in rounds("races of processes to submit", test=1, prove=25):
        race(within(place, seed), seed)


def race(place: Place, seed: int) -> None:
    with eventstore.open(place) as store:
        prepare(store)
    answers = run_together(functools.partial(submit_all, seed=seed), place)
    passed = {order_id for answer in answers for order_id in answer}
    with eventstore.open(place) as store:
        assert recorded(store) == passed
        assert most_working(store) <= MAXIMUM
        assert store.verify().ok
    assert len(passed) >= RACES, "nobody passed: the test shows nothing"


def prepare(store: EventStore) -> None:
    store.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    store.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
    limit = LimitsSet(rule_id="maximum-position", parameters={"limit": str(MAXIMUM)})
    store.append("limits/A/maximum-position", limit, actor="risk@desk")


def submit_all(place: Place, number: int, barrier: Any, *, seed: int) -> list[str]:  # noqa: ANN401 - its class is private
    """Race with the other processes, in two threads that share a book; return the orders that passed."""
    passed: list[str] = []
    with eventstore.open(place) as store, projections.open(store) as book:
        for turn in range(RACES):
            barrier.wait(WAIT_SECONDS)
            own = [f"{turn}-{number}-{thread}" for thread in range(THREADS)]
            chance = random.Random(f"{seed} {turn} {number}")
            threads = [
                threading.Thread(target=submit, args=(book, order_id, chance.randint(1, 5), passed)) for order_id in own
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            # All are at rest before any is canceled: what worked at once has to be within the limit.
            barrier.wait(WAIT_SECONDS)
            for order_id in own:
                if order_id in passed:
                    book.append(f"order/A/{order_id}", OrderCanceled())
    return passed


def submit(book: Book, order_id: str, quantity: int, passed: list[str]) -> None:
    order = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(quantity))
    while True:
        try:
            sent = risk.submit(book, "A", order_id, order, book.now_ns(), key=order_id)
        except Overloaded:
            continue
        if sent.answer.passed:
            passed.append(order_id)
        return


def recorded(store: EventStore) -> set[str]:
    """Return the orders that were submitted; of all others a rejection by the limit is recorded."""
    for record in store.read(types=(RiskChecked,)):
        assert isinstance(record.event, RiskChecked)
        assert record.event.rule_id == "maximum-position"
    return {record.entity for record in store.read(types=(OrderSubmitted,))}


def most_working(store: EventStore) -> Decimal:
    """Return the largest quantity that worked at any record: computed from the records alone."""
    working: dict[str, Decimal] = {}
    most = Decimal(0)
    for record in store.read(types=(OrderSubmitted, OrderCanceled)):
        event = record.event
        if isinstance(event, OrderSubmitted):
            working[record.entity] = event.quantity
        else:
            del working[record.entity]
        most = max(most, sum(working.values(), Decimal(0)))
    return most
