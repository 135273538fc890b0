"""Memory that stays small: closed orders in compressed blocks, the older ones only in the log."""

from __future__ import annotations

import itertools
import sys
import threading
from array import array
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
Place = tuple[int, int]

MERGED = 2
COUNTERS_PER_ORDER = 8
SAMPLE_PER_ORDER = 10
ABOVE = 4
"""How much more often than what goes another is to be asked for: with less, chance alone drives orders out."""
_WORD = (1 << 64) - 1
_HALF = bytes(count >> 1 for count in range(256))


class TierSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what has left a view's state stays in memory; both bounds of the blocks hold.

    Larger blocks take less memory and more time: an order of 280 bytes takes 32 in blocks of 64 (180 µs to pack, 40 to
    take one out), 29 in blocks of 128 (320 and 60) and 27 in blocks of 256 (590 and 95). `asked_min` is how often one
    that was in the log only is asked for until it takes another's place in a block.
    """

    decoded_max: int = 1_000
    compressed_max: int = 32_000
    compressed_bytes_max: int = 16 << 20
    block_orders: int = 64
    level: int = 3
    asked_min: int = 4

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            least = 1 if name in {"block_orders", "level", "asked_min"} else 0
            if getattr(self, name) < least:
                msg = f"{name} is {getattr(self, name)}: give {least} or more"
                raise ValueError(msg)


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Where lookups were answered from since the book began, and what the tiers hold now.

    `live` is the view's own state, open orders and the last closed ones; `absent` counts those of no order at all.
    """

    live: int = 0
    decoded: int = 0
    compressed: int = 0
    log: int = 0
    absent: int = 0
    evictions: int = 0
    """How many were dropped from the blocks, or were decoded but in no block and are in the log only now."""
    orders: int = 0
    """How many orders are in memory beside those in the view's state."""
    blocks: int = 0
    bytes: int = 0
    """What the blocks take."""

    @property
    def hit_rate(self) -> float:
        """The part of the orders found that was in memory; 1.0 before the first."""
        hits = self.live + self.decoded + self.compressed
        return hits / (hits + self.log) if hits + self.log else 1.0


