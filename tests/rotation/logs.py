"""A log that is to be rotated, those who append to it meanwhile, and what has to be true of it afterwards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TypeVar

import eventstore
import projections
from eventstore import EventStore, LogHasEnded
from eventstore.trading import AccountOpened, OrderCanceled
from tests.places import Place
from tests.reliability.checking import WAIT_SECONDS
from tests.rotation.facts import CASH, SUBMITTED, filled
from tests.waiting import until

STREAM = "order/A/O-1"
P = TypeVar("P", bound=Place)


def begun(place: P) -> P:
    with eventstore.open(place) as store:
        begin(store)
    return place


def begin(store: EventStore) -> None:
    """Append four records: an account, cash under a key, an order and its first fill."""
    store.append("account/A/-", AccountOpened(starting_balance=Decimal(1_000), currency="USD"))
    store.append("account/A/-", CASH, key="cash")
    store.append("order/A/O-1", [SUBMITTED, filled("T-1")])


def check(store: EventStore, acknowledged: list[tuple[int, bytes]] = ()) -> None:  # type: ignore[assignment] # empty
    """Whatever was left: it has what was acknowledged, once, in one order, and proves it."""
    records = list(store.read())
    assert [record.position for record in records] == list(range(1, len(records) + 1))
    assert max(Counter(record.id for record in records).values()) == 1
    by_position = {record.position: record.id for record in records}
    assert all(by_position.get(position) == id_ for position, id_ in acknowledged)
    types = Counter(record.type for record in records)
    assert types["LogEnded"] == types["LogContinued"] == len({record.log for record in records}) - 1
    found = store.verify()
    assert found.ok, found.reason
    assert store.append("account/A/-", CASH, key="cash")[0].position == 2
    with projections.open(store, snapshots=False) as book:
        assert book.positions.get("A", "ES").quantity == 1
        assert book.accounts.balance("A") == 1_005


@contextmanager
def pressing(*stores: EventStore) -> Iterator[list[tuple[int, bytes]]]:
    """Append to each store without a pause until its log has ended; yield what is acknowledged."""
    acknowledged: list[tuple[int, bytes]] = []
    stop = threading.Event()

    def press(store: EventStore) -> None:
        with suppress(LogHasEnded):
            while not stop.is_set():
                [record] = store.append(STREAM, OrderCanceled())
                acknowledged.append((record.position, record.id))

    with ThreadPoolExecutor(len(stores)) as pool:
        presses = [pool.submit(press, store) for store in stores]
        try:
            until(lambda: len(acknowledged) > 4)
            yield acknowledged
        finally:
            stop.set()
        for each in presses:
            each.result(WAIT_SECONDS)
