"""How large a journal's write-ahead log is, and which processes keep it from being restarted."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import msgspec

# A process that is just reading is gone at the second look; one that holds an older state is found by both.
LOOK_AGAIN_SECONDS = 0.05
# docs: sqlite.org/walformat.html, section 2.3: the bytes of the index that a reader holds a shared lock on.
_READ_LOCKS = range(123, 128)
_LOCKS = Path("/proc/locks")


class Holder(msgspec.Struct, frozen=True):
    """A process that reads the journal as of an older state: what was appended since stays in the write-ahead log."""

    pid: int
    program: str


class WriteAheadLog(msgspec.Struct, frozen=True):
    """Its size, and who holds it; None where the system does not say."""

    bytes: int
    holders: tuple[Holder, ...] | None


def write_ahead_log(path: Path) -> WriteAheadLog:
    """Look at a journal's write-ahead log, without opening any of its files."""
    first = _readers(path)
    if first:
        time.sleep(LOOK_AGAIN_SECONDS)
    again = _readers(path)
    holders = None if first is None or again is None else tuple(Holder(pid, _program(pid)) for pid in first & again)
    return WriteAheadLog(wal_bytes(path), holders)


def wal_bytes(path: Path) -> int:
    """Return the size of a journal's write-ahead log, 0 without one."""
    try:
        found = os.stat(os.path.realpath(path) + "-wal")  # noqa: PTH116 - beside what a link leads to
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _readers(path: Path) -> set[int] | None:
    """Return the processes, but for this one, that hold a reader's lock; None where that cannot be known."""
    try:
        index = os.stat(os.path.realpath(path) + "-shm").st_ino  # noqa: PTH116 - the same
    except OSError:
        return set()
    try:
        lines = _LOCKS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    # "1: POSIX  ADVISORY  READ 15304 fe:00:9986216 124 124"; one that waits for a lock has an arrow after the number.
    parts = [line.split() for line in lines if "->" not in line]
    found = [part for part in parts if len(part) == 8 and part[1] == "POSIX" and part[5].endswith(f":{index}")]  # noqa: PLR2004
    pids = {int(part[4]) for part in found if part[3] == "READ" and _overlaps(part[6], part[7])}
    return {pid for pid in pids if pid > 0} - {os.getpid()}


def _overlaps(first: str, last: str) -> bool:
    if not (first.isdecimal() and last.isdecimal()):  # to the file's end: none of SQLite's
        return False
    return int(first) <= _READ_LOCKS[-1] and int(last) >= _READ_LOCKS[0]


def _program(pid: int) -> str:
    """Return a process's name, '' where it is gone or hidden. Not its arguments: those may hold a secret."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
