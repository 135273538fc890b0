"""Time comes in from outside: the clock protocol, the system's clock, one moved by hand, and times as text."""

from __future__ import annotations

import contextlib
import functools
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from eventstore.errors import InvalidEvent, Unavailable, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import date, tzinfo

NANOSECONDS = 1_000_000_000
TIME_MIN = 0
TIME_MAX = 7_258_118_400 * NANOSECONDS - 1  # 2199-12-31T23:59:59.999999999Z
DAY_YEARS = range(1971, 2199)
"""The years of a trading day: it, the day before and the day after lie within these times."""
# No correct clock comes near. The last day is left for records that follow a wrong time by a nanosecond each, so that a
# clock that was wrong once does not end a log.
NOW_MAX = TIME_MAX - 86_400 * NANOSECONDS
GIVEN_MIN = 631_152_000 * NANOSECONDS  # 1990-01-01T00:00:00Z
"""The earliest int that is accepted from a caller: times in s, ms and µs, taken for ns, lie before it until 2199."""
Times = datetime | str | int
"""What an instant is given as: an aware datetime, ISO 8601 text with a zone, or UNIX ns from 1990 on."""
# An instant's week, and what else is derived from it, begins at most so much earlier.
_DERIVED_MIN = GIVEN_MIN + 366 * 86_400 * NANOSECONDS
_UNITS = (("seconds", NANOSECONDS), ("milliseconds", 1_000_000), ("microseconds", 1_000), ("nanoseconds", 1))
_derived: ContextVar[bool] = ContextVar("_derived", default=False)
_AS_GIVEN = contextlib.nullcontext()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET = len("1970-01-01T00:00:00")
# datetime.fromisoformat accepts digits of any script and drops what is below a microsecond.
_TIME = re.compile(
    r"(?P<head>(?:\d{4}-\d\d-\d\d|\d{8}|\d{4}-?W\d\d(?:-?\d)?)"
    r"(?:[Tt_ ](?:\d\d(?::?\d\d)?|(?P<seconds>\d\d:\d\d:\d\d|\d{6})))?)"
    r"(?(seconds)(?:[.,](?P<digits>\d{1,9}))?)"
    r"(?P<zone>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", re.ASCII)
_UNIT_SECONDS = (86_400, 3_600, 60, 1)
TIMEOUT_SECONDS_MAX = 86_400.0


class Clock(Protocol):
    """Where `now` comes from."""

    def now_ns(self) -> int:
        """Return the wall clock in UNIX nanoseconds, UTC."""

    def monotonic_ns(self) -> int:
        """Return a clock that never goes back, in nanoseconds from an arbitrary start."""


def _uptime_clock() -> Callable[[], int]:
    """Return a monotonic clock that counts suspended time, if there is one: Linux's CLOCK_MONOTONIC does not."""
    kind = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns if kind is None else functools.partial(time.clock_gettime_ns, kind)


class SystemClock:
    """The machine's clocks. Both advance while it is suspended."""

    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(_uptime_clock())


class ManualClock:
    """A clock that moves only when it is set: for tests and for playing a recorded day."""

    def __init__(self, start: Times) -> None:
        self._now = to_ns(start)
        self._monotonic = 0

    def now_ns(self) -> int:
        return self._now

    def monotonic_ns(self) -> int:
        return self._monotonic

    def advance(self, nanoseconds: int) -> None:
        """Let time pass on both clocks."""
        self._now += nanoseconds
        self._monotonic += max(nanoseconds, 0)

    def set(self, instant: Times) -> None:
        """Set the wall clock alone, as an operator or a time server does."""
        self._now = to_ns(instant)


def wall_ns(clock: Clock) -> int:
    """Return the wall clock, clamped to the valid times: a wrong clock must not make a question fail."""
    now = clock.now_ns()
    # Usually it is in range, and two comparisons take a fifth of what min and max do.
    return now if TIME_MIN <= now <= TIME_MAX else min(max(now, TIME_MIN), TIME_MAX)


def check_now(now_ns: int) -> int:
    """Return a clock's time; raise Unavailable if nothing can be recorded at it."""
    if TIME_MIN <= now_ns <= NOW_MAX:
        return now_ns
    msg = f"the clock says {shown(now_ns)} ns, and times are 1970 to 2199: nothing was written, set the clock right"
    raise Unavailable(msg)


