"""Rotating a log in PostgreSQL: several hosts, kills, lost answers, fail-overs, roles, and names that are taken."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import psycopg
import pytest

import eventstore
from eventstore import CorruptJournal, EventStore, LogHasEnded, Overloaded, Unavailable, rotation
from eventstore.journals.postgres import Location, PostgresJournal, restore, succession, writing
from eventstore.journals.postgres.writing import Transaction
from eventstore.trading import OrderCanceled
from projections.rotation import rotate
from tests.postgres.pairs import PostgresPair
from tests.postgres.rotated import schemas
from tests.postgres.scenes import LOST_SECONDS
from tests.postgres.servers import PostgresServer
from tests.proving import cases
from tests.reliability.checking import WAIT_SECONDS, environment
from tests.rotation.logs import begun, check
from tests.waiting import until


@pytest.fixture
def url(postgres_url: str) -> str:
    """The URL of a log of four records."""
    return begun(postgres_url)


# Several hosts


def test_of_two_hosts_that_rotate_at_once_one_does(url: str) -> None:
    with eventstore.open(url) as one, eventstore.open(url) as other, ThreadPoolExecutor(2) as pool:
        rotations = [pool.submit(rotate, store) for store in (one, other)]
        errors = [error for each in rotations if (error := each.exception(WAIT_SECONDS)) is not None]
        assert [type(error) in {Overloaded, LogHasEnded} for error in errors] == [True]
    with eventstore.open(url) as store:
        assert store.log == "main.2"
        check(store)


def test_of_two_rotations_that_no_lock_keeps_apart_one_does(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As where the session of the one that has the lock was ended meanwhile; and by different names.
    monkeypatch.setattr("eventstore.journals.postgres.side.PostgresLock.take", lambda _: True)
    barrier, restored = threading.Barrier(2, timeout=WAIT_SECONDS), restore.PostgresRestoration.complete

    def together(restoration: restore.PostgresRestoration) -> None:
        restored(restoration)
        barrier.wait()

    monkeypatch.setattr(restore.PostgresRestoration, "complete", together)
    with eventstore.open(url) as one, eventstore.open(url) as other, ThreadPoolExecutor(2) as pool:
        rotations = [pool.submit(rotate, store, name=name) for store, name in ((one, None), (other, "later"))]
        errors = [error for each in rotations if (error := each.exception(WAIT_SECONDS)) is not None]
        assert [type(error) for error in errors] == [LogHasEnded]
    assert len(schemas(url)) == 2, "the other one's tables are gone"
    with eventstore.open(url) as store:
        check(store)


def test_what_other_hosts_append_meanwhile_is_in_one_of_the_logs_and_once(url: str) -> None:
    acknowledged: list[tuple[int, bytes]] = []
    stop = threading.Event()

    def appending(number: int) -> int:
        """Append until the log has ended, then open it again, as a program does; return how often it had ended."""
        ended = count = 0
        while not stop.is_set():
            with eventstore.open(url) as store, suppress(LogHasEnded):
                ended += 1
                while not stop.is_set():
                    [record] = store.append(f"order/B/{number}-{count}", OrderCanceled(), key=f"{number} {count}")
                    acknowledged.append((record.position, record.id))
                    count += 1
                    # A rotation needs a moment in which nobody appends.
                    stop.wait(0.2)
        return ended - 1

    with ThreadPoolExecutor(2) as pool:
        hosts = [pool.submit(appending, number) for number in range(2)]
        try:
            for number in range(2, 5):
                sizes = len(acknowledged) + 5
                until(lambda sizes=sizes: len(acknowledged) > sizes, WAIT_SECONDS)  # type: ignore[misc] # bound
                if number < 4:
                    with eventstore.open(url) as store:
                        until(lambda store=store: has_rotated(store), WAIT_SECONDS)  # type: ignore[misc] # the same
        finally:
            stop.set()
        assert [host.result(WAIT_SECONDS) for host in hosts] == [2, 2]
    with eventstore.open(url) as store:
        assert store.log == "main.3"
        check(store, acknowledged)


def has_rotated(store: EventStore) -> bool:
    try:
        rotate(store)
    except Overloaded:
        return False
    return True


def test_who_reads_on_another_host_is_led_on(url: str) -> None:
    with eventstore.open(url, read_only=True) as reader, eventstore.open(url) as store:
        rotate(store)
        with pytest.raises(LogHasEnded, match=r"main\.2"):
            list(reader.follow(after=0))
    with eventstore.open(url, read_only=True) as reader:
        assert (reader.log, reader.verify().ok) == ("main.2", True)


# Kills and lost answers


def killed_at(url: str, statement: int, unheld: int) -> int:
    command = [sys.executable, "-m", "tests.postgres.rotating", url, str(statement), str(unheld)]
    done = subprocess.run(command, env=environment(), check=False, timeout=WAIT_SECONDS, capture_output=True)
    return int(done.stdout or 0) if done.returncode == 0 else done.returncode


@pytest.mark.untraced
@pytest.mark.slow
@pytest.mark.prove
@pytest.mark.parametrize(
    ("others", "part"),
    cases(
        test=[("wait", 0), ("append", 1), ("wait", 2), ("append", 3)],
        prove=[("append", 0), ("wait", 1), ("append", 2), ("wait", 3)],
    ),
)
def test_a_kill_at_any_statement_loses_and_doubles_nothing(
    others: str, part: int, own_postgres: PostgresServer
) -> None:
    unheld = ("wait", "append").index(others)
    steps = killed_at(begun(own_postgres.url(log="counted")), 0, unheld)
    assert steps > 30
    ended = []
    for step in range(1 + part, steps + 1, 4):
        url = begun(own_postgres.url(log=f"log{step}"))
        assert killed_at(url, step, unheld) == -9
        # The server notices the end of a killed process's connection by itself.
        with eventstore.open(url) as store:
            ended.append(store.log == f"log{step}.2")
            check(store)
            if not ended[-1]:
                assert schemas(url) == [f"eventstore_log{step}"]
                assert rotate(store).next == f"log{step}.2"
        with eventstore.open(url) as store:
            check(store)
    assert ended == sorted(ended), "from one statement on it has ended"


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_lost_answer_is_asked_for(is_committed: bool, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store_all, calls = Transaction.store, []

    def lost(transaction: Transaction, *arguments: object) -> None:
        calls.append(arguments)
        if is_committed or len(calls) > 1:
            store_all(transaction, *arguments)  # type: ignore[arg-type] # as it was called
        if len(calls) == 1:
            transaction._connection.close()
            raise psycopg.OperationalError

    monkeypatch.setattr(Transaction, "store", lost)
    with eventstore.open(url) as store:
        assert rotate(store).next == "main.2"
    assert len(calls) == (1 if is_committed else 2)
    monkeypatch.undo()
    with eventstore.open(url) as store:
        check(store)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "COMMIT_SECONDS", LOST_SECONDS)
    monkeypatch.setattr(succession, "LOST_SECONDS", LOST_SECONDS)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("is_committed", [True, False])
def test_a_server_that_is_killed_at_the_commit_has_both_logs_or_one(
    is_committed: bool, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store_all = begun(own_postgres.url(log="main")), Transaction.store

    def killed(transaction: Transaction, *arguments: object) -> None:
        if is_committed:
            store_all(transaction, *arguments)  # type: ignore[arg-type] # as it was called
        own_postgres.kill()
        transaction._connection.execute("SELECT 1")

    with eventstore.open(url) as store:
        with monkeypatch.context() as patched:
            patched.setattr(Transaction, "store", killed)
            with pytest.raises(Unavailable, match="as a whole, or not at all"):
                rotate(store)
        own_postgres.start()
        if is_committed:
            with pytest.raises(LogHasEnded):
                store.append("order/A/O-1", OrderCanceled())
        else:
            assert rotate(store).next == "main.2"
    with eventstore.open(url) as store:
        assert store.log == "main.2"
        check(store)


@pytest.mark.parametrize("kind", [pytest.param("filling", marks=pytest.mark.slow), "ending"])
def test_of_a_rotating_process_that_stands_still_nobody_waits_for_long(
    kind: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(writing._SETTINGS, "idle_in_transaction_session_timeout", "1s")
    locked, proceed = threading.Event(), threading.Event()
    name = "complete" if kind == "filling" else "lock"
    stands = restore.PostgresRestoration if kind == "filling" else Transaction
    proceeding = getattr(stands, name)

    def standing_still(self: object) -> object:
        found = proceeding(self)
        locked.set()
        assert proceed.wait(WAIT_SECONDS)
        return found

    monkeypatch.setattr(stands, name, standing_still)
    with eventstore.open(url) as store, eventstore.open(url) as other, ThreadPoolExecutor(1) as pool:
        rotation = pool.submit(rotate, store)
        assert locked.wait(WAIT_SECONDS)
        try:
            assert other.append("order/A/O-1", OrderCanceled(), key="on")[0].position == 5
            # The server has ended its transaction, and what that has made is gone.
            monkeypatch.undo()
            until(lambda: "idle in transaction" not in waiting_in(url), WAIT_SECONDS)
        finally:
            proceed.set()
        assert isinstance(rotation.exception(WAIT_SECONDS), Unavailable)
    with eventstore.open(url) as store:
        assert store.log == "main"
        check(store)


def waiting_in(url: str) -> str:
    """Return the states of all sessions of the server."""
    with psycopg.connect(Location.of(url).uri) as connection:
        return " ".join(state for (state,) in connection.execute("SELECT state FROM pg_stat_activity WHERE state > ''"))


def test_a_server_with_another_history_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with eventstore.open(url) as store:
        with monkeypatch.context() as patched:
            patched.setattr(rotation, "root_at", lambda *_: b"\1" * 32)
            with pytest.raises(CorruptJournal, match="has another root than was read of it"):
                rotate(store)
        assert isinstance(store.journal, PostgresJournal)
        seen = store.journal._seen
        store.journal._note_seen(0, b"", timeline=99)
        with pytest.raises(Unavailable, match="timeline 1, and 99 was seen"):
            rotate(store)
        store.journal._seen = seen
        assert rotate(store).next == "main.2"


# Fail-overs


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_fail_over_takes_both_logs_back_or_neither(pair: PostgresPair, monkeypatch: pytest.MonkeyPatch) -> None:
    url = begun(pair.url(log="main", durability="replicated"))
    with eventstore.open(url) as store:
        with ExitStack() as stack:
            complete = restore.PostgresRestoration.complete

            def stalled(restoration: restore.PostgresRestoration) -> None:
                complete(restoration)
                stack.enter_context(pair.stalled(cut=True))

            with monkeypatch.context() as patched:
                patched.setattr(restore.PostgresRestoration, "complete", stalled)
                with pytest.raises(Unavailable, match="as a whole, or not at all"):
                    rotate(store)
            assert schemas(pair.primary.url(log="main")) == ["eventstore_main"], (
                "nobody sees it before the standby has it"
            )
            pair.primary.kill()
        pair.promote()
        pair.rewind()
    assert schemas(pair.primary.url(log="main")) == ["eventstore_main"]
    with eventstore.open(url) as store:
        assert store.log == "main"
        check(store)
        rotate(store)
    # No standby can lack what was acknowledged.
    pair.primary.kill()
    pair.promote()
    pair.rewind()
    with eventstore.open(url) as store:
        assert isinstance(store.journal, PostgresJournal)
        assert (store.log, store.journal.durability.name) == ("main.2", "REPLICATED")
        check(store)
