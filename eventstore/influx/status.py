"""What a mirror leaves beside its journal: its lock, its cursor and its status, for every process to see."""

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
    """How far InfluxDB has the log. `state`: shipping, waiting (tried again), halted (mend it), stopped (nobody ships).

    `lag_seconds` is the age of the oldest record that InfluxDB has not confirmed.
    """

    position: int
    lag_events: int
    lag_seconds: float
    state: State
    last_error: str | None


class Told(msgspec.Struct, frozen=True):
    """The status file: what the shipping process says of itself."""

    pid: int
    state: State
    last_error: str | None = None


def read_cursor(directory: Path) -> Watermark | None:
    """Return up to where InfluxDB has confirmed the log, None where nothing was shipped yet."""
    return Watermarks(directory / "watermarks").read(CURSOR)


def write_cursor(directory: Path, mark: Watermark, *, synced: bool) -> None:
    Watermarks(directory / "watermarks").write(CURSOR, mark, synced=synced)


def tell(directory: Path, told: Told) -> None:
    """Replace the status file in one step."""
    files.replace(directory / STATUS_FILE, msgspec.json.encode(told) + b"\n", synced=False)


def told(directory: Path) -> Told | None:
    """Return what the shipping process says, None where none is at work."""
    if not is_locked(directory):
        return None
    try:
        return msgspec.json.decode((directory / STATUS_FILE).read_bytes(), type=Told)
    except (FileNotFoundError, msgspec.MsgspecError):  # it has only just begun
        return Told(0, "shipping")


def was_mirrored(directory: Path) -> bool:
    """Tell whether this log has, or had, a mirror."""
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
    """Return the age of the oldest record past a position, 0 where there is none."""
    oldest = journal.read(Query(after=position, limit=1))
    return max(now_ns - oldest[0].recorded_at, 0) / NANOSECONDS if oldest else 0.0


class MirrorLock:
    """Whoever holds it ships. It goes with the process that holds it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_FILE
        self._handle: int | None = None

    def take(self) -> bool:
        """Take the lock unless another process has it; tell whether it is held."""
        if self._handle is not None:
            return True
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.file_mode(self._path.parent))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


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
