"""Fixtures shared by the tests of the store."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.watermarks import Watermark, Watermarks
from tests.evidence import HEAD, MOVED, Writer
from tests.places import Place
from tests.postgres.schemas import own_schema
from tests.store.facts import AT, ORDER, rejected


@pytest.fixture
def store(place: Place) -> Iterator[eventstore.EventStore]:
    with eventstore.open(place) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of a module that has none of its own."""
    return ManualClock(AT)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def in_each_journal(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[EventStore]:
    """Yield a store in memory, one in files, and one in PostgreSQL."""
    with contextlib.ExitStack() as stack:
        if request.param == "memory":
            opened = EventStore(MemoryJournal(clock=clock), clock=clock)
        elif request.param == "sqlite":
            opened = eventstore.open(tmp_path / "data", clock=clock)
        else:
            url = stack.enter_context(own_schema(request.getfixturevalue("postgres")))
            opened = eventstore.open(url, clock=clock)
        yield stack.enter_context(opened)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log whose writer was killed: its newest records are in the write-ahead log alone."""
    directory = tmp_path_factory.mktemp("killed")
    with eventstore.open(directory) as store:
        store.append(ORDER, [rejected(number) for number in range(1, MOVED + 1)])
    writer = Writer(directory)
    assert writer.append(HEAD - MOVED) == HEAD
    writer.kill()
    assert {path.name for path in (directory / "main").iterdir()} >= {"journal.db-wal", "journal.db-shm"}
    # Its own was written within the last second, or not yet.
    with eventstore.open(directory, read_only=True) as store:
        last = list(store.read())[-1]
        mark = Watermark(store.log_id.hex(), last.position, last.digest.hex())
    Watermarks(directory / "main" / "watermarks").write("head", mark)
    return directory
