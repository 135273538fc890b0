"""What an INSTANT is: a position, a time in the zone of the command, or a mark's name."""

from __future__ import annotations

from datetime import UTC, tzinfo

import msgspec

from eventstore import EventReader, InvalidEvent, Record
from gateways.cli.options import clock_of
from gateways.presenting.times import parse_local, reads_as_time
from projections.replay import find_mark

HELP = "a time (2025-11-19, '2025-11-19 15:10', ISO 8601), a position, or a mark's name"


class Instant(msgspec.Struct, frozen=True):
    """A point in a log: the last position that counts, when it was recorded, and when to ask for lockouts (UNIX ns)."""

    position: int
    at: int
    asked: int


def instant_of(store: EventReader, text: str, zone: tzinfo = UTC) -> Instant:
    """Return the instant of the log that a position, a time of recording or a mark's name means."""
    if text.isdecimal() and text.isascii():
        return _at_position(store, int(text))
    try:
        at = parse_local(text, zone, clock_of(store).now_ns())
    except InvalidEvent as e:
        return _at_mark(store, text, e)
    return Instant(store.position_at(at), at, at)


def time_of(store: EventReader, text: str, zone: tzinfo = UTC) -> int:
    """Return the time in UNIX ns that a text means; of a position or a mark, when that record occurred."""
    if text.isdecimal() and text.isascii():
        position = int(text)
        return record_at(store, position).occurred_at if position else 0
    try:
        return parse_local(text, zone, clock_of(store).now_ns())
    except InvalidEvent as e:
        return record_at(store, _at_mark(store, text, e).position).occurred_at


def record_at(store: EventReader, position: int) -> Record:
    """Return the record of a position; raise InvalidEvent where the log does not reach it."""
    for record in store.read(after=max(position - 1, 0), limit=1):
        if record.position == position:
            return record
    msg = f"position {position} is not in the log, which ends at {store.head()}"
    raise InvalidEvent(msg)


def _at_position(store: EventReader, position: int) -> Instant:
    return _at_record(record_at(store, position)) if position else Instant(0, 0, 0)


def _at_mark(store: EventReader, text: str, no_time: InvalidEvent) -> Instant:
    try:
        record = find_mark(store, text)
    except InvalidEvent as e:
        if reads_as_time(text):
            raise no_time from e
        msg = f"{no_time}; or give a position, or a mark's name: {e}"
        raise InvalidEvent(msg) from e
    return _at_record(record)


def _at_record(record: Record) -> Instant:
    # An imported or simulated day was recorded long after it happened, and its lockouts held while it did.
    return Instant(record.position, record.recorded_at, min(record.recorded_at, record.occurred_at))
