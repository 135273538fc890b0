"""INSTANT arguments: a log position, a time in the command's zone, or the name of a mark."""

from __future__ import annotations

import re
from datetime import date, datetime, time

from eventstore import EventReader, InvalidEvent
from gateways.presenting.instants import MARK, LogInstant, clock_of, instant_of, record_at, time_of
from gateways.presenting.output import note
from gateways.presenting.presenter import Presenter
from gateways.presenting.times import reads_as_time

__all__ = [
    "HELP",
    "MARK",
    "LogInstant",
    "check_mark_name",
    "instant_of",
    "noted_instant_of",
    "noted_time_of",
    "record_at",
    "time_of",
]

HELP = "a time (2025-11-19, '2025-11-19 15:10', ISO 8601), a log position, or the name of a mark (also mark:NAME)"
_WORDS = frozenset({"now", "today", "yesterday", "tomorrow"})
_NUMBER = re.compile(r"[+-]?[\d.,_]+(?:e[+-]?\d+)?|0x[\da-f]+", re.IGNORECASE)
_DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d+)?\s*[a-zµ]{1,7}\s*)+", re.IGNORECASE)


def noted_instant_of(store: EventReader, text: str, shown: Presenter) -> LogInstant:
    """Return the instant as `instant_of` does; print a note if it is a time before the log or in the future."""
    instant = instant_of(store, text, shown.zone)
    if instant.is_time:
        _note_outside(store, instant.recorded_at, shown)
    return instant


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
