"""The trading days of an account, as its results are counted: which one an instant lies in, and where it ends."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, NamedTuple

from eventstore.clock import NANOSECONDS
from projections.views.executions.state import VIEW, ExecutionsState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.book import Book

_DAY = 86_400 * NANOSECONDS
_EPOCH = datetime.date(1970, 1, 1)


DayName = tuple[datetime.date, bool]
"""A day's date, and whether a session stated it: the rest of that date in UTC is another one."""


class TradingSpan(NamedTuple):
    """The instants from `since` to before `until` that count for a day; `is_known`: a session stated it."""

    trading_day: datetime.date
    since: int
    until: int
    is_known: bool

    @property
    def name(self) -> DayName:
        return self.trading_day, self.is_known


class DayBounds:
    """The days of an account's ledger: those that session events state, and dates in UTC elsewhere."""

    def __init__(self, book: Book, account: str) -> None:
        state: ExecutionsState | None = book.state(VIEW, account)
        self._ledger = (ExecutionsState() if state is None else state).ledger

    @property
    def kept_since(self) -> datetime.date | None:
        """The oldest day whose results are kept; None if all are."""
        return self._ledger.known_since()

    def at(self, instant: int) -> TradingSpan:
        """Return the day that an instant lies in."""
        day, span = self._ledger.day_at(instant), self._ledger.published.span_at(instant)
        date = datetime.date.fromisoformat(span.name.removeprefix("~"))
        return TradingSpan(date, span.since, span.until, day is not None)

    def of_cash(self, instant: int) -> TradingSpan:
        """Return the day of cash that moved at an instant; at a reset it is most often the one that ends."""
        return self.at(self._ledger.cash_counts_at(instant))

    def named(self, date: datetime.date) -> TradingSpan:
        """Return the day of a date."""
        day = self._ledger.day_named(date.isoformat())
        if day is not None:
            return self.at(day.began_at)
        midnight = (date - _EPOCH).days * _DAY
        return TradingSpan(date, midnight, midnight + _DAY, is_known=False)

    def between(self, since: int, until: int) -> Iterator[TradingSpan]:
        """Yield the days from an instant to before another one, without the time between days that are known."""
        at, seen = since, set[DayName]()
        while at < until:
            span = self.at(at)
            if span.name not in seen:
                seen.add(span.name)
                yield span
            at = max(span.until, at + 1)
