"""A report that comes again without a key is not folded again, and the book notifies nobody of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import eventstore
import projections
from eventstore import Batch, Event, EventStore, Record
from tests.places import Place
from tests.projections.examples import bought, filled, submitted

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def store(place: Place) -> Iterator[EventStore]:
    with eventstore.open(place) as opened:
        yield opened


class Watching:
    """A listener that keeps the positions of the records that it is notified of."""

    is_caught_up = True
    abilities: frozenset[str] = frozenset()

    def judges(self, account: str) -> bool:
        raise AssertionError(account)

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.stopped: dict[tuple[str, str], eventstore.StoreError] = {}

    def is_caught_up_for(self, account: str) -> bool:
        return True

    def folded(self, record: Record) -> None:
        self.positions.append(record.position)

    def observed(self, record: Record, event: Event) -> None:
        raise AssertionError(record, event)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("is_watched", [False, True])
def test_a_repeated_report_is_folded_once(store: EventStore, is_watched: bool) -> None:
    with projections.open(store) as book:
        listener = Watching()
        if is_watched:
            book.watch(listener)
        first = book.append("order/A/O1", [submitted(9), filled("T1", 2)])
        assert book.append("order/A/O1", filled("T1", 2)) == first[1:]
        records = book.append("order/A/O1", [filled("T2", 3), filled("T1", 2), filled("T2", 3), filled("T3", 1)])
        assert [record.position for record in records] == [3, 2, 3, 4]
        records = book.append_many([Batch("order/A/O1", filled("T3", 1)), Batch("trade/A/T4", [bought("T4", 5)] * 2)])
        assert [record.position for record in records] == [4, 5, 5]
        order = book.orders.get("A", "O1")
        assert order is not None
        assert (str(order.cumulative), order.anomalies) == ("6", ())
        position = book.positions.get("A", "ESZ5")
        assert (str(position.quantity), position.anomalies) == ("11", ())
        assert [trade.trade_id for trade in book.trades.of("A")] == ["T1", "T2", "T3", "T4"]
        assert book.position == store.head() == 5
        assert listener.positions == ([1, 2, 3, 4, 5] if is_watched else [])


def test_a_report_that_another_process_recorded_first_is_folded_with_what_came_before_it(
    store: EventStore, place: Place
) -> None:
    with projections.open(store) as book, eventstore.open(place) as other:
        other.append("order/A/O1", [submitted(9), filled("T1", 2)])
        other.append("order/A/O2", submitted(1))
        records = book.append("order/A/O1", filled("T1", 2))
        assert [record.position for record in records] == [2]
        assert book.positions.get("A", "ESZ5").quantity == 2
        assert book.position == 2
        book.append("order/A/O1", [filled("T1", 2), filled("T2", 1)])
        assert (book.position, store.head()) == (4, 4)
        assert book.positions.get("A", "ESZ5").quantity == 3
