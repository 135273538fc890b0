"""The identity of the files that a store has open: their names still lead to them, and nothing was cut off."""

from __future__ import annotations

import os
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# docs: sqlite.org/fileformat2.html, section 4.1: the header of a write-ahead log and of each of its frames.
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
# File systems tell times by the kernel's tick, at most this long: two changes within one have the same time. Some know
# seconds only, or every other one.
TICK_SECONDS, COARSE_SECONDS = 0.02, 2.5
RECENT_SECONDS = 0.001
# docs: sqlite.org/walformat.html, section 2: the index grows by such blocks.
INDEX_BYTES_MIN = 32_768
LOOKS_MAX = 100
"""How often the write-ahead log is looked at again that others have restarted between two looks."""


class Identity:
    """A journal's file, its write-ahead log and that one's index, as they were when the store was opened.

    SQLite keeps writing to a file that was deleted, moved or replaced, and to one that was cut off. So device and
    inode of each name are compared with the first ones, and the sizes with what must be there.

    A name that goes changes the folder's time. While that stands still, a look at the folder is enough; for a tick
    after it was first seen, the names are looked at each time.
    """

    def __init__(self, path: Path, page_bytes: int, is_own: Callable[[], bool]) -> None:
        # SQLite names the other two after what a link leads to; absolute, for a process may change its directory.
        real = os.path.realpath(path)
        self._journal, self._wal, self._index = self._names = (str(path.absolute()), real + "-wal", real + "-shm")
        self._frame_bytes = page_bytes + FRAME_HEADER_BYTES
        self._known = {name: _place(os.stat(name)) for name in self._names}  # noqa: PTH116 - the same
        # The write-ahead log's own handle tells its size: unlike the journal's, closing it drops no locks. What is
        # written through it lands behind the end, wherever that is by then, and over nothing.
        self.wal_handle: int = os.open(self._wal, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._folder = os.open(os.path.dirname(real), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
        self.close = weakref.finalize(self, _close, self.wal_handle, self._folder)
        # A link to the file or to its folder may be pointed elsewhere without a change of the folder itself.
        self._is_plain = self._journal == real
        self._inode = self._known[self._journal][1]
        self._changed_at = -1
        self._seen_at = 0.0
        self._is_settled = False
        self._looked_at = self._index_at = 0.0
        self._size = 0
        self.wal_least = self.wal_bytes = 0
        """How many bytes of the write-ahead log the last commit has used, and how many the file had when last seen."""
        self._is_own = is_own
        self._written_at = os.stat(self._journal).st_mtime_ns  # noqa: PTH116 - the same
        self._read_at = 0.0

    def committed(self, frames: int) -> None:
        """Take note of how many frames the write-ahead log has after a commit, and with them its least size."""
        self.wal_least = WAL_HEADER_BYTES + frames * self._frame_bytes

    def fault(self, frames: Callable[[], int]) -> str:
        """Return what has become of the files, '' where they are as they were.

        `frames` returns how many frames the write-ahead log has by its index. Asked for after each commit, so all is
        in one place: two looks at files and a seek, where nothing has changed.
        """
        now = time.monotonic()
        try:
            found = os.stat(self._journal)  # noqa: PTH116 - text is quicker to look up
        except OSError:
            return self.moved()
        if (found.st_ino != self._inode or not self._is_unchanged(now)) and (fault := self.moved()):
            return fault
        if now - self._index_at > RECENT_SECONDS and (fault := self._index_cut_off(now)):
            return fault
        if self.wal_size() < self.wal_least and (fault := self.cut_off(frames)):
            return fault
        if found.st_size < self._size:
            size = f"{self._size:,} to {found.st_size:,} bytes"
            return f"{self._journal} was truncated from {size} while the store was open"
        self._size = found.st_size
        self._looked_at = now
        return "" if found.st_mtime_ns == self._written_at else self._rewritten(found.st_mtime_ns)

    def fault_before(self, frames: Callable[[], int]) -> str:
        """Return what `fault` does, before a commit: without looking at the names again just after the last look.

        What is appended to a write-ahead log that was cut off lies beyond its end, and what was there is zeros then.
        """
        if time.monotonic() - self._looked_at > RECENT_SECONDS:
            return self.fault(frames)
        return self.cut_off(frames)

    def cut_off(self, frames: Callable[[], int]) -> str:
        """Return whether the write-ahead log has less than its index says, '' where it has all."""
        if self.wal_size() >= self.wal_least:
            return ""
        for _ in range(LOOKS_MAX):
            # Another process may have restarted it.
            found = frames()
            self.committed(found)
            size = self.wal_size()
            if not found or size >= self.wal_least:
                return ""
            # Or again between these two looks: then the index has changed as well.
            if frames() == found:
                return self.truncated_to(size)
        # It changes all the time: the next commit looks again.
        return ""

    def wal_size(self) -> int:
        self.wal_bytes = size = os.lseek(self.wal_handle, 0, os.SEEK_END)
        return size

    def truncated_to(self, size: int) -> str:
        """Return that the write-ahead log was truncated."""
        return f"{self._wal} was truncated to {size:,} bytes while the store was open"

    def _rewritten(self, written_at: int) -> str:
        """Return whether another file's content was written over the journal's, whose time has changed.

        Usually a checkpoint has changed it, in many steps: then the file is read again now and then, and at its end.
        """
        now = time.monotonic()
        if now - self._read_at < TICK_SECONDS:
            return ""
        self._read_at = now
        if not self._is_own():
            return f"{self._journal} was overwritten with something else while the store was open"
        self._written_at = written_at
        return ""

    def _index_cut_off(self, now: float) -> str:
        """Return whether the write-ahead log's index has lost what SQLite maps of it: it would end the process."""
        self._index_at = now
        try:
            size = os.stat(self._index).st_size  # noqa: PTH116 - as above
        except OSError:
            return self.moved()
        if size >= INDEX_BYTES_MIN:
            return ""
        return f"{self._index} was truncated to {size:,} bytes while the store was open"

    def is_in_no_others_place(self) -> bool:
        """Return whether the journal's name leads to its own file, or to none: to no other log's."""
        return not os.path.lexists(self._journal) or _is(self._journal, self._known[self._journal])

    def moved(self) -> str:
        """Return what has become of the names, '' where each leads to the file that it led to."""
        for name, known in self._known.items():
            try:
                found = os.stat(name)  # noqa: PTH116 - as above
            except OSError as e:
                return f"{name} cannot be found ({e.strerror}): it was deleted or moved while the store was open"
            if found.st_ino != known[1] or found.st_dev != known[0]:
                return f"{name} was replaced by another file while the store was open"
        return ""

    def is_only_wal_gone(self) -> bool:
        """Return whether the write-ahead log alone has lost its name: it can still be checkpointed."""
        return not os.path.lexists(self._wal) and all(
            _is(name, self._known[name]) for name in (self._journal, self._index)
        )

    def _is_unchanged(self, now: float) -> bool:
        """Return whether no name in the folder has changed since all were last looked at, and found right."""
        if not self._is_plain:
            return False
        # Its own handle: another folder under its name has another journal, which has another inode.
        changed_at = os.fstat(self._folder).st_ctime_ns
        if changed_at == self._changed_at and self._is_settled:
            return True
        if changed_at != self._changed_at:
            self._changed_at, self._seen_at, self._is_settled = changed_at, now, False
        elif now - self._seen_at > (TICK_SECONDS if changed_at % 1_000_000_000 else COARSE_SECONDS):
            # What changes from here on has another time; the look at the names that follows is the last for now.
            self._is_settled = True
        return False


def _close(*handles: int) -> None:
    for handle in handles:
        os.close(handle)


def _place(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _is(name: str, known: tuple[int, int]) -> bool:
    try:
        return _place(os.stat(name)) == known  # noqa: PTH116 - as above
    except OSError:
        return False
