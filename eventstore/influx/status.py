"""What a mirror keeps beside its log, for every process to see: lock, cursor and status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from eventstore.clock import NANOSECONDS
from eventstore.journal import Query

if TYPE_CHECKING:
    from eventstore.journal import Source
    from eventstore.side import LogSide
    from eventstore.watermarks import Watermark

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
    """The content of the status document, which the shipping process writes."""

    pid: int
    state: State
    last_error: str | None = None


def read_cursor(side: LogSide) -> Watermark | None:
    """Return the position that InfluxDB has confirmed, None if nothing has been shipped."""
    marks = side.marks()
    try:
        return marks.read(CURSOR)
    finally:
        marks.close()


def write_status(side: LogSide, status: ShipperStatus) -> None:
    """Replace the status document in one step."""
    # Not synced: after a power cut no process ships, and it is ignored.
    side.keep(STATUS_FILE, msgspec.json.encode(status) + b"\n", synced=False)


def read_status(side: LogSide) -> ShipperStatus | None:
    """Return the status of the shipping process, None if no process ships."""
    # The document outlives its process, the lock does not: only the lock says whether the status is current.
    if not side.is_locked(LOCK_FILE):
        return None
    try:
        return msgspec.json.decode(side.documents(STATUS_FILE)[STATUS_FILE], type=ShipperStatus)
    except (KeyError, msgspec.MsgspecError):  # the process has just started
        return ShipperStatus(0, "shipping")


def was_mirrored(side: LogSide) -> bool:
    """Return whether this log has, or ever had, a mirror."""
    return LOCK_FILE in side.locks(CURSOR)


def lag_seconds(journal: Source, position: int, now_ns: int) -> float:
    """Return the age of the oldest record after a position, 0 if there is none."""
    oldest = journal.read(Query(after=position, limit=1))
    return max(now_ns - oldest[0].recorded_at, 0) / NANOSECONDS if oldest else 0.0
