"""A REPLICATED log: nothing is acknowledged that a fail-over would take back."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

import eventstore
from eventstore.errors import InvalidEvent, NotReplicated, OutcomeUnknown, Overloaded, Unavailable
from eventstore.events import REPLICATED
from eventstore.journal import Query, append
from eventstore.journals.postgres import Location, PostgresJournal, writing
from eventstore.record import PreparedBatch, Record
from eventstore.testing import batch
from tests.postgres.pairs import PostgresPair
from tests.postgres.programs import SUPERUSER
from tests.reliability.checking import submitted

STREAM = "order/ACC1/1"
COMMIT_SECONDS = 0.6
LOST_SECONDS = 1.5
WAIT_SECONDS = 20.0
ONE = [batch(STREAM, "one")]
"""What one statement appends."""
FEW = [batch(STREAM, "one", "two")]
"""What is inserted."""
MANY = [batch(STREAM, *(f"number {number}" for number in range(20)))]
"""What is copied."""
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

sizes = pytest.mark.parametrize(
    "group",
    [
        pytest.param(ONE, id="one statement"),
        pytest.param(FEW, id="inserted", marks=pytest.mark.slow),
        pytest.param(MANY, id="copied", marks=pytest.mark.slow),
    ],
)


@pytest.fixture
def opened(pair: PostgresPair) -> Iterator[Callable[[], PostgresJournal]]:
    """Open one more handle on a REPLICATED log, each as another process has it; all are closed at the end."""
    location = Location.of(pair.url(log="main", durability="replicated"))
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(
            contextlib.closing(PostgresJournal(location, commit_seconds=COMMIT_SECONDS, lost_seconds=LOST_SECONDS))
        )


@pytest.fixture
def journal(opened: Callable[[], PostgresJournal]) -> PostgresJournal:
    """A log of one record, whose journal knows its types and its head."""
    journal = opened()
    append(journal, [batch(STREAM, "first")])
    return journal


def ids_of(group: Sequence[PreparedBatch]) -> tuple[bytes, ...]:
    return tuple(draft.id for each in group for draft in each.drafts)


def on_the_standby(pair: PostgresPair, records: Sequence[Record]) -> bool:
    """Return whether the standby would have these records after a fail-over: it is asked alone."""
    pair.primary.kill()
    pair.promote()
    stored = {bytes(id_) for (id_,) in pair.primary.execute("SELECT id FROM eventstore_main.event")}
    return {record.id for record in records} <= stored


def await_waiting(pair: PostgresPair) -> int:
    """Wait until a commit waits for the standby; return its process."""
    end = time.monotonic() + WAIT_SECONDS
    while not (found := pair.primary.execute(WAITING)):
        assert time.monotonic() < end, "nothing waits for the standby"
        time.sleep(0.005)
    return int(found[0][0])


def appended(
    pool: ThreadPoolExecutor, journal: PostgresJournal, group: Sequence[PreparedBatch]
) -> Future[list[Record]]:
    return pool.submit(lambda: list(append(journal, group)))


@sizes
def test_without_its_standby_nothing_is_acknowledged(
    group: list[PreparedBatch], journal: PostgresJournal, opened: Callable[[], PostgresJournal], pair: PostgresPair
) -> None:
    other = opened()
    with pair.stalled():
        started = time.monotonic()
        with pytest.raises(NotReplicated) as caught:
            append(journal, group)
        assert COMMIT_SECONDS <= time.monotonic() - started < 2 * COMMIT_SECONDS + 1
        assert caught.value.ids == ids_of(group)
        # Nor to others that are asked for the same meanwhile, nor to itself.
        for again in (journal, other):
            with pytest.raises((OutcomeUnknown, Overloaded)):
                append(again, group)
    pair.await_standby()
    found = append(journal, group)
    assert [record.position for record in found] == list(range(2, 2 + len(found)))
    assert list(append(other, group)) == list(found)
    assert on_the_standby(pair, found)


@sizes
@pytest.mark.parametrize("end", ["pg_cancel_backend", pytest.param("pg_terminate_backend", marks=pytest.mark.slow)])
def test_a_wait_that_is_ended_is_no_acknowledgement(
    end: str,
    group: list[PreparedBatch],
    journal: PostgresJournal,
    opened: Callable[[], PostgresJournal],
    pair: PostgresPair,
) -> None:
    """The server commits with a warning then: the records are there, on the primary alone."""
    other = opened()
    with pair.stalled(), ThreadPoolExecutor(1) as pool:
        outcome = appended(pool, journal, group)
        pair.primary.execute(f"SELECT {end}(%s)", await_waiting(pair))
        with pytest.raises(OutcomeUnknown) as caught:
            outcome.result(WAIT_SECONDS)
        assert caught.value.ids == ids_of(group)
        assert len(pair.primary.execute("SELECT 1 FROM eventstore_main.event")) == 1 + len(ids_of(group))
        for again in (journal, other):
            with pytest.raises(OutcomeUnknown):
                append(again, group)
    pair.await_standby()
    found = append(other, group)
    assert list(append(journal, group)) == list(found)
    assert on_the_standby(pair, found)


@pytest.mark.parametrize("asked", ["again", "by another"])
def test_what_is_known_is_acknowledged_as_what_is_new(
    asked: str, journal: PostgresJournal, opened: Callable[[], PostgresJournal], pair: PostgresPair
) -> None:
    """The wait of the transaction that only looks it up may be ended as well."""
    asking = journal if asked == "again" else opened()
    with pair.stalled(), ThreadPoolExecutor(1) as pool:
        outcome = appended(pool, journal, ONE)
        pair.primary.execute("SELECT pg_cancel_backend(%s)", await_waiting(pair))
        with pytest.raises(OutcomeUnknown):
            outcome.result(WAIT_SECONDS)
        outcome = appended(pool, asking, ONE)
        pair.primary.execute("SELECT pg_cancel_backend(%s)", await_waiting(pair))
        with pytest.raises(OutcomeUnknown):
            outcome.result(WAIT_SECONDS)


@sizes
def test_what_only_the_old_primary_had_is_appended_once_more(
    group: list[PreparedBatch], journal: PostgresJournal, pair: PostgresPair
) -> None:
    with pair.stalled(cut=True):
        with pytest.raises(OutcomeUnknown):
            append(journal, group)
        pair.primary.kill()
    pair.promote()
    assert len(pair.primary.execute("SELECT 1 FROM eventstore_main.event")) == 1
    pair.rewind()
    found = append(journal, group)
    assert [record.position for record in found] == list(range(2, 2 + len(found)))
    assert journal.integrity() == []
    assert on_the_standby(pair, found)


@sizes
def test_a_connection_that_is_cut_in_its_commit_leaves_the_outcome_open(
    group: list[PreparedBatch], pair: PostgresPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server process waits on, with the head locked, so what became of the commit cannot be asked for."""
    monkeypatch.setitem(writing._SETTINGS, "lock_timeout", "200ms")
    location = Location.of(pair.url(log="main", durability="replicated"))
    with contextlib.closing(PostgresJournal(location, lost_seconds=COMMIT_SECONDS)) as journal:
        append(journal, [batch(STREAM, "first")])
        with ThreadPoolExecutor(1) as pool, pair.stalled():
            outcome = appended(pool, journal, group)
            await_waiting(pair)
            cut(journal)
            with pytest.raises(OutcomeUnknown) as caught:
                outcome.result(WAIT_SECONDS)
            assert caught.value.ids == ids_of(group)
        pair.await_standby()
        found = append(journal, group)
        assert [record.version for record in found] == list(range(2, 2 + len(found)))
        assert journal.head() == 1 + len(found)


