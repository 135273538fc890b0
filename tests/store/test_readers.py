"""Reading connections are few, however many read, and no thread waits for one forever."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path

import pytest

import eventstore
from eventstore import Closed, EventStore, Overloaded
from eventstore.journals import pool
from eventstore.journals.sqlite import schema
from eventstore.journals.sqlite.journal import SqliteJournal
from tests.store.facts import ORDER, rejected


@pytest.fixture
def journal(store: EventStore) -> SqliteJournal:
    store.append(ORDER, [rejected(number) for number in range(1_200)])
    found = store._journal
    assert isinstance(found, SqliteJournal)
    return found


def test_many_threads_read_by_few_connections(store: EventStore, journal: SqliteJournal) -> None:
    counts: list[int] = []

    def read() -> None:
        counts.append(len(list(store.read())))

    threads = [threading.Thread(target=read) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1_200] * 64
    assert len(journal._readers.all) <= pool.READERS_MAX
    assert len(journal._readers.free) == len(journal._readers.all)
    cache = {reader.connection.execute("PRAGMA cache_size").get for reader in journal._readers.free}
    assert cache == {-schema.READER_CACHE_KIB}


def test_iterators_that_are_held_open_hold_no_connection(store: EventStore, journal: SqliteJournal) -> None:
    held = [store.read() for _ in range(3 * pool.READERS_MAX)]
    for one in held:
        next(one)
    for first in store.read(limit=2):
        for second in store.read(limit=2):
            assert len(list(store.read(limit=5))) == 5
            assert first.log == second.log
    assert [len(list(one)) for one in held] == [1_199] * len(held)
    assert len(journal._readers.all) == 1


def test_a_reader_that_finds_all_connections_busy_is_overloaded(
    store: EventStore, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "TAKE_SECONDS", 0.05)
    monkeypatch.setattr(pool, "READERS_MAX", 2)
    with journal._reader(), journal._reader(), pytest.raises(Overloaded, match="2 threads have read"):
        store.head()
    assert store.head() == 1_200


def test_who_waits_gets_the_connection_that_is_given_back(
    store: EventStore, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "READERS_MAX", 1)
    heads: list[int] = []
    waiting = threading.Thread(target=lambda: heads.append(store.head()))
    with journal._reader():
        waiting.start()
        while not journal._readers.waiting:
            time.sleep(0.001)
        assert not heads
    waiting.join(pool.TAKE_SECONDS)
    assert heads == [1_200]


def test_a_connection_that_got_lost_is_not_counted_forever(
    store: EventStore, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "READERS_MAX", 1)
    store.head()
    journal._readers.free.clear()  # as an interruption between taking and using one does
    gc.collect()
    assert store.head() == 1_200


def test_who_waits_learns_that_the_store_was_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "READERS_MAX", 1)
    store = eventstore.open(tmp_path)
    journal = store._journal
    assert isinstance(journal, SqliteJournal)
    errors: list[BaseException] = []

    def read() -> None:
        try:
            store.head()
        except Closed as e:
            errors.append(e)

    waiting = threading.Thread(target=read)
    with journal._reader():
        waiting.start()
        while not journal._readers.waiting:
            time.sleep(0.001)
        store.close()
        waiting.join(pool.TAKE_SECONDS)
    assert len(errors) == 1
