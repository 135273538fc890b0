"""A book on evidence: folded from the log, without reading or writing the snapshots next to it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, ReadOnly
from eventstore.trading import OrderFilled, OrderSubmitted, Side
from projections.rules import shipped_rules
from tests.evidence import everything, give_back, protect

ORDER = "order/ACC1/O-1"


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[EventStore]:
    """Return a read-only store with a fill that the snapshots beside it have, and one that they lack."""
    directory = tmp_path / "evidence"
    with eventstore.open(directory) as store, projections.open(store) as book:
        book.append(ORDER, OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(3)))
        book.append(ORDER, fill("T-1", 1))
        book.snapshot()
        book.append(ORDER, fill("T-2", 2))
    protect(directory)
    before = everything(directory)
    with eventstore.open(directory, read_only=True) as store:
        yield store
        assert everything(directory) == before
    give_back(directory)


def fill(trade_id: str, quantity: int) -> OrderFilled:
    price = Decimal("6650.25")
    return OrderFilled(trade_id=trade_id, symbol="ESZ5", side=Side.BUY, quantity=Decimal(quantity), price=price)


def test_now_and_then_and_what_changed_are_answered(evidence: EventStore) -> None:
    with projections.open(evidence) as book:
        assert book.positions.get("ACC1", "ESZ5").quantity == 3
        assert book.recovery.cut == 0
        assert not book.snapshot()
        assert not book.refresh()
        with pytest.raises(ReadOnly, match="was opened read-only"):
            book.append(ORDER, fill("T-3", 1))
        assert book.positions.get("ACC1", "ESZ5").quantity == 3
    assert projections.as_of(evidence, position=2).positions.get("ACC1", "ESZ5").quantity == 1
    times = [record.recorded_at for record in evidence.read()]
    assert {change.view for change in projections.diff(evidence, times[1], times[2])} == {"orders", "positions"}
    assert [record.position for record, _ in projections.steps(evidence, after=1)] == [2, 3]


def test_a_worker_follows_and_keeps_no_snapshots(evidence: EventStore) -> None:
    with projections.open(evidence) as book, projections.Worker(evidence, book) as worker:
        assert worker.wait(3, 5.0)


def test_policies_decide_nothing_over_evidence(evidence: EventStore) -> None:
    with (
        projections.open(evidence) as book,
        pytest.raises(ReadOnly, match="a book on an open store that is not read-only"),
    ):
        projections.Policies(book, shipped_rules())


def test_snapshots_are_kept_elsewhere_or_not_at_all(evidence: EventStore, tmp_path: Path) -> None:
    assert evidence.directory is not None
    with pytest.raises(InvalidEvent, match="is in the directory of a log that was opened read-only"):
        projections.open(evidence, snapshots=evidence.directory / "more.sqlite")
    with projections.open(evidence, snapshots=tmp_path / "mine.sqlite") as book:
        assert book.snapshot()
    with projections.open(evidence, snapshots=str(tmp_path / "mine.sqlite")) as book:
        assert book.recovery.cut == 3
