"""The other process of a verification: python -m eventstore.proofs.range_child PARENT, asked on stdin.

It answers on stdout that its records are sound, or ends with 1 and says nothing.
"""

from __future__ import annotations

import contextlib
import sys

import msgspec

from eventstore.children import answer_once
from eventstore.errors import StoreError
from eventstore.journals.sqlite import ReadOnlyJournal
from eventstore.proofs import merkle
from eventstore.proofs.ranges import CheckedRange, RangeAnswer
from eventstore.proofs.second_process import RangeRequest


def answered(asked: bytes) -> bytes | None:
    """Check what is asked for; return the answer, None where not all of it is sound, or it cannot be read."""
    # What keeps this process from reading is found and said by the one that asks.
    with contextlib.suppress(StoreError):
        answer = checked(msgspec.msgpack.decode(asked, type=RangeRequest))
        return None if answer is None else msgspec.msgpack.encode(answer)
    return None


def checked(request: RangeRequest) -> RangeAnswer | None:
    """Return the answer for a range, None where not all of it is sound."""
    tree = merkle.Frontier.from_bytes(request.size, request.tree)
    known = None if request.known_size < 0 else merkle.TreeHead(request.known_size, b"")
    with contextlib.closing(ReadOnlyJournal(request.path, log=request.log)) as journal:
        if journal.log_id != request.log_id:
            return None
        records = CheckedRange(journal, tree, request.first)
        return None if records.check(known) is not None else records.answer()


if __name__ == "__main__":
    sys.exit(answer_once(int(sys.argv[1]), answered))
