"""Transactions that are delayed: no reader steps over a position that is committed late."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import pytest
from typing_extensions import override

from eventstore.clock import SystemClock
from eventstore.journal import Query, append
from eventstore.journals.postgres import Location, PostgresJournal, rows, writing
from eventstore.journals.postgres.writing import Transaction
from eventstore.record import PreparedBatch, Record
from eventstore.testing import batch
from tests.postgres.scenes import FEW, MANY, ONE, STREAM, WAIT_SECONDS, appended
from tests.postgres.schemas import OwnSchema
from tests.postgres.servers import PostgresServer

P = ParamSpec("P")
T = TypeVar("T")
DELAY_SECONDS = 0.2
LOCK = 20_260_721


class Reader:
    """Follows a log in a thread of its own, as a worker does, and keeps what it has read."""

    def __init__(self, journal: PostgresJournal) -> None:
        self.positions: list[int] = []
        self._journal = journal
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            after = self.positions[-1] if self.positions else 0
            self.positions += [record.position for record in self._journal.read(Query(after=after, limit=7))]


@pytest.fixture
def opened(schema: OwnSchema) -> Iterator[Callable[[], PostgresJournal]]:
    """Open one more handle on the log, each as another process has it; all are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(PostgresJournal(Location.of(schema.url))))


@contextlib.contextmanager
def commits_held_up(schema: OwnSchema) -> Iterator[None]:
    """Let each transaction that appends to a log wait in its commit, with its records written, until the end."""
    with schema.connect() as connection:
        connection.execute(
            "CREATE FUNCTION held_up() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN NULL; END $$"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION held_up()"
        )
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        yield


def await_waiting(postgres: PostgresServer, event: str) -> None:
    """Wait until a connection waits for a lock of this kind."""
    end = time.monotonic() + WAIT_SECONDS
    while not postgres.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = %s", event):
        assert time.monotonic() < end, f"nothing waits for {event}"
        time.sleep(0.005)


@pytest.mark.parametrize("late", [ONE, MANY], ids=["one statement", "copied"])
def test_no_reader_steps_over_a_late_commit(
    late: list[PreparedBatch],
    postgres: PostgresServer,
    schema: OwnSchema,
    opened: Callable[[], PostgresJournal],
) -> None:
    first, second, reading = opened(), opened(), opened()
    for number in range(3):
        append(first, [batch(STREAM, f"before {number}")])
    reader = Reader(reading)
    with ThreadPoolExecutor() as pool, reader.following():
        with commits_held_up(schema):
            of_first = appended(pool, first, late)
            await_waiting(postgres, "advisory")
            of_second = appended(pool, second, [batch(STREAM, "after")])
            await_waiting(postgres, "transactionid")
            time.sleep(DELAY_SECONDS)
            assert reader.positions == [1, 2, 3], "what is not committed is not read"
            assert not of_first.done()
            assert not of_second.done(), "a later position is not committed before an earlier one"
        positions = [record.position for record in of_first.result(WAIT_SECONDS) + of_second.result(WAIT_SECONDS)]
        assert reading.wait(positions[-1] - 1, WAIT_SECONDS)
        time.sleep(DELAY_SECONDS)
    assert positions == list(range(4, 4 + len(late[0].drafts) + 1))
    assert reader.positions == list(range(1, positions[-1] + 1))


@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
def test_an_append_waits_for_another_sessions_lock(
    ending: str, postgres: PostgresServer, schema: OwnSchema, opened: Callable[[], PostgresJournal]
) -> None:
    journal, other = opened(), opened()
    append(journal, [batch(STREAM, "a")])
    with schema.connect() as session, ThreadPoolExecutor() as pool:
        session.execute("BEGIN")
        session.execute("SELECT 1 FROM head FOR UPDATE")
        outcomes = [
            appended(pool, each, [batch(STREAM, f"of {number}")]) for number, each in enumerate((journal, other))
        ]
        time.sleep(DELAY_SECONDS)
        assert other.head() == 1
        assert not any(outcome.done() for outcome in outcomes)
        session.execute(ending)
        assert sorted(outcome.result(WAIT_SECONDS)[0].position for outcome in outcomes) == [2, 3]


