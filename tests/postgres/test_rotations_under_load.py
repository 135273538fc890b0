"""Rotating a log in PostgreSQL that others append to all the time: it gets its turn, and they wait for seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, LogHasEnded, Overloaded, rotation
from eventstore.journals.postgres import stalled, writing
from eventstore.trading import OrderCanceled
from projections.rotation import rotate
from tests.postgres.schemas import OwnSchema
from tests.postgres.test_stalled_sessions import piped
from tests.reliability.checking import WAIT_SECONDS, environment
from tests.rotation.logs import STREAM, begun, check
from tests.waiting import until


@pytest.fixture
def url(postgres_url: str) -> str:
    """The URL of a log of four records."""
    return begun(postgres_url)


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
