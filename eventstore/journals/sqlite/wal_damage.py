"""Telling a damaged write-ahead log from one whose last transaction a power cut has torn.

SQLite reads the log up to the first frame that does not have its checksum, and ignores the rest without a word. Each
frame stores the checksum of all before it, so frames behind a bad one can still be held against each other. With
`synchronous=FULL` a transaction is written only after the one before it was synced: where a frame follows the end of
a transaction that SQLite ignores, that one had been on the disk, and what is wrong with it now is damage.

Frames of a killed process that another has partly overwritten prove nothing of the kind: each rest ends with the one
transaction that was not synced, and what lies behind that was written after something else.
(sqlite.org/fileformat2.html#walformat)
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
# Little-endian checksums; the big-endian one is larger by one.
_MAGIC = 0x377F0682
_PAGE_BYTES_MIN, _PAGE_BYTES_MAX = 512, 65_536
# What a disk writes whole or not at all.
_SECTOR_BYTES = 512
_BLOCK_BYTES = 1 << 19
_WORD = 0xFFFF_FFFF

Checksum = tuple[int, int]
Salts = bytes


class Damage(NamedTuple):
    """The first frame that is not as it was synced, 0 for the log's header, and how many frames were written."""

    frame: int
    frames: int


class WalFrame(NamedTuple):
    """One page as a transaction left it; `pages`, the file's size in pages, is 0 but in a transaction's last frame."""

    page: int
    pages: int
    salts: Salts
    checksum: Checksum
    content: bytes


def damage(path: Path, accepted: int, page_bytes: int) -> Damage | None:
    """Return what is damaged in a log of which SQLite takes the first `accepted` frames, None where nothing is known.

    `page_bytes` is the page size of the database, used where the log's header does not tell it.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = os.pread(handle, _HEADER_BYTES, 0)
        if len(header) < _HEADER_BYTES:
            return None
        magic, page = struct.unpack_from(">I4xI", header)
        order = ">" if magic == _MAGIC + 1 else "<"
        stored = _pair(header[24:])
        if stored == checksum(header[:24], (0, 0), order) and magic in {_MAGIC, _MAGIC + 1}:
            log = _Log(handle, page, order, header[16:24], {stored})
            return log.damage_behind(accepted) if _is_page_size(page) else None
        # SQLite ignores all of it. The header is synced before the first frame is written.
        for order in ("<", ">"):
            seeds = {stored, checksum(header[:24], (0, 0), order)}
            log = _Log(handle, page_bytes, order, b"", seeds)
            log.salts = log.salts_of_frames()
            if log.salts and log.any_of(log.ends_transaction, 0):
                return Damage(0, log.last)
        return None
    finally:
        os.close(handle)


def _is_page_size(page: int) -> bool:
    return _PAGE_BYTES_MIN <= page <= _PAGE_BYTES_MAX and not page & (page - 1)


def _pair(content: bytes) -> Checksum:
    first, second = struct.unpack_from(">II", content)
    return first, second


def checksum(content: bytes, seed: Checksum, order: str) -> Checksum:
    """Return SQLite's checksum of content, a multiple of eight bytes, that follows what the seed is the checksum of."""
    first, second = seed
    words = iter(struct.unpack(f"{order}{len(content) // 4}I", content))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second


