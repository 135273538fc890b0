"""Fixtures of the tests of alerts: a store on a clock that is set by hand, its book, and a receiver in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock
from projections import Book
from tests.alerting.alerting_scene import Inbox
from tests.projections.rules_day import NOON


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def store(memory_path: Path, clock: ManualClock) -> Iterator[EventStore]:
    with eventstore.open(memory_path / "data", clock=clock) as opened:
        yield opened


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store, snapshots=False) as opened:
        yield opened


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()
