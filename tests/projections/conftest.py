"""Shared by tests of policies: a store on disk with a clock set by each module, and a book on it."""

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
