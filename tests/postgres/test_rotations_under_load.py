"""Rotating a log in PostgreSQL that others append to all the time: it gets its turn, and they wait for seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import eventstore
import projections.rotation
from eventstore import EventStore, LogHasEnded, Overloaded, rotation
from eventstore.journals.postgres import Location, stalled, succession, writing
from eventstore.trading import LogEnded, OrderCanceled
from projections.rotation import rotate
from tests.postgres.appending import appending
from tests.postgres.desks import until
from tests.postgres.rotated import begun, check, schemas
from tests.postgres.schemas import OwnSchema
from tests.postgres.test_stalled_sessions import piped
from tests.reliability import checking
from tests.reliability.checking import WAIT_SECONDS, environment

STREAM = "order/A/O-1"


@pytest.fixture
def url(postgres_url: str) -> str:
    """The URL of a log of four records."""
    return begun(postgres_url)


@contextmanager
def pressing(*stores: EventStore) -> Iterator[list[tuple[int, bytes]]]:
    """Append to each store without a pause until its log has ended; yield what is acknowledged."""
    acknowledged: list[tuple[int, bytes]] = []
    stop = threading.Event()

    def press(store: EventStore) -> None:
        with suppress(LogHasEnded):
            while not stop.is_set():
                [record] = store.append(STREAM, OrderCanceled())
                acknowledged.append((record.position, record.id))

    with ThreadPoolExecutor(len(stores)) as pool:
        presses = [pool.submit(press, store) for store in stores]
        try:
            until(lambda: len(acknowledged) > 4)
            yield acknowledged
        finally:
            stop.set()
        for each in presses:
            each.result(WAIT_SECONDS)


@pytest.mark.untraced
@pytest.mark.slow
def test_processes_that_never_pause_let_a_rotation_have_its_turn(postgres_url: str, tmp_path: Path) -> None:
    with appending(postgres_url, tmp_path, 4) as appenders:
        for number in (2, 3):
            appenders.await_more(200)
            with eventstore.open(postgres_url) as store:
                began = time.monotonic()
                assert rotate(store).next == f"main.{number}"
                assert time.monotonic() - began < WAIT_SECONDS / 4
        appenders.await_more(200)
    with eventstore.open(postgres_url) as store:
        assert store.log == "main.3"
        records = checking.check(store, appenders.acked())
        assert {record.log for record in records} == {"main", "main.2", "main.3"}
        # None of those who wait for so long is refused.
        for record in store.read(types=LogEnded):
            waited_ns = record.recorded_at - records[record.position - 2].recorded_at
            assert waited_ns < writing.LOCK_SECONDS * 1_000_000_000


def test_threads_of_this_process_and_of_others_let_it_have_its_turn(url: str) -> None:
    with (
        eventstore.open(url) as store,
        eventstore.open(url) as other,
        pressing(store, store, other) as acknowledged,
    ):
        assert rotate(store).next == "main.2"
    with eventstore.open(url) as store:
        check(store, acknowledged)


def test_who_appends_waits_and_is_not_refused_where_the_state_takes_too_long(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(succession, "HELD_SECONDS", 0.2)
    carried = projections.rotation._carried
    attempts: list[int] = []

    def carried_slowly(*arguments: object) -> object:
        attempts.append(len(attempts))
        time.sleep(0.3)
        return carried(*arguments)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(projections.rotation, "_carried", carried_slowly)
    with eventstore.open(url) as store, eventstore.open(url) as other:
        with pressing(other) as acknowledged:
            with pytest.raises(Overloaded, match=r"takes more than the 0\.2 s .*: nothing was changed"):
                rotate(store)
            assert len(attempts) == rotation.UNHELD + 1
            so_far = len(acknowledged)
            until(lambda: len(acknowledged) > so_far)
        assert schemas(url) == [Location.of(url).schema]
        monkeypatch.undo()
        assert rotate(store).next == "main.2"
    with eventstore.open(url) as store:
        check(store, acknowledged)


@pytest.mark.parametrize("unheld", [0, 1])
def test_an_appender_that_stands_still_does_not_keep_a_rotation_out(
    unheld: int, schema: OwnSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalled, "STALLED_SECONDS", 0.6)
    monkeypatch.setitem(writing._SETTINGS, "lock_timeout", "300ms")
    monkeypatch.setattr(rotation, "UNHELD", unheld)
    with eventstore.open(begun(schema.url)) as store, piped(schema, "SELECT position FROM head FOR UPDATE"):
        assert rotate(store).next == "main.2"
    with eventstore.open(schema.url) as store:
        check(store)


# A rotation that stands still


@contextmanager
def stopped(url: str, point: str) -> Iterator[subprocess.Popen[bytes]]:
    """Let another process rotate a log, and stand still there."""
    command = [sys.executable, "-m", "tests.postgres.rotating_stopped", url, point]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as process:
        try:
            until(lambda: " (python) T " in Path(f"/proc/{process.pid}/stat").read_text().replace("python3", "python"))
            yield process
        finally:
            process.kill()


def appended(store: EventStore) -> float:
    """Append, again where that is refused for a lock; return how many seconds that took."""
    began = time.monotonic()
    while True:
        with suppress(Overloaded):
            store.append(STREAM, OrderCanceled(), key="on")
            return time.monotonic() - began
        assert time.monotonic() - began < WAIT_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "seconds", "ended"),
    [
        # By the server, before those who wait for the lock are refused.
        pytest.param("idle", writing.LOCK_SECONDS, "Overloaded", id="idle"),
        # By who waits: for the lock at first, and again to see that nothing is copied meanwhile.
        pytest.param("copying", 10.0, "Unavailable", id="copying"),
        pytest.param("ending", 6.0, "main.2", id="ending"),
    ],
)
def test_a_rotation_that_stands_still_keeps_others_out_for_seconds(
    point: str, seconds: float, ended: str, url: str
) -> None:
    with eventstore.open(url) as store, stopped(url, point) as process:
        assert appended(store) < seconds
        assert store.head() == 5
        os.kill(process.pid, signal.SIGCONT)
        output, _ = process.communicate(timeout=WAIT_SECONDS)
        assert output.decode() == ended
    with eventstore.open(url) as store:
        assert store.log == ("main.2" if ended == "main.2" else "main")
        assert store.append(STREAM, OrderCanceled(), key="on")[0].position == 5
        check(store)


@pytest.mark.slow
def test_a_rotation_that_stands_still_after_its_commit_has_ended_the_log(url: str) -> None:
    with eventstore.open(url) as store, stopped(url, "committing") as process:
        with pytest.raises(LogHasEnded):
            appended(store)
        with eventstore.open(url) as other:
            assert other.log == "main.2"
            other.append(STREAM, OrderCanceled(), key="on")
        os.kill(process.pid, signal.SIGCONT)
        output, _ = process.communicate(timeout=WAIT_SECONDS)
        assert output.decode() == "main.2"
    with eventstore.open(url) as store:
        check(store)
