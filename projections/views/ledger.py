"""Sums by trading day: what happened is put into the day it happened in, also where that day is told of only later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Generic, Protocol, Self, TypeVar

import msgspec

from eventstore.clock import NANOSECONDS
from eventstore.trading import SessionOpened, SessionReset

DAYS_MAX = 400
MINUTES_MAX = 10_000
_MINUTE = 60 * NANOSECONDS


class Sum(Protocol):
    """What can be summed: a frozen value."""

    def plus(self, other: Self) -> Self:
        """Return both together."""


E = TypeVar("E", bound=Sum)


class Day(msgspec.Struct, frozen=True):
    """One trading day: from `began_at` until `resets_at`, or the next day's begin where that is not known yet."""

    trading_day: date
    began_at: int
    resets_at: int | None = None
    week: date | None = None

    @property
    def name(self) -> str:
        return self.trading_day.isoformat()

    def holds(self, at: int) -> bool:
        return self.began_at <= at and (self.resets_at is None or at < self.resets_at)


class Ledger(msgspec.Struct, Generic[E]):
    """Sums by trading day and key, for one account, with the days that session events have told of.

    What happened in no known day counts for the date it has in UTC, whose name begins with `~`. It is kept by the
    minute, as is what happened in a day without a known end: should a day be told of later that it belongs to, it
    goes there. The newest 400 days are kept, and by the minute the newest 10,000 in which anything happened.
    """

    days: list[Day] = []
    sums: dict[str, dict[str, E]] = {}
    minutes: dict[int, dict[str, E]] = {}
    open: dict[str, dict[str, E]] = {}
    """What `minutes` come to by day."""

    def day_at(self, at: int) -> Day | None:
        """Return the known trading day that an instant lies in, or None."""
        for day in reversed(self.days):
            if day.began_at <= at:
                return day if day.holds(at) else None
        return None

    def name_at(self, at: int) -> str:
        """Return under which name what happens at an instant counts."""
        day = self.day_at(at)
        return _utc_name(at) if day is None else day.name

    def of_day(self, name: str) -> dict[str, E]:
        """Return a day's sums by key; empty where nothing happened."""
        closed, still_open = self.sums.get(name), self.open.get(name)
        if closed is None or still_open is None:
            return closed or still_open or {}
        both = dict(closed)
        for key, entry in still_open.items():
            both[key] = both[key].plus(entry) if key in both else entry
        return both

    def names_of_week(self, at: int) -> list[str]:
        """Return the names of the days of the week that an instant lies in; where none is told, of the ISO week."""
        day = self.day_at(at)
        if day is not None and day.week is not None:
            return [other.name for other in self.days if other.week == day.week]
        today = _utc_date(at) if day is None else day.trading_day
        monday = today - timedelta(days=today.weekday())
        mark = "~" if day is None else ""
        return [mark + (monday + timedelta(days=number)).isoformat() for number in range(7)]

    def add(self, at: int, key: str, entry: E) -> None:
        """Add what happened at an instant (UNIX ns)."""
        day = self.day_at(at)
        if day is not None and day.resets_at is not None:
            _add(self.sums, day.name, key, entry)
            if len(self.sums) > DAYS_MAX:
                self._drop_oldest()
            return
        _add(self.open, _utc_name(at) if day is None else day.name, key, entry)
        _add(self.minutes, at // _MINUTE, key, entry)
        if len(self.minutes) > MINUTES_MAX:
            self._settle(sorted(self.minutes)[: MINUTES_MAX // 10])

    def learn(self, event: SessionOpened | SessionReset, occurred_at: int) -> Day:
        """Take in the trading day that a session event tells of, with what happened in it before it was told."""
        if isinstance(event, SessionReset):
            began_at = event.scheduled_for
        else:
            told = (event.began_at, event.opens_at, occurred_at)
            began_at = next(instant for instant in told if instant is not None)
        fresh = Day(event.trading_day, began_at, event.resets_at, event.week)
        days = []
        for day in self.days:
            if day.trading_day == fresh.trading_day:
                # Told again, for example of its opening after its reset: it began when it first did.
                fresh = Day(
                    day.trading_day,
                    min(day.began_at, fresh.began_at),
                    fresh.resets_at or day.resets_at,
                    fresh.week or day.week,
                )
            else:
                days.append(day)
        self.days = sorted([*days, fresh], key=lambda day: day.began_at)[-DAYS_MAX:]
        if self.minutes:
            self._settle([minute for minute in self.minutes if self._is_settled(minute)])
        return fresh

    def _is_settled(self, minute: int) -> bool:
        day = self.day_at(minute * _MINUTE)
        return day is not None and day.resets_at is not None

    def _settle(self, minutes: list[int]) -> None:
        """Put what is kept by these minutes into their days for good, and sum up the rest anew."""
        for minute in minutes:
            name = self.name_at(minute * _MINUTE)
            for key, entry in self.minutes.pop(minute).items():
                _add(self.sums, name, key, entry)
        self._drop_oldest()
        still_open: dict[str, dict[str, E]] = {}
        for minute, entries in self.minutes.items():
            name = self.name_at(minute * _MINUTE)
            for key, entry in entries.items():
                _add(still_open, name, key, entry)
        self.open = still_open

    def _drop_oldest(self) -> None:
        names = sorted(self.sums, key=lambda name: name.removeprefix("~"))
        for name in names[:-DAYS_MAX]:
            del self.sums[name]


T = TypeVar("T", str, int)


def _add(sums: dict[T, dict[str, E]], name: T, key: str, entry: E) -> None:
    entries = sums.get(name)
    if entries is None:
        entries = sums[name] = {}
    known = entries.get(key)
    entries[key] = entry if known is None else known.plus(entry)


def _utc_date(at: int) -> date:
    return datetime.fromtimestamp(at // NANOSECONDS, UTC).date()


def _utc_name(at: int) -> str:
    return "~" + _utc_date(at).isoformat()
