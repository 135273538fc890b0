"""Which instants a disputed day has: as its session states them, or else the date in UTC."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, NamedTuple

from eventstore import InvalidEvent
from eventstore.clock import to_ns
from eventstore.errors import shown
from projections.auditing.statements.days import DayBounds

if TYPE_CHECKING:
    from projections.book import Book
    from projections.views.sessions import Session

_NAMED_MAX = 3
_WEEKEND = 5


class DisputedDay(NamedTuple):
    """From `since` to before `until`, UNIX ns; `is_stated` by a session's event, whose zone is `zone`."""

    trading_day: datetime.date
    since: int
    until: int
    is_stated: bool
    zone: str | None = None


def date_of(day: object) -> datetime.date:
    """Return a date from a date or ISO 8601 text; raise InvalidEvent for anything else."""
    if isinstance(day, datetime.date) and not isinstance(day, datetime.datetime):
        return day
    try:
        if isinstance(day, str):
            return datetime.date.fromisoformat(day)
    except ValueError:
        pass
    msg = f"{shown(day)} is not a trading day: write its date, as 2026-11-18"
    raise InvalidEvent(msg)


def day_of(book: Book, account: str, day: datetime.date) -> DisputedDay:
    """Return the instants of an account's trading day.

    Without a session of that name it is the date in UTC, if no other trading day of the account holds that date's noon.
    Raises InvalidEvent for a date that belongs to another trading day, such as one of a weekend.
    """
    session = book.sessions.day(account, day)
    span = DayBounds(book, account).named(day)
    if span.is_known:
        return DisputedDay(day, span.since, span.until, is_stated=True, zone=_zone(session))
    if session is not None and session.began_at is not None and session.resets_at is not None:
        return DisputedDay(day, session.began_at, session.resets_at, is_stated=True, zone=_zone(session))
    noon = datetime.datetime.combine(day, datetime.time(12), datetime.UTC)
    try:
        at = to_ns(noon)
    except InvalidEvent as e:
        msg = f"{day} is not a trading day of {account}: no log has times that far away"
        raise InvalidEvent(msg) from e
    holding = next((each for each in book.sessions.history(account) if each.holds(at)), None)
    if holding is not None:
        raise InvalidEvent(_of_other(account, day, holding, book))
    return DisputedDay(day, span.since, span.until, is_stated=False)


def _of_other(account: str, day: datetime.date, holding: Session, book: Book) -> str:
    known = sorted(each.trading_day for each in book.sessions.history(account))
    near = sorted(sorted(known, key=lambda each: abs(each - day))[:_NAMED_MAX])
    weekend = f", a {day:%A}," if day.weekday() >= _WEEKEND else ""
    return (
        f"{day}{weekend} is not a trading day of {account}: it lies in that of {holding.trading_day}; "
        f"its trading days near it are {', '.join(map(str, near))}"
    )


def _zone(session: Session | None) -> str | None:
    return None if session is None else session.zone
