"""A minimal view: a name, a revision, an initial state and a fold are enough."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import eventstore
import projections
from eventstore import Event, EventStore, Record
from tests.projections.examples import bought


class RecordCount(msgspec.Struct):
    """How many records there were."""

    records: int = 0


class Plain:
    """No subclass of View, and no word on types or partitions."""

    name = "plain"
    revision = 1

    def initial(self) -> RecordCount:
        return RecordCount()

    def apply(self, state: RecordCount, event: Event, record: Record) -> None:
        state.records += 1


class Placed(Plain):
    """The same, with partitions of its own."""

    name = "placed"

    def partition(self, record: Record) -> str:
        return record.category


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


def test_a_plain_view_folds_every_type_by_account(store: EventStore) -> None:
    book = projections.open(store, views=[Plain()])  # type: ignore[list-item]
    book.append("trade/A/T1", bought("T1"))
    book.append("trade/B/T2", bought("T2"))
    assert [book.state("plain", account).records for account in ("A", "B")] == [1, 1]


def test_its_partitions_are_its_own_where_it_has_any(store: EventStore) -> None:
    book = projections.open(store, views=[Placed()])  # type: ignore[list-item]
    book.append("trade/A/T1", bought("T1"))
    book.append("trade/B/T2", bought("T2"))
    assert (book.partitions("placed"), book.state("placed", "trade").records) == (["trade"], 2)


def test_it_starts_from_its_cut(store: EventStore) -> None:
    book = projections.open(store, views=[Plain()])  # type: ignore[list-item]
    book.append("trade/A/T1", bought("T1"))
    assert book.snapshot()
    again = projections.open(store, views=[Plain()])  # type: ignore[list-item]
    assert (again.recovery.cut, again.state("plain", "A").records) == (1, 1)
