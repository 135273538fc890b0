"""What processes keep beside a log in PostgreSQL: locks that end with their holder, marks and documents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

import eventstore
import projections
from eventstore import CorruptJournal, EventStore, ReadOnly
from eventstore.journals.postgres import Location
from eventstore.side import FileSide, LogSide
from eventstore.watermarks import Watermark
from projections.risk.policies.liveness import PolicyRun, run_of
from projections.rules import shipped_rules
from tests.postgres.servers import PostgresServer
from tests.store.facts import ORDER, rejected
from tests.waiting import until

HOLDER = """
import sys, time, eventstore
store = eventstore.open(sys.argv[1])
lock = store.side.lock("policies.lock")
print(lock.take(), flush=True)
while True:
    time.sleep(0.05)
    print(lock.is_held, flush=True)
"""


def side_of(store: EventStore) -> LogSide:
    assert store.side is not None
    return store.side


@pytest.fixture
def first(postgres_url: str) -> Iterator[EventStore]:
    with eventstore.open(postgres_url) as store:
        yield store


@pytest.fixture
def second(first: EventStore, postgres_url: str) -> Iterator[EventStore]:
    with eventstore.open(postgres_url) as store:
        yield store


@pytest.fixture
def holder(first: EventStore, postgres_url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock of policies."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, postgres_url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "True\n"
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_lock_is_one_holders_until_it_is_released(first: EventStore, second: EventStore) -> None:
    mine, again, theirs = (side_of(store).lock("policies.lock") for store in (first, first, second))
    assert not side_of(second).is_locked("policies.lock")
    assert mine.take()
    assert mine.take()
    # Neither another lock of the same process, nor another store's.
    assert (again.take(), theirs.take()) == (False, False)
    assert (mine.is_held, again.is_held, theirs.is_held) == (True, False, False)
    assert side_of(second).is_locked("policies.lock")
    theirs.release()
    again.release()
    assert side_of(second).is_locked("policies.lock")
    mine.release()
    assert not side_of(first).is_locked("policies.lock")
    assert theirs.take()


def test_locks_of_other_names_and_of_other_logs_are_others(first: EventStore, postgres: PostgresServer) -> None:
    assert side_of(first).lock("a.lock").take()
    assert side_of(first).lock("b.lock").take()
    schema = "beside_another_log"
    with eventstore.open(postgres.url(log="main", schema=schema)) as other:
        assert not side_of(other).is_locked("a.lock")
        assert side_of(other).lock("a.lock").take()
        assert side_of(other).locks("") == ["a.lock"]
    postgres.execute(f"DROP SCHEMA {schema} CASCADE".encode())
    assert side_of(first).locks("") == ["a.lock", "b.lock"]
    assert side_of(first).locks("a") == ["a.lock"]


def test_a_closed_store_holds_nothing(first: EventStore, postgres_url: str) -> None:
    with eventstore.open(postgres_url) as store:
        lock = side_of(store).lock("policies.lock")
        assert lock.take()
    assert not lock.is_held
    until(lambda: not side_of(first).is_locked("policies.lock"))


def test_a_killed_process_holds_nothing(first: EventStore, holder: subprocess.Popen[str]) -> None:
    lock = side_of(first).lock("policies.lock")
    assert not lock.take()
    holder.kill()
    assert until(lock.take) < 2


def test_a_paused_process_loses_what_it_held_and_knows_it(first: EventStore, holder: subprocess.Popen[str]) -> None:
    lock = side_of(first).lock("policies.lock")
    os.kill(holder.pid, signal.SIGSTOP)
    # The server ends a session that has been silent for three seconds.
    assert until(lock.take) < 6
    os.kill(holder.pid, signal.SIGCONT)
    assert holder.stdout is not None
    lines = [holder.stdout.readline() for _ in range(60)]
    assert lines[-1] == "False\n", "it resumed, and believes that it holds the lock"
    assert lock.is_held


def test_a_session_that_the_server_ends_is_taken_again(
    first: EventStore, second: EventStore, postgres: PostgresServer
) -> None:
    lock = side_of(first).lock("policies.lock")
    assert lock.take()
    postgres.execute(
        b"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    )
    until(lambda: not lock.is_held)
    assert side_of(second).lock("policies.lock").take()
    assert not lock.take()


def test_marks_and_documents_are_every_processes(first: EventStore, second: EventStore) -> None:
    mark = Watermark("0" * 32, 7, "ab" * 32, "cd" * 32)
    marks = side_of(first).marks()
    assert (marks.examine(), marks.read("mirror")) == (({}, {}), None)
    marks.write("mirror", Watermark("0" * 32, 3, ""))
    marks.write("mirror", mark)
    marks.write("policy.x@0", mark, synced=False)
    assert side_of(second).marks().examine() == ({"mirror": mark, "policy.x@0": mark}, {})
    assert side_of(second).marks().read("mirror") == mark
    side_of(first).keep("policies@a.accounts", b"\0\xff")
    side_of(first).keep("policies@a.accounts", b"[]")
    side_of(first).keep("policies_b", b"1")
    assert side_of(second).documents("policies@") == {"policies@a.accounts": b"[]"}
    # A sign of patterns stands for itself.
    assert side_of(second).documents("policies_") == {"policies_b": b"1"}
    assert side_of(second).documents("%") == {}


def test_an_impossible_mark_is_not_believed(first: EventStore, postgres_url: str, postgres: PostgresServer) -> None:
    first.append(ORDER, rejected())
    schema, log_id = Location.of(postgres_url).schema, first.log_id.hex()
    for name, log, position, digest in (
        ("below", log_id, -1, ""),
        ("digest", log_id, 1, "x"),
        ("log", "nonsense", 1, ""),
        ("short", log_id, 0, "00"),
    ):
        insert = f"INSERT INTO {schema}.mark VALUES (%s, %s, %s, %s, '')"  # noqa: S608 - the test's own name
        postgres.execute(insert.encode(), name, log, position, digest)
    marks = side_of(first).marks()
    found, invalid = marks.examine()
    assert found == {}
    assert set(invalid) == {"below", "digest", "log", "short"}
    with pytest.raises(CorruptJournal, match="is not a position"):
        marks.read("below")
    # Like a file that is not a watermark: the log opens all the same.
    eventstore.open(postgres_url).close()


@pytest.mark.parametrize(
    ("position", "digest", "why"),
    [(2, "ab" * 32, "saw position 2, the journal ends at 1"), (1, "ab" * 32, "saw another record here")],
)
def test_a_mark_that_saw_more_or_another_log_keeps_it_closed(
    first: EventStore, postgres_url: str, position: int, digest: str, why: str
) -> None:
    [record] = first.append(ORDER, rejected())
    marks = side_of(first).marks()
    marks.write("policy.x", Watermark(first.log_id.hex(), 1, record.digest.hex()))
    eventstore.open(postgres_url).close()
    marks.write("policy.y", Watermark(first.log_id.hex(), position, digest))
    with pytest.raises(CorruptJournal, match=why):
        eventstore.open(postgres_url)


def test_nothing_is_written_beside_a_log_that_is_only_read(first: EventStore, postgres_url: str) -> None:
    side_of(first).keep("x", b"1")
    with eventstore.open(postgres_url, read_only=True) as store:
        assert side_of(store).documents("") == {"x": b"1"}
        with pytest.raises(ReadOnly):
            side_of(store).keep("x", b"2")
        with pytest.raises(ReadOnly):
            side_of(store).marks().write("m", Watermark("0" * 32, 1, ""))
    assert side_of(first).documents("") == {"x": b"1"}


def test_policies_of_two_hosts_see_each_other(first: EventStore, second: EventStore) -> None:
    books = [projections.open(store) for store in (first, second)]
    assert run_of(books[1], "ACC1") is PolicyRun.NEVER
    policies = projections.Policies(books[0], shipped_rules())
    policies.start(ticking=False)
    first_marks = side_of(second).marks().examine()[0]
    assert first_marks
    until(lambda: run_of(books[1], "ACC1") is PolicyRun.RUNNING)
    policies.stop()
    until(lambda: run_of(books[1], "ACC1") is PolicyRun.ENDED)
    for book in books:
        book.close()


def test_a_directory_has_a_side_and_memory_none(tmp_path: object) -> None:
    with eventstore.open(str(tmp_path)) as store:
        assert isinstance(store.side, FileSide)
