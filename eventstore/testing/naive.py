"""Digest and tree once more, written from docs/FORMAT.md and RFC 6962 and from nothing else, to compare with."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.record import Record


def naive_digest(log_id: bytes, record: Record) -> bytes:
    """Return the SHA-256 of 0x00 and the record's fourteen members, each after its length in four bytes."""
    members = [
        log_id,
        record.stream.encode("utf-8"),
        record.type.encode("utf-8"),
        record.schema.to_bytes(8, "big"),
        record.actor.encode("utf-8"),
        record.note.encode("utf-8"),
        b"" if record.correlation_id is None else record.correlation_id,
        b"" if record.causation_id is None else record.causation_id,
        record.position.to_bytes(8, "big"),
        record.version.to_bytes(8, "big"),
        record.recorded_at.to_bytes(8, "big", signed=True),
        record.occurred_at.to_bytes(8, "big", signed=True),
        record.id,
        record.data,
    ]
    return sha256(b"\x00" + b"".join(len(member).to_bytes(4, "big") + member for member in members)).digest()


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of RFC 6962, section 2.1, over leaf hashes: by its recursion, a node at a time."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()
