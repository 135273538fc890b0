"""The other process of a verification: python -m eventstore.proofs.range_child PARENT, asked on stdin.

It answers on stdout that its records are sound, or ends with 1 and says nothing. It ends when the process that started
it has ended, however that came.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings

import msgspec

from eventstore.errors import StorageWarning, StoreError
from eventstore.journals.sqlite import ReadOnlyJournal
from eventstore.proofs import merkle
from eventstore.proofs.ranges import CheckedRange, RangeAnswer
from eventstore.proofs.second_process import LENGTH_BYTES, RangeRequest

PARENT_POLL_SECONDS = 0.2


def main(parent: int) -> int:
    """Check what is asked for, write the answer and return how to end."""
    # First of all: a fork of the parent may hold the pipe open, and what is asked would never come.
    threading.Thread(target=_end_with_parent, args=(parent,), name="watcher", daemon=True).start()
    length = int.from_bytes(sys.stdin.buffer.read(LENGTH_BYTES), "big")
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(length), type=RangeRequest)
    # The process that asks has opened the same log, and has given its warnings.
    warnings.simplefilter("ignore", StorageWarning)
    answer = None
    # What keeps this process from reading is found and said by the one that asks.
    with contextlib.suppress(StoreError):
        answer = checked(request)
    if answer is None:
        return 1
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))
    return 0


def checked(request: RangeRequest) -> RangeAnswer | None:
    """Return the answer for a range, None where not all of it is sound."""
    tree = merkle.Frontier.from_bytes(request.size, request.tree)
    known = None if request.known_size < 0 else merkle.TreeHead(request.known_size, b"")
    with contextlib.closing(ReadOnlyJournal(request.path, log=request.log)) as journal:
        if journal.log_id != request.log_id:
            return None
        records = CheckedRange(journal, tree, request.first)
        return None if records.check(known) is not None else records.answer()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
