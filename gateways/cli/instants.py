"""INSTANT arguments: a log position, a time in the command's zone, or the name of a mark."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo

import msgspec

from eventstore import EventReader, InvalidEvent, Record
from eventstore.clock import format_time, likely_unit
from gateways.cli.stores import clock_of
from gateways.presenting.output import note
from gateways.presenting.presenter import Presenter
from gateways.presenting.times import parse_local, reads_as_time
from projections.replay import find_mark

HELP = "a time (2025-11-19, '2025-11-19 15:10', ISO 8601), a log position, or the name of a mark (also mark:NAME)"
MARK = "mark:"
"""Prefix for a name that would otherwise be read as a position or a time; older logs may have such names."""
_WORDS = frozenset({"now", "today", "yesterday", "tomorrow"})
_NUMBER = re.compile(r"[+-]?[\d.,_]+(?:e[+-]?\d+)?|0x[\da-f]+", re.IGNORECASE)
_DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d+)?\s*[a-zµ]{1,7}\s*)+", re.IGNORECASE)


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


def noted_instant_of(store: EventReader, text: str, shown: Presenter) -> LogInstant:
    """Return the instant as `instant_of` does; print a note if it is a time before the log or in the future."""
    instant = instant_of(store, text, shown.zone)
    if instant.is_time:
        _note_outside(store, instant.recorded_at, shown)
    return instant


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


def noted_time_of(store: EventReader, text: str, shown: Presenter) -> int:
    """Return the time as `time_of` does; print a note if it lies in the future."""
    at = time_of(store, text, shown.zone)
    _note_future(store, at, shown)
    return at


def _note_outside(store: EventReader, at: int, shown: Presenter) -> None:
    first = next(store.read(limit=1), None)
    if first is None:
        note("the log has no records yet")
    elif at < first.recorded_at:
        note(f"the log begins at {shown.time(first.recorded_at)}; for what happened earlier use --occurred-at")
    else:
        _note_future(store, at, shown)


def _note_future(store: EventReader, at: int, shown: Presenter) -> None:
    if at > clock_of(store).now_ns():
        note(f"{shown.time(at)} is in the future: this is what is known now, at position {store.head():,}")


def check_mark_name(name: str) -> None:
    """Raise InvalidEvent for a mark's name that would be read as a position or a time."""
    if not name.strip() or name != name.strip():
        msg = f"{name!r} is not a mark's name: leave out blanks at either end, as in end-of-day"
        raise InvalidEvent(msg)
    if name.startswith((MARK, "-", "+", "@")):
        msg = f"{name!r} is not a mark's name: it must not begin with '{MARK}', '-', '+' or '@'"
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
