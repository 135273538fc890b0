"""The shipping process ends with its store, is restarted when killed, and shows no token."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventstore
from eventstore import MIRRORED, InfluxSettings, NotMirrored
from eventstore.influx import status
from eventstore.influx.ship import child, mirror
from eventstore.influx.ship.shipper import Shipper
from eventstore.side import FileSide
from tests.influx.api import Server
from tests.influx.mirroring import (
    WAIT_SECONDS,
    count,
    event,
    expected_points,
    fill,
    line_of,
    points,
    settings_for,
    worker,
)
from tests.influx.servers import LocalServer, free_port
from tests.waiting import until

# With other tests running, a process may be scheduled late.
SLACK_SECONDS = 4.0


@pytest.fixture
def dead(settings: InfluxSettings) -> InfluxSettings:
    return msgspec.structs.replace(settings, url=f"http://127.0.0.1:{free_port()}")


def shipping_pid(data: Path, other_than: int = 0) -> int:
    """Wait for the shipping process, and return its id."""
    found = 0

    def is_there() -> bool:
        nonlocal found
        current = status.read_status(FileSide(data / "main"))
        found = current.pid if current else 0
        return found not in {0, other_than}

    until(is_there, "a process ships")
    return found


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, a zombie included."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def test_closing_ships_what_is_left(data: Path, settings: InfluxSettings, server: Server, bucket: str) -> None:
    with eventstore.open(data, influx=settings) as store:
        shipping_pid(data)
        fill(store, 2_000)
    assert count(server, bucket) == 2_000
    assert status.read_status(FileSide(data / "main")) is None


def test_closing_does_not_wait_for_a_dead_server(data: Path, dead: InfluxSettings) -> None:
    with eventstore.open(data, influx=dead) as store:
        fill(store, 100)
        until(lambda: store.mirror.status.state == "waiting", "the server is unreachable")
        began = time.monotonic()
    assert time.monotonic() - began < SLACK_SECONDS


def test_closing_waits_for_a_paused_server_some_seconds_at_most(data: Path, own_server: LocalServer) -> None:
    settings = settings_for(own_server, own_server.make_bucket())
    store = eventstore.open(data, influx=settings)
    with contextlib.closing(store):
        fill(store, 10)
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        own_server.pause()
        fill(store, 10)
        pid = shipping_pid(data)
        began = time.monotonic()
    assert time.monotonic() - began < mirror.END_SECONDS + SLACK_SECONDS
    assert is_gone(pid)


@pytest.mark.parametrize("is_dead", [False, True])
def test_the_process_ends_when_its_parent_is_killed_even_if_a_fork_is_left(
    is_dead: bool, data: Path, settings: InfluxSettings, dead: InfluxSettings
) -> None:
    with worker(dead if is_dead else settings, "hold", data, 10) as holder:
        assert line_of(holder) == "10"
        pid = shipping_pid(data)
        holder.kill()
        holder.wait(WAIT_SECONDS)
        # Although the fork still holds the pipe open.
        until(lambda: is_gone(pid), "the shipping process ends", seconds=2 * SLACK_SECONDS)


def test_closing_does_not_wait_for_a_remaining_fork(data: Path, settings: InfluxSettings) -> None:
    with eventstore.open(data, influx=settings) as store:
        fill(store, 10)
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        child = os.fork()
        if not child:
            time.sleep(WAIT_SECONDS)
            os._exit(0)
        began = time.monotonic()
    took = time.monotonic() - began
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert took < SLACK_SECONDS


def test_a_fork_neither_ships_nor_ends_its_parents_process(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with eventstore.open(data, influx=settings) as store:
        pid = shipping_pid(data)
        child = os.fork()
        if not child:
            store.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert store.append("order/ACC1/1", event(1), durability=MIRRORED)
        assert shipping_pid(data) == pid
    assert count(server, bucket) == 1


def test_a_killed_process_is_started_again(data: Path, settings: InfluxSettings, server: Server, bucket: str) -> None:
    with eventstore.open(data, influx=settings) as store:
        before = shipping_pid(data)
        os.kill(before, signal.SIGKILL)
        fill(store, 10)
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        assert shipping_pid(data) != before
        assert points(server, bucket) == expected_points(store)


def test_a_process_that_ends_at_once_is_reported(data: Path, settings: InfluxSettings) -> None:
    with eventstore.open(data, influx=settings) as store:
        os.kill(shipping_pid(data), signal.SIGKILL)
        until(lambda: store.mirror.status.state == "stopped", "its end is noticed")
        until(lambda: store.mirror.status.last_error, "its end is reported", seconds=SLACK_SECONDS)
        assert "-9" in (store.mirror.status.last_error or "")


def test_closing_while_the_process_is_restarted_leaves_none(
    data: Path, dead: InfluxSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = eventstore.open(data, influx=dead)
    starts = threading.Event()

    class Slow(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - as they come
            starts.set()
            time.sleep(0.2)
            super().__init__(*arguments, **named)

    monkeypatch.setattr(subprocess, "Popen", Slow)
    monkeypatch.setattr(mirror, "RESTART_SECONDS", 0.001)
    monkeypatch.setattr(mirror, "RESTART_SECONDS_MAX", 0.001)
    first = store.mirror._process
    assert first is not None
    first.kill()
    assert starts.wait(WAIT_SECONDS)
    store.close()
    store.close()
    last = store.mirror._process
    assert last is not first
    assert last is not None
    assert last.returncode is not None, "a process ships for a store that is closed"
    assert "closed" in repr(store.mirror)


def test_the_process_runs_the_package_that_started_it(
    data: Path, dead: InfluxSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, str]] = []

    class Seen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - as they come
            given.append(named["env"])
            super().__init__(*arguments, **named)

    monkeypatch.setattr(subprocess, "Popen", Seen)
    eventstore.open(data, influx=dead).close()
    first = given[0]["PYTHONPATH"].split(os.pathsep)[0]
    assert Path(first, "eventstore", "__init__.py").samefile(eventstore.__file__)


# Waking it


def test_a_wait_wakes_the_process(data: Path) -> None:
    with (
        eventstore.open(data) as store,
        subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        store.mirror._process = process
        assert not store.mirror.wait(1, timeout=0.01)
        store.close()
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"


def test_a_process_that_does_not_read_blocks_neither_waiting_nor_closing(data: Path, dead: InfluxSettings) -> None:
    with eventstore.open(data, influx=dead) as store:
        pid = shipping_pid(data)
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        for _ in range(70_000):  # more than a pipe holds
            store.mirror._wake()
    assert time.monotonic() - began < mirror.END_SECONDS + SLACK_SECONDS
    assert is_gone(pid)


def test_a_killed_or_closed_process_is_not_woken(data: Path, dead: InfluxSettings) -> None:
    with eventstore.open(data, influx=dead) as store:
        pid = shipping_pid(data)
        os.kill(pid, signal.SIGKILL)
        until(lambda: is_gone(pid), "it is gone")
        assert not store.mirror.wait(1, timeout=0.01)
    assert not store.mirror.wait(1, timeout=0.01)


@pytest.mark.parametrize("last", [b"end\n", b"\n\nend\n", None], ids=["a word", "a word after empty lines", "its end"])
def test_empty_lines_wake_the_shipper_and_anything_else_stops_it(
    last: bytes | None, data: Path, dead: InfluxSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(Shipper, "wake", lambda _: done.append("wake"))
    monkeypatch.setattr(Shipper, "stop", lambda _, *, drain_seconds: done.append(f"stop after {drain_seconds:g} s"))
    reading, writing = os.pipe()
    with eventstore.open(data) as store, os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0) as pipe:
        shipper = Shipper(store._journal, FileSide(data / "main"), dead)
        thread = threading.Thread(target=child.follow_parent, args=(shipper, os.getppid(), reading))
        thread.start()
        for number in range(1, 4):
            pipe.write(b"\n")
            until(lambda expected=number: len(done) == expected, "it is woken")  # type: ignore[misc]
        if last is None:
            pipe.close()
        else:
            pipe.write(last)
        thread.join(WAIT_SECONDS)
    assert done == ["wake"] * 3 + [f"stop after {child.DRAIN_SECONDS:g} s"]


def test_ctrl_c_in_the_parents_terminal_does_not_end_the_shipping(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with worker(settings, "hold", data, 10, alone=True) as holder:
        assert line_of(holder) == "10"
        pid = shipping_pid(data)
        os.killpg(holder.pid, signal.SIGINT)
        assert line_of(holder) == "11"
        assert count(server, bucket) == 11
        assert shipping_pid(data) == pid


@pytest.mark.slow
def test_when_the_shipping_process_is_killed_another_takes_over(
    data: Path, settings: InfluxSettings, server: Server, bucket: str
) -> None:
    with eventstore.open(data, influx=settings) as first:
        pid = shipping_pid(data)
        with worker(settings, "hold", data, 10) as second:
            assert line_of(second) == "10"
            assert first.mirror.wait(timeout=WAIT_SECONDS)
            assert shipping_pid(data) == pid, "two processes ship one journal"
        first.close()
    # The other way round: the process that waited takes over.
    with worker(settings, "hold", data, 10) as first_holder:
        assert line_of(first_holder) == "20"
        pid = shipping_pid(data)
        with eventstore.open(data, influx=settings) as other:
            fill(other, 10)
            assert other.mirror.wait(timeout=WAIT_SECONDS)
            assert shipping_pid(data) == pid
            first_holder.kill()
            fill(other, 10)
            assert other.mirror.wait(timeout=WAIT_SECONDS)
            assert shipping_pid(data, other_than=pid)
            assert other.append("order/ACC1/1", event(1), durability=MIRRORED)
            assert points(server, bucket) == expected_points(other)


def test_the_token_is_visible_nowhere(
    data: Path, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = server.make_token(bucket, read=True, write=True)
    settings = settings_for(server, bucket, token=token)
    monkeypatch.setenv("EVENTSTORE_INFLUX_TOKEN", token)
    seen: list[str] = [repr(settings)]
    with eventstore.open(data, influx=settings) as store:
        fill(store, 10)
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        process = Path(f"/proc/{shipping_pid(data)}")
        seen += [(process / name).read_bytes().decode() for name in ("cmdline", "environ")]
        seen += [repr(store), repr(store.mirror), repr(store.mirror.status)]
    server.request("DELETE", f"/api/v2/authorizations/{authorization_of(server, token)}")
    with eventstore.open(data, influx=settings) as store:
        with pytest.raises(NotMirrored, match="token") as caught:
            store.append("order/ACC1/1", event(1), durability=MIRRORED)
        seen += [repr(caught.value), str(store.mirror.status)]
        seen += [path.read_bytes().decode("latin-1") for path in data.rglob("*") if path.is_file()]
    seen += capfd.readouterr()
    assert not [text for text in seen if token in text]


def authorization_of(server: Server, token: str) -> str:
    found = msgspec.json.decode(server.request("GET", "/api/v2/authorizations"))["authorizations"]
    return next(str(one["id"]) for one in found if one["token"] == token)