class Tiers(Generic[V]):
    """What has left the states of one view: some of it decoded, more in compressed blocks.

    A cache beside the fold, never a part of a state or a snapshot. Each state has a Part of its own, so that what one
    fold has made is never taken for another's. The lock is held for moments: blocks are packed and unpacked without.
    """

    def __init__(self, kind: type[V], name: Callable[[V], str], settings: TierSettings | None = None) -> None:
        self.settings = settings or TierSettings()
        self._name = name
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._split = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
        self._lock, self._merging = threading.Lock(), threading.Lock()
        self._numbers, self._parts = itertools.count(1), itertools.count(1)
        # The last ones asked for; those that are in no block yet; and which of these the next block takes.
        self._decoded: OrderedDict[Key, V] = OrderedDict()
        self._loose: dict[Key, V] = {}
        self._waiting: list[Key] = []
        self._blocks: dict[int, _Block] = {}
        self._index = _Index(self.settings.compressed_max)
        self._asked = _Sketch(self.settings.compressed_max)
        self._bar = 0
        self._bytes = self._evictions = 0
        self._hits = {"decoded": 0, "compressed": 0, "log": 0, "absent": 0}

    def part_of(self, state: msgspec.Struct) -> Part[V]:
        """Return the part that belongs to a state, begun with the first call."""
        beside = vars(state)
        part: Part[V] = beside.get("part") or beside.setdefault("part", Part(self, next(self._parts)))
        return part

    def stats(self, live: int = 0) -> Stats:
        with self._lock:
            apart = sum(1 for key in self._decoded if not self._is_packed(key))
            return Stats(
                live=live,
                **self._hits,
                evictions=self._evictions,
                orders=self._index.count + len(self._loose) + apart,
                blocks=len(self._blocks),
                bytes=self._bytes,
            )

    def get(self, key: Key) -> V | None:
        """Return what is in memory under a key, or None."""
        hashed = _hashed(key)
        with self._lock:
            if self._asked.add(hashed):
                self._bar >>= 1
            if key in self._decoded:
                self._decoded.move_to_end(key)
            value = self._decoded.get(key) or self._loose.get(key)
            if value is not None:
                self._hits["decoded"] += 1
                return value
            number = self._find(hashed)
            if not number:
                return None
            block = self._blocks[number]
            slot = block.keys.index(hashed)
        value = self._decode(self._split(zstd.decompress(block.data))[slot])
        if self._name(value) != key[1]:
            return None
        with self._lock:
            self._hits["compressed"] += 1
            # Whatever was forgotten meanwhile is not remembered by this.
            if self._blocks.get(number) is block and block.keys[slot] == hashed:
                self._remember(key, value)
        self._settle()
        return value

    def put(self, key: Key, value: V | None, still: Callable[[], bool]) -> None:
        """Take what the log told, where it is still what the log tells; None where it told of nothing."""
        with self._lock:
            self._hits["absent" if value is None else "log"] += 1
            if value is not None and still():
                self._remember(key, value)
        self._settle()

    def keep(self, number: int, values: Iterable[V]) -> None:
        """Take what leaves a state."""
        with self._lock:
            for value in values:
                key = number, self._name(value)
                self._drop(key)
                self._loose[key] = value
                self._waiting.append(key)
        self._settle()

    def forget(self, key: Key) -> None:
        """Drop what is no longer so."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        hashed = _hashed(key)
        self._decoded.pop(key, None)
        self._loose.pop(key, None)
        while number := self._find(hashed):
            block = self._blocks[number]
            self._index.remove(hashed, number)
            block.keys[block.keys.index(hashed)] = 0
            block.live -= 1
            if not block.live:
                self._remove(number)

    def _find(self, hashed: int) -> int:
        """Return the number of the block where a key is, 0 where there is none."""
        for number in self._index.candidates(hashed):
            if hashed in self._blocks[number].keys:
                return number
        return 0

    def _is_packed(self, key: Key) -> bool:
        return key in self._loose or self._find(_hashed(key)) != 0

    def _remove(self, number: int) -> None:
        self._bytes -= self._blocks.pop(number).size

    def _remember(self, key: Key, value: V) -> None:
        """Keep a value decoded; the one asked for longest ago goes, into a block if it was asked for often."""
        self._decoded[key] = value
        self._decoded.move_to_end(key)
        if len(self._decoded) <= self.settings.decoded_max:
            return
        oldest, value = self._decoded.popitem(last=False)
        if self._is_packed(oldest):
            return
        if self._asked.count(_hashed(oldest)) >= max(self.settings.asked_min, self._bar):
            self._loose[oldest] = value
            self._waiting.append(oldest)
        else:
            self._evictions += 1

    def _settle(self) -> None:
        """Pack what waits for a block, then see that there are not too many."""
        while len(self._waiting) >= self.settings.block_orders:
            self._pack()
        # Another thread that is at it sees to what this one brought, or the next caller does.
        while self._is_full() and self._merging.acquire(blocking=False):
            try:
                self._merge()
            finally:
                self._merging.release()

    def _is_full(self) -> bool:
        held = self._index.count + len(self._loose)
        return held > self.settings.compressed_max or self._bytes > self.settings.compressed_bytes_max

    def _pack(self) -> None:
        with self._lock:
            size = self.settings.block_orders
            keys, self._waiting = dict.fromkeys(self._waiting[:size]), self._waiting[size:]
            # They stay where they are found until the block is there.
            batch = {key: self._loose[key] for key in keys if key in self._loose}
        if not batch:
            return
        block = self._block(list(batch.values()))
        with self._lock:
            number = self._add(block)
            for slot, (key, value) in enumerate(batch.items()):
                # Unless it was forgotten, or told anew, while it was packed.
                if self._loose.get(key) is value:
                    del self._loose[key]
                    self._place(_hashed(key), number, slot)
            if not block.live:
                self._remove(number)

    def _block(self, values: list[Any]) -> _Block:
        return _Block(zstd.compress(self._encode(values), self.settings.level), len(values))

    def _add(self, block: _Block) -> int:
        number = next(self._numbers)
        self._blocks[number] = block
        self._bytes += block.size
        return number

    def _place(self, hashed: int, number: int, slot: int) -> None:
        block = self._blocks[number]
        self._index.add(hashed, number)
        block.keys[slot] = hashed
        block.live += 1

    def _merge(self) -> None:
        """Make the oldest blocks into one less, of those among their orders that were asked for most often."""
        with self._lock:
            oldest = dict(itertools.islice(self._blocks.items(), MERGED))
            if not oldest:  # Less is wanted than one block holds.
                self._evictions += len(self._loose)
                self._loose.clear()
                return
            gone, kept = self._chosen(oldest)
        orders = {number: self._split(zstd.decompress(block.data)) for number, block in oldest.items()}
        into = self._block([orders[number][slot] for number, slot in kept])
        with self._lock:
            self._replace(oldest, gone, kept, into)

    def _replace(self, oldest: dict[int, _Block], gone: list[Place], kept: list[Place], into: _Block) -> None:
        number = self._add(into)
        for at, (was, slot) in enumerate([*kept, *gone]):
            # Unless it was forgotten meanwhile.
            if hashed := oldest[was].keys[slot]:
                self._index.remove(hashed, was)
                if at < len(kept):
                    self._place(hashed, number, at)
                else:
                    self._evictions += 1
        for was in oldest:
            if was in self._blocks:
                self._remove(was)
        if not into.live:
            self._remove(number)

    def _chosen(self, blocks: dict[int, _Block]) -> tuple[list[Place], list[Place]]:
        """Return which orders of some blocks leave memory, and which stay, oldest first."""
        asked = {
            (number, slot): self._asked.count(hashed)
            for number, block in blocks.items()
            for slot, hashed in enumerate(block.keys)
            if hashed
        }
        ranked = sorted(asked, key=asked.__getitem__)
        gone, kept = ranked[: self.settings.block_orders], ranked[self.settings.block_orders :]
        self._bar = asked[gone[-1]] + ABOVE
        return gone, sorted(kept)

    @override
    def __repr__(self) -> str:
        return f"<Tiers of {self._index.count + len(self._loose)} orders in {len(self._blocks)} blocks>"


class Part(NamedTuple, Generic[V]):
    """What has left one state, by name; a new state, folded anew or from a snapshot, begins with an empty one."""

    tiers: Tiers[V]
    number: int

    def get(self, name: str) -> V | None:
        return self.tiers.get((self.number, name))

    def put(self, name: str, value: V | None, still: Callable[[], bool]) -> None:
        self.tiers.put((self.number, name), value, still)

    def keep(self, values: Iterable[V]) -> None:
        self.tiers.keep(self.number, values)

    def forget(self, name: str) -> None:
        self.tiers.forget((self.number, name))


def part_of(state: msgspec.Struct) -> Part[Any] | None:
    """Return the part that a state has, if any."""
    return vars(state).get("part")


class _Block:
    """Compressed orders; a key of 0 stands where one was forgotten."""

    __slots__ = ("data", "keys", "live", "size")

    def __init__(self, data: bytes, slots: int) -> None:
        self.data, self.keys, self.live = data, array("Q", bytes(8 * slots)), 0
        self.size = len(data) + 8 * slots


class _Index:
    """In which block a key is: 64-bit entries in buckets, where a dict would take four times as much memory."""

    def __init__(self, capacity: int) -> None:
        size = 1 << max(capacity // 8, 1).bit_length()
        self._mask, self._buckets, self.count = size - 1, [array("Q") for _ in range(size)], 0

    def candidates(self, hashed: int) -> list[int]:
        """Return the blocks where a key may be: of half of it, an entry says nothing."""
        tag = hashed >> 32
        return [entry & 0xFFFF_FFFF for entry in self._buckets[hashed & self._mask] if entry >> 32 == tag]

    def add(self, hashed: int, number: int) -> None:
        self._buckets[hashed & self._mask].append(hashed >> 32 << 32 | number)
        self.count += 1

    def remove(self, hashed: int, number: int) -> None:
        self._buckets[hashed & self._mask].remove(hashed >> 32 << 32 | number)
        self.count -= 1


class _Sketch:
    """About how often each key was asked for, lately: never too low, and seldom too high."""

    def __init__(self, capacity: int) -> None:
        size = 1 << max(capacity * COUNTERS_PER_ORDER, 1 << 10).bit_length() - 1
        self._mask, self._counts = size - 1, bytearray(size)
        self._sample, self._added = max(capacity, 100) * SAMPLE_PER_ORDER, 0

    def count(self, hashed: int) -> int:
        return min(self._counts[hashed & self._mask], self._counts[hashed >> 32 & self._mask])

    def add(self, hashed: int) -> bool:
        """Count once more; tell whether all counts were halved by that."""
        first, second = hashed & self._mask, hashed >> 32 & self._mask
        count = min(self.count(hashed) + 1, 255)
        self._counts[first] = max(self._counts[first], count)
        self._counts[second] = max(self._counts[second], count)
        self._added += 1
        if self._added < self._sample:
            return False
        # What was asked for long ago counts for less and less.
        self._counts, self._added = self._counts.translate(_HALF), 0
        return True


def _hashed(key: Key) -> int:
    # The hash of a pair differs wherever one of its members does and the other does not: two folds' orders of one
    # name never meet. Those of two names that do are told apart by the name.
    return hash(key) & _WORD or 1
