"""One state as bytes: encoded, compressed and digested, and decoded again within the size that was written."""

from __future__ import annotations

import functools
import hashlib
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from projections.cuts.troubles import DamagedError
from projections.garbage import gc_disabled
from projections.on_demand import as_stored
from projections.view import PartitionParked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from projections.on_demand import StateDecoder
    from projections.view import View

STATE_BYTES_MAX = 256 << 20
"""The largest size of a state before compression; a larger one is not stored in snapshots."""
_LEVEL = 1
_per_thread = threading.local()


class Packed(NamedTuple):
    """A state as the file holds it: compressed, with its size before that, and a digest over both."""

    data: bytes
    size: int
    digest: bytes


def encoded(state: Any) -> bytes:  # noqa: ANN401 - each view has a state of its own
    """Return a state's bytes; raise ValueError, saying why, for one that cannot be stored."""
    try:
        raw = msgspec.msgpack.encode(state, enc_hook=as_stored)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as e:
        msg = f"it cannot be encoded ({type(e).__name__}: {e})"
        raise ValueError(msg) from e
    if len(raw) > STATE_BYTES_MAX:
        msg = f"it has {len(raw):,} bytes; the limit is {STATE_BYTES_MAX:,}"
        raise ValueError(msg)
    return raw


def pack(raw: bytes) -> Packed:
    data, size = _compressor().compress(raw, zstd.ZstdCompressor.FLUSH_FRAME), len(raw)
    return Packed(data, size, digest_of(data, size))


class Undecoded:
    """Stands for a state until somebody needs it: its bytes, which match their digest.

    `postponed` are records after it that have to be folded into the state before it is used.
    """

    __slots__ = ("_decoder", "_lock", "_log_position", "_packed", "_state", "postponed")

    def __init__(self, packed: Packed, digest: bytes, decoder: StateDecoder, log_position: int) -> None:
        """Raise DamagedError for bytes that do not match the digest."""
        check(packed, digest)
        self._packed, self._decoder, self._log_position = packed, decoder, log_position
        self._lock = threading.Lock()
        self._state: Any = None
        self.postponed: list[Any] = []

    @classmethod
    def holding(cls, state: Any) -> Self:  # noqa: ANN401 - each view has a state of its own
        """Return what stands for a state that is decoded, or new, while what follows is postponed."""
        made = cls.__new__(cls)
        made._state, made.postponed = state, []  # noqa: SLF001 - made here
        return made

    def put(self, states: dict[str, Any], parked: dict[str, PartitionParked], view: str, partition: str) -> Any:  # noqa: ANN401 - each view has a state of its own
        """Put the state in its place, where this still stands, and return what is there; raise PartitionParked.

        Threads that ask at once get one object: the fold may have changed it before the second of them is here.
        """
        with self._lock:
            if states.get(partition) is self:
                states[partition] = self.decoded(parked, view, partition)
            return states.get(partition)

    def decoded(self, parked: dict[str, PartitionParked], view: str, partition: str) -> Any:  # noqa: ANN401 - each view has a state of its own
        """Return the state without what is postponed; raise PartitionParked."""
        if self._state is not None:
            return self._state
        failed = functools.partial(_park, parked, view, partition, self._log_position)
        try:
            return decoded(self._packed, functools.partial(self._decoder.decode, failed=failed))
        except DamagedError as e:
            raise failed(e) from e


def _park(
    parked: dict[str, PartitionParked], view: str, partition: str, log_position: int, why: Exception
) -> PartitionParked:
    """Park a partition of which something cannot be decoded, and return what is raised."""
    # What is parked, and not the whole of the view's part of a fold: that would refer to the state that refers to this.
    error = why if isinstance(why, DamagedError) else DamagedError(str(why))
    parked[partition] = PartitionParked(view, partition, log_position, error)
    return parked[partition]


def unpack(packed: Packed, digest: bytes, decoder: msgspec.msgpack.Decoder[Any]) -> Any:  # noqa: ANN401 - each view has a state of its own
    """Return a state, all of it decoded; raise DamagedError for bytes that do not match its digest."""
    check(packed, digest)
    return decoded(packed, decoder.decode)


def check(packed: Packed, digest: bytes) -> None:
    """Raise DamagedError for bytes that do not match a state's digest."""
    data: object = packed.data
    size: object = packed.size
    if not (isinstance(data, bytes) and isinstance(size, int) and 0 < size <= STATE_BYTES_MAX):
        msg = "it lacks data, or its size is impossible"
        raise DamagedError(msg)
    if digest_of(data, size) != digest:
        msg = "it does not match its digest"
        raise DamagedError(msg)


def decoded(packed: Packed, decode: Callable[[bytes], Any]) -> Any:  # noqa: ANN401 - each view has a state of its own
    """Return the state that checked bytes hold; raise DamagedError where they hold none."""
    data, size = packed.data, packed.size
    try:
        if zstd.get_frame_info(data).decompressed_size != size:
            msg = "its compressed data states another size"
            raise DamagedError(msg)
        # Bounded: whatever the frame's header says, no more memory is taken than the size that was written.
        decompressor = zstd.ZstdDecompressor()
        raw = decompressor.decompress(data, size + 1)
        if len(raw) != size or not decompressor.eof or decompressor.unused_data:
            msg = f"its data expands to another size than the {size:,} bytes that were written"
            raise DamagedError(msg)
        with gc_disabled():
            return decode(raw)
    except (zstd.ZstdError, msgspec.MsgspecError, ValueError, OverflowError, RecursionError, MemoryError) as e:
        raise DamagedError(str(e) or type(e).__name__) from e


def _compressor() -> zstd.ZstdCompressor:
    """Return this thread's compressor: creating one takes ten times as long as compressing a small state."""
    found: zstd.ZstdCompressor | None = getattr(_per_thread, "compressor", None)
    if found is None or found.last_mode != zstd.ZstdCompressor.FLUSH_FRAME:
        # There is none yet, or an exception left it in the middle of a frame.
        found = _per_thread.compressor = zstd.ZstdCompressor(_LEVEL)
        found.compress(b"", zstd.ZstdCompressor.FLUSH_FRAME)
    return found


def lineage_of(view: View[Any], log_id: bytes) -> bytes:
    """Return what identifies a view's states: the log's id, and a hash of revision and schema of the state.

    A state of another schema is never read, even where somebody forgot to raise the revision.
    """
    return log_id + hashlib.sha256(str(view.revision).encode() + b"\0" + _schema(type(view.initial()))).digest()


def digest_of(data: bytes, size: int) -> bytes:
    """Return a state's digest, over its compressed bytes and the size that they expand to."""
    return hashlib.sha256(size.to_bytes(8, "big") + data).digest()


def _schema(state: type[Any]) -> bytes:
    if state not in _schemas:
        _schemas[state] = msgspec.json.encode(msgspec.json.schema(state), order="deterministic")
    return _schemas[state]


_schemas: dict[type[Any], bytes] = {}
