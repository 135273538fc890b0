"""Times as people read and type them: in a zone, with its offset, to the millisecond unless exact."""

from __future__ import annotations

import difflib
import functools
import importlib.resources
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from eventstore import InvalidEvent
from eventstore.clock import NANOSECONDS, TIME_MAX, TIME_MIN, derived_ns, format_time, parse_time, to_ns
from projections import sessions

_NAMED_MAX = 3
_LIKENESS_MIN, _LIKENESS_APART = 0.75, 0.1
_SHOWN_DIGITS = 3
_ALL_DIGITS = 9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2199, 12, 31)
_LOCAL = re.compile(
    r"(?=.)(?:(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?=\d)|$))?"
    r"(?:(?P<clock>\d{1,2}:\d{2}(?::\d{2})?)(?:(?<=:\d\d:\d\d)[.,](?P<digits>\d{1,9}))?)?",
    re.ASCII,
)
_ZONED = re.compile(r"\d(?:[Zz]|[+-]\d{2}:?\d{2}(?::?\d{2})?)$", re.ASCII)
_LIKE_A_TIME = re.compile(r"\d{4}-\d{1,2}-\d|\d{1,2}:\d{2}", re.ASCII)
_HOW = "write it like 2025-11-19, '2025-11-19 15:10', 15:10 (today) or 2025-11-19T15:10:00.5-06:00"


def shown_time(instant: int, zone: tzinfo = UTC, *, exact: bool = False) -> str:
    """Return UNIX ns as ISO 8601 text with the zone's offset: rounded down to the millisecond, or exact."""
    text = format_time(instant, zone)
    if exact:
        return text
    point = text.index(".")
    return text[: point + 1 + _SHOWN_DIGITS] + text[point + 1 + _ALL_DIGITS :]


def reads_as_time(text: str) -> bool:
    """Return whether text begins like a date or a time of day, so that no mark may have such a name."""
    return _LIKE_A_TIME.match(text) is not None


def parse_local(text: str, zone: tzinfo, now: int) -> int:
    """Return the UNIX ns of ISO 8601 text, or of a date, or a date and time, or a time of day read in a zone.

    A date is its first instant there, a time of day is today's. Raises InvalidEvent for other text, and for a time
    that the zone's clocks show twice or never; the message names the two possible instants.
    """
    found = _LOCAL.fullmatch(text.strip())
    if found is None:
        return _parse_iso(text)
    try:
        day = _date_of(now, zone) if found["date"] is None else date.fromisoformat(found["date"])
        clock = None if found["clock"] is None else time.fromisoformat(_with_two_digits(found["clock"]))
    except ValueError as e:
        msg = f"invalid time {text!r} ({e}): {_HOW}"
        raise InvalidEvent(msg) from e
    _check_range(text, datetime.combine(day, clock or time(0)), zone)
    if clock is None:
        return _first_instant(day, zone)
    return derived_ns(_instant(text, datetime.combine(day, clock), zone) + int((found["digits"] or "").ljust(9, "0")))


def _with_two_digits(clock: str) -> str:
    return f"0{clock}" if clock[1] == ":" else clock


def _parse_iso(text: str) -> int:
    given = text.strip()
    if _ZONED.search(given):
        try:
            return parse_time(given)
        except InvalidEvent as e:
            if not isinstance(e.__cause__, ValueError):
                raise _out_of_range(text) from e
    msg = f"invalid time {text!r:.80}: {_HOW}"
    raise InvalidEvent(msg)


def _check_range(text: str, wall: datetime, zone: tzinfo) -> None:
    """Raise InvalidEvent for a time outside the years that can be stored."""
    # Far outside this range, the zone's own arithmetic would fail.
    if not _FIRST_DAY <= wall.date() <= _LAST_DAY:
        raise _out_of_range(text)
    since = wall.replace(tzinfo=zone) - _EPOCH
    if not TIME_MIN <= since // timedelta(seconds=1) * NANOSECONDS <= TIME_MAX:
        raise _out_of_range(text)


def _out_of_range(text: str) -> InvalidEvent:
    return InvalidEvent(f"{text!r:.80} is out of range {_FIRST_DAY} to {_LAST_DAY} (in UTC)")


def _date_of(now: int, zone: tzinfo) -> date:
    return (_EPOCH + timedelta(seconds=now // NANOSECONDS)).astimezone(zone).date()


def _first_instant(day: date, zone: tzinfo) -> int:
    """Return when a date begins; later than 00:00 if the clocks skip midnight."""
    name = getattr(zone, "key", None)
    if name is None:
        return to_ns(datetime.combine(day, time(0), zone))
    return sessions.resolve(name, day, time(0))


def _instant(text: str, wall: datetime, zone: tzinfo) -> int:
    earlier, later = (to_ns(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if earlier == later:
        return earlier
    times = "twice" if earlier < later else "never"
    first, second = (_choice(instant, zone) for instant in sorted((earlier, later)))
    msg = f"{text!r} occurs {times} in {zone}, where the clocks change then: give its offset, {first} or {second}"
    raise InvalidEvent(msg)


def _choice(instant: int, zone: tzinfo) -> str:
    return (_EPOCH + timedelta(seconds=instant // NANOSECONDS)).astimezone(zone).isoformat()


def zone_named(name: str) -> tzinfo:
    """Return a zone by name; raise InvalidEvent for an unknown one, naming those close to it."""
    if name.upper() in {"UTC", "Z"}:
        return UTC
    try:
        return sessions.zone_of(name)
    except InvalidEvent as e:
        msg = f"unknown time zone {name!r:.80}: {_advice(name)}"
        raise InvalidEvent(msg) from e


def _advice(name: str) -> str:
    typed = name.strip().lower().replace(" ", "_")
    ranked = sorted(((_likeness(typed, known.lower()), known) for known in _zone_names()), reverse=True)
    best = ranked[0][0]
    close = [known for likeness, known in ranked[:_NAMED_MAX] if likeness >= max(best - _LIKENESS_APART, _LIKENESS_MIN)]
    return f"did you mean {' or '.join(close)}?" if close else "give a name such as America/Chicago or UTC"


def _likeness(typed: str, known: str) -> float:
    """Return the similarity of two names or of their last parts: few people know the first part of a zone's name."""
    pairs = ((typed, known), (typed.rpartition("/")[2], known.rpartition("/")[2]))
    return max(difflib.SequenceMatcher(None, one, other).ratio() for one, other in pairs)


@functools.cache
def _zone_names() -> tuple[str, ...]:
    return tuple(importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())
