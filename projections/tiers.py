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

COUNTERS_PER_ORDER = 8
SAMPLE_PER_ORDER = 10
ABOVE = 4
"""How much more often than what goes another is to be asked for: with less, chance alone drives orders out."""
_HALF = bytes(count >> 1 for count in range(256))


class TierSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what has left a view's state stays in memory; both bounds of the blocks hold.

    Larger blocks take less memory and more time: an order of 280 bytes takes 32 in blocks of 64 (180 µs to pack, 40 to
    take one out), 29 in blocks of 128 (320 and 60), 27 in blocks of 256 (590 and 95). `asked_min`: how often one in
    the log only is asked for until it takes another's place; fewer suit a demand that has nothing to do with age.
    """

    decoded_max: int = 1_000
    compressed_max: int = 32_000
    compressed_bytes_max: int = 16 << 20
    block_orders: int = 64
    level: int = 3
    asked_min: int = 4

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            least, most = {"block_orders": (1, 4_096), "level": (1, 19)}.get(name, (0, 1 << 40))
            if not least <= getattr(self, name) <= most:
                msg = f"{name} is {getattr(self, name)}: give {least} to {most}"
                raise ValueError(msg)


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Where lookups were answered from since the book began, and what the tiers hold now.

    `live` is the view's own state, open orders and the last closed ones; `absent` counts those of no order at all.
    `evictions` are from blocks, or of decoded orders in no block; `orders` are all in memory but the live ones.
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
        """The part of the orders found that was in memory; 1.0 before the first."""
        hits = self.live + self.decoded + self.compressed
        return hits / (hits + self.log) if hits + self.log else 1.0


class Tiers(Generic[V]):
    """What has left the states of one view: some of it decoded, more in compressed blocks.

    A cache beside the fold, in no snapshot. Each state has a Part of its own, so that nothing that one fold has made is
    taken for another's. The lock is held for moments: blocks are packed and unpacked without.
    """

    def __init__(self, kind: type[V], name: Callable[[V], str], settings: TierSettings | None = None) -> None:
        self.settings = settings or TierSettings()
        self._name = name
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._split = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
        self._lock, self._merging = threading.RLock(), threading.Lock()
        self._numbers, self._parts = itertools.count(1), itertools.count(1)
        # The last ones asked for; those that are in no block yet; and which of these the next block takes.
        self._decoded: OrderedDict[Key, V] = OrderedDict()
        self._loose: dict[Key, V] = {}
        self._waiting: list[Key] = []
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
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
            apart = sum(1 for key in self._decoded if key not in self._loose and not self._find(_hashed(key)))
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
        if (block.parts[slot], self._name(value)) != key:
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
                self.forget(key)
                self._wait(key, value)
        self._settle()

    def forget(self, key: Key) -> None:
        """Drop what is no longer so."""
        hashed = _hashed(key)
        with self._lock:
            self._decoded.pop(key, None)
            self._loose.pop(key, None)
            while number := self._find(hashed):
                self._leave(number, self._blocks[number].keys.index(hashed))

    def _find(self, hashed: int) -> int:
        """Return the number of the block where a key is, 0 where there is none."""
        for number in self._index.candidates(hashed):
            if hashed in self._blocks[number].keys:
                return number
        return 0

    def _leave(self, number: int, slot: int) -> None:
        block = self._blocks[number]
        self._index.remove(block.keys[slot], number)
        block.keys[slot] = 0
        block.live -= 1
        self._tidy(number)

    def _tidy(self, number: int) -> None:
        if not self._blocks[number].live:
            self._bytes -= self._blocks.pop(number).size

    def _remember(self, key: Key, value: V) -> None:
        """Keep a value decoded; the one asked for longest ago goes, into a block if it was asked for often."""
        self._decoded[key] = value
        self._decoded.move_to_end(key)
        if len(self._decoded) <= self.settings.decoded_max:
            return
        oldest, value = self._decoded.popitem(last=False)
        hashed = _hashed(oldest)
        if oldest in self._loose or self._find(hashed):
            return
        if self._asked.count(hashed) >= max(self.settings.asked_min, self._bar):
            self._wait(oldest, value)
        else:
            self._evictions += 1

    def _settle(self) -> None:
        """Pack what waits for a block, and see that there are not too many."""
        while True:
            while len(self._waiting) >= self.settings.block_orders:
                self._pack()
            # Another thread that is at it sees to what this one brought, or the next caller does.
            if not self._is_full() or not self._merging.acquire(blocking=False):
                return
            try:
                self._merge()
            finally:
                self._merging.release()

    def _is_full(self) -> bool:
        most = self.settings.compressed_max
        return self._index.count + len(self._loose) > most or self._bytes > self.settings.compressed_bytes_max

    def _pack(self) -> None:
        with self._lock:
            keys = dict.fromkeys(self._waiting[: self.settings.block_orders])
            del self._waiting[: self.settings.block_orders]
            # They stay where they are found until the block is there.
            batch = {key: self._loose[key] for key in keys if key in self._loose}
        if not batch:
            return
        block = _Block(zstd.compress(self._encode(list(batch.values())), self.settings.level), len(batch))
        with self._lock:
            number = self._add(block)
            for slot, (key, value) in enumerate(batch.items()):
                # Unless it was forgotten, or told anew, while it was packed.
                if self._loose.get(key) is value:
                    del self._loose[key]
                    self._place(_hashed(key), key[0], number, slot)
            self._tidy(number)

    def _add(self, block: _Block) -> int:
        number = next(self._numbers)
        self._blocks[number] = block
        self._bytes += block.size
        return number

    def _place(self, hashed: int, part: int, number: int, slot: int) -> None:
        block = self._blocks[number]
        block.keys[slot], block.parts[slot] = hashed, part
        block.live += 1
        self._index.add(hashed, number)

    def _wait(self, key: Key, value: V) -> None:
        self._loose[key] = value
        self._waiting.append(key)

    def _merge(self) -> None:
        """Drop a block's worth of the oldest orders, those asked for least first; those asked for are packed anew."""
        with self._lock:
            oldest = dict(itertools.islice(self._blocks.items(), 2))
            if not oldest:  # Less is wanted than one block holds.
                self._evictions += len(self._loose)
                self._loose.clear()
                return
            stay = self._chosen(oldest)
        data = {number: self._split(zstd.decompress(block.data)) for number, block in oldest.items()}
        # What nobody asks for stays the oldest; what is asked for gets in line with what closed just now.
        hot = {(number, slot): self._decode(data[number][slot]) for asked, number, slot in stay if asked}
        cold = [(number, slot) for asked, number, slot in stay if not asked]
        raw = self._encode([data[number][slot] for number, slot in cold])
        into = _Block(zstd.compress(raw, self.settings.level), len(cold))
        with self._lock:
            self._replace(oldest, hot, cold, into)

    def _chosen(self, blocks: dict[int, _Block]) -> list[tuple[int, int, int]]:
        """Return how often each order that stays was asked for, and where it is: the least asked for first."""
        places = [
            (self._asked.count(hashed), number, slot)
            for number, block in blocks.items()
            for slot, hashed in enumerate(block.keys)
            if hashed
        ]
        places.sort(key=lambda place: place[0])
        size = self.settings.block_orders
        self._bar = places[:size][-1][0] + ABOVE
        return places[size:]

    def _replace(
        self, oldest: dict[int, _Block], hot: dict[tuple[int, int], V], cold: list[tuple[int, int]], into: _Block
    ) -> None:
        at = self._add(into)
        self._blocks.move_to_end(at, last=False)
        slots = {place: slot for slot, place in enumerate(cold)}
        for number, block in oldest.items():
            for slot, hashed in enumerate(block.keys):
                if not hashed:  # Forgotten, before or meanwhile.
                    continue
                self._leave(number, slot)
                if (number, slot) in slots:
                    self._place(hashed, block.parts[slot], at, slots[number, slot])
                elif (number, slot) in hot:
                    value = hot[number, slot]
                    self._wait((block.parts[slot], self._name(value)), value)
                else:
                    self._evictions += 1
        self._tidy(at)

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

    __slots__ = ("data", "keys", "live", "parts", "size")

    def __init__(self, data: bytes, slots: int) -> None:
        self.data, self.live, self.size = data, 0, len(data) + 12 * slots
        self.keys, self.parts = array("Q", bytes(8 * slots)), array("I", bytes(4 * slots))


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
    # Two keys of one hash are told apart by part and name, and the one found second is in the log only.
    return hash(key) & (1 << 64) - 1 or 1
