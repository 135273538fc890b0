"""Sums by trading day as readers see them: the days that are known, and what counts for each."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Generic, Protocol, Self, TypeVar

import msgspec

from eventstore import Instant
from eventstore.clock import NANOSECONDS, utc_date

_DAY = 24 * 3_600 * NANOSECONDS
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


class Moved(msgspec.Struct, Generic[E], frozen=True):
    """Sums that were recorded under a clock that ran ahead, by the days that they were counted for.

    Since the clock was put right, at `since`, they count for the day that it was: `into`. `log_position` is that of the
    record of it: what is recorded later is not moved.
    """

    since: Instant
    log_position: int
    into: str
    sums: dict[str, dict[str, E]]


class PublishedTotals(msgspec.Struct, Generic[E]):
    """What readers see; replaced as a whole whenever more than one entry moves.

    `days` are sorted by their begin. Sums are by day and key: `closed` of days with a known end, and of what is no
    longer kept by the minute; `open` are the sums of what is kept by the minute. `moved` are those of days that had not
    come when the clock was put right.
    """

    days: tuple[Day, ...] = ()
    closed: dict[str, dict[str, E]] = {}
    open: dict[str, dict[str, E]] = {}
    moved: tuple[Moved[E], ...] = ()

    def day_at(self, at: int) -> Day | None:
        days = self.days
        if days and days[-1].began_at <= at:
            # Mostly it is the newest one.
            day: Day | None = days[-1]
        else:
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

    def has(self, name: str) -> bool:
        """Return whether anything may count for a day."""
        return name in self.closed or name in self.open or bool(self.moved)

    def of_day(self, name: str) -> dict[str, E]:
        # Copied in one step: the fold may add a key meanwhile.
        both, still_open = dict(self.closed.get(name, ())), self.open.get(name)
        for key, entry in () if still_open is None else list(still_open.items()):
            both[key] = both[key].plus(entry) if key in both else entry
        if self.moved:
            for sums in self._moved_into(name, {name}):
                add_all(both, sums)
        return both

    def _moved_into(self, name: str, known: set[str]) -> Iterator[dict[str, E]]:
        """Yield the sums that count for a day, and what had been moved into the days that those are of."""
        for each in self.moved:
            for other in each.sums if each.into == name else ():
                yield each.sums[other]
                if other not in known:
                    yield from self._moved_into(other, known | {other})

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


def add_all(sums: dict[str, E], entries: dict[str, E]) -> None:
    """Add each entry to the sum of its key."""
    # Copied in one step: the fold may add a key meanwhile.
    for key, entry in list(entries.items()):
        known = sums.get(key)
        sums[key] = entry if known is None else known.plus(entry)


def _begin(day: Day) -> int:
    return day.began_at


def utc_name(at: int) -> str:
    """Return the name under which an instant in no known trading day counts: its date in UTC, after a `~`."""
    return "~" + utc_date(at).isoformat()
