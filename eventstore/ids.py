"""Event ids: UUIDv7 for new facts, UUIDv5 for facts that bring a key of their own (RFC 9562)."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from eventstore.entropy import piece
from eventstore.errors import InvalidEvent, shown

if TYPE_CHECKING:
    from collections.abc import Callable

# Fixed forever: ids of keyed events are recomputed by other programs (docs/FORMAT.md).
NAMESPACE = uuid.UUID("6f0a6d3c-6b1e-5d0b-9a53-2f5f3a3c7e11")
KEY_BYTES_MAX = 1024
_HASHED = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)
# The version and the variant of a UUIDv5 stand in the first bits of these two bytes.
_VERSIONS = [bytes((byte & 0x0F | 0x50,)) for byte in range(256)]
_LOWER_BITS = (1 << 62) - 1
_VARIANTS = [bytes((byte & 0x3F | 0x80,)) for byte in range(256)]


def new_ids(count: int, now_ns: int, entropy: Callable[[int], bytes] = piece) -> list[bytes]:
    """Return `count` UUIDv7, increasing: a millisecond, then 74 bits that start at random and count up."""
    return NewIds(now_ns, entropy).take(count)


class NewIds:
    """The UUIDv7 of one append: one count for all of them, which starts at random when the first one is taken."""

    def __init__(self, now_ns: int, entropy: Callable[[int], bytes] = piece) -> None:
        self._time = ((now_ns // 1_000_000) & 0xFFFF_FFFF_FFFF) << 16 | 0x7000
        self._entropy = entropy
        self._random = -1
        # The next id as one number, and how many follow it by counting that up.
        self._following = self._left = 0

    def take(self, count: int) -> list[bytes]:
        """Return the next `count` ids."""
        if count > self._left:
            ids = self.take(self._left)
            self._begin()
            return ids + self.take(count - len(ids))
        self._left -= count
        first = self._following
        self._following = first + count
        if count == 1:  # of an append of 1,000 streams, each asks
            return [first.to_bytes(16, "big")]
        return [number.to_bytes(16, "big") for number in range(first, self._following)]

    def _begin(self) -> None:
        """Set the next id: of the number drawn, or of the one past the last where the lower 62 bits were used up.

        Above these stands the variant, so an id's number counts up only as far as they go.
        """
        if self._random < 0:
            # The top bit of the random part stays clear, so that counting up never leaves it.
            self._random = int.from_bytes(self._entropy(10), "big") & ((1 << 73) - 1)
        low = self._random & _LOWER_BITS
        self._following = (self._time | (self._random >> 62)) << 64 | 0b10 << 62 | low
        self._left = _LOWER_BITS + 1 - low
        self._random += self._left


def is_drawn(id_: bytes) -> bool:
    """Return whether an id is a UUIDv7, as an event without a key has."""
    return id_[6] >> 4 == 7  # noqa: PLR2004 - the version in a UUID's seventh byte


def keyed_id(stream: str, key: object) -> bytes:
    """Return the UUIDv5 of stream, NUL and key: the same fact has the same id wherever it is sent from."""
    if not isinstance(key, str) or not key or "\0" in key:
        msg = f"a key is non-empty text without NUL, not {shown(key)}"
        raise InvalidEvent(msg)
    name = f"{stream}\0{key}"
    try:
        data = name.encode()
    except UnicodeEncodeError as e:
        msg = f"the key {shown(key)} holds a lone surrogate: give Unicode text"
        raise InvalidEvent(msg) from e
    if len(data) > KEY_BYTES_MAX and len(data) > KEY_BYTES_MAX + len(stream.encode()) + 1:
        msg = f"a key has at most {KEY_BYTES_MAX} bytes"
        raise InvalidEvent(msg)
    hashed = _HASHED.copy()
    hashed.update(data)
    digest = hashed.digest()
    return digest[:6] + _VERSIONS[digest[6]] + digest[7:8] + _VARIANTS[digest[8]] + digest[9:16]


def id_text(id_: bytes) -> str:
    """Return an id as UUIDs are written, in a fifth of the time that `uuid.UUID` takes."""
    digits = id_.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def as_id(value: object) -> bytes | None:
    """Return an id given as bytes or UUID as its 16 bytes."""
    if value is None:
        return None
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, bytes) and len(value) == 16:  # noqa: PLR2004 - a UUID's size
        return value
    msg = f"an id is a UUID or its 16 bytes, not {shown(value)}"
    raise InvalidEvent(msg)
