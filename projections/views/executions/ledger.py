"""Sums by trading day: an entry counts for the day it happened in, even if that day is recorded only later."""

from __future__ import annotations

from datetime import date
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from eventstore.clock import NANOSECONDS, to_ns
from eventstore.trading import CashAtReset, ClockJumped, SessionOpened, SessionReset
from projections.views.executions.day_totals import Day, DaySpan, E, Moved, PublishedTotals, add_all, utc_name
from projections.views.log_clock import is_set_back

DAYS_MAX = 400
MINUTES_MAX = 10_000
MOVED_MAX = 20
_MINUTE = 60 * NANOSECONDS


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

    @property
    def has_entries(self) -> bool:
        """Whether it has any sums."""
        published = self.published
        return bool(published.closed or published.open or published.moved)

    def names(self) -> list[str]:
        """Return the names of the days in which anything happened, oldest first."""
        published = self.published
        moved = (each.into for each in published.moved)
        return sorted({*list(published.closed), *list(published.open), *moved}, key=_by_date)

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
        entries, kept, _, _ = self.sums_at(at)
        known = entries.get(key)
        after = entries[key] = entry if known is None else known.plus(entry)
        if kept is not None:
            before = kept.get(key)
            # As long as a day has a single minute both sums are the same, and are not computed twice.
            kept[key] = after if before is known else entry if before is None else before.plus(entry)

    def sums_at(self, at: int) -> tuple[dict[str, E], dict[str, E] | None, int, int]:
        """Return what an entry of an instant is added to: the sums of its day, and of its minute or None.

        Also since when and until before when that holds. The caller adds an entry, since it may be the first one.
        """
        # Finding the day takes two searches; most entries lie in the span of the one before.
        span, kept = self.span, None
        if span is None or not span.since <= at < span.until:
            span = self.span = self.published.span_at(at)
        since, until = span.since, span.until
        if not span.ended:
            # The day may still turn out to be another one: keep what it takes to move the entry.
            minute = at - at % _MINUTE
            if until > minute + _MINUTE:  # noqa: PLR1730 - min() and max() cost a call for every fill
                until = minute + _MINUTE
            if since < minute:  # noqa: PLR1730
                since = minute
            kept = self.minutes.get(since)
            if kept is None:
                kept = self._new_minute(since)
        sums = self.published.closed if kept is None else self.published.open
        entries = sums.get(span.name)
        if entries is None:
            entries = sums[span.name] = {}
            self._drop_oldest(self.published.closed)
        return entries, kept, since, until

    def begin_again(self) -> None:
        """Forget every sum; the days stay as sessions have stated them."""
        # Readers hold no lock: what they see is replaced in one assignment.
        self.published = replace(self.published, closed={}, open={}, moved=())
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

    def jump(self, event: ClockJumped, log_position: int) -> None:
        """Count what lies later than a clock that was set back for the day that it is now.

        Once the clock is set ahead, what it was wrong to move returns to its day.
        """
        if is_set_back(event):
            self._move(event.after, log_position)
        elif event.after > event.before and self.published.moved:
            self._return(event.after)

    def _move(self, now: int, log_position: int) -> None:
        published, into = self.published, self.name_at(now)
        known = {*published.closed, *published.open, *(each.into for each in published.moved)}
        later = {name for name in known if name != into and self._begin_of(name) > now}
        moved: dict[str, dict[str, E]] = {name: dict(published.closed.get(name) or {}) for name in sorted(later)}
        kept = {}
        for minute, entries in self.minutes.items():
            name = self.name_at(minute)
            if name in later or (minute > now and name != into):
                add_all(moved.setdefault(name, {}), entries)
            else:
                kept[minute] = entries
        if not moved:
            return
        closed = {name: sums for name, sums in published.closed.items() if name not in later}
        all_moved = (*published.moved[1 - MOVED_MAX :], Moved(now, log_position, into, moved))
        self.minutes, self.published = kept, replace(published, closed=closed, moved=all_moved)
        self._redistribute(published.days, set())

    def _return(self, now: int) -> None:
        published = self.published
        closed, left = dict(published.closed), []
        for each in published.moved:
            come = {name for name in each.sums if self._begin_of(name) <= now}
            for name in sorted(come):
                closed[name] = dict(closed.get(name) or {})
                add_all(closed[name], each.sums[name])
            sums = {name: entries for name, entries in each.sums.items() if name not in come}
            if sums:
                left.append(replace(each, sums=sums))
        self.published = replace(published, closed=closed, moved=tuple(left))

    def moved_by(self, at: int, log_position: int) -> int | None:
        """Return the index in `moved` of the sums that an earlier entry is in, None if it was not moved."""
        name = self.name_at(at)
        for index, each in enumerate(self.published.moved):
            if log_position < each.log_position and at > each.since and name in each.sums:
                return index
        return None

    def correct_moved(self, index: int, at: int, key: str, entry: E, nothing: E) -> None:
        """Add a correction of an entry that was moved; what comes to nothing is dropped."""
        published, name = self.published, self.name_at(at)
        each = published.moved[index]
        sums = {**each.sums, name: dict(each.sums[name])}
        add_all(sums[name], {key: entry})
        if sums[name][key] == nothing:
            del sums[name][key]
        after = replace(each, sums=sums)
        self.published = replace(published, moved=(*published.moved[:index], after, *published.moved[index + 1 :]))

    def _begin_of(self, name: str) -> int:
        day = self.day_named(name)
        return to_ns(f"{name.removeprefix('~')}T00:00Z") if day is None else day.began_at

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
        self._drop_oldest(after.closed)
        self.minutes, self.span = minutes, None
        self.published = after

    def _drop_oldest(self, sums: dict[str, dict[str, E]]) -> None:
        if len(sums) > DAYS_MAX:
            for name in sorted(sums, key=_by_date)[:-DAYS_MAX]:
                self.let_go(name, sums.pop(name))

    def let_go(self, name: str, sums: dict[str, E]) -> None:
        """Let a day's sums go that are beyond the limit, an entry added to them next included.

        Here they are forgotten; a frame's fold keeps them.
        """


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


def _by_date(name: str) -> tuple[str, str]:
    return name.removeprefix("~"), name
