"""A bounded cache of closed orders: recently used ones decoded, more in compressed blocks, the rest only in the log."""

from __future__ import annotations

import itertools
import sys
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec
from typing_extensions import override

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

V = TypeVar("V", bound=msgspec.Struct)
Key = tuple[int, str]

INDEX_BYTES = 80
"""What finding a compressed order takes: its key's hash, in a list and a dict."""


class TierSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what has left a view's state stays in memory; both bounds of the blocks apply.

    Larger blocks take less memory and more time: an order of 280 bytes takes 32 in blocks of 64 (180 µs to compress, 40
    to read one), 29 in blocks of 128 (320 and 60), 27 in blocks of 256 (590 and 95), and 80 for its entry in the index.
    Orders beyond `decoded_max` that do not fill a block yet stay decoded, and count towards `compressed_max`.
    """

    decoded_max: int = 1_000
    compressed_max: int = 32_000
    compressed_bytes_max: int = 16 << 20
    block_orders: int = 64
    level: int = 3

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            least, most = {"block_orders": (1, 4_096), "level": (1, 19)}.get(name, (0, 1 << 40))
            if not least <= getattr(self, name) <= most:
                msg = f"{name} is {getattr(self, name)}: give {least} to {most}"
                raise ValueError(msg)


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Where lookups were answered since the book was opened, and what the tiers hold now.

    `live` is the view's own state: open orders and the last closed ones. `absent` counts lookups of orders that do not
    exist. `evictions` are from blocks, or of decoded orders in no block; `orders` are in memory except the live ones.
    """

    live: int = 0
    decoded: int = 0
    compressed: int = 0
    log: int = 0
    absent: int = 0
    evictions: int = 0
    orders: int = 0
    blocks: int = 0
    bytes: int = 0  # Of the blocks.

    @property
    def hit_rate(self) -> float:
        """The share of the orders found that were in memory; 1.0 before the first lookup."""
        hits = self.live + self.decoded + self.compressed
        return hits / (hits + self.log) if hits + self.log else 1.0


