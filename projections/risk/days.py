"""Trading days and weeks as limits see them: as sessions recorded them, else by the calendar, else in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from eventstore.clock import NANOSECONDS, utc_date

if TYPE_CHECKING:
    from projections.book import Book
    from projections.sessions import TradingDay

_DAY_NS = 24 * 3_600 * NANOSECONDS
_WEEK_DAYS = 7


class TradingPeriod(msgspec.Struct, frozen=True):
    """A trading day or week: the date of its last day, its end, None if unknown, and its beginning, None too.

    `opens_at` is when its session opens, which may be later than it began.
    """

    trading_day: date
    ends_at: int | None
    is_current: bool
    began_at: int | None = None
    opens_at: int | None = None


def day_of(book: Book, account: str, at: int, now: int) -> TradingPeriod:
    """Return the trading day around an instant: as recorded, else by the calendar, else the date in UTC."""
    session = book.sessions.current(account, at)
    reset = book.sessions.next_reset(account, at)
    if session is not None:
        ends_at = session.resets_at or reset
        return TradingPeriod(session.trading_day, ends_at, session.holds(now), session.began_at, session.opens_at)
    planned = calendar_day_if_missing(book, account, at)
    if planned is not None:
        ends_at = planned.resets_at
        return TradingPeriod(planned.trading_day, ends_at, now < ends_at, planned.began_at, planned.opens_at)
    midnight = at - at % _DAY_NS
    ends_at = midnight + _DAY_NS if reset is None else reset
    return TradingPeriod(utc_date(at), ends_at, now < ends_at, midnight)


def calendar_day_if_missing(book: Book, account: str, at: int) -> TradingDay | None:
    """Return the calendar's trading day if no session records it: no process was running at its reset."""
    calendar = book.sessions.calendar(account)
    return None if calendar is None or book.sessions.current(account, at) is not None else calendar.day_at(at)


def week_of(book: Book, account: str, at: int, now: int) -> TradingPeriod:
    """Return the week around an instant, up to its last day's reset, as far as sessions or a calendar know it."""
    day = day_of(book, account, at, now)
    session, calendar = book.sessions.current(account, at), book.sessions.calendar(account)
    if session is None and calendar is None:
        monday = day.trading_day - timedelta(days=day.trading_day.weekday())
        start = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
        ends_at = int(start.timestamp()) * NANOSECONDS + _WEEK_DAYS * _DAY_NS
        return TradingPeriod(day.trading_day, ends_at, now < ends_at, int(start.timestamp()) * NANOSECONDS)
    last = day.ends_at
    if calendar is not None and last is not None:
        # The current day ends as its session recorded; only the days after it come from the calendar.
        week = calendar.day_at(last - 1).week
        for following in calendar.days(last, last + _WEEK_DAYS * _DAY_NS):
            if following.week != week:
                break
            last = following.resets_at
    first = _first_of_week(book, account, day)
    return TradingPeriod(day.trading_day, last, last is None or now < last, first.began_at, first.opens_at)


def _first_of_week(book: Book, account: str, day: TradingPeriod) -> TradingPeriod:
    """Return the first trading day of a day's week, as far back as sessions or a calendar know it."""
    first, calendar = day, book.sessions.calendar(account)
    for _ in range(_WEEK_DAYS - 1):
        if first.began_at is None:
            break
        before = day_of(book, account, first.began_at - 1, first.began_at)
        if calendar is not None:
            if calendar.day_at(first.began_at - 1).week != calendar.day_at(day.began_at or 0).week:
                break
        elif not _is_same_week(book, account, before, day):
            break
        first = before
    return first


def _is_same_week(book: Book, account: str, before: TradingPeriod, day: TradingPeriod) -> bool:
    weeks = {book.sessions.day(account, each.trading_day) for each in (before, day)}
    named = {None if session is None else session.week for session in weeks}
    return len(named) == 1 and None not in named
