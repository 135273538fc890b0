"""Fail-overs and old primaries that return: a store finds the log that it has seen, or refuses what it finds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from eventstore.errors import OutcomeUnknown, StoreError, Unavailable
from eventstore.journal import Query, append
from eventstore.journals.postgres import Location, PostgresJournal
from eventstore.record import PreparedBatch
from eventstore.testing import batch
from tests.postgres.pairs import PostgresPair
from tests.postgres.scenes import (
    COMMIT_SECONDS,
    LOST_SECONDS,
    ONE,
    STREAM,
    WAIT_SECONDS,
    cut,
    on_the_standby,
    sizes,
)


@sizes
def test_what_only_the_old_primary_had_is_appended_once_more(
    group: list[PreparedBatch], replicated: PostgresJournal, pair: PostgresPair
) -> None:
    with pair.stalled(cut=True):
        with pytest.raises(OutcomeUnknown):
            append(replicated, group)
        pair.primary.kill()
    pair.promote()
    assert len(pair.primary.execute("SELECT 1 FROM eventstore_main.event")) == 1
    pair.rewind()
    found = append(replicated, group)
    assert [record.position for record in found] == list(range(2, 2 + len(found)))
    assert replicated.integrity() == []
    assert on_the_standby(pair, found)


def test_a_store_reads_what_it_has_appended(
    opened_replicated: Callable[[], PostgresJournal], pair: PostgresPair
) -> None:
    """Also where the first host of its URL has become a standby, which has flushed a commit and not replayed it."""
    first = opened_replicated()
    append(first, [batch(STREAM, "first")])
    pair.primary.kill()
    pair.promote()
    pair.rewind()
    append(first, [batch(STREAM, "second")])
    second = opened_replicated()
    for journal in (first, second):
        assert journal.wait(1, WAIT_SECONDS)
    pair.standby.execute("SELECT pg_wal_replay_pause()")
    append(first, [batch(STREAM, "third")])
    for journal in (first, second):
        assert journal.head() == journal.version(STREAM) == 3
        assert [record.position for record in journal.read(Query(limit=10))] == [1, 2, 3]


def test_an_old_primary_that_returns_first_does_not_keep_a_store_from_the_new_one(pair: PostgresPair) -> None:
    location = Location.of(pair.url(log="main"))
    with contextlib.closing(PostgresJournal(location, lost_seconds=COMMIT_SECONDS)) as journal:
        append(journal, [batch(STREAM, "first")])
        pair.await_standby()
        pair.primary.kill()
        pair.promote()
        append(journal, ONE)
        pair.standby.start()
        cut(journal)
        assert [record.position for record in append(journal, [batch(STREAM, "two", "three")])] == [3, 4]
        assert [record.position for record in journal.read(Query(limit=10))] == [1, 2, 3, 4]


@pytest.mark.parametrize("first", ["read", "append"])
def test_a_store_that_was_idle_finds_the_new_primary(first: str, pair: PostgresPair) -> None:
    """The old primary continues all that it has seen, and is the first host of its URL."""
    location = Location.of(pair.url(log="main"))
    with contextlib.closing(PostgresJournal(location)) as idle:
        append(idle, [batch(STREAM, "first")])
        assert idle.head() == 1
        pair.await_standby()
        pair.primary.kill()
        pair.promote()
        pair.standby.start()
        with contextlib.closing(PostgresJournal(location)) as other:
            append(other, ONE)
        if first == "append":
            assert [record.position for record in append(idle, [batch(STREAM, "two")])] == [3]
        assert [record.position for record in idle.read(Query(limit=10))] == list(range(1, idle.head() + 1))
        assert idle.version(STREAM) >= 2
    assert pair.standby.execute("SELECT count(*) FROM eventstore_main.event") == [(1,)]


def test_a_store_whose_record_a_fail_over_took_back_does_not_follow_the_old_primary(pair: PostgresPair) -> None:
    """As a SYNCED log may lose one with its primary: a store that has seen it says so, and continues nowhere else."""
    location = Location.of(pair.url(log="main"))
    with contextlib.closing(PostgresJournal(location, lost_seconds=COMMIT_SECONDS)) as journal:
        append(journal, [batch(STREAM, "first")])
        pair.await_standby()
        with pair.stalled(cut=True):
            append(journal, ONE)
            pair.primary.kill()
        pair.promote()
        with contextlib.closing(PostgresJournal(location)) as other:
            append(other, [batch(STREAM, "of the new primary")])
        pair.standby.start()
        with pytest.raises(StoreError, match="old primary"):
            journal.read(Query(limit=10))
        with pytest.raises(StoreError, match="old primary"):
            append(journal, [batch(STREAM, "next")])
    assert pair.standby.execute("SELECT count(*) FROM eventstore_main.event") == [(2,)]


@pytest.mark.slow
def test_a_follower_is_woken_after_a_fail_over_as_before(pair: PostgresPair) -> None:
    """Sooner than it looks for itself, in the best of several attempts: it listens to the new primary."""
    location = Location.of(pair.url(log="main"))
    with (
        contextlib.closing(PostgresJournal(location)) as appending,
        contextlib.closing(PostgresJournal(location)) as following,
        ThreadPoolExecutor(1) as pool,
    ):
        append(appending, [batch(STREAM, "first")])
        assert following.wait(0, WAIT_SECONDS)
        pair.await_standby()
        pair.primary.kill()
        pair.promote()
        pair.rewind()
        took = []
        for number in range(2, 12):
            waiting = pool.submit(following.wait, number - 1, WAIT_SECONDS)
            # It looks for its server twice a second.
            time.sleep(0.15)
            started = time.monotonic()
            append(appending, [batch(STREAM, f"{number}")])
            assert waiting.result(WAIT_SECONDS)
            took.append(time.monotonic() - started)
    assert min(took) < 0.05, took


def test_an_old_primary_that_returns_alone_is_refused(pair: PostgresPair) -> None:
    """By its timeline, also where nothing was appended to the new one."""
    with contextlib.closing(PostgresJournal(Location.of(pair.url(log="main")), lost_seconds=LOST_SECONDS)) as journal:
        append(journal, [batch(STREAM, "first")])
        pair.await_standby()
        pair.primary.kill()
        pair.promote()
        assert [record.position for record in append(journal, ONE)] == [2]
        pair.primary.kill()
        pair.standby.start()
        for call in (lambda: append(journal, ONE), journal.head, lambda: journal.read(Query(limit=10))):
            with pytest.raises((Unavailable, OutcomeUnknown), match="timeline 1, and 2 was seen"):
                call()
        assert pair.standby.execute("SELECT count(*) FROM eventstore_main.event") == [(1,)]
        pair.standby.kill()
        pair.primary.start()
        assert [record.position for record in journal.read(Query(limit=10))] == [1, 2]
        assert journal.head() == 2
