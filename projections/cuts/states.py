"""One state as bytes: encoded, compressed and digested, and back, bounded by the size that was written."""

from __future__ import annotations

import hashlib
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from projections.cuts.troubles import DamagedError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from projections.view import View

STATE_BYTES_MAX = 256 << 20
"""The most bytes that one state takes, decompressed; a larger one is not snapshotted."""
_LEVEL = 1
_of_thread = threading.local()


class Packed(NamedTuple):
    """A state as the file holds it: compressed, with its size before that, and a digest over both."""

    data: bytes
    size: int
    digest: bytes


def encoded(state: Any) -> bytes:  # noqa: ANN401 - each view has a state of its own
    """Return a state's bytes; raise ValueError, saying why, for one that cannot be stored."""
    try:
        raw = msgspec.msgpack.encode(state)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as e:
        msg = f"it cannot be encoded ({type(e).__name__}: {e})"
        raise ValueError(msg) from e
    if len(raw) > STATE_BYTES_MAX:
        msg = f"it has {len(raw):,} bytes, and {STATE_BYTES_MAX:,} is the limit"
        raise ValueError(msg)
    return raw


def pack(raw: bytes) -> Packed:
    data, size = _compressor().compress(raw, zstd.ZstdCompressor.FLUSH_FRAME), len(raw)
    return Packed(data, size, digest_of(data, size))


def unpack(packed: Packed, digest: bytes, decoder: msgspec.msgpack.Decoder[Any]) -> Any:  # noqa: ANN401 - each view has a state of its own
    """Return a state; raise DamagedError for bytes that are not those of its digest."""
    data: object = packed.data
    size: object = packed.size
    if not (isinstance(data, bytes) and isinstance(size, int) and 0 < size <= STATE_BYTES_MAX):
        msg = "it has no data, or no size that a state can have"
        raise DamagedError(msg)
    if digest_of(data, size) != digest:
        msg = "it does not have its digest"
        raise DamagedError(msg)
    try:
        if zstd.get_frame_info(data).decompressed_size != size:
            msg = "its compressed data says another size"
            raise DamagedError(msg)
        decompressor = zstd.ZstdDecompressor()
        raw = decompressor.decompress(data, size + 1)
        if len(raw) != size or not decompressor.eof or decompressor.unused_data:
            msg = f"its data has another size than the {size:,} bytes that were written"
            raise DamagedError(msg)
        return decoder.decode(raw)
    except (zstd.ZstdError, msgspec.MsgspecError, ValueError, OverflowError, RecursionError, MemoryError) as e:
        raise DamagedError(str(e) or type(e).__name__) from e


def _compressor() -> zstd.ZstdCompressor:
    """Return this thread's compressor: to make one takes ten times as long as to compress a small state with it."""
    found: zstd.ZstdCompressor | None = getattr(_of_thread, "compressor", None)
    if found is None or found.last_mode != zstd.ZstdCompressor.FLUSH_FRAME:
        # A new one, or one that an exception left in the middle of a frame.
        found = _of_thread.compressor = zstd.ZstdCompressor(_LEVEL)
        found.compress(b"", zstd.ZstdCompressor.FLUSH_FRAME)
    return found


def lineage_of(view: View[Any], log_id: bytes) -> bytes:
    """Return what tells a view's states apart from all others': log, revision and the shape of the state.

    Another shape is another state, whatever its revision says.
    """
    return log_id + hashlib.sha256(str(view.revision).encode() + b"\0" + _shape(type(view.initial()))).digest()


def digest_of(data: bytes, size: int) -> bytes:
    """Return what a state is known by: a digest over its compressed bytes and the size that they expand to."""
    return hashlib.sha256(size.to_bytes(8, "big") + data).digest()


def _shape(state: type[Any]) -> bytes:
    if state not in _shapes:
        _shapes[state] = msgspec.json.encode(msgspec.json.schema(state), order="deterministic")
    return _shapes[state]


_shapes: dict[type[Any], bytes] = {}
