"""What an INSTANT is: a position, a time in the zone of the command, or a mark's name."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo

import msgspec

from eventstore import EventReader, InvalidEvent, Record
from gateways.cli.options import clock_of
from gateways.presenting.output import note
from gateways.presenting.presenter import Presenter
from gateways.presenting.times import parse_local, reads_as_time
from projections.replay import find_mark

HELP = "a time (2025-11-19, '2025-11-19 15:10', ISO 8601), a position, or a mark's name (also mark:NAME)"
MARK = "mark:"
"""Before a name that would otherwise be read as a position or a time, as older logs may have them."""
_WORDS = frozenset({"now", "today", "yesterday", "tomorrow"})
_NUMBER = re.compile(r"[+-]?[\d.,_]+(?:e[+-]?\d+)?|0x[\da-f]+", re.IGNORECASE)
_DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d+)?\s*[a-zµ]{1,7}\s*)+", re.IGNORECASE)


class Instant(msgspec.Struct, frozen=True):
    """A point in a log: the last position that counts, when it was recorded, and when to ask for lockouts (UNIX ns)."""

    position: int
    at: int
    asked: int
    is_time: bool = False


def instant_of(store: EventReader, text: str, zone: tzinfo = UTC) -> Instant:
    """Return the instant of the log that a position, a time of recording or a mark's name means."""
    if text.isdecimal() and text.isascii():
        return _at_position(store, int(text))
    if text.startswith(MARK):
        return _at_record(find_mark(store, text.removeprefix(MARK)))
    try:
        at = parse_local(text, zone, clock_of(store).now_ns())
    except InvalidEvent as e:
        return _at_mark(store, text, e)
    return Instant(store.position_at(at), at, at, is_time=True)


def time_of(store: EventReader, text: str, zone: tzinfo = UTC) -> int:
    """Return the time in UNIX ns that a text means; of a position or a mark, when that record occurred."""
    if text.isdecimal() and text.isascii():
        position = int(text)
        return record_at(store, position).occurred_at if position else 0
    if text.startswith(MARK):
        return find_mark(store, text.removeprefix(MARK)).occurred_at
    try:
        return parse_local(text, zone, clock_of(store).now_ns())
    except InvalidEvent as e:
        return record_at(store, _at_mark(store, text, e).position).occurred_at


def note_outside(store: EventReader, at: int, shown: Presenter) -> None:
    """Say where a time of recording lies before the log's first record, or any time in the future."""
    first = next(store.read(limit=1), None)
    if first is None:
        note("the log has no records yet")
    elif at < first.recorded_at:
        note(f"the log begins at {shown.time(first.recorded_at)}; for what happened earlier use --occurred-at")
    else:
        note_future(store, at, shown)


def note_future(store: EventReader, at: int, shown: Presenter) -> None:
    """Say where a time lies in the future: what is shown then is what is known now."""
    if at > clock_of(store).now_ns():
        note(f"{shown.time(at)} is in the future: this is what is known now, at position {store.head():,}")


def check_mark_name(name: str) -> None:
    """Raise InvalidEvent for a name that is read as a position or a time, here or wherever instants are given."""
    if not name.strip() or name != name.strip():
        msg = f"a mark's name is text without blanks around it, as end-of-day, not {name!r}"
        raise InvalidEvent(msg)
    if name.startswith((MARK, "-", "+", "@")):
        msg = f"a mark's name does not begin with {MARK} or one of - + @, as {name!r} does: name it like end-of-day"
        raise InvalidEvent(msg)
    if name.lower() in _WORDS or _NUMBER.fullmatch(name) or _DURATION.fullmatch(name) or _is_time(name):
        msg = f"{name!r} could be mistaken for a position or time: use a name such as end-of-day"
        raise InvalidEvent(msg)


def _is_time(name: str) -> bool:
    if reads_as_time(name):
        return True
    for read in (datetime.fromisoformat, date.fromisoformat, time.fromisoformat):
        try:
            read(name)
        except ValueError:
            continue
        return True
    return False


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
