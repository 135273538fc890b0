"""Formats of times, with the directives of strptime: what a text says about a wall clock."""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

from eventstore.errors import InvalidEvent
from gateways.importers.texts import CellError
from gateways.importers.values.forms import MONTHS

_DIRECTIVES = {
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<short_year>\d{2})",
    "m": r"(?P<month>\d{1,2})",
    "d": r"(?P<day>\d{1,2})",
    "b": r"(?P<month_name>[A-Za-z]{3,9})\.?",
    "B": r"(?P<month_name>[A-Za-z]{3,9})\.?",
    "a": r"[A-Za-z]{3,9}\.?",
    "H": r"(?P<hour>\d{1,2})",
    "I": r"(?P<hour12>\d{1,2})",
    "M": r"(?P<minute>\d{2})",
    "S": r"(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?",
    "f": r"(?P<fraction>\d{1,9})",
    "p": r"(?P<half>[AaPp]\.?[Mm]\.?)",
    "z": r"(?P<offset>Z|[+-]\d{2}(?::?\d{2})?)",
    "Z": r"(?P<abbreviation>[A-Za-z]{1,5})",
    "%": "%",
}
# Directly after another run of digits, each number has its full width.
_FIXED = {"m": r"(?P<month>\d{2})", "d": r"(?P<day>\d{2})", "H": r"(?P<hour>\d{2})", "I": r"(?P<hour12>\d{2})"}
_UTC_NAMES = {"UTC", "GMT", "Z"}
_TOKEN = re.compile(r"%(?P<directive>.)|(?P<blank> +)|(?P<text>[^% ]+)")
_EPOCH = date(1970, 1, 1)
_REMEMBERED_MAX = 10_000
_YEAR_PIVOT = 90
"""Two digits from here on are of the twentieth century: no time is before 1990."""


class WallClock(NamedTuple):
    """What a text says: a clock's seconds since 1970, what is below a second, and its offset or its abbreviation."""

    seconds: int
    nanoseconds: int
    offset_seconds: int | None
    abbreviation: str


class TimeFormat:
    """A format such as %m/%d/%Y %I:%M:%S %p; raises InvalidEvent for one that cannot name a time."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._pattern = _compiled(text)
        groups = self._pattern.groupindex
        self._date = [name for name in ("year", "short_year", "month", "month_name", "day") if name in groups]
        self._clock = [name for name in ("hour", "hour12", "half", "minute", "second", "fraction") if name in groups]
        self._zone = [name for name in ("offset", "abbreviation") if name in groups]
        self._days: dict[object, int] = {}

    @property
    def has_clock(self) -> bool:
        """Whether it has a time of day."""
        return bool(self._clock)

    def match(self, text: str) -> re.Match[str] | None:
        """Return the match of a text, None if it is written in another way."""
        return self._pattern.fullmatch(text)

    def read(self, found: re.Match[str]) -> WallClock:
        """Return what a matching text says; raise CellError if there is no such time."""
        date = found.group(*self._date)
        seconds = self._days.get(date)
        try:
            if seconds is None:
                seconds = _remembered(self._days, date, _day_seconds(dict(zip(self._date, date, strict=True))))
            clock = {name: found[name] for name in self._clock}
            seconds += _clock_seconds(clock)
        except ValueError as e:
            msg = f"is not a valid time by {self.text}: {e}"
            raise CellError(msg) from e
        fraction = clock.get("fraction")
        nanoseconds = int(fraction.ljust(9, "0")) if fraction else 0
        if not self._zone:
            return WallClock(seconds, nanoseconds, None, "")
        zone = {name: found[name] for name in self._zone}
        abbreviation = zone.get("abbreviation", "").upper()
        offset = 0 if abbreviation in _UTC_NAMES else _offset(zone.get("offset"))
        return WallClock(seconds, nanoseconds, offset, abbreviation)


def _compiled(format: str) -> re.Pattern[str]:
    tokens = list(_TOKEN.finditer(format))
    directives = [token["directive"] for token in tokens if token["directive"] not in {None, "%"}]
    _check(format, directives)
    pieces = []
    for index, token in enumerate(tokens):
        name = token["directive"]
        if name is None:
            pieces.append(" +" if token["blank"] else re.escape(token["text"]))
            continue
        beside = [tokens[each]["directive"] for each in (index - 1, index + 1) if 0 <= each < len(tokens)]
        has_fraction_apart = name == "S" and "f" in directives
        pieces.append(
            _FIXED[name] if name in _FIXED and any(beside)
            else r"(?P<second>\d{2})" if has_fraction_apart
            else _DIRECTIVES[name]
        )  # fmt: skip
    return re.compile("".join(pieces), re.ASCII | re.IGNORECASE)


def _check(format: str, directives: list[str]) -> None:
    given = set(directives)
    why = ""
    if unknown := sorted(given - set(_DIRECTIVES)):
        why = f"has the unknown directive %{unknown[0]}"
    elif len(given) != len(directives):
        why = "has a directive twice"
    elif not (given & {"Y", "y"} and given & {"m", "b", "B"} and "d" in given):
        why = "does not give year, month and day"
    elif ("I" in given) != ("p" in given):
        why = "needs %I and %p together: a clock of twelve hours says AM or PM"
    elif len(given & {"H", "I"}) > 1 or len(given & {"Y", "y"}) > 1 or len(given & {"m", "b", "B"}) > 1:
        why = "gives one part in two ways"
    if why:
        msg = f"time.format {format!r} {why}"
        raise InvalidEvent(msg)


def _remembered(known: dict[object, int], key: object, value: int) -> int:
    if len(known) >= _REMEMBERED_MAX:
        known.clear()
    known[key] = value
    return value


def _day_seconds(part: dict[str, str]) -> int:
    """Return the beginning of a day on a clock, in seconds since 1970."""
    if "year" in part:
        year = int(part["year"])
    else:
        year = int(part["short_year"])
        year += 1900 if year >= _YEAR_PIVOT else 2000
    if "month" in part:
        month = int(part["month"])
    elif (named := MONTHS.get(part["month_name"].lower())) is not None:
        month = named
    else:
        msg = f"{part['month_name']!r} is not the English name of a month"
        raise ValueError(msg)
    return (date(year, month, int(part["day"])) - _EPOCH).days * 86_400


def _clock_seconds(part: dict[str, str]) -> int:
    if "hour12" in part:
        hour = int(part["hour12"])
        if not 1 <= hour <= 12:  # noqa: PLR2004 - a clock's hours
            msg = f"hour {hour} is not on a clock of twelve hours"
            raise ValueError(msg)
        hour = hour % 12 + (12 if part["half"][0] in "pP" else 0)
    else:
        hour = int(part.get("hour", 0))
    minute, second = int(part.get("minute", 0)), int(part.get("second", 0))
    if hour > 23 or minute > 59 or second > 59:  # noqa: PLR2004 - the same
        msg = f"{hour:02}:{minute:02}:{second:02} is not on a clock"
        raise ValueError(msg)
    return hour * 3600 + minute * 60 + second


def _offset(text: str | None) -> int | None:
    if text is None:
        return None
    if text in {"Z", "z"}:
        return 0
    hours, minutes = int(text[1:3]), int(text[3:].removeprefix(":") or 0)
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - a clock's hours and minutes
        msg = f"has the offset {text}, which no clock has"
        raise CellError(msg)
    return (hours * 3600 + minutes * 60) * (-1 if text[0] == "-" else 1)