class _Log:
    """The frames of a write-ahead log's current generation, from number 1 on: those that have its salts."""

    def __init__(self, handle: int, page_bytes: int, order: str, salts: Salts, seeds: set[Checksum]) -> None:
        self._handle, self._order = handle, order
        self._stride = _FRAME_HEADER_BYTES + page_bytes
        self._count = (os.fstat(handle).st_size - _HEADER_BYTES) // self._stride
        self._seeds = seeds
        self.salts = salts
        self.last = 0
        """The last frame of this generation that a scan has come to."""
        self._repeats = False

    def damage_behind(self, accepted: int) -> Damage | None:
        """Return the damage where a transaction that is not accepted has been followed by another."""
        is_proved = self.any_of(self._is_followed, accepted)
        if not is_proved and not self._repeats:
            return None
        bad = next((number for number in range(accepted + 1, self.last + 1) if not self._is_sound(number)), None)
        # None: what SQLite did not take a moment ago was still being written.
        if bad is None or not (is_proved or self._is_followed(bad)):
            return None
        return Damage(bad, self.last)

    def any_of(self, test: Callable[[int], bool], accepted: int) -> bool:
        """Return whether a frame past a number is said to end a transaction and passes; look at all that there are."""
        found = False
        seen: set[int] = set()
        for number, header in self._headers(accepted):
            page, pages = struct.unpack_from(">II", header)
            if header[8:16] == self.salts:
                self.last = number
                # A transaction writes each page once, and each of a journal's that of the head's row: another one has
                # begun, though no frame says so.
                self._repeats = self._repeats or page in seen
                seen.add(page)
            found = found or (bool(pages) and test(number))
        return found

    def salts_of_frames(self) -> Salts:
        """Return the salts of the first two neighbors that share theirs; b'' where no two do."""
        before, drawn = b"", list[Salts]()
        for _, header in self._headers(0):
            salts = header[8:16]
            if any(salts):
                if salts == before:
                    return salts
                drawn.append(salts)
            before = salts
        # A single frame can be a whole transaction. What is behind it was reserved, and is zeros.
        return drawn[0] if len(drawn) == 1 else b""

    def ends_transaction(self, number: int) -> bool:
        """Return whether a frame is sound, and the last of a transaction."""
        frame = self._frame(number)
        return frame is not None and bool(frame.pages) and frame.salts == self.salts and self._is_linked(number, frame)

    def _headers(self, accepted: int) -> Iterator[tuple[int, bytes]]:
        per_block = max(_BLOCK_BYTES // self._stride, 1)
        for first in range(accepted + 1, self._count + 1, per_block):
            block = os.pread(self._handle, per_block * self._stride, self._offset(first))
            for index in range(min(len(block) // self._stride, self._count + 1 - first)):
                at = index * self._stride
                yield first + index, block[at : at + _FRAME_HEADER_BYTES]

    def _is_followed(self, number: int) -> bool:
        """Return whether a frame was the last of a transaction that the next frame was written after."""
        frame, after = self._frame(number), self._frame(number + 1)
        if frame is None or after is None or after.salts != self.salts:
            return False
        computed = {self._sum(frame, seed) for seed in self._before(number)}
        if any(self._sum(after, seed) == after.checksum for seed in computed):
            # Its content is what was summed up.
            return bool(frame.pages)
        return self._sum(after, frame.checksum) == after.checksum and self._has_ended(number, frame)

    def _has_ended(self, number: int, frame: WalFrame) -> bool:
        """Return whether a frame was the last of its transaction, whose content is not what its checksum says."""
        missing = [self._missing(frame, seed) for seed in self._before(number)]
        if not frame.pages:
            return any(self._lacks_pages(number, frame, each) for each in missing)
        if self._offset(number) % _SECTOR_BYTES <= _SECTOR_BYTES - _FRAME_HEADER_BYTES:
            # A header in one sector is of one write.
            return True
        # One that lies across two may begin with what an older frame had there, when this one ended nothing.
        return not any(self._is_of_two(frame, each) for each in missing) and any(map(self._is_one_word, missing))

    def _missing(self, frame: WalFrame, seed: Checksum) -> Checksum:
        """Return by how much the checksum that is stored is larger than the one that is computed."""
        found = self._sum(frame, seed)
        return (frame.checksum[0] - found[0]) & _WORD, (frame.checksum[1] - found[1]) & _WORD

    def _lacks_pages(self, number: int, frame: WalFrame, missing: Checksum) -> bool:
        """Return whether a frame has its checksum with another number of pages, one that the file can have had."""
        _, odd = self._gains()[-1]
        larger_by = _times(odd, missing)
        if larger_by is None:
            return False
        pages = self._as_word(larger_by)
        ends = (self._frame(later) for later in range(number + 1, self.last + 1))
        most = next((end.pages for end in ends if end is not None and end.pages), 0)
        return frame.page <= pages <= most

    def _is_of_two(self, frame: WalFrame, missing: Checksum) -> bool:
        """Return whether a frame has its checksum with another number of its page, and as none that ends anything."""
        even, odd = self._gains()[-1]
        pages = self._as_word(frame.pages)
        without = tuple((lacking + gain * pages) & _WORD for lacking, gain in zip(missing, odd, strict=True))
        return _times(even, (without[0], without[1])) is not None

    def _is_one_word(self, missing: Checksum) -> bool:
        """Return whether one changed word explains a checksum: a torn write changes more."""
        return any(_times(gain, missing) is not None for pair in self._gains() for gain in pair)

    def _gains(self) -> list[tuple[Checksum, Checksum]]:
        """Return what both sums gain from each word of a frame's pairs that is larger by one, from the last pair on."""
        gains: list[tuple[Checksum, Checksum]] = [((1, 1), (0, 1))]
        for _ in range((self._stride - _FRAME_HEADER_BYTES) // 8):
            even, odd = gains[-1]
            gains.append((_a_pair_earlier(even), _a_pair_earlier(odd)))
        return gains

    def _as_word(self, number: int) -> int:
        """Return a number of a header as the checksum takes it, or back."""
        return int.from_bytes(number.to_bytes(4, "big"), "big" if self._order == ">" else "little")

    def _is_sound(self, number: int) -> bool:
        frame = self._frame(number)
        return frame is not None and frame.salts == self.salts and self._is_linked(number, frame)

    def _is_linked(self, number: int, frame: WalFrame) -> bool:
        return any(self._sum(frame, seed) == frame.checksum for seed in self._before(number))

    def _before(self, number: int) -> set[Checksum]:
        """Return what may be the checksum up to a frame: the one that is stored, and the one that is computed."""
        before = self._frame(number - 1)
        if before is None:
            return self._seeds
        earlier = self._frame(number - 2)
        seeds = self._seeds if earlier is None else {earlier.checksum}
        return {before.checksum} | {self._sum(before, seed) for seed in seeds}

    def _sum(self, frame: WalFrame, seed: Checksum) -> Checksum:
        return checksum(struct.pack(">II", frame.page, frame.pages) + frame.content, seed, self._order)

    def _frame(self, number: int) -> WalFrame | None:
        content = os.pread(self._handle, self._stride, self._offset(number)) if 1 <= number <= self._count else b""
        if len(content) < self._stride:
            return None
        page, pages = struct.unpack_from(">II", content)
        return WalFrame(page, pages, content[8:16], _pair(content[16:24]), content[_FRAME_HEADER_BYTES:])

    def _offset(self, number: int) -> int:
        return _HEADER_BYTES + (number - 1) * self._stride


def _times(gain: Checksum, missing: Checksum) -> int | None:
    """Return how often a gain is what both sums miss, None where it is not. One of its numbers is odd."""
    index = 0 if gain[0] & 1 else 1
    times = missing[index] * pow(gain[index], -1, 1 << 32) & _WORD
    return times if all(times * one & _WORD == other for one, other in zip(gain, missing, strict=True)) else None


def _a_pair_earlier(gain: Checksum) -> Checksum:
    first = (gain[0] + gain[1]) & _WORD
    return first, (gain[1] + first) & _WORD
