"""A model of a write-ahead log with writers, kills and power cuts: what SQLite leaves on a disk, by sectors."""

from __future__ import annotations

import random
import struct

from eventstore.journals.sqlite.wal_damage import checksum

PAGE_BYTES = 512
STRIDE = 24 + PAGE_BYTES
SECTOR = 512
HEADER = 32
FILE_PAGES = 200


class ModelLog:
    """The file as processes see it and as it is on the disk, and how far the index and the acknowledgements are."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.synced, self.current = bytearray(), bytearray()
        self._unsynced: list[tuple[int, bytes]] = []
        self.frames = self.acknowledged = self.ended = 0
        """Frames of the index, those that were acknowledged, and where the last transaction but one ended."""
        self._salts, self._seed = b"", (0, 0)

    def commit(self, size: int, *, killed: bool = False) -> None:
        """Write a transaction of so many frames and sync it, unless the writer is killed before."""
        if not self.frames:
            self._begin()
        seed, number = self._seed, self.frames
        written = self._chance.randint(1, size) if killed and self._chance.random() < 0.5 else size
        # Each of a journal's transactions writes the page of the head's row.
        pages = [2, *sorted(self._chance.sample(range(3, 3 + 2 * size), size - 1))]
        for index in range(written):
            page = self._chance.randbytes(PAGE_BYTES) if self._chance.random() < 0.7 else bytes(PAGE_BYTES)
            about = struct.pack(">II", pages[index], FILE_PAGES if index == size - 1 else 0)
            seed = checksum(about + page, seed, "<")
            at = HEADER + (number + index) * STRIDE
            self._write(at, about + self._salts + struct.pack(">II", *seed))
            self._write(at + 24, page)
        if not killed:
            self._sync()
            self.ended = self.frames
            self.frames = self.acknowledged = number + size
            self._seed = seed

    def reserve(self, size: int) -> None:
        """Append zeros that the next frames are written over."""
        self._write(len(self.current), bytes(size))

    def restart(self) -> None:
        """All is in the tables: the next transaction starts the log from its beginning."""
        self.frames = self.acknowledged = self.ended = 0

    def cut_power(self) -> bytes:
        """Lose any part of what was not synced, and return what is left."""
        kept = self._chance.choice([0.0, 0.1, 0.5, 0.9, 0.95, 1.0])
        torn = self._chance.random() < 0.7
        content = bytearray(self.synced)
        for at, data in self._unsynced:
            if not torn:
                if self._chance.random() < kept:
                    _put(content, at, data)
                continue
            for first in range(at - at % SECTOR, at + len(data), SECTOR):
                begin, stop = max(first, at), min(first + SECTOR, at + len(data))
                if self._chance.random() < kept:
                    _put(content, begin, data[begin - at : stop - at])
        self.synced, self.current, self._unsynced = bytearray(content), bytearray(content), []
        return bytes(content)

    def recover(self) -> int:
        """Take what is valid from the beginning on, as SQLite does, sync it as an opening does; return how many."""
        self._sync()
        self.frames, self._seed, self.ended = recovered(bytes(self.current))
        self._salts = bytes(self.current[16:24])
        return self.frames

    def _begin(self) -> None:
        self._salts = self._chance.randbytes(8)
        about = struct.pack(">IIII", 0x377F0682, 3_007_000, PAGE_BYTES, 0) + self._salts
        self._seed = checksum(about, (0, 0), "<")
        self._write(0, about + struct.pack(">II", *self._seed))
        self._sync()

    def _write(self, at: int, data: bytes) -> None:
        _put(self.current, at, data)
        self._unsynced.append((at, data))

    def _sync(self) -> None:
        self.synced, self._unsynced = bytearray(self.current), []


def recovered(content: bytes) -> tuple[int, tuple[int, int], int]:
    """Return the last frame that SQLite accepts, its checksum, and where the transaction before it ended."""
    if len(content) < HEADER or checksum(content[:24], (0, 0), "<") != struct.unpack_from(">II", content, 24):
        return 0, (0, 0), 0
    seed = last = checksum(content[:24], (0, 0), "<")
    accepted = ended = 0
    for number in range(1, (len(content) - HEADER) // STRIDE + 1):
        frame = content[HEADER + (number - 1) * STRIDE : HEADER + number * STRIDE]
        seed = checksum(frame[:8] + frame[24:], seed, "<")
        if frame[8:16] != content[16:24] or struct.unpack_from(">II", frame, 16) != seed:
            break
        if struct.unpack_from(">I", frame, 4)[0]:
            accepted, last, ended = number, seed, accepted
    return accepted, last, ended


def _put(content: bytearray, at: int, data: bytes) -> None:
    content.extend(bytes(max(0, at - len(content))))
    content[at : at + len(data)] = data