def question_ns(instant: Times, now_ns: Callable[[], int] | None = None) -> int:
    """Return what `to_ns` does; an int outside the valid times, as of a wrong clock, is clamped to them.

    One before 1990 is from a wrong clock only where the clock of the log that is asked, `now_ns`, says so as well.
    """
    if type(instant) is int:
        if GIVEN_MIN <= instant <= TIME_MAX:
            return instant
        if instant > TIME_MAX or (now_ns is not None and now_ns() < GIVEN_MIN):
            return min(max(instant, TIME_MIN), TIME_MAX)
    return to_ns(instant)


def asked_ns(instant: Times | None, now_ns: Callable[[], int]) -> int:
    """Return the instant that a question is about, by default now, which is also what a wrong clock says."""
    if instant is None:
        return now_ns()
    return question_ns(instant, now_ns) if type(instant) is int and instant < GIVEN_MIN else to_ns(instant)


def to_ns(instant: Times) -> int:
    """Return an instant as UNIX ns: an aware datetime, ISO 8601 text with a zone, or UNIX ns already.

    Raises InvalidEvent for one without a zone or outside 1970 to 2199, and for an int before 1990: it is in another
    unit, which the message names. Inside `derived_times` such an int is accepted.
    """
    if type(instant) is int and GIVEN_MIN <= instant <= TIME_MAX:
        return instant
    if isinstance(instant, str):
        return parse_time(instant)
    if isinstance(instant, datetime):
        return _in_range(_datetime_ns(instant))
    if type(instant) is not int:
        expected = "an aware datetime, ISO 8601 text with a zone or an int of UNIX nanoseconds"
        msg = f"a time is {expected}, not {type(instant).__name__}"
        raise InvalidEvent(msg)
    if instant < GIVEN_MIN and not _derived.get():
        raise InvalidEvent(_in_another_unit(instant))
    return _in_range(instant)


def derived_ns(instant: Times) -> int:
    """Return what `to_ns` does, also for an int before 1990: it is from a clock or a record, not from a caller."""
    return _in_range(instant) if type(instant) is int else to_ns(instant)


@contextlib.contextmanager
def derived_times() -> Iterator[None]:
    """Accept ints before 1990 as times within this context: they come from a clock, a record or text."""
    token = _derived.set(True)
    try:
        yield
    finally:
        _derived.reset(token)


def derived_from(instant: int) -> AbstractContextManager[None]:
    """Return a context whose times are derived from an instant: `derived_times` where they may lie before 1990."""
    return derived_times() if instant < _DERIVED_MIN else _AS_GIVEN


def likely_unit(number: int) -> tuple[str, int] | None:
    """Return the unit in which a number looks like a UNIX time from 1990 on, and that time in ns; None if in none."""
    found = ((name, number * unit) for name, unit in _UNITS)
    return next(((name, instant) for name, instant in found if GIVEN_MIN <= instant <= TIME_MAX), None)


def _in_another_unit(number: int) -> str:
    looks, give = "no unit that I know", "an int of UNIX nanoseconds"
    if (unit := likely_unit(number)) is not None:
        name, instant = unit
        looks, give = f"{name}, in which it is {format_time(instant)}", str(instant)
    return (
        f"{shown(number)} as UNIX nanoseconds is before 1990, and it looks like {looks}: give {give}, an aware "
        "datetime or ISO 8601 text with a zone, which may be before 1990"
    )


def _in_range(instant: int) -> int:
    if not TIME_MIN <= instant <= TIME_MAX:
        msg = f"{shown(instant)} ns lies outside 1970 to 2199: times are UNIX nanoseconds"
        raise InvalidEvent(msg)
    return instant


def _datetime_ns(instant: datetime) -> int:
    if instant.tzinfo is None or _offset(instant) is None:
        msg = f"{shown(instant)} has no time zone: give an aware datetime, for example datetime(..., tzinfo=UTC)"
        raise InvalidEvent(msg)
    # Integers all the way: a float has too few digits for nanoseconds since 1970.
    try:
        return (instant - _EPOCH) // timedelta(microseconds=1) * 1000
    except Exception as e:  # as in _offset, which is asked once more
        msg = f"{shown(instant)} cannot be expressed in UTC ({e}): times are 1970 to 2199"
        raise InvalidEvent(msg) from e


