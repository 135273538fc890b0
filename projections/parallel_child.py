"""Another process of a parallel fold: python -m projections.parallel_child PARENT, asked on stdin, answering on stdout.

It ends when the process that started it has ended, however that came.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from pathlib import Path

import msgspec

import eventstore
from projections.garbage import gc_disabled
from projections.parallel import LENGTH_BYTES, Request, answer_to

PARENT_POLL_SECONDS = 0.2


def main(parent: int) -> None:
    """Fold what is asked for and write the answer."""
    # First of all: a fork of the parent may hold the pipe open, and what is asked would never come.
    threading.Thread(target=_end_with_parent, args=(parent,), name="watcher", daemon=True).start()
    # Whatever else is printed must not get into the answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    length = int.from_bytes(sys.stdin.buffer.read(LENGTH_BYTES), "big")
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(length), type=Request)
    directory = Path(request.directory)
    # The process that asks has opened the same log, and has given its warnings.
    warnings.simplefilter("ignore", eventstore.StorageWarning)
    with gc_disabled(), eventstore.open(directory.parent, log=directory.name, read_only=True) as store:
        answer = msgspec.msgpack.encode(answer_to(request, store))
    with os.fdopen(answers, "wb") as out:
        out.write(answer)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
