"""Trading days: a calendar's open, flat-by and reset, resolved to instants across daylight saving."""

from __future__ import annotations

import bisect
import functools
import importlib.resources
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import force_setattr

from eventstore import Instant, InvalidEvent
from eventstore.clock import NANOSECONDS, to_ns
from eventstore.trading import SessionOpened, SessionReset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.clock import Times

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DATES_MAX = 10_000
_SUNDAY = 6

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_DAY = timedelta(days=1)
_MIDNIGHT = time(0)
_FIRST, _LAST = date(1970, 1, 1), date(2199, 12, 31)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", re.ASCII)
_ZONES_MAX = 1_000
_INSTANTS_MAX = 10_000


class TradingDay(msgspec.Struct, frozen=True):
    """One trading day of a calendar, with every instant resolved: UNIX ns, from `began_at` until before `resets_at`.

    `week` is the date of the first day of its week; `flat_by` is None where nobody has to be flat.
    """

    trading_day: date
    began_at: Instant
    opens_at: Instant
    flat_by: Instant | None
    resets_at: Instant
    week: date
    zone: str

    @property
    def name(self) -> str:
        """What its stream `session/ACCOUNT/DAY` calls it."""
        return self.trading_day.isoformat()

    def holds(self, at: Times) -> bool:
        """Tell whether an instant lies in it: its begin does, its reset is the next day's."""
        return self.began_at <= to_ns(at) < self.resets_at

    def opened(self) -> SessionOpened:
        """Return the event that says that this day's session opened, or began to be kept."""
        return SessionOpened(
            trading_day=self.trading_day,
            began_at=self.began_at,
            opens_at=self.opens_at,
            flat_by=self.flat_by,
            resets_at=self.resets_at,
            week=self.week,
            zone=self.zone,
        )

    def reset(self, *, late: bool = False) -> SessionReset:
        """Return the event that says that this day began."""
        return SessionReset(
            trading_day=self.trading_day,
            scheduled_for=self.began_at,
            late=late,
            opens_at=self.opens_at,
            flat_by=self.flat_by,
            resets_at=self.resets_at,
            week=self.week,
            zone=self.zone,
        )


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """When a venue's days open, when one must be flat, and when they end; configuration, in the zone's local times.

    A trading day lasts from one reset to the next, and is named by the local date on which it ends. A reset at 00:00
    is the end of the date before it, as one at 24:00 would be: such a day is its date, from midnight to midnight.
    Only dates on one of the `weekdays` (0 Monday … 6 Sunday) that are no `holidays` are trading days; what lies
    between them belongs to the next: Friday's reset at 17:00 begins Monday's day, which opens on Sunday at 17:00.

    The open is the last one before the reset: where it is not earlier on the clock, it is on the date before.
    An early close is the `flat_by` of its date; the reset stays.

    A time in the hour that daylight saving leaves out stands for the first instant after it, one in the hour that
    comes twice for its first occurrence.
    """

    zone: str
    open: time
    reset: time
    flat_by: time | None = None
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    early_closes: dict[date, time] = {}
    holidays: frozenset[date] = frozenset()
    week_start: int = 0

    def __post_init__(self) -> None:
        zone_of(self.zone)
        _check_time("open", self.open)
        _check_time("reset", self.reset)
        _check_weekdays(self.weekdays, self.week_start)
        _check_dates("holidays", self.holidays)
        _check_dates("early_closes", self.early_closes)
        # Copies: what the caller does to what was given must not change a calendar.
        force_setattr(self, "weekdays", tuple(sorted(self.weekdays)))
        force_setattr(self, "holidays", frozenset(self.holidays))
        force_setattr(self, "early_closes", dict(self.early_closes))
        if self.flat_by is not None:
            self._check_flat_by("flat_by", self.flat_by)
        for day, at in self.early_closes.items():
            self._check_early_close(day, at)

    # Questions: an instant is an aware datetime or UNIX ns

    def is_trading_day(self, day: date) -> bool:
        return day.weekday() in self.weekdays and day not in self.holidays

    def day(self, trading_day: date) -> TradingDay:
        """Return the trading day of a date; raise InvalidEvent where that is none."""
        _check_date("a trading day", trading_day)
        if not self.is_trading_day(trading_day):
            why = "a holiday" if trading_day in self.holidays else f"a {WEEKDAYS[trading_day.weekday()]}"
            msg = f"{trading_day} is no trading day of this calendar but {why}: day_at(...) finds the one in force"
            raise InvalidEvent(msg)
        return self._day(trading_day)

    def day_at(self, at: Times) -> TradingDay:
        """Return the trading day that an instant lies in; a reset's instant lies in the day that it begins."""
        at_ns = to_ns(at)
        local = (_EPOCH + timedelta(seconds=at_ns // NANOSECONDS)).astimezone(zone_of(self.zone))
        # Every earlier date has ended: the clocks have come past its reset.
        found = self._step(local.date() - _ONE_DAY, 1)
        while self._resets_at(found) <= at_ns:
            found = self._step(found, 1)
        return self._day(found)

    def days(self, start: Times, stop: Times) -> Iterator[TradingDay]:
        """Yield each trading day that begins in a span, oldest first: `start` lies in the span, `stop` does not.

        Of a machine that was away from X until now, `days(X + 1, now + 1)` are the resets it missed, one at now
        among them.
        """
        start_ns, stop_ns = to_ns(start), to_ns(stop)
        first = self.day_at(start_ns)
        return self._days(first if first.began_at == start_ns else self.following(first), stop_ns)

    def following(self, day: TradingDay) -> TradingDay:
        """Return the trading day that a day's reset begins."""
        return self._day(self._step(day.trading_day, 1))

    def next_reset(self, at: Times) -> int:
        """Return the first reset after an instant."""
        return self.day_at(at).resets_at

    def next_open(self, at: Times) -> int:
        """Return the first open after an instant."""
        at_ns = to_ns(at)
        day = self.day_at(at_ns)
        return day.opens_at if day.opens_at > at_ns else self.following(day).opens_at

    def next_flat_by(self, at: Times) -> int | None:
        """Return when one must be flat next, after an instant; None where that never comes."""
        at_ns = to_ns(at)
        if self.flat_by is None:
            closes = (self._flat_by(day) for day in sorted(self.early_closes))
            return next((close for close in closes if close is not None and close > at_ns), None)
        day = self.day_at(at_ns)
        if day.flat_by is not None and day.flat_by > at_ns:
            return day.flat_by
        return self.following(day).flat_by

    # How a date's instants are found

    def _days(self, day: TradingDay, stop_ns: int) -> Iterator[TradingDay]:
        while day.began_at < stop_ns:
            yield day
            day = self.following(day)

    def _day(self, day: date) -> TradingDay:
        return TradingDay(
            trading_day=day,
            began_at=self._resets_at(self._step(day, -1)),
            opens_at=_resolve(self.zone, day if self._opens_on_its_date() else day - _ONE_DAY, self.open),
            flat_by=self._flat_by(day),
            resets_at=self._resets_at(day),
            week=day - timedelta(days=(day.weekday() - self.week_start) % 7),
            zone=self.zone,
        )

    def _step(self, day: date, days: int) -> date:
        """Return the next trading day's date, or with -1 the last one's."""
        day += timedelta(days=days)
        while not self.is_trading_day(day):
            day += timedelta(days=days)
        return day

    def _resets_at(self, day: date) -> int:
        return _resolve(self.zone, day + _ONE_DAY if self.reset == _MIDNIGHT else day, self.reset)

    def _flat_by(self, day: date) -> int | None:
        at = self.early_closes.get(day, self.flat_by)
        if at is None:
            return None
        return self._resets_at(day) if at == self.reset else _resolve(self.zone, day, at)

    def _opens_on_its_date(self) -> bool:
        return self.reset == _MIDNIGHT or self.open < self.reset

    # What is refused

    def _check_flat_by(self, name: str, at: time) -> None:
        _check_time(name, at)
        if at == self.reset:
            return
        if self.reset != _MIDNIGHT and at > self.reset:
            msg = f"{name} {at} is after the reset at {self.reset}, which ends the day: give a time at or before it"
            raise InvalidEvent(msg)
        if self._opens_on_its_date() and at <= self.open:
            msg = f"{name} {at} is not after the open at {self.open}: give a later time"
            raise InvalidEvent(msg)

    def _check_early_close(self, day: date, at: time) -> None:
        name = f"the early close of {day} at"
        if not self.is_trading_day(day):
            msg = f"{name} {at} is on no trading day: take {day} out of early_closes, or out of what makes it a day off"
            raise InvalidEvent(msg)
        self._check_flat_by(name, at)
        usual = self.flat_by
        if usual is not None and usual != self.reset and (at > usual or at == self.reset):
            msg = f"{name} {at} is later than flat_by at {usual}: give an earlier time"
            raise InvalidEvent(msg)


def resolve(zone: str, day: date, at: time) -> int:
    """Return the instant, in UNIX ns, of a local date and time.

    That is the first at which the zone's clocks show this time or a later one: in an hour that daylight saving
    leaves out the first instant after it, in one that comes twice its first occurrence.
    """
    _check_date("a day", day)
    _check_time("a local time", at)
    return _resolve(zone, day, at)


@functools.lru_cache(maxsize=_ZONES_MAX)
def zone_of(name: object) -> ZoneInfo:
    """Return a time zone by its name, for example America/Chicago; raise InvalidEvent for an unknown one.

    It comes from the package `tzdata` and never from the machine: who has the same lock file has the same instants.
    """
    if isinstance(name, str) and _ZONE.fullmatch(name):
        place = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
        try:
            with place.open("rb") as file:
                return ZoneInfo.from_file(file, key=name)
        except (OSError, ValueError):
            pass  # said below, for each way in which a name can be none
    msg = f"{name!r:.80} is no time zone: give a name such as America/Chicago, Europe/Berlin or UTC"
    raise InvalidEvent(msg)


@functools.lru_cache(maxsize=_INSTANTS_MAX)
def _resolve(zone: str, day: date, at: time) -> int:
    rules, wall = zone_of(zone), datetime.combine(day, at.replace(fold=0))
    first, second = (_ns(wall.replace(tzinfo=rules, fold=fold)) for fold in (0, 1))
    if first <= second:
        return first
    # In a missing hour the two offsets around it give an instant after and one before the change, which is at a
    # whole second between them.
    seconds = range(second // NANOSECONDS, first // NANOSECONDS)
    change = bisect.bisect_left(
        seconds, 1, key=lambda s: (_EPOCH + timedelta(seconds=s)).astimezone(rules).replace(tzinfo=None) >= wall
    )
    return (seconds.start + change) * NANOSECONDS


def _ns(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1_000


def _check_time(name: str, at: object) -> None:
    if not isinstance(at, time) or at.tzinfo is not None:
        msg = f"{name} {at!r:.80}: a datetime.time without tzinfo is wanted, which is local in the calendar's zone"
        raise InvalidEvent(msg)


def _check_date(name: str, day: object) -> None:
    if not isinstance(day, date) or isinstance(day, datetime) or not _FIRST <= day <= _LAST:
        msg = f"{name} is a datetime.date from {_FIRST} to {_LAST}, not {day!r:.80}"
        raise InvalidEvent(msg)


def _check_dates(name: str, days: object) -> None:
    if not isinstance(days, list | tuple | set | frozenset | dict) or len(days) > DATES_MAX:
        msg = f"{name} are at most {DATES_MAX:,} dates, not {days!r:.80}"
        raise InvalidEvent(msg)
    for day in days:
        _check_date(f"each of {name}", day)


def _check_weekdays(weekdays: object, week_start: object) -> None:
    days = list(weekdays) if isinstance(weekdays, list | tuple | set | frozenset | range) else []
    if not days or any(type(day) is not int or not 0 <= day <= _SUNDAY for day in days) or len(set(days)) < len(days):
        msg = f"weekdays are one or more of 0 (Monday) to 6 (Sunday), each once, not {weekdays!r:.80}"
        raise InvalidEvent(msg)
    if type(week_start) is not int or not 0 <= week_start <= _SUNDAY:
        msg = f"week_start is 0 (Monday) to 6 (Sunday), not {week_start!r:.80}"
        raise InvalidEvent(msg)