def duration_ns(duration: timedelta | int) -> int:
    """Return a timedelta or an int as nanoseconds; raise InvalidEvent below 0 or beyond all times there are."""
    if isinstance(duration, timedelta):
        duration = duration // timedelta(microseconds=1) * 1000
    if type(duration) is not int or not 0 <= duration <= TIME_MAX:
        msg = f"a duration is a timedelta or an int of nanoseconds, 0 or more, not {shown(duration)}"
        raise InvalidEvent(msg)
    return duration


def parse_duration(text: str) -> int:
    """Return a duration such as 2h, 90m or 1d12h in ns; raise InvalidEvent for any other text."""
    found = _DURATION.fullmatch(text)
    seconds = (
        0 if found is None else sum(int(n or 0) * unit for n, unit in zip(found.groups(), _UNIT_SECONDS, strict=True))
    )
    if not seconds:
        msg = f"invalid duration {text!r}: write it like 2h, 90m or 1d12h"
        raise InvalidEvent(msg)
    return seconds * NANOSECONDS


def timeout_of(seconds: object) -> float:
    """Return for how many seconds a call may wait, a day at most; raise InvalidEvent for anything else."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        msg = f"a timeout is a number of seconds, 0 or more, not {shown(seconds)}"
        raise InvalidEvent(msg)
    return float(min(seconds, TIMEOUT_SECONDS_MAX))


def check_clock(given: object) -> None:
    """Raise InvalidEvent for anything that is not a clock."""
    is_clock = all(callable(getattr(given, name, None)) for name in ("now_ns", "monotonic_ns"))
    if isinstance(given, type) or not is_clock:
        msg = f"clock is an object with now_ns() and monotonic_ns(), as SystemClock(), not {shown(given)}"
        raise InvalidEvent(msg)


def _offset(instant: datetime) -> timedelta | None:
    try:
        return instant.utcoffset()
    except Exception as e:  # a zone's table ends before the datetime does, or its own code fails
        msg = f"{shown(instant)} cannot be expressed in UTC ({e}): times are 1970 to 2199"
        raise InvalidEvent(msg) from e


def parse_time(text: str) -> int:
    """Return ISO 8601 text with a zone, to nine fractional digits, as UNIX ns."""
    found = _TIME.fullmatch(text) if _is_text(text) else None
    if found is None:
        raise InvalidEvent(_not_a_time(text))
    try:
        whole = datetime.fromisoformat(found["head"] + (found["zone"] or ""))
    except ValueError as e:
        raise InvalidEvent(_not_a_time(text)) from e
    if whole.tzinfo is None:
        msg = f"{shown(text)} has no time zone: end it with Z or an offset, as in 2025-07-21T17:59:00.5-05:00"
        raise InvalidEvent(msg)
    return _in_range(_datetime_ns(whole) + int((found["digits"] or "").ljust(9, "0")))


def _not_a_time(given: object) -> str:
    return f"{shown(given)} is not an ISO 8601 time: write it like 2025-07-21T17:59:00.5-05:00"


def _is_text(given: object) -> bool:
    return isinstance(given, str)


def utc_date(instant: int) -> date:
    """Return the date in UTC that an instant in UNIX ns lies in."""
    return datetime.fromtimestamp(instant // NANOSECONDS, UTC).date()


def format_time(instant: int, zone: tzinfo = UTC) -> str:
    """Return UNIX ns as ISO 8601 text with all nine digits and the zone's offset."""
    seconds, nanoseconds = divmod(instant, NANOSECONDS)
    if zone is UTC:
        return f"{_second_text(seconds)}.{nanoseconds:09d}Z"
    # Offsets had seconds once, as Liberia's until 1972.
    text = (_EPOCH + timedelta(seconds=seconds)).astimezone(zone).isoformat()
    return f"{text[:_OFFSET]}.{nanoseconds:09d}{text[_OFFSET:]}"


# Times that are written one after the other are mostly of the same seconds.
@functools.lru_cache(maxsize=1_024)
def _second_text(seconds: int) -> str:
    # Not by strftime, which takes five times as long.
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:_OFFSET]
