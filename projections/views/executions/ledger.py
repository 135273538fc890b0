"""Sums by trading day: an entry counts for the day it happened in, even if that day is recorded only later."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, timedelta
from typing import Generic, Protocol, Self, TypeVar

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.clock import NANOSECONDS, utc_date
from eventstore.trading import CashAtReset, SessionOpened, SessionReset

DAYS_MAX = 400
MINUTES_MAX = 10_000
_MINUTE = 60 * NANOSECONDS
_DAY = 24 * 60 * _MINUTE
_WEEK = 7
_END_OF_TIME = 2**63 - 1


class Summable(Protocol):
    """A frozen value that can be summed."""

    def plus(self, other: Self) -> Self:
        """Return both together."""


E = TypeVar("E", bound=Summable)


class Day(msgspec.Struct, frozen=True):
    """One trading day: from `began_at` until `resets_at`, or until the next day begins where its reset is not known.

    `begins_with_cash`: cash that moves exactly at a reset is of the day that begins, not of the one that ends.
    """

    trading_day: date
    began_at: Instant
    resets_at: Instant | None = None
    week: date | None = None
    begins_with_cash: bool = False

    @property
    def name(self) -> str:
        return self.trading_day.isoformat()

    def holds(self, at: int) -> bool:
        return self.began_at <= at and (self.resets_at is None or at < self.resets_at)


class DaySpan(msgspec.Struct, frozen=True):
    """The instants, from `since` to before `until`, that count under one name; `ended`: the day's end is known."""

    name: str
    since: Instant
    until: Instant
    ended: bool


class PublishedTotals(msgspec.Struct, Generic[E]):
    """What readers see; replaced as a whole whenever more than one entry moves.

    `days` are sorted by their begin. Sums are by day and key: `closed` of days with a known end, and of what is no
    longer kept by the minute; `open` are the sums of what is kept by the minute.
    """

    days: tuple[Day, ...] = ()
    closed: dict[str, dict[str, E]] = {}
    open: dict[str, dict[str, E]] = {}

    def day_at(self, at: int) -> Day | None:
        days = self.days
        index = bisect_right(days, at, key=_begin)
        day = days[index - 1] if index else None
        return day if day is not None and day.holds(at) else None

    def span_at(self, at: int) -> DaySpan:
        """Return the span around an instant in which no known day begins or ends."""
        index = bisect_right(self.days, at, key=_begin)
        until = self.days[index].began_at if index < len(self.days) else _END_OF_TIME
        day = self.days[index - 1] if index else None
        if day is not None and day.holds(at):
            ended = day.resets_at is not None
            return DaySpan(day.name, day.began_at, min(until, day.resets_at or _END_OF_TIME), ended)
        # In no known day: the date in UTC, as far as no known day takes a part of it.
        midnight = at - at % _DAY
        since = midnight if day is None else max(midnight, day.resets_at or midnight)
        return DaySpan(utc_name(at), since, min(until, midnight + _DAY), ended=False)

    def of_day(self, name: str) -> dict[str, E]:
        both = dict(self.closed.get(name) or {})
        # Copied in one step: the fold may add a key meanwhile.
        for key, entry in list((self.open.get(name) or {}).items()):
            both[key] = both[key].plus(entry) if key in both else entry
        return both

    def names_of_week(self, at: int) -> list[str]:
        days, day = self.days, self.day_at(at)
        today = utc_date(at) if day is None else day.trading_day
        first = None if day is None else day.week
        if first is None:
            weeks = (other.week for other in days if other.week is not None and 0 <= (today - other.week).days < _WEEK)
            first = next(weeks, today - timedelta(days=today.weekday()))
        dates = {first + timedelta(days=number) for number in range(_WEEK)}
        names = [
            other.name for other in days if (other.week or other.trading_day) in ({first} if other.week else dates)
        ]
        return [*names, *sorted("~" + each.isoformat() for each in dates)]


