"""The files that a mirror keeps beside its journal, for every process to see: lock, cursor and status."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Literal

import msgspec

from eventstore import files
from eventstore.clock import NANOSECONDS
from eventstore.journal import Query
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore.journal import Source

CURSOR = "mirror"
LOCK_FILE, STATUS_FILE = "mirror.lock", "mirror.json"
State = Literal["shipping", "waiting", "halted", "stopped"]


class MirrorStatus(msgspec.Struct, frozen=True):
    """How far the log is mirrored to InfluxDB, and the state of the process that ships it.

    `state` is shipping, waiting (InfluxDB is unavailable; it retries), halted (it needs a fix) or stopped (no process
    ships). `lag_seconds` is the age of the oldest record that InfluxDB has not confirmed.
    """

    position: int
    lag_events: int
    lag_seconds: float
    state: State
    last_error: str | None


class ShipperStatus(msgspec.Struct, frozen=True):
    """The content of the status file, which the shipping process writes."""

    pid: int
    state: State
    last_error: str | None = None


def read_cursor(directory: Path) -> Watermark | None:
    """Return the position that InfluxDB has confirmed, None if nothing has been shipped."""
    return Watermarks(directory / "watermarks").read(CURSOR)


def write_cursor(directory: Path, mark: Watermark, *, synced: bool) -> None:
    Watermarks(directory / "watermarks").write(CURSOR, mark, synced=synced)


def write_status(directory: Path, status: ShipperStatus) -> None:
    """Replace the status file atomically."""
    # Not synced: after a power cut no process ships, and the file is ignored.
    files.replace(directory / STATUS_FILE, msgspec.json.encode(status) + b"\n", synced=False)


def read_status(directory: Path) -> ShipperStatus | None:
    """Return the status of the shipping process, None if no process ships."""
    # The file outlives its process, the lock does not: only the lock says whether the status is current.
    if not is_locked(directory):
        return None
    try:
        return msgspec.json.decode((directory / STATUS_FILE).read_bytes(), type=ShipperStatus)
    except (FileNotFoundError, msgspec.MsgspecError):  # the process has just started
        return ShipperStatus(0, "shipping")


def was_mirrored(directory: Path) -> bool:
    """Return whether this log has, or ever had, a mirror."""
    return (directory / LOCK_FILE).exists()


def is_locked(directory: Path) -> bool:
    with _opened(directory / LOCK_FILE) as handle:
        if handle is None:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def lag_seconds(journal: Source, position: int, now_ns: int) -> float:
    """Return the age of the oldest record after a position, 0 if there is none."""
    oldest = journal.read(Query(after=position, limit=1))
    return max(now_ns - oldest[0].recorded_at, 0) / NANOSECONDS if oldest else 0.0


def mirror_lock(directory: Path) -> files.FileLock:
    """Return the lock of the one process that may ship a log."""
    return files.FileLock(directory / LOCK_FILE)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)
