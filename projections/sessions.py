"""Trading days: a calendar's open, flat-by and reset times, resolved to instants across daylight saving."""

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
from eventstore.trading import CashAtReset, SessionOpened, SessionReset

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

    `week` is the date of the first day of its week; `flat_by` is None if positions need not be flat.
    """

    trading_day: date
    began_at: Instant
    opens_at: Instant
    flat_by: Instant | None
    resets_at: Instant
    week: date
    zone: str
    begins_with_cash: bool = False
    """Whether cash that moves exactly at a reset is of the day that begins there."""

    @property
    def _cash_at_reset(self) -> CashAtReset | None:
        return CashAtReset.DAY_THAT_BEGINS if self.begins_with_cash else None

    @property
    def name(self) -> str:
        """Its name in the stream `session/ACCOUNT/DAY`."""
        return self.trading_day.isoformat()

    def holds(self, at: Times) -> bool:
        """Return whether an instant is in this day: its beginning is, its reset is in the next."""
        return self.began_at <= to_ns(at) < self.resets_at

    def opened(self) -> SessionOpened:
        """Return the event of this day's session having opened, or being tracked from now on."""
        return SessionOpened(
            trading_day=self.trading_day,
            began_at=self.began_at,
            opens_at=self.opens_at,
            flat_by=self.flat_by,
            resets_at=self.resets_at,
            week=self.week,
            zone=self.zone,
            cash_at_reset=self._cash_at_reset,
        )

    def reset(self, *, late: bool = False) -> SessionReset:
        """Return the event of this day having begun."""
        return SessionReset(
            trading_day=self.trading_day,
            scheduled_for=self.began_at,
            late=late,
            opens_at=self.opens_at,
            flat_by=self.flat_by,
            resets_at=self.resets_at,
            week=self.week,
            zone=self.zone,
            cash_at_reset=self._cash_at_reset,
        )


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """When a venue's days open, when positions must be flat, when days end: configuration, in the zone's local time.

    A trading day lasts from one reset to the next, and its name is the local date on which it ends. A reset at 00:00
    ends the date before it, as 24:00 would: such a day is its date, from midnight to midnight. Trading days are the
    dates on one of the `weekdays` (0 Monday … 6 Sunday) that are not in `holidays`; the time between two of them
    belongs to the later one: Friday's reset at 17:00 begins Monday's day, which opens on Sunday at 17:00.

    The open is the last one before the reset: if its time of day is not earlier, it is on the date before. An early
    close replaces `flat_by` on its date; the reset does not move.

    A time in the hour that daylight saving skips means the first instant after it, one in the hour that it repeats its
    first occurrence.

    Cash that moves exactly at a reset belongs to the day that ends, or by `cash_at_reset` to the day that begins.
    """

    zone: str
    open: time
    reset: time
    flat_by: time | None = None
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    early_closes: dict[date, time] = {}
    holidays: frozenset[date] = frozenset()
    week_start: int = 0
    cash_at_reset: CashAtReset = CashAtReset.DAY_THAT_ENDS

    def __post_init__(self) -> None:
        zone_of(self.zone)
        _check_time("open", self.open)
        _check_time("reset", self.reset)
        _check_weekdays(self.weekdays, self.week_start)
        _check_dates("holidays", self.holidays)
        _check_dates("early_closes", self.early_closes)
        _check_cash_at_reset(self.cash_at_reset)
        # Copies: the caller may change the collections later, but not this calendar.
        force_setattr(self, "weekdays", tuple(sorted(self.weekdays)))
        force_setattr(self, "holidays", frozenset(self.holidays))
        force_setattr(self, "early_closes", dict(self.early_closes))
        if self.flat_by is not None:
            self._check_flat_by("flat_by", self.flat_by)
        for day, at in self.early_closes.items():
            self._check_early_close(day, at)

    def is_trading_day(self, day: date) -> bool:
        return day.weekday() in self.weekdays and day not in self.holidays

    def day(self, trading_day: date) -> TradingDay:
        """Return the trading day of a date; raise InvalidEvent for a date that is not one."""
        _check_date("a trading day", trading_day)
        if not self.is_trading_day(trading_day):
            why = "a holiday" if trading_day in self.holidays else f"a {WEEKDAYS[trading_day.weekday()]}"
            msg = f"{trading_day} is not a trading day of this calendar but {why}: day_at(...) finds the one in force"
            raise InvalidEvent(msg)
        return self._day(trading_day)

    def day_at(self, at: Times) -> TradingDay:
        """Return the trading day that an instant is in; a reset is in the day that it begins."""
        at_ns = to_ns(at)
        local = (_EPOCH + timedelta(seconds=at_ns // NANOSECONDS)).astimezone(zone_of(self.zone))
        # Days of earlier dates have ended: local time has passed their resets.
        found = self._step(local.date() - _ONE_DAY, 1)
        while self._resets_at(found) <= at_ns:
            found = self._step(found, 1)
        return self._day(found)

    def days(self, start: Times, stop: Times) -> Iterator[TradingDay]:
        """Yield each trading day that begins at or after `start` and before `stop`, oldest first.

        After an outage from X until now, `days(X + 1, now + 1)` are the days whose beginning was missed, including one
        that begins now.
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
        """Return the next instant, after the given one, at which positions must be flat; None if there is none."""
        at_ns = to_ns(at)
        if self.flat_by is None:
            closes = (self._flat_by(day) for day in sorted(self.early_closes))
            return next((close for close in closes if close is not None and close > at_ns), None)
        day = self.day_at(at_ns)
        if day.flat_by is not None and day.flat_by > at_ns:
            return day.flat_by
        return self.following(day).flat_by

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
            begins_with_cash=self.cash_at_reset is CashAtReset.DAY_THAT_BEGINS,
        )

    def _step(self, day: date, days: int) -> date:
        """Return the date of the next trading day, or with -1 of the previous one."""
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
            msg = f"{name} {at} is not on a trading day: remove {day} from early_closes, or make it a trading day"
            raise InvalidEvent(msg)
        self._check_flat_by(name, at)
        usual = self.flat_by
        if usual is not None and usual != self.reset and (at > usual or at == self.reset):
            msg = f"{name} {at} is later than flat_by at {usual}: give an earlier time"
            raise InvalidEvent(msg)


def resolve(zone: str, day: date, at: time) -> int:
    """Return the instant, in UNIX ns, of a local date and time.

    It is the first at which local time is this or later: in an hour that daylight saving skips, the first instant after
    it; in one that it repeats, the first occurrence.
    """
    _check_date("a day", day)
    _check_time("a local time", at)
    return _resolve(zone, day, at)


@functools.lru_cache(maxsize=_ZONES_MAX)
def zone_of(name: object) -> ZoneInfo:
    """Return a time zone by its name, for example America/Chicago; raise InvalidEvent for an unknown one.

    It comes from the package `tzdata`, never from the operating system: the same lock file gives the same instants.
    """
    if isinstance(name, str) and _ZONE.fullmatch(name):
        place = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
        try:
            with place.open("rb") as file:
                return ZoneInfo.from_file(file, key=name)
        except (OSError, ValueError):
            pass  # Reported below, for every kind of invalid name.
    msg = f"{name!r:.80} is not a time zone: give a name such as America/Chicago, Europe/Berlin or UTC"
    raise InvalidEvent(msg)


@functools.lru_cache(maxsize=_INSTANTS_MAX)
def _resolve(zone: str, day: date, at: time) -> int:
    rules, wall = zone_of(zone), datetime.combine(day, at.replace(fold=0))
    first, second = (_ns(wall.replace(tzinfo=rules, fold=fold)) for fold in (0, 1))
    if first <= second:
        return first
    # In a skipped hour the two offsets give an instant after and one before the change, which is at a whole second
    # between them: search for it.
    seconds = range(second // NANOSECONDS, first // NANOSECONDS)
    change = bisect.bisect_left(
        seconds, 1, key=lambda s: (_EPOCH + timedelta(seconds=s)).astimezone(rules).replace(tzinfo=None) >= wall
    )
    return (seconds.start + change) * NANOSECONDS


def _ns(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1_000


def _check_time(name: str, at: object) -> None:
    if not isinstance(at, time) or at.tzinfo is not None:
        msg = f"{name} {at!r:.80}: expected a datetime.time without tzinfo, in the calendar's local time"
        raise InvalidEvent(msg)


def _check_date(name: str, day: object) -> None:
    if not isinstance(day, date) or isinstance(day, datetime) or not _FIRST <= day <= _LAST:
        msg = f"{name} must be a datetime.date from {_FIRST} to {_LAST}, not {day!r:.80}"
        raise InvalidEvent(msg)


def _check_dates(name: str, days: object) -> None:
    if not isinstance(days, list | tuple | set | frozenset | dict) or len(days) > DATES_MAX:
        msg = f"{name} must be a collection of at most {DATES_MAX:,} dates, not {days!r:.80}"
        raise InvalidEvent(msg)
    for day in days:
        _check_date(f"each of {name}", day)


def _check_weekdays(weekdays: object, week_start: object) -> None:
    days = list(weekdays) if isinstance(weekdays, list | tuple | set | frozenset | range) else []
    if not days or any(type(day) is not int or not 0 <= day <= _SUNDAY for day in days) or len(set(days)) < len(days):
        msg = f"weekdays must be one or more of 0 (Monday) to 6 (Sunday), each once, not {weekdays!r:.80}"
        raise InvalidEvent(msg)
    if type(week_start) is not int or not 0 <= week_start <= _SUNDAY:
        msg = f"week_start must be 0 (Monday) to 6 (Sunday), not {week_start!r:.80}"
        raise InvalidEvent(msg)


def _check_cash_at_reset(cash_at_reset: object) -> None:
    if not isinstance(cash_at_reset, CashAtReset):
        msg = f"cash_at_reset must be a trading.CashAtReset, not {cash_at_reset!r:.80}"
        raise InvalidEvent(msg)