class Ledger(msgspec.Struct, Generic[E]):
    """Sums by trading day and key, for one account, with the days that session events have stated.

    An entry in no known day counts for its date in UTC, whose name begins with `~`. Such entries are also kept by the
    minute, as are those in a day without a known end: if the day that they belong to is recorded later, they are moved
    there. The entries of one minute move together, unless a day was known to begin or end in it when they were added.
    The newest 400 days are kept and, by the minute, the newest 10,000 minutes in which anything happened: older entries
    stay in the day that they were counted for, as do entries counted in a day with a known end.
    """

    published: PublishedTotals[E] = msgspec.field(default_factory=PublishedTotals)
    minutes: dict[int, dict[str, E]] = {}
    """Entries by the begin of their minute, and by key."""
    span: DaySpan | None = None
    """The span of the newest entry, cached because the next entry mostly belongs there too."""

    def day_at(self, at: int) -> Day | None:
        """Return the known trading day that an instant lies in, or None."""
        return self.published.day_at(at)

    def day_named(self, name: str) -> Day | None:
        """Return the known trading day of a name, or None."""
        return next((day for day in self.published.days if day.name == name), None)

    def name_at(self, at: int) -> str:
        """Return the name of the day that an instant counts for."""
        span = self.span
        if span is not None and span.since <= at < span.until:
            return span.name
        day = self.published.day_at(at)
        return utc_name(at) if day is None else day.name

    def of_day(self, name: str) -> dict[str, E]:
        """Return a day's sums by key; empty if nothing happened."""
        return self.published.of_day(name)

    def at(self, at: int) -> dict[str, E]:
        """Return the sums of the day that an instant lies in."""
        published = self.published
        day = published.day_at(at)
        return published.of_day(utc_name(at) if day is None else day.name)

    def between(self, since: int, until: int) -> list[E]:
        """Return what is kept by the minute between two instants: the entries of a day that no session event states."""
        # Copied in one step: the fold may add a minute meanwhile.
        minutes = list(self.minutes.items())
        return [entry for minute, entries in minutes if since <= minute < until for entry in list(entries.values())]

    def names(self) -> list[str]:
        """Return the names of the days in which anything happened, oldest first."""
        published = self.published
        return sorted({*list(published.closed), *list(published.open)}, key=_by_date)

    def names_between(self, first: date | None, last: date | None) -> list[str]:
        """Return the names of the days of these dates in which anything happened, both included, oldest first."""
        begin, end = "" if first is None else first.isoformat(), "~" if last is None else last.isoformat()
        return [name for name in self.names() if begin <= name.removeprefix("~") <= end]

    def known_since(self) -> date | None:
        """Return the date of the oldest day kept, once as many are kept as the limit allows; None before that."""
        closed = list(self.published.closed)
        if len(closed) < DAYS_MAX:
            return None
        return date.fromisoformat(min(name.removeprefix("~") for name in closed))

    def names_of_week(self, at: int) -> list[str]:
        """Return the names of the days of the week that an instant lies in, and those of its dates in UTC.

        A week is as the session events of its days state; if none states it, the ISO week.
        """
        return self.published.names_of_week(at)

    def of_week(self, at: int) -> list[tuple[str, E]]:
        """Return the keys and sums of the days of the week that an instant lies in."""
        published = self.published
        return [each for name in published.names_of_week(at) for each in published.of_day(name).items()]

    def add(self, at: int, key: str, entry: E) -> None:
        """Add an entry that happened at an instant (UNIX ns)."""
        # Finding the day takes two searches; most entries lie in the span of the one before.
        span, kept = self.span, None
        if span is None or not span.since <= at < span.until:
            span = self.span = self.published.span_at(at)
        if not span.ended:
            # The day may still turn out to be another one: keep what it takes to move the entry.
            minute = at - at % _MINUTE
            if minute < span.since:  # noqa: PLR1730 - max() costs a call for every fill
                minute = span.since
            kept = self.minutes.get(minute)
            if kept is None:
                kept = self._new_minute(minute)
        sums = self.published.closed if kept is None else self.published.open
        entries = sums.get(span.name)
        if entries is None:
            entries = sums[span.name] = {}
            _drop_oldest(self.published.closed)
        known = entries.get(key)
        after = entries[key] = entry if known is None else known.plus(entry)
        if kept is not None:
            before = kept.get(key)
            # As long as a day has a single minute both sums are the same, and are not computed twice.
            kept[key] = after if before is known else entry if before is None else before.plus(entry)

    def begin_again(self) -> None:
        """Forget every sum; the days stay as sessions have stated them."""
        # Readers hold no lock: what they see is replaced in one assignment.
        self.published = replace(self.published, closed={}, open={})
        self.minutes, self.span = {}, None

    def drop_empty(self, at: int, key: str, nothing: E) -> None:
        """Drop the sums of a key around an instant that have come to nothing: as if nothing had been added."""
        name = self.name_at(at)
        for sums in (self.published.closed, self.published.open):
            _drop(sums, name, key, nothing)
        minute = at - at % _MINUTE
        if self.span is not None and self.span.since <= at:
            minute = max(minute, self.span.since)
        _drop(self.minutes, minute, key, nothing)

    def _new_minute(self, minute: int) -> dict[str, E]:
        """Return a new minute's entries, empty; at the limit, fix the oldest minutes in their days first."""
        if len(self.minutes) >= MINUTES_MAX:
            self._redistribute(self.published.days, set(sorted(self.minutes)[: max(MINUTES_MAX // 10, 1)]))
        entries = self.minutes[minute] = {}
        return entries

    def add_day(self, event: SessionOpened | SessionReset, occurred_at: int) -> Day:
        """Add the trading day that a session event states, and move the entries into it that belong there."""
        if isinstance(event, SessionReset):
            began_at = event.scheduled_for
        else:
            instants = (event.began_at, event.opens_at, occurred_at)
            began_at = next(instant for instant in instants if instant is not None)
        begins_with_cash = event.cash_at_reset is CashAtReset.DAY_THAT_BEGINS
        fresh = Day(event.trading_day, began_at, event.resets_at, event.week, begins_with_cash)
        known = self.day_named(fresh.name)
        if known is not None:
            # Stated again, for example by its opening after its reset: it began when it first did.
            fresh = Day(
                known.trading_day,
                min(known.began_at, fresh.began_at),
                known.resets_at if fresh.resets_at is None else fresh.resets_at,
                fresh.week or known.week,
                fresh.begins_with_cash or known.begins_with_cash,
            )
        days = [fresh, *(day for day in self.published.days if day is not known)]
        days.sort(key=lambda day: day.began_at)
        self._redistribute(tuple(days[-DAYS_MAX:]), set())
        return fresh

    def _redistribute(self, days: tuple[Day, ...], oldest: set[int]) -> None:
        """Sum up all minutes by these days. The oldest minutes, and those in a day with a known end, become final."""
        # Readers hold no lock: everything is built beside what they see, and published in one assignment.
        after: PublishedTotals[E] = replace(self.published, days=days, closed=dict(self.published.closed), open={})
        copied: set[str] = set()
        minutes: dict[int, dict[str, E]] = {}
        for minute, entries in self.minutes.items():
            # A minute counts for the day that its begin lies in.
            day = after.day_at(minute)
            name = utc_name(minute) if day is None else day.name
            sums = after.open
            if minute in oldest or (day is not None and day.resets_at is not None):
                sums = after.closed
                # Readers may hold the day's dict: it is copied once, before the first change.
                if name not in copied:
                    copied.add(name)
                    sums[name] = dict(sums.get(name) or {})
            else:
                minutes[minute] = entries
            for key, entry in entries.items():
                _add(sums, name, key, entry)
        _drop_oldest(after.closed)
        self.minutes, self.span = minutes, None
        self.published = after


T = TypeVar("T", str, int)


def _add(sums: dict[T, dict[str, E]], name: T, key: str, entry: E) -> None:
    entries = sums.get(name)
    if entries is None:
        entries = sums[name] = {}
    known = entries.get(key)
    entries[key] = entry if known is None else known.plus(entry)


def _drop(sums: dict[T, dict[str, E]], name: T, key: str, nothing: E) -> None:
    entries = sums.get(name)
    if entries is not None and entries.get(key) == nothing:
        del entries[key]
        if not entries:
            del sums[name]


def _drop_oldest(sums: dict[str, dict[str, E]]) -> None:
    if len(sums) > DAYS_MAX:
        for name in sorted(sums, key=_by_date)[:-DAYS_MAX]:
            del sums[name]


def _begin(day: Day) -> int:
    return day.began_at


def _by_date(name: str) -> tuple[str, str]:
    return name.removeprefix("~"), name


def utc_name(at: int) -> str:
    """Return the name under which an instant in no known trading day counts: its date in UTC, after a `~`."""
    return "~" + utc_date(at).isoformat()