def cut(journal: PostgresJournal) -> None:
    """Cut the connection that writes, as a network does: the server does not notice it while it waits."""
    assert journal._writer is not None
    with contextlib.closing(socket.socket(fileno=os.dup(journal._writer.fileno()))) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def test_a_store_reads_what_it_has_appended(opened: Callable[[], PostgresJournal], pair: PostgresPair) -> None:
    """Also where the first host of its URL has become a standby, which has flushed a commit and not replayed it."""
    first = opened()
    append(first, [batch(STREAM, "first")])
    pair.primary.kill()
    pair.promote()
    pair.rewind()
    append(first, [batch(STREAM, "second")])
    second = opened()
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


@pytest.mark.xfail(reason="the first host that continues what was seen is taken", raises=AssertionError)
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


def test_a_log_is_replicated_from_its_creation_on(pair: PostgresPair) -> None:
    with eventstore.open(pair.url(log="main", durability="replicated")) as store:
        (record,) = store.append(STREAM, submitted(), durability=REPLICATED)
        assert record.position == 1
    with eventstore.open(pair.url(log="main")) as store:
        store.append(STREAM, submitted(), durability=REPLICATED)
        with ThreadPoolExecutor(1) as pool:
            with pair.stalled():
                outcome = pool.submit(store.append, STREAM, submitted())
                await_waiting(pair)
                assert not outcome.done(), "no less where it is not asked for"
            assert [record.position for record in outcome.result(WAIT_SECONDS)] == [3]
    with pytest.raises(InvalidEvent, match="REPLICATED"):
        eventstore.open(pair.url(log="main", durability="synced"))
    with eventstore.open(pair.url(log="other")) as store, pytest.raises(Unavailable, match="standby"):
        store.append(STREAM, submitted(), durability=REPLICATED)


