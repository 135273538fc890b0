"""What can happen to the processes of a parallel fold: killed, stopped, wrong, interrupted, left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import projections
from eventstore import children
from projections import ParallelWarning, parallel
from projections.cuts.states import lineage_of
from projections.parallel import FoldAnswer, Request, answer_to
from projections.views.orders.view import OrdersView
from tests.projections.dividing import InThisProcess, folded, log_of

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 30


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def stop(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGSTOP)


@pytest.mark.parametrize(("harm", "why"), [(kill, "it ended with -9"), (stop, "no answer within 0 s")])
def test_a_process_that_is_killed_or_stopped_is_done_without(
    harm: Callable[[subprocess.Popen[bytes]], None],
    why: str,
    tmp_path: Path,
    processes: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parallel, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(parallel, "WAIT_TIMES", 0)
    real = children.start

    def start(*arguments: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
        process = real(*arguments, stdout=stdout)
        harm(process)
        return process

    monkeypatch.setattr(children, "start", start)
    with log_of(tmp_path, 6) as store:
        usual = folded(store, 1)
        with pytest.warns(ParallelWarning, match=why):
            assert folded(store, 2) == usual
    assert [process.poll() for process in processes] == [-9]


def test_a_process_that_cannot_be_started_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with log_of(tmp_path, 6) as store:
        usual = folded(store, 1)
        with pytest.warns(ParallelWarning, match="it cannot be started"):
            assert folded(store, 2) == usual
        monkeypatch.setattr(sys, "executable", "")
        assert folded(store, 2) == usual


@pytest.mark.parametrize(
    "answered",
    [
        b"",
        b"hello",
        msgspec.msgpack.encode(FoldAnswer({}, is_parked=False)),
        msgspec.msgpack.encode(FoldAnswer({"orders": {"B": b"no state"}}, is_parked=False)),
    ],
)
def test_an_answer_that_is_none_is_not_believed(
    answered: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "start", lambda *_, **__: InThisProcess(answered))
    with log_of(tmp_path, 8) as store:
        usual = folded(store, 1)
        with pytest.warns(ParallelWarning, match="cannot be decoded"):
            assert folded(store, 2) == usual


def test_a_process_with_another_log_or_other_views_does_not_answer(tmp_path: Path) -> None:
    with log_of(tmp_path, 9) as store:
        views = [OrdersView()]
        right = {view.name: lineage_of(view, store.log_id) for view in views}

        def asked(log_id: bytes, until: int, lineages: dict[str, bytes]) -> FoldAnswer:
            return answer_to(Request(str(store.directory), log_id, until, frozenset("A"), lineages), store)

        assert asked(store.log_id, store.head(), right).states["orders"].keys() == {"A"}
        for log_id, until in ((b"x" * 16, 1), (store.log_id, store.head() + 1)):
            with pytest.raises(ValueError, match="another log, or less of it"):
                asked(log_id, until, right)
        for other in ({"orders": b"older"}, {**right, "unknown": b""}):
            with pytest.raises(ValueError, match="other views"):
                asked(store.log_id, store.head(), other)


def test_an_interruption_ends_the_other_processes(tmp_path: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with log_of(tmp_path, 6) as store, pytest.raises(KeyboardInterrupt):
        projections.open(store, snapshots=False, processes=3, progress=interrupt)
    assert len(processes) == 2
    assert all(process.returncode is not None for process in processes)


PROGRAM = """
import os, signal, sys
import eventstore.children
real = eventstore.children.start
def start(*arguments, **options):
    process = real(*arguments, **options)
    print(process.pid, flush=True)
    # A fork holds every pipe open: the other process must find out by itself.
    if os.fork() == 0:
        os.closerange(0, 3)
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
eventstore.children.start = start
import projections
projections.open(eventstore.open(sys.argv[1]), snapshots=False, processes=2)
"""


def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    log_of(tmp_path, 6).close()
    parent = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = int(parent.stdout.readline())
        try:
            assert parent.wait(WAIT_SECONDS) == -signal.SIGKILL
            deadline = time.monotonic() + WAIT_SECONDS
            while is_running(child):
                assert time.monotonic() < deadline, "it still runs"
                time.sleep(0.05)
        finally:
            # The fork is in the session of its own that the parent began; the other process has another.
            os.killpg(parent.pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
