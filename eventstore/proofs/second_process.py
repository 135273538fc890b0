"""The second half of a log, checked by another process while this one checks the first."""

from __future__ import annotations

import contextlib
import sys
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
    """The other process: `python -m eventstore.proofs.range_child`."""

    def __init__(self, request: RangeRequest) -> None:
        self.first = request.first
        self._begun = time.monotonic()
        self._asked = children.AskedProcess(
            "eventstore.proofs.range_child", msgspec.msgpack.encode(request), "second process"
        )

    def start(self) -> None:
        """Start it; where that fails there will be no answer."""
        self._asked.start()

    def answer(self) -> RangeAnswer | None:
        """Return that all its records are sound; None for anything else, or where it takes far too long."""
        # It had about as much to do as this process since then, and is nearly ready.
        answer = self._asked.answer(max(WAIT_SECONDS_MIN, 2 * (time.monotonic() - self._begun)))
        try:
            return None if answer is None else msgspec.msgpack.decode(answer, type=RangeAnswer)
        except msgspec.MsgspecError:
            return None

    def end(self) -> None:
        """End the process, if it still runs."""
        self._asked.end()


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
        own = (records + STARTING_RECORDS) // 2 if children.cores() > 1 and records >= RECORDS_MIN else records
    else:
        own = records if processes == 1 else records // 2
    return min(size, start + -(-own // merkle.TILE) * merkle.TILE)
