"""What tests of policies share: a store on a disk whose clock each module says, and a book on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock
from projections import Book


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        yield store


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as book:
        yield book
