"""Instants of a log as text: a log position, a time in a zone, or the name of a mark."""

from __future__ import annotations

from datetime import UTC, tzinfo

import msgspec

from eventstore import Clock, EventReader, EventStore, InvalidEvent, Record, SystemClock
from eventstore.clock import format_time, likely_unit
from gateways.presenting.times import parse_local, reads_as_time
from projections.replay import find_mark

MARK = "mark:"
"""Prefix for a name that would otherwise be read as a position or a time; older logs may have such names."""


class LogInstant(msgspec.Struct, frozen=True):
    """An instant of a log: the last position included, when that was recorded, and the time to ask for lockouts.

    Times are UNIX ns. `is_time`: it was given as a time, not as a position or a mark.
    """

    position: int
    recorded_at: int
    lockouts_at: int
    is_time: bool = False


def instant_of(store: EventReader, text: str, zone: tzinfo = UTC) -> LogInstant:
    """Return the instant of the log that a position, a time of recording or the name of a mark stands for."""
    if text.isdecimal() and text.isascii():
        return _at_position(store, int(text))
    if text.startswith(MARK):
        return _at_record(find_mark(store, text.removeprefix(MARK)))
    try:
        at = parse_local(text, zone, clock_of(store).now_ns())
    except InvalidEvent as e:
        return _at_mark(store, text, e)
    return LogInstant(store.position_at(at), at, at, is_time=True)


def time_of(store: EventReader, text: str, zone: tzinfo = UTC) -> int:
    """Return the time that a text stands for (UNIX ns); for a position or a mark, when its record occurred."""
    if text.isdecimal() and text.isascii():
        position = int(text)
        return record_at(store, position).occurred_at if position else 0
    if text.startswith(MARK):
        return find_mark(store, text.removeprefix(MARK)).occurred_at
    try:
        return parse_local(text, zone, clock_of(store).now_ns())
    except InvalidEvent as e:
        return record_at(store, _at_mark(store, text, e).position).occurred_at


def record_at(store: EventReader, position: int) -> Record:
    """Return the record of a position; raise InvalidEvent if it is not in the log."""
    for record in store.read(after=max(position - 1, 0), limit=1):
        if record.position == position:
            return record
    msg = f"position {position} is not in the log, which ends at {store.head()}"
    if (unit := likely_unit(position)) is not None:
        name, at = unit
        msg += f"; a number is a position, and this one looks like a time in {name}: write it as {format_time(at)}"
    raise InvalidEvent(msg)


def _at_position(store: EventReader, position: int) -> LogInstant:
    return _at_record(record_at(store, position)) if position else LogInstant(0, 0, 0)


def _at_mark(store: EventReader, text: str, not_a_time: InvalidEvent) -> LogInstant:
    try:
        record = find_mark(store, text)
    except InvalidEvent as e:
        if reads_as_time(text):
            raise not_a_time from e
        msg = f"{not_a_time}; or give a position, or the name of a mark: {e}"
        raise InvalidEvent(msg) from e
    return _at_record(record)


def _at_record(record: Record) -> LogInstant:
    # An imported or simulated day is recorded long after it happened; its lockouts were in force while it happened.
    return LogInstant(record.position, record.recorded_at, min(record.recorded_at, record.occurred_at))


def clock_of(store: EventReader) -> Clock:
    """Return the clock of a store, or the system's for a reader that has none."""
    return store.clock if isinstance(store, EventStore) else SystemClock()