class Tiers(Generic[V]):
    """What has left the states of one view: an LRU of decoded values, and one of blocks of compressed values.

    A cache beside the fold, in no snapshot. Each state has a Part of its own, so that a value folded by one fold is
    never returned for another's. Blocks are decompressed without the lock.
    """

    def __init__(self, kind: type[V], name: Callable[[V], str], settings: TierSettings | None = None) -> None:
        self.settings = settings or TierSettings()
        self._name = name
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(tuple[int, kind]).decode  # type: ignore[valid-type]
        self._split = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
        self._lock, self._parts = threading.Lock(), itertools.count(1)
        self._decoded: OrderedDict[Key, V] = OrderedDict()
        self._blocks: OrderedDict[_Block, None] = OrderedDict()
        # The block of each compressed value, by its key's hash. A value that was used lately is decoded, too.
        self._places: dict[int, _Block] = {}
        self._bytes = self._evictions = 0
        self._hits = {"decoded": 0, "compressed": 0, "log": 0, "absent": 0}

    def part_of(self, state: msgspec.Struct) -> Part[V]:
        """Return the part that belongs to a state, created by the first call."""
        attributes = vars(state)
        part: Part[V] = attributes.get("part") or attributes.setdefault("part", Part(self, next(self._parts)))
        return part

    def stats(self, live: int = 0) -> Stats:
        with self._lock:
            return Stats(
                live=live,
                **self._hits,
                evictions=self._evictions,
                orders=self._count(),
                blocks=len(self._blocks),
                bytes=self._bytes,
            )

    def _count(self) -> int:
        return len(self._places) + sum(_hashed(key) not in self._places for key in self._decoded)

    def get(self, key: Key) -> V | None:
        """Return what is in memory under a key, or None."""
        hashed = _hashed(key)
        with self._lock:
            found = self._decoded.get(key)
            if found is not None:
                self._decoded.move_to_end(key)
                self._hits["decoded"] += 1
                return found
            block = self._places.get(hashed)
        if block is None:
            return None
        part, value = self._decode(self._split(zstd.decompress(block.data))[block.hashes.index(hashed)])
        # Another key may have the same hash: then this one is in the log only.
        if (part, self._name(value)) != key:
            return None
        with self._lock:
            self._hits["compressed"] += 1
            # It may have been dropped, or replaced by a newer value, while it was decompressed.
            if self._places.get(hashed) is block:
                self._blocks.move_to_end(block)
                self._remember(key, value)
        return value

    def put(self, key: Key, value: V | None, is_current: Callable[[], bool]) -> None:
        """Count a lookup that the log answered, None for no such value; keep the value while it is current."""
        with self._lock:
            self._hits["absent" if value is None else "log"] += 1
            # Under the lock: a record folded from now on drops the value after it was kept, not before.
            if value is not None and is_current():
                self._take_out(_hashed(key))
                self._remember(key, value)

    def keep(self, number: int, values: Iterable[V]) -> None:
        """Keep what leaves a state."""
        with self._lock:
            for value in values:
                key = number, self._name(value)
                self._take_out(_hashed(key))
                self._remember(key, value)

    def forget(self, key: Key) -> None:
        """Drop a value that is out of date."""
        with self._lock:
            self._decoded.pop(key, None)
            self._take_out(_hashed(key))

    def _remember(self, key: Key, value: V) -> None:
        """Make a value the most recently used, and compress or evict the least recently used beyond the bounds."""
        decoded, most, together = self._decoded, self.settings.decoded_max, self.settings.block_orders
        decoded[key] = value
        decoded.move_to_end(key)
        while len(decoded) > most and _hashed(next(iter(decoded))) in self._places:
            decoded.popitem(last=False)
        # Others wait until they fill a block, since values compress well only together.
        if len(decoded) >= most + together:
            self._compress([decoded.popitem(last=False) for _ in range(together)])
        while self._is_full() and (self._blocks or decoded):
            self._evict()

    def _is_full(self) -> bool:
        waiting = max(len(self._decoded) - self.settings.decoded_max, 0)
        over = waiting + len(self._places) > self.settings.compressed_max
        return over or self._bytes > self.settings.compressed_bytes_max

    def _compress(self, values: list[tuple[Key, V]]) -> None:
        fresh = [(key, value) for key, value in values if _hashed(key) not in self._places]
        data = zstd.compress(self._encode([(number, value) for (number, _), value in fresh]), self.settings.level)
        block = _Block(data, [_hashed(key) for key, _ in fresh])
        self._blocks[block] = None
        self._bytes += block.size
        for hashed in block.hashes:
            # Of two keys with one hash the first is dropped.
            self._take_out(hashed)
            self._places[hashed] = block

    def _evict(self) -> None:
        """Drop the least recently used block, or decoded value where `compressed_max` is less than a block."""
        if not self._blocks:
            self._decoded.popitem(last=False)
            self._evictions += 1
            return
        block = next(iter(self._blocks))
        for hashed in block.hashes:
            if self._places.get(hashed) is block:
                del self._places[hashed]
                self._evictions += 1
        # Last: an interruption leaves no place in a block that is gone.
        del self._blocks[block]
        self._bytes -= block.size

    def _take_out(self, hashed: int) -> None:
        """Take a value out of its block, if it is in one; an empty block is dropped."""
        block = self._places.pop(hashed, None)
        if block is None:
            return
        block.live -= 1
        if not block.live:
            del self._blocks[block]
            self._bytes -= block.size

    @override
    def __repr__(self) -> str:
        return f"<Tiers of {self._count()} orders in {len(self._blocks)} blocks>"


class Part(NamedTuple, Generic[V]):
    """What has left one state, by name; a new state, folded again or from a snapshot, starts with an empty one."""

    tiers: Tiers[V]
    number: int

    def get(self, name: str) -> V | None:
        return self.tiers.get((self.number, name))

    def put(self, name: str, value: V | None, is_current: Callable[[], bool]) -> None:
        self.tiers.put((self.number, name), value, is_current)

    def keep(self, values: Iterable[V]) -> None:
        self.tiers.keep(self.number, values)

    def forget(self, name: str) -> None:
        self.tiers.forget((self.number, name))


def part_of(state: msgspec.Struct) -> Part[Any] | None:
    """Return the part that a state has, if any."""
    return vars(state).get("part")


class _Block:
    """Compressed values with the hashes of their keys; `live` of them were not taken out since."""

    __slots__ = ("data", "hashes", "live", "size")

    def __init__(self, data: bytes, hashes: list[int]) -> None:
        self.data, self.hashes = data, hashes
        self.live, self.size = len(hashes), len(data) + INDEX_BYTES * len(hashes)


def _hashed(key: Key) -> int:
    # The key itself would take three times the memory of its hash.
    return hash(key)
