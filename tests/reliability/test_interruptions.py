"""Ctrl-C at every moment at which Python allows it: all other callers are served at once."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import eventstore
from eventstore import EventStore, OutcomeUnknown, StoreError, commits
from tests.reliability.checking import WAIT_SECONDS, WORKER, Ack, acks_of, check, environment, read_acks, submitted
from tests.reliability.faults import Disk, Interruption

OURS = str(Path(eventstore.__file__).parent)
MOMENTS_MAX = 2_000


class Moments:
    """Interrupt this thread at the moment of this number: Python looks for signals at entries and after C calls."""

    def __init__(self, number: int) -> None:
        self._left = number

    @property
    def reached(self) -> bool:
        return self._left <= 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename.startswith(OURS):
            self._left -= 1
            if self._left == 0:
                raise Interruption


class Crowd:
    """Four that append to one store: the first leads, the second is to be interrupted while the others wait."""

    def __init__(self, disk: Disk, store: EventStore) -> None:
        self.disk, self.store = disk, store
        self.acked: list[Ack] = []
        self.reached = False
        self.errors: list[BaseException] = []
        self._comes_late = threading.Event()

    def meet(self, number: int) -> None:
        """Have the second interrupted at the moment of this number."""
        self._comes_late.clear()
        threads = [
            threading.Thread(target=self._append),
            threading.Thread(target=self._append_interrupted, args=(number,)),
            threading.Thread(target=self._append),
            threading.Thread(target=self._append_late),
        ]
        self.disk.gate.clear()
        self.disk.at_the_gate.clear()
        threads[0].start()
        assert self.disk.at_the_gate.wait(WAIT_SECONDS)
        for thread in threads[1:3]:
            waiting = self.store.waiting
            thread.start()
            self._until(waiting + 1, thread)
        threads[3].start()
        self.disk.gate.set()
        for thread in threads[:3]:
            thread.join(WAIT_SECONDS)
        self._comes_late.set()
        for thread in threads:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive(), f"moment {number}: a thread waits forever"

    def come_late(self) -> None:
        """Have the fourth come while the second writes."""
        if threading.current_thread().name == "interrupted" and not self._comes_late.is_set():
            waiting = self.store.waiting
            self._comes_late.set()
            self._until(waiting + 1, threading.current_thread())

    def _until(self, waiting: int, thread: threading.Thread) -> None:
        """Wait until as many wait, or one that was interrupted has left."""
        deadline = time.monotonic() + 1.0
        while self.store.waiting < waiting and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.0001)

    def _append(self) -> None:
        try:
            self.acked += acks_of(self.store.append("order/ACC1/1", submitted()))
        except OutcomeUnknown:
            pass
        except StoreError as error:
            self.errors.append(error)

    def _append_late(self) -> None:
        assert self._comes_late.wait(WAIT_SECONDS)
        self._append()

    def _append_interrupted(self, number: int) -> None:
        threading.current_thread().name = "interrupted"
        moments = Moments(number)
        sys.setprofile(moments)
        with contextlib.suppress(Interruption):
            self.acked += acks_of(self.store.append("order/ACC1/2", submitted()))
        sys.setprofile(None)
        self.reached = moments.reached


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    disk = Disk()
    monkeypatch.setattr(commits, "COMMIT_SECONDS_MAX", 2.0)
    with disk.store(tmp_path / "data") as store:
        crowd, before = Crowd(disk, store), disk.before

        def noticed(operation: Any, file: str) -> None:  # noqa: ANN401 - handed on as it is
            if operation == "sync":
                crowd.come_late()
            before(operation, file)

        monkeypatch.setattr(disk, "before", noticed)
        yield crowd


def test_an_interruption_at_each_moment_of_an_append_stops_no_other_thread(crowd: Crowd) -> None:
    for number in range(1, MOMENTS_MAX):
        crowd.meet(number)
        assert not crowd.errors, f"moment {number}: {crowd.errors}"
        if not crowd.reached:
            break
    assert 100 < number < MOMENTS_MAX - 1, "too few moments, or no end of them"
    assert crowd.store.waiting == 0
    check(crowd.store, crowd.acked)


def test_interruptions_at_any_moment_stop_no_other_thread(tmp_path: Path) -> None:
    command = [*WORKER, "interrupt", str(tmp_path / "data"), str(tmp_path / "acks"), "20260721", "2.0"]
    done = subprocess.run(command, env=environment(), timeout=WAIT_SECONDS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100, "too few interruptions to show anything"
    with eventstore.open(tmp_path / "data") as store:
        check(store, read_acks(tmp_path / "acks"))