@pytest.mark.xfail(reason="the server does not send the warning then", raises=pytest.fail.Exception)
@pytest.mark.parametrize("where", ["role", "URL"])
def test_a_warning_is_seen_whatever_is_set(where: str, pair: PostgresPair) -> None:
    url = pair.url(log="main", durability="replicated")
    if where == "role":
        pair.primary.execute(f"ALTER ROLE {SUPERUSER} SET client_min_messages = 'error'")
    else:
        url += "&options=-c%20client_min_messages%3Derror"
    with contextlib.closing(PostgresJournal(Location.of(url), commit_seconds=WAIT_SECONDS)) as journal:
        append(journal, [batch(STREAM, "first")])
        with pair.stalled(), ThreadPoolExecutor(1) as pool:
            outcome = appended(pool, journal, ONE)
            pair.primary.execute("SELECT pg_cancel_backend(%s)", await_waiting(pair))
            with pytest.raises(OutcomeUnknown):
                outcome.result(WAIT_SECONDS)


@pytest.mark.xfail(reason="it is checked when a connection is made", raises=pytest.fail.Exception)
@sizes
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_server_that_gives_up_its_standby_acknowledges_nothing(
    when: str, group: list[PreparedBatch], journal: PostgresJournal, pair: PostgresPair
) -> None:
    """As a cluster's manager lets it do when the standby is gone: commits that wait then succeed, without a warning."""
    with pair.stalled(cut=True), ThreadPoolExecutor(1) as pool:
        if when == "before":
            wait_for_nobody(pair)
            outcome = appended(pool, journal, group)
        else:
            outcome = appended(pool, journal, group)
            await_waiting(pair)
            wait_for_nobody(pair)
        with pytest.raises((Unavailable, OutcomeUnknown)):
            outcome.result(WAIT_SECONDS)


def wait_for_nobody(pair: PostgresPair) -> None:
    pair.primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
    pair.primary.execute("SELECT pg_reload_conf()")


def test_a_primary_that_waits_for_nobody_is_refused(journal: PostgresJournal, pair: PostgresPair) -> None:
    """As a promoted server is without `synchronous_standby_names`: also by a journal that is open."""
    wait_for_nobody(pair)
    with pytest.raises(Unavailable, match="synchronous_standby_names"):
        eventstore.open(pair.url(log="main"))
    cut(journal)
    with pytest.raises((Unavailable, OutcomeUnknown), match="synchronous_standby_names"):
        append(journal, ONE)
