"""The second half of a log, checked by another process while this one checks the first."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from eventstore import children
from eventstore.journal import InFile
from eventstore.proofs import merkle
from eventstore.proofs.ranges import RangeAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.journal import Maintenance

RECORDS_MIN = 500_000
"""With fewer, starting another process and importing the library there takes as long as it would save."""
STARTING_RECORDS = 60_000
"""How many more records this process checks than the other one, which has to start."""
WAIT_SECONDS_MIN = 10.0
LENGTH_BYTES = 8


class RangeRequest(msgspec.Struct, frozen=True):
    """What another process is asked to check: a file's records past `first`, whose tree the log's head says.

    `known_size` is a size at which the tree's root is asked for, -1 for none.
    """

    path: str
    log: str
    log_id: bytes
    first: int
    size: int
    tree: bytes
    known_size: int


class SecondProcess:
    """The other process: `python -m eventstore.proofs.range_child`, not one of `multiprocessing`.

    That would run the program's main module again, with all that it does.
    """

    def __init__(self, request: RangeRequest) -> None:
        self.first = request.first
        self._request = msgspec.msgpack.encode(request)
        self._begun = time.monotonic()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._answer = b""

    def start(self) -> None:
        """Start it; where that fails there will be no answer."""
        with contextlib.suppress(OSError, RuntimeError):
            self._process = children.start("eventstore.proofs.range_child", str(os.getpid()), stdout=subprocess.PIPE)
            # A thread takes the answer, so that a process that never answers is not waited for without end.
            thread = threading.Thread(target=self._ask, args=(self._process,), name="second process", daemon=True)
            thread.start()
            self._thread = thread

    def _ask(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(OSError):
            # With its length: a fork of this process may hold the pipe open, so that it does not end.
            asked = len(self._request).to_bytes(LENGTH_BYTES, "big") + self._request
            self._answer, _ = process.communicate(asked)

    def answer(self) -> RangeAnswer | None:
        """Return that all its records are sound; None for anything else, or where it takes far too long."""
        if self._process is None or self._thread is None:
            return None
        # It had about as much to do as this process since then, and is nearly ready.
        self._thread.join(max(WAIT_SECONDS_MIN, 2 * (time.monotonic() - self._begun)))
        if self._process.poll() != 0:
            return None
        try:
            return msgspec.msgpack.decode(self._answer, type=RangeAnswer)
        except msgspec.MsgspecError:
            return None

    def end(self) -> None:
        """End the process, if it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._thread is not None:
            self._thread.join()


@contextlib.contextmanager
def started(
    source: Maintenance, tree: merkle.Frontier, after: int, known: merkle.TreeHead | None, processes: int | None
) -> Iterator[SecondProcess | None]:
    """Let another process check the second half of the records past a position, where it can and that pays."""
    start = min(after, tree.size) // merkle.TILE * merkle.TILE
    first = _middle(start, tree.size, processes)
    path = source.file if isinstance(source, InFile) else None
    if path is None or not start < first < tree.size or not sys.executable:
        yield None
        return
    asked = -1 if known is None or known.size <= first else known.size
    request = RangeRequest(str(path), source.log, source.log_id, first, tree.size, tree.to_bytes(), asked)
    second = SecondProcess(request)
    try:
        second.start()
        yield second
    finally:
        second.end()


def _middle(start: int, size: int, processes: int | None) -> int:
    """Return the position past which another process checks: where a tile ends; the end where none does."""
    records = size - start
    if processes is None:
        # Not cpu_count, if possible: a container or taskset may allow this process fewer.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        own = (records + STARTING_RECORDS) // 2 if cores > 1 and records >= RECORDS_MIN else records
    else:
        own = records if processes == 1 else records // 2
    return min(size, start + -(-own // merkle.TILE) * merkle.TILE)