def test_what_was_rolled_back_leaves_no_gap(
    postgres: PostgresServer, schema: OwnSchema, opened: Callable[[], PostgresJournal]
) -> None:
    """A sequence of PostgreSQL's would leave one."""
    first, second = opened(), opened()
    append(first, [batch(STREAM, "a")])
    with ThreadPoolExecutor() as pool:
        with commits_held_up(schema):
            lost = appended(pool, first, MANY)
            await_waiting(postgres, "advisory")
            postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'")
            # The lock that held it up is the test's own and is released with its session.
        found = lost.result(WAIT_SECONDS)
    assert [record.position for record in found] == list(range(2, 22)), "it is appended once more, and once"
    assert [record.position for record in append(second, [batch(STREAM, "b")])] == [22]
    assert [record.position for record in second.read(Query(limit=100))] == list(range(1, 23))


class StandingClock(SystemClock):
    """The clock of a process that stands still, with the head locked, when it is asked for the time."""

    def __init__(self) -> None:
        self.stands, self.resumes = threading.Event(), threading.Event()
        self.resumes.set()

    @override
    def now_ns(self) -> int:
        self.stands.set()
        assert self.resumes.wait(WAIT_SECONDS)
        return super().now_ns()


@pytest.mark.parametrize("group", [FEW, MANY], ids=["inserted", "copied"])
def test_a_process_that_stands_still_keeps_others_out_for_a_bounded_time(
    group: list[PreparedBatch],
    schema: OwnSchema,
    opened: Callable[[], PostgresJournal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(writing._SETTINGS, "idle_in_transaction_session_timeout", "300ms")
    clock = StandingClock()
    other = opened()
    with (
        contextlib.closing(PostgresJournal(Location.of(schema.url), clock=clock)) as paused,
        ThreadPoolExecutor(1) as pool,
    ):
        clock.stands.clear()
        clock.resumes.clear()
        outcome = appended(pool, paused, group)
        assert clock.stands.wait(WAIT_SECONDS)
        started = time.monotonic()
        assert [record.position for record in append(other, [batch(STREAM, "of the other")])] == [1]
        assert time.monotonic() - started < 3
        clock.resumes.set()
        found = outcome.result(WAIT_SECONDS)
        assert [record.position for record in found] == list(range(2, 2 + len(found))), "placed once more, behind it"
        assert list(other.read(Query(after=1, limit=100))) == found


def test_appenders_of_several_handles_leave_no_gap(opened: Callable[[], PostgresJournal]) -> None:
    journals = [opened(), opened(), opened()]
    each = 30

    def many(number: int) -> list[Record]:
        journal = journals[number % len(journals)]
        return [append(journal, [batch(f"order/ACC1/{number}", f"{count}")])[0] for count in range(each)]

    with ThreadPoolExecutor(6) as pool:
        found = [record for records in pool.map(many, range(6)) for record in records]
    stored = list(journals[0].read(Query(limit=1_000)))
    assert sorted(found, key=lambda record: record.position) == stored
    assert [record.position for record in stored] == list(range(1, 6 * each + 1))
    assert journals[1].integrity() == []


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_appenders_take_turns_whatever_isolation_is_the_default(level: str, schema: OwnSchema) -> None:
    url = f"{schema.url}&options=-c%20default_transaction_isolation%3D{level.replace(' ', '%5C%20')}"
    with contextlib.ExitStack() as stack:
        journals = [stack.enter_context(contextlib.closing(PostgresJournal(Location.of(url)))) for _ in range(3)]

        def many(number: int) -> list[Record]:
            stream = f"order/ACC1/{number}"
            return [append(journals[number], [batch(stream, f"{count}")])[0] for count in range(20)]

        with ThreadPoolExecutor(3) as pool:
            found = [record for records in pool.map(many, range(3)) for record in records]
    assert sorted(record.position for record in found) == list(range(1, 61))


def test_a_listener_of_another_process_is_woken(opened: Callable[[], PostgresJournal]) -> None:
    """Sooner than it looks for itself, in the best of several attempts: a machine may be busy."""
    appending, reading = opened(), opened()
    append(appending, [batch(STREAM, "first")])
    assert reading.wait(0, WAIT_SECONDS)
    took = []
    with ThreadPoolExecutor(1) as pool:
        for number in range(5):
            waiting = pool.submit(reading.wait, number + 1, WAIT_SECONDS)
            time.sleep(0.05)
            started = time.monotonic()
            append(appending, [batch(STREAM, f"{number}")])
            assert waiting.result(WAIT_SECONDS)
            took.append(time.monotonic() - started)
    assert min(took) < 0.1, took


def test_two_handles_create_one_log(schema: OwnSchema) -> None:
    with ThreadPoolExecutor(4) as pool:
        journals = list(pool.map(lambda _: PostgresJournal(Location.of(schema.url)), range(4)))
    try:
        assert len({journal.log_id for journal in journals}) == 1
        for number, journal in enumerate(journals):
            assert [record.position for record in append(journal, [batch(STREAM, str(number))])] == [number + 1]
    finally:
        for journal in journals:
            journal.close()


def test_data_is_stored_byte_for_byte(
    postgres: PostgresServer, schema: OwnSchema, opened: Callable[[], PostgresJournal]
) -> None:
    (record,) = append(opened(), [batch(STREAM, "ü\u2028😀 1e2")])
    with schema.connect() as connection:
        found = connection.execute("SELECT data, octet_length(data) FROM event").fetchall()
    assert found == [(record.data.decode(), len(record.data))]


def test_what_others_wrote_meanwhile_is_looked_up_with_the_lock(
    opened: Callable[[], PostgresJournal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overtaken process asks with the lock, for all streams at once, until it has been alone again."""
    one, other = opened(), opened()
    streams = [f"order/ACC1/{number}" for number in range(5)]
    asked: list[str] = []
    for name in ("read_last", "version", "versions"):
        monkeypatch.setattr(rows, name, _noting(asked, getattr(rows, name)))
    for name in ("begin", "append_one"):
        monkeypatch.setattr(Transaction, name, _noting(asked, getattr(Transaction, name)))

    def versions(journal: PostgresJournal, *texts: str) -> list[int]:
        asked.clear()
        return [record.version for record in append(journal, [batch(stream, *texts) for stream in streams])]

    def version(journal: PostgresJournal, text: str) -> int:
        asked.clear()
        return append(journal, [batch(streams[0], text)])[0].version

    assert versions(one, "a") == [1] * 5
    assert asked == ["begin"], "of a log that it has just opened"
    assert versions(one, "b") == [2] * 5
    assert versions(other, "c") == [3] * 5
    assert versions(one, "d") == [4] * 5
    assert asked == ["begin", "read_last", "versions"], "it did not expect to be overtaken"
    assert version(other, "5") == 5
    assert asked == ["append_one", "begin", "append_one"]
    assert version(one, "6") == 6
    assert asked == ["begin", "append_one"], "it expects to be overtaken, as it was before"
    assert version(other, "7") == 7
    assert asked == ["begin", "append_one"]
    assert version(other, "8") == 8
    assert asked == ["begin", "append_one"]
    assert version(other, "9") == 9
    assert asked == ["append_one"], "nobody else wrote in between"


def _noting(asked: list[str], do: Callable[P, T]) -> Callable[P, T]:
    def noted(*args: P.args, **options: P.kwargs) -> T:
        asked.append(do.__name__)
        return do(*args, **options)

    return noted
