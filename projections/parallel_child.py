"""Another process of a parallel fold: python -m projections.parallel_child PARENT, asked on stdin."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

import eventstore
from eventstore.children import answer_once
from projections.garbage import gc_disabled
from projections.parallel import Request, answer_to


def folded(asked: bytes) -> bytes:
    """Fold what is asked for and return the answer."""
    request = msgspec.msgpack.decode(asked, type=Request)
    directory = Path(request.directory)
    with gc_disabled(), eventstore.open(directory.parent, log=directory.name, read_only=True) as store:
        return msgspec.msgpack.encode(answer_to(request, store))


if __name__ == "__main__":
    sys.exit(answer_once(int(sys.argv[1]), folded))
