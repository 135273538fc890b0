"""Which files a store has open: whether the names still lead to them, and all that was committed is still in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from eventstore.journals.sqlite.wal import wal_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

# docs: sqlite.org/fileformat2.html, section 4.1: the header of a write-ahead log and of each of its frames.
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24


class Identity:
    """A journal's file, its write-ahead log and that one's index, as they were when the store was opened.

    SQLite goes on writing to a file that was deleted, moved or replaced, and to one that was cut off. So device and
    inode of each name are compared with the first ones, and the sizes with what must be there.
    """

    def __init__(self, path: Path, page_bytes: int) -> None:
        # SQLite names the other two after what a link leads to.
        real = os.path.realpath(path)
        self._names = (os.path.abspath(path), real + "-wal", real + "-shm")  # noqa: PTH100 - text is quicker to look up
        self._frame_bytes = page_bytes + FRAME_HEADER_BYTES
        self._known = [_place(os.stat(name)) for name in self._names]  # noqa: PTH116 - the same
        self._size = 0
        self._wal_least = 0

    def committed(self, frames: int) -> None:
        """Take note of how many frames the write-ahead log has after a commit, and with them its least size."""
        self._wal_least = WAL_HEADER_BYTES + frames * self._frame_bytes

    def fault(self, frames: Callable[[], int] | None = None) -> str:
        """Return what has become of the files, '' where they are as they were.

        With `frames`, which returns how many frames the write-ahead log has by its index, the sizes are looked at too.
        """
        journal, wal, _ = self._names
        for name, known in zip(self._names, self._known, strict=True):
            try:
                found = os.stat(name)  # noqa: PTH116 - as above
            except OSError as e:
                return f"{name} cannot be found ({e.strerror}): it was deleted or moved while the store was open"
            if found.st_ino != known[1] or found.st_dev != known[0]:
                return f"{name} was replaced by another file while the store was open"
            if frames is None:
                continue
            size = found.st_size
            if name is journal:
                if size < self._size:
                    return f"{name} was truncated from {self._size:,} to {size:,} bytes while the store was open"
                self._size = size
            elif name is wal and size < self._wal_least and self._is_cut_off(frames()):
                return f"{name} was truncated to {size:,} bytes while the store was open"
        return ""

    def _is_cut_off(self, frames: int) -> bool:
        """Tell whether the write-ahead log has less than its index says: others may have begun it anew."""
        self.committed(frames)
        size = wal_bytes(Path(self._names[0]))
        return frames > 0 and size < self._wal_least

    def is_only_wal_gone(self) -> bool:
        """Tell whether the write-ahead log alone has lost its name: what is in it can still be moved over."""
        journal, wal, index = self._names
        return not os.path.lexists(wal) and all(
            _is(name, known) for name, known in ((journal, self._known[0]), (index, self._known[2]))
        )


def _place(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _is(name: str, known: tuple[int, int]) -> bool:
    try:
        return _place(os.stat(name)) == known  # noqa: PTH116 - as above
    except OSError:
        return False
