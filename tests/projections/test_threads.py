"""A book with threads: readers take no lock and see complete values, writers read their own writes."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, EventStore, Record
from projections import Book
from tests.places import Place
from tests.projections.examples import Everything, Water, bought, filled, in_thread, submitted

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def store(place: Place) -> Iterator[EventStore]:
    with eventstore.open(place) as opened:
        yield opened


def look(book: Book) -> None:
    before = book.position
    order, position = book.orders.get("A", "O1"), book.positions.get("A", "ESZ5")
    assert order is not None
    assert order.leaves is not None
    assert order.cumulative + order.leaves == order.quantity == 200
    assert order.notional == order.cumulative * 50
    assert sum(lot.quantity for lot in position.lots) == position.quantity
    assert position.cost == position.quantity * 50
    totals = book.trades.totals("A", "ESZ5")
    assert totals.bought_value == totals.bought * 50
    # Never fewer than the long one: an order is in its new place before it leaves the old one.
    assert "O1" in {each.order_id for each in book.orders.open("A")} or not book.orders.get("A", "O1").leaves  # type: ignore[union-attr]
    assert before <= book.position


def test_readers_in_other_threads_see_whole_values_while_a_thread_appends(store: EventStore) -> None:
    book = projections.open(store)
    book.append("order/A/O1", submitted(200))
    ended, looks = threading.Event(), [0, 0]

    def read(reader: int) -> None:
        # A reader that never rests would leave the writer no time: it waits for the interpreter's lock in each append.
        while not ended.wait(0.0002):
            look(book)
            looks[reader] += 1

    joins = [in_thread(lambda reader=reader: read(reader)) for reader in (0, 1)]  # type: ignore[misc]
    try:
        for number in range(200):
            book.append("order/A/O1", filled(f"T{number}"))
            book.append(f"order/A/P{number}", [submitted(1), filled(f"P{number}")])
    finally:
        ended.set()
        for join in joins:
            join()
    assert min(looks) > 10
    assert book.positions.get("A", "ESZ5").quantity == 400


def test_threads_that_append_through_one_book_all_read_their_own_writes(store: EventStore) -> None:
    book = projections.open(store)

    def write(account: str) -> None:
        for number in range(60):
            book.append(f"trade/{account}/T{number}", bought(f"T{number}"))
            assert book.positions.get(account, "ESZ5").quantity == number + 1

    for join in [in_thread(lambda account=account: write(account)) for account in ("A", "B", "C", "D")]:  # type: ignore[misc]
        join()
    assert book.position == store.head() == 240


class Nosy(Everything):
    """A view that looks, while it folds, at how far the book says it is."""

    def __init__(self) -> None:
        self.book: Book | None = None
        self.seen: list[tuple[int, int]] = []

    @override
    def apply(self, state: Water, event: Event, record: Record) -> None:
        if self.book is not None:
            self.seen.append((self.book.position, record.position))


def test_a_book_is_at_a_position_once_every_view_has_folded_it(store: EventStore) -> None:
    """A thread that waits for a position finds there what was recorded at it."""
    view = Nosy()
    view.book = book = projections.open(store, views=[view], snapshots=False)
    store.append("trade/A/T", [bought(f"T{number}") for number in range(3)])
    store.append("trade/B/T", [bought(f"T{number}") for number in range(3)])
    book.refresh()
    assert len(view.seen) == book.position == 6
    assert all(position < folded for position, folded in view.seen)


FIRST_USES = """
import threading
from decimal import Decimal

import msgspec

from projections.views.limits.parameters import Parameters, converted

begun, others = threading.Event(), []


def slow():
    # Looked up when msgspec has begun with the class that has such a part: it waits for what meets that class now.
    if not begun.is_set():
        begun.set()
        others[0].join(0.5)
    return Decimal


class Part(msgspec.Struct):
    size: "slow()"


class Parted(Parameters, frozen=True):
    parts: "tuple[Part, ...]"
    limit: Decimal


def use():
    begun.wait()
    converted(Parted, {"parts": [], "limit": "5"})


others.append(threading.Thread(target=use))
others[0].start()
print(converted(Parted, {"parts": [{"size": "3"}], "limit": "5"}).parts)
others[0].join()
"""


def test_two_threads_that_are_the_first_to_read_a_limit_of_a_kind_both_read_it() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_USES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(Part(size=Decimal('3')),)\n", "")
