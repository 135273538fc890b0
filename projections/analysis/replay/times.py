"""The virtual time of a log's records, and the part of a log that lies between two instants of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import InvalidEvent
from eventstore.clock import NANOSECONDS, derived_times, format_time, to_ns
from eventstore.errors import shown
from projections.analysis.sources import AXES, RECORDED

if TYPE_CHECKING:
    from eventstore import EventReader
    from eventstore.clock import Times

TOLERATED_NS = 3_600 * NANOSECONDS
"""A record that is further behind than this may show that the time was wrong before it."""
AGREEING_MIN = 20
"""How many such records in a row do show it."""


class LogTime:
    """The virtual time at each record of a log, in order, in UNIX ns.

    By `occurred` it is the latest instant so far at which a record says that it happened, but never later than the log
    took it: a record that comes late does not turn time back. A time that was wrong does not count forever: once 20
    records in a row are more than an hour behind it, time continues from theirs. By `recorded` it is when the log took
    each record.
    """

    def __init__(self, axis: str) -> None:
        self.now = 0
        self.late = 0
        """How many records were behind the time that the ones before them had reached."""
        self._is_recorded = axis == RECORDED
        self._behind = self._latest = 0

    def at(self, occurred_at: int, recorded_at: int) -> int:
        """Return the time at the next record."""
        instant = recorded_at if self._is_recorded or occurred_at > recorded_at else occurred_at
        if instant >= self.now:
            self.now, self._behind = instant, 0
            return instant
        self.late += 1
        if self.now - instant <= TOLERATED_NS:
            self._behind = 0
            return self.now
        self._latest = max(instant, self._latest) if self._behind else instant
        self._behind += 1
        if self._behind >= AGREEING_MIN:
            self.now, self._behind = self._latest, 0
        return self.now


def axis_of(time: object) -> str:
    """Return which time of a record counts; raise InvalidEvent for anything else."""
    if time not in AXES:
        msg = f"time is {' or '.join(map(repr, AXES))}, not {shown(time)}"
        raise InvalidEvent(msg)
    return str(time)


def bounds_of(start: Times | None, stop: Times | None) -> tuple[int | None, int | None]:
    """Return two instants in UNIX ns; raise InvalidEvent if the first is after the second."""
    first, last = (None if bound is None else to_ns(bound) for bound in (start, stop))
    if first is not None and last is not None and first > last:
        msg = f"start {format_time(first)} is after stop {format_time(last)}: give them the other way round"
        raise InvalidEvent(msg)
    return first, last


def range_of(reader: EventReader, axis: str, start: int | None, stop: int | None) -> tuple[int, int]:
    """Return the positions after which and up to which a log's records lie in [start, stop), as its head is now."""
    head = reader.head()
    if start is None and stop is None:
        return 0, head
    if axis == RECORDED:
        with derived_times():
            first = 0 if start is None else reader.position_at(max(start - 1, 0))
            last = head if stop is None else reader.position_at(max(stop - 1, 0))
        return min(first, head), min(last, head)
    first, last, time = 0, 0, LogTime(axis)
    for page in reader.rows(("occurred_at", "recorded_at"), until=head):
        for position, occurred_at, recorded_at in page:
            now = time.at(occurred_at, recorded_at)
            # The last record before an instant, so that one of a wrong time in between ends nothing.
            if start is not None and now < start:
                first = position
            if stop is not None and now < stop:
                last = position
    last = head if stop is None else last
    return first, max(first, last)
