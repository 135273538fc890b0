"""Times as a file writes them: a format, a zone or a unit, and nothing that has two readings."""

from __future__ import annotations

import functools
import re
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

from eventstore.clock import GIVEN_MIN, NANOSECONDS, TIME_MAX, TIME_MIN, parse_time
from eventstore.errors import InvalidEvent
from gateways.importers.texts import CellError
from gateways.importers.values.forms import SERIAL_MAX, SERIAL_MIN, UNITS, UNIX_MAX, unified, unit_of
from gateways.importers.values.time_formats import TimeFormat, WallClock
from projections import sessions

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

ISO = "iso"
"""The format of ISO 8601 texts, with or without a zone."""
Unit = Literal["s", "ms", "us", "ns", "serial", "mixed"]

_NUMBER = re.compile(r"\d{1,25}(?:\.\d{1,25})?", re.ASCII)
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ISO_ZONE = re.compile(r"(?:[Zz]|[Tt_ ][\d:.,]+[+-]\d\d(?::?\d\d)?)\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock's time
_SERIAL_EPOCH_DAYS = (date(1970, 1, 1) - date(1899, 12, 30)).days
# IANA has them with one offset all year; traders write them for a place's time, in summer too.
_WINTER_ONLY = {"EST": "America/New_York", "MST": "America/Denver", "HST": "Pacific/Honolulu"}
_ZONES_MAX = 1_000
_OFFSETS_MAX = 10_000
_FIRST_DAY = 86_400 * NANOSECONDS
# What stands before the seconds, the seconds, their fraction, and what follows them: AM, PM or an offset.
_SECONDS = re.compile(r"(.+:\d\d:)([0-5]\d)(?:\.(\d{1,9}))?( ?(?:[AaPp][Mm]|[Zz]|[+-]\d\d:?\d\d)?)", re.ASCII)
_MINUTES_MAX = 10_000
# Directives after the seconds that are not part of them, and not the zone.
_AFTER_SECONDS = re.compile(r"%S.*%[^fpzZ]")
_DIGITS_MAX = 20
_MILLISECONDS_A_DAY = 86_400_000


class AmbiguousTime(CellError):
    """A wall clock shows the time twice, because the zone's clocks were set back: `time.fold` says which one it is."""


class Time(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a file writes times: the table [time] of a mapping.

    `columns` are joined by a blank. `format` is "iso", or a format of strptime, or several; %S also reads a fraction,
    %f up to nine digits, %Z the zone's abbreviation, which must be that of the time. `zone` is an IANA name, or
    "@Column" for that of the row; texts with an offset need none. `unit` is that of numbers: of a UNIX time, "serial"
    for a spreadsheet's days from 1899-12-30, "mixed" if each UNIX time is in the unit of its size. `fold` says which
    one of two equal wall clock times is meant.
    """

    columns: tuple[str, ...] = ()
    format: str | tuple[str, ...] | None = None
    zone: str | None = None
    unit: Unit | None = None
    fold: Literal["earlier", "later"] | None = None

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats, in the order in which they are tried."""
        return (self.format,) if isinstance(self.format, str) else self.format or ()

    @property
    def has_only_days(self) -> bool:
        """Whether no format has a time of day."""
        return bool(self.formats) and all(format != ISO and not TimeFormat(format).has_clock for format in self.formats)

    def parser(self) -> TimeParser:
        """Return what reads the times; raises InvalidEvent for a zone or a format that does not exist."""
        return TimeParser(self)


class TimeParser:
    """Reads times as a `Time` says; raises CellError for any other text."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._formats = [TimeFormat(format) for format in time.formats if format != ISO]
        self._is_iso = ISO in time.formats or not (time.formats or time.unit)
        self._zone = None if time.zone is None or time.zone.startswith("@") else zone_of(time.zone)
        self._offsets: dict[tuple[int, str | None, str], int] = {}
        # No clock is set within a minute: all of its seconds are read alike.
        self._minutes: dict[tuple[str, str, bool, str | None], int] = {}
        self._has_minutes = (self._is_iso or bool(self._formats)) and all(
            "%M:%S" in format.text and not _AFTER_SECONDS.search(format.text) for format in self._formats
        )
        self._size = UNITS.get(time.unit or "", 0) if not (self._formats or self._is_iso) else 0

    def __call__(self, text: str, zone: str | None = None) -> int:
        """Return a text as UNIX ns. `zone` is that of the row, if the mapping takes it from a column."""
        if self._has_minutes and (found := _SECONDS.fullmatch(text)) is not None:
            before, second, fraction, after = found.groups()
            below = int(second) * NANOSECONDS + (int(fraction.ljust(9, "0")) if fraction else 0)
            key = (before, after, fraction is None, zone)
            minute = self._minutes.get(key)
            if minute is None:
                if len(self._minutes) >= _MINUTES_MAX:
                    self._minutes.clear()
                minute = self._minutes[key] = self._parsed(text, zone) - below
            return minute + below
        if self._size and len(text) < _DIGITS_MAX and text.isascii() and text.isdigit():
            instant = int(text) * self._size
            if GIVEN_MIN <= instant < UNIX_MAX:
                return instant
        return self._parsed(text, zone)

    def _parsed(self, text: str, zone: str | None) -> int:
        text = unified(text)
        if _NUMBER.fullmatch(text) and not self._formats:
            return self._number(text, zone)
        if self._is_iso and (at := self._iso(text, zone)) is not None:
            return at
        for format in self._formats:
            if (found := format.match(text)) is not None:
                return self._instant(format.read(found), zone)
        raise CellError(self._expected())

    def _number(self, text: str, zone: str | None) -> int:
        number, unit = Decimal(text), self._time.unit
        if unit == "serial":
            return self._serial(number, zone)
        name = unit_of(number) if unit == "mixed" else unit
        if name is None or name not in UNITS:
            msg = "is a number, and not a UNIX time from 1990 to 2100 in a stated unit: state time.unit or time.format"
            raise CellError(msg)
        instant = number * UNITS[name]
        if not GIVEN_MIN <= instant < UNIX_MAX:
            msg = f"is not a time from 1990 to 2100 as UNIX time in {name}"
            raise CellError(msg)
        if instant != int(instant):
            msg = "has more than nine decimals of a second"
            raise CellError(msg)
        return int(instant)

    def _serial(self, number: Decimal, zone: str | None) -> int:
        # A spreadsheet's double has ten digits for the time of day: it shows and means milliseconds.
        milliseconds = int((number * _MILLISECONDS_A_DAY).to_integral_value(ROUND_HALF_EVEN))
        if not SERIAL_MIN <= number < SERIAL_MAX:
            msg = "is not a spreadsheet's day from 1990 to 2100"
            raise CellError(msg)
        seconds, below = divmod(milliseconds - _SERIAL_EPOCH_DAYS * _MILLISECONDS_A_DAY, 1000)
        return self._local(seconds, zone) + below * 1_000_000

    def _iso(self, text: str, zone: str | None) -> int | None:
        """Return an ISO 8601 text as UNIX ns; None if it is something else."""
        if _NUMBER.fullmatch(text):
            return None
        whole = f"{text}T00:00:00" if _ISO_DAY.fullmatch(text) else text
        has_zone = _ISO_ZONE.search(whole) is not None
        try:
            instant = parse_time(whole if has_zone else f"{whole}Z")
        except InvalidEvent:
            return None
        if has_zone:
            return _in_range(instant)
        seconds, nanoseconds = divmod(instant, NANOSECONDS)
        return self._local(seconds, zone) + nanoseconds

    def _instant(self, part: WallClock, zone: str | None) -> int:
        if part.offset_seconds is not None:
            return _in_range((part.seconds - part.offset_seconds) * NANOSECONDS + part.nanoseconds)
        return self._local(part.seconds, zone, part.abbreviation) + part.nanoseconds

    def _local(self, seconds: int, zone: str | None, abbreviation: str = "") -> int:
        """Return a clock's seconds since 1970 in the mapping's zone, or the row's, as UNIX ns."""
        hour = (seconds // 3600, zone, abbreviation)
        offset = self._offsets.get(hour)
        if offset is None:
            known = self._zone if zone is None else zone_in_cell(zone)
            if known is None:
                msg = "has no time zone: state time.zone, for example America/Chicago"
                raise CellError(msg)
            offset = self._offset(_EPOCH + timedelta(seconds=seconds), known, abbreviation)
            ends = (_EPOCH + timedelta(seconds=hour[0] * 3600 + each) for each in (0, 3599))
            if len({known.utcoffset(end.replace(fold=fold)) for end in ends for fold in (0, 1)}) == 1:
                # The clock was not set in this hour: all of it has one offset.
                if len(self._offsets) >= _OFFSETS_MAX:
                    self._offsets.clear()
                self._offsets[hour] = offset
        return _in_range((seconds - offset) * NANOSECONDS)

    def _offset(self, at: datetime, zone: ZoneInfo, abbreviation: str) -> int:
        """Return a clock's offset in seconds; raise CellError for a time that it skips, or shows twice."""
        moments = [at, at.replace(fold=1)]
        offsets = [zone.utcoffset(moment) or timedelta(0) for moment in moments]
        if offsets[0] < offsets[1]:
            msg = f"does not exist in {zone}, whose clocks were set forward over it"
            raise CellError(msg)
        if offsets[0] == offsets[1]:
            moments.pop()
        if abbreviation:
            moments = [moment for moment in moments if zone.tzname(moment) == abbreviation]
        if not moments:
            msg = f"has the abbreviation {abbreviation}, which is not that of {zone} at this time"
            raise CellError(msg)
        if len(moments) > 1 and self._time.fold is None:
            msg = f"is twice on the clocks of {zone}, which were set back: state time.fold, earlier or later"
            raise AmbiguousTime(msg)
        chosen = moments[-1] if self._time.fold == "later" else moments[0]
        return round((zone.utcoffset(chosen) or timedelta(0)).total_seconds())

    def _expected(self) -> str:
        known = [*(["ISO 8601"] if self._is_iso else []), *(format.text for format in self._formats)]
        known += [f"UNIX time in {self._time.unit}"] if self._time.unit else []
        return (
            f"is not a time of the format {' or '.join(known)}: if the file writes its times otherwise, set time.format"
        )


def zone_in_cell(name: str) -> ZoneInfo:
    """Return the zone that a row names; raise CellError if there is none of that name."""
    try:
        return zone_of(name)
    except InvalidEvent as e:
        raise CellError(str(e)) from e


@functools.lru_cache(maxsize=_ZONES_MAX)
def zone_of(name: str) -> ZoneInfo:
    """Return the zone of an IANA name; raise InvalidEvent if there is none, or if it ignores the summer time it has.

    It is the one of calendars, never this machine's own: a file's times are the same wherever it is read.
    """
    if name in _WINTER_ONLY:
        msg = f"time zone {name} has no summer time: name the place, for example {_WINTER_ONLY[name]}"
        raise InvalidEvent(msg)
    try:
        return sessions.zone_of(name)
    except InvalidEvent as e:
        msg = f"unknown time zone {name!r}: use an IANA name, for example America/Chicago"
        raise InvalidEvent(msg) from e


def _in_range(instant: int) -> int:
    if not TIME_MIN <= instant <= TIME_MAX:
        msg = "lies outside 1970 to 2199"
        raise CellError(msg)
    if instant < _FIRST_DAY:
        msg = "is the day from which UNIX time counts, which programs write where there is no time"
        raise CellError(msg)
    return instant
