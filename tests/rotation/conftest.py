"""A log with an account and an order, and the one that continues it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import (
    EventStore,
    ManualClock,
)
from projections.rotation import rotate
from tests.places import DIRECTORY, Place, named
from tests.projections.random_facts import SECOND, START
from tests.rotation.facts import Opened
from tests.rotation.logs import begin


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return where the logs are: a directory, in which other tests put and move them, or PostgreSQL."""
    return tmp_path if getattr(request, "param", DIRECTORY) == DIRECTORY else request.getfixturevalue("postgres_url")


@pytest.fixture
def opened(place: Place, clock: ManualClock) -> Iterator[Callable[..., EventStore]]:
    stores: list[EventStore] = []

    def opened(*, read_only: bool = False, log: str = "main", where: Place = place) -> EventStore:
        clock.advance(SECOND)
        stores.append(eventstore.open(named(where, log), log=log, clock=clock, read_only=read_only))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def old(opened: Opened) -> EventStore:
    """Return a log of four records: an account, cash under a key, an order and its first fill."""
    store = opened()
    begin(store)
    return store


@pytest.fixture
def new(old: EventStore, opened: Opened) -> EventStore:
    """Return the log that continues it."""
    rotate(old)
    old.close()
    return opened()
