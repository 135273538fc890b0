"""Formats of times, with the directives of strptime: what a text says about a wall clock."""

from __future__ import annotations

import re
from datetime import datetime
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
    "z": r"(?P<offset>Z|[+-]\d{2}:?\d{2})",
    "Z": r"(?P<abbreviation>[A-Za-z]{1,5})",
    "%": "%",
}
# Directly after another run of digits, each number has its full width.
_FIXED = {"m": r"(?P<month>\d{2})", "d": r"(?P<day>\d{2})", "H": r"(?P<hour>\d{2})", "I": r"(?P<hour12>\d{2})"}
_UTC_NAMES = {"UTC", "GMT", "Z"}
_TOKEN = re.compile(r"%(?P<directive>.)|(?P<blank> +)|(?P<text>[^% ]+)")
_YEAR_PIVOT = 90
"""Two digits from here on are of the twentieth century: no time is before 1990."""


class WallClock(NamedTuple):
    """What a text says: the clock to the second, what is below it, and its offset or its zone's abbreviation."""

    at: datetime
    nanoseconds: int
    offset_seconds: int | None
    abbreviation: str


class TimeFormat:
    """A format such as %m/%d/%Y %I:%M:%S %p; raises InvalidEvent for one that cannot name a time."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._pattern = _compiled(text)

    def match(self, text: str) -> re.Match[str] | None:
        """Return the match of a text, None if it is written in another way."""
        return self._pattern.fullmatch(text)

    def parts(self, found: re.Match[str]) -> WallClock:
        """Return what a matching text says; raise CellError if there is no such time."""
        part = {name: value for name, value in found.groupdict().items() if value is not None}
        try:
            at = datetime(  # noqa: DTZ001 - a wall clock's time
                _year(part), _month(part), int(part["day"]), _hour(part), int(part.get("minute", 0)),
                int(part.get("second", 0)),
            )  # fmt: skip
        except ValueError as e:
            msg = f"is not a valid time by {self.text}: {e}"
            raise CellError(msg) from e
        abbreviation = part.get("abbreviation", "").upper()
        offset = 0 if abbreviation in _UTC_NAMES else _offset(part.get("offset"))
        return WallClock(at, int(part.get("fraction", "0").ljust(9, "0")), offset, abbreviation)


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


def _year(part: dict[str, str]) -> int:
    if "year" in part:
        return int(part["year"])
    short = int(part["short_year"])
    return short + (1900 if short >= _YEAR_PIVOT else 2000)


def _month(part: dict[str, str]) -> int:
    if "month" in part:
        return int(part["month"])
    name = part["month_name"].lower()
    if (month := MONTHS.get(name)) is None:
        msg = f"{name!r} is not the English name of a month"
        raise ValueError(msg)
    return month


def _hour(part: dict[str, str]) -> int:
    if "hour12" not in part:
        return int(part.get("hour", 0))
    hour = int(part["hour12"])
    if not 1 <= hour <= 12:  # noqa: PLR2004 - a clock's hours
        msg = f"hour {hour} is not on a clock of twelve hours"
        raise ValueError(msg)
    return hour % 12 + (12 if part["half"][0].lower() == "p" else 0)


def _offset(text: str | None) -> int | None:
    if text is None:
        return None
    if text in {"Z", "z"}:
        return 0
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - a clock's hours and minutes
        msg = f"has the offset {text}, which no clock has"
        raise CellError(msg)
    return (hours * 3600 + minutes * 60) * (-1 if text[0] == "-" else 1)
