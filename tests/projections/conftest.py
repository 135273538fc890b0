"""Fixtures of the tests of policies and checks: a store with the module's clock, a book on it, an account's day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock
from projections import Book
from tests.projections.rules_day import Day, trading_day


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        yield store


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as book:
        yield book


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = trading_day(tmp_path / "data")
    yield day
    day.close()
