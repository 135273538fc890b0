"""Random bytes from the system, drawn a block at a time: each draw gives up the interpreter's lock."""

from __future__ import annotations

import os

PIECE_BYTES = 10
BLOCK_PIECES = 100

_pieces: list[bytes] = []


def piece(count: int = PIECE_BYTES) -> bytes:
    """Return random bytes that no other call in any thread or process returns: PIECE_BYTES of them from the block.

    An append that gave up the interpreter's lock for them would wait for it behind every other thread. Not for secrets:
    the bytes of the next calls lie in memory.
    """
    if count != PIECE_BYTES:
        return os.urandom(count)
    while True:
        try:
            # One step of the interpreter, so that no two threads take the same piece.
            return _pieces.pop()
        except IndexError:
            block = os.urandom(PIECE_BYTES * BLOCK_PIECES)
            _pieces.extend([block[at : at + PIECE_BYTES] for at in range(0, len(block), PIECE_BYTES)])


# What a fork's child inherits, its parent returns too.
os.register_at_fork(after_in_child=_pieces.clear)
