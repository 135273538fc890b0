"""Processes that stand still in the middle of what the server does not count as idle: who waits for them ends them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

import eventstore
from eventstore import EventStore, Overloaded
from eventstore.journals.postgres import rows, side, stalled, writing
from tests.postgres.schemas import OwnSchema
from tests.postgres.servers import PostgresServer
from tests.store.facts import ORDER, rejected

STALLED_SECONDS = 0.6
OTHER = "order/ACC2/O-2"
LOCK, KEPT = "group/desk/share/00", "group/desk/share/01"
_HEAD = "SELECT position FROM head FOR UPDATE"
_LEASE = "SELECT 1 FROM lease FOR SHARE"


@pytest.fixture
def store(schema: OwnSchema, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventStore]:
    """A log with one event, whose processes wait for less time than real ones."""
    monkeypatch.setattr(stalled, "STALLED_SECONDS", STALLED_SECONDS)
    monkeypatch.setitem(writing._SETTINGS, "lock_timeout", "300ms")
    monkeypatch.setitem(side._SETTINGS, "lock_timeout", "200ms")
    with eventstore.open(schema.url) as store:
        store.append(ORDER, rejected("before"))
        yield store


@contextlib.contextmanager
def piped(schema: OwnSchema, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """Leave a pipeline open after a statement that was executed in its transaction, as a paused process does."""
    with contextlib.suppress(psycopg.OperationalError), schema.connect() as connection, connection.pipeline():
        connection.execute("BEGIN")
        connection.execute(statement).fetchone()
        connection.execute("SELECT 1")
        yield connection


@contextlib.contextmanager
def copying(schema: OwnSchema) -> Iterator[Callable[[], None]]:
    """Lock the head, and begin a COPY into the log's types; yield what sends a row more."""
    with contextlib.suppress(psycopg.OperationalError), schema.connect() as connection:
        connection.execute("BEGIN")
        connection.execute(_HEAD)
        with connection.cursor().copy("COPY document (name, content) FROM STDIN") as copy:
            names = iter(range(1_000))

            def send() -> None:
                copy.write_row((f"test.{next(names)}", b"x" * 100_000))

            send()
            yield send


def is_alive(schema: OwnSchema, connection: psycopg.Connection[Any]) -> bool:
    with schema.connect() as other:
        found = other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (connection.info.backend_pid,))
        return found.fetchone() is not None


def as_role(connection: psycopg.Connection[Any], role: str) -> psycopg.Connection[Any]:
    """Connect to the server of a connection as somebody else."""
    at = connection.info
    return psycopg.connect(host=at.host, port=at.port, dbname=at.dbname, user=role, autocommit=True)


def appended_in(store: EventStore, attempts: int) -> int:
    """Append an event, again where others keep it out; return how many attempts that took."""
    for attempt in range(1, attempts + 1):
        with contextlib.suppress(Overloaded):
            store.append(OTHER, rejected("of the other"))
            return attempt
        time.sleep(STALLED_SECONDS / 2)
    raise AssertionError


def test_one_that_stands_still_in_a_pipeline_keeps_nobody_out(schema: OwnSchema, store: EventStore) -> None:
    with piped(schema, _HEAD) as connection:
        time.sleep(STALLED_SECONDS)
        # At its first attempt: the server ends that transaction, and the append waits for nothing else.
        assert appended_in(store, 1) == 1
        assert not is_alive(schema, connection)
    assert store.verify().ok


def test_one_that_has_just_asked_is_waited_for(schema: OwnSchema, store: EventStore) -> None:
    with piped(schema, _HEAD) as connection:
        with pytest.raises(Overloaded, match="nothing was written"):
            store.append(OTHER, rejected("too early"))
        assert is_alive(schema, connection)
        assert appended_in(store, 5) > 0


def test_one_that_stands_still_in_a_copy_keeps_nobody_out(schema: OwnSchema, store: EventStore) -> None:
    with copying(schema):
        assert appended_in(store, 6) > 1
    assert [record.stream for record in store.read()] == [ORDER, OTHER]


def test_a_copy_that_continues_is_waited_for(schema: OwnSchema, store: EventStore) -> None:
    with copying(schema) as send:
        ends = time.monotonic() + 3 * STALLED_SECONDS
        refused = 0
        while time.monotonic() < ends:
            send()
            with pytest.raises(Overloaded):
                store.append(OTHER, rejected("kept out"))
            refused += 1
        assert refused > 2
    # It was rolled back by its own end, as a process does that gives up: this test never commits.
    assert appended_in(store, 1) == 1


def test_locks_are_taken_from_one_that_stands_still_and_none_is_lost_meanwhile(
    schema: OwnSchema, store: EventStore
) -> None:
    with eventstore.open(schema.url) as former:
        lock = former.side.lock(LOCK)  # type: ignore[union-attr]
        assert lock.take()
        lock.release()
    assert isinstance(store.side, side.PostgresSide)
    kept, wanted = store.side.lock(KEPT), store.side.lock(LOCK)
    assert kept.take()
    with piped(schema, _LEASE):
        with pytest.raises(Overloaded):
            wanted.take()
        assert kept.is_held, "for what another process has locked, this one loses nothing"
        assert not wanted.is_held
        assert not store.side.is_locked(LOCK), "one that could not be noted is not kept from others"
        time.sleep(STALLED_SECONDS)
        with contextlib.suppress(Overloaded):
            wanted.take()
        assert wanted.take()
        assert wanted.fence.epoch == 2
        assert kept.is_held


def test_changes_of_several_things_end_it_too(schema: OwnSchema, store: EventStore) -> None:
    assert isinstance(store.side, side.PostgresSide)
    lock = store.side.lock(LOCK)
    assert lock.take()
    with piped(schema, "SELECT 1 FROM lease FOR UPDATE"):
        time.sleep(STALLED_SECONDS)
        with contextlib.suppress(Overloaded), store.side.transaction(lock.fence):
            pass
        with store.side.transaction(lock.fence) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_readers_and_sessions_of_other_roles_are_left_alone(
    schema: OwnSchema, store: EventStore, postgres: PostgresServer
) -> None:
    role = f"admin_{schema.name}"
    postgres.execute(f"CREATE ROLE {role} SUPERUSER LOGIN")
    try:
        with piped(schema, "SELECT 1 FROM event") as reader, as_role(reader, role) as admin:
            admin.execute("BEGIN")
            admin.execute(f"SELECT position FROM {schema.name}.head FOR UPDATE")  # noqa: S608 - constants
            time.sleep(STALLED_SECONDS)
            with pytest.raises(Overloaded):
                store.append(OTHER, rejected("kept out"))
            assert is_alive(schema, reader)
            assert is_alive(schema, admin)
            admin.execute("ROLLBACK")
        assert appended_in(store, 1) == 1
    finally:
        postgres.execute(f"DROP ROLE {role}")


def test_what_a_stalled_batch_wrote_is_not_there(schema: OwnSchema, store: EventStore) -> None:
    """Of a batch whose process is paused before its commit, nothing is stored, and its retry is stored once."""
    with piped(schema, _HEAD) as connection:
        connection.execute(rows.UPDATE_HEAD, (9, 9, b""))
        time.sleep(STALLED_SECONDS)
        store.append(OTHER, rejected("of the other"))
    assert store.head() == 2
    assert store.verify().ok
