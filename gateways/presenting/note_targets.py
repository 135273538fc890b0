"""What a note is about: a record, a stream or a day of an account, as somebody names it."""

from __future__ import annotations

import uuid
from collections import deque
from datetime import date
from typing import TYPE_CHECKING, TypeAlias

from eventstore import EventStore, InvalidEvent, Record
from eventstore.clock import utc_date
from eventstore.streams import account_of
from eventstore.trading.notes import DAY
from gateways.presenting.close_names import close_to
from gateways.presenting.instants import record_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections import Book

KnownDays: TypeAlias = "Callable[[], set[date]]"
_ENTITIES_LOOKED_AT = 2_000
_DAYS_SHOWN = 3


def target_of(store: EventStore, account: str, text: str, days: KnownDays) -> str:
    """Return what a note is about, as NoteAdded names it; raise InvalidEvent for what the log does not have.

    `days` is called for the account's trading days, where a day is named.
    """
    if text.isdecimal() and text.isascii():
        return _id_of(account, record_at(store, int(text)), f"position {text}")
    if "/" in text:
        return _stream(store, account, text, days)
    day = _date(text)
    if day is not None:
        return _day(store, account, day, days)
    try:
        id_ = uuid.UUID(text)
    except ValueError:
        msg = (
            f"{text!r:.80} is not a target: give a log position, a record's id, a stream such as "
            f"order/{account}/O-17, or a day such as 2025-11-19"
        )
        raise InvalidEvent(msg) from None
    record = store.find(id_)
    if record is None:
        msg = f"log {store.log} has no record with id {id_}: eventstore read --json shows the id of each"
        raise InvalidEvent(msg)
    return _id_of(account, record, f"record {id_}")


def trading_days(book: Book, account: str) -> set[date]:
    """Return the days on which an account traded or had a session."""
    traded = {date.fromisoformat(name.removeprefix("~")) for name, _ in book.pnl.days(account)}
    return traded | {session.trading_day for session in book.sessions.history(account)}


def _id_of(account: str, record: Record, what: str) -> str:
    if record.account != account:
        msg = f"{what} is in stream {record.stream}, not of account {account}: name the account that it belongs to"
        raise InvalidEvent(msg)
    return str(record.uuid)


def _stream(store: EventStore, account: str, stream: str, days: KnownDays) -> str:
    """Return a stream of the account that has records, or a day."""
    owner = account_of(stream)
    if owner != account:
        msg = f"{stream} is of account {owner}, not of {account}: name the account that it belongs to"
        raise InvalidEvent(msg)
    category, _, entity = stream.split("/")
    if category == DAY:
        day = _date(entity)
        if day is None:
            msg = f"{stream!r} is not a day: write it as in {DAY}/{account}/2025-11-19"
            raise InvalidEvent(msg)
        return _day(store, account, day, days)
    if store.version(stream) == 0:
        prefix = f"{category}/{account}/"
        # The newest ones: nearly always somebody misspells what happened lately.
        found = deque((record.stream for record in store.read(stream=prefix)), maxlen=_ENTITIES_LOOKED_AT)
        msg = f"log {store.log} has no stream {stream!r}: {close_to(stream, set(found))}"
        raise InvalidEvent(msg)
    return stream


def _day(store: EventStore, account: str, day: date, days: KnownDays) -> str:
    """Return the target of a day on which the account traded, had a session, or has any record."""
    known = days()
    if day not in known:
        known |= {utc_date(record.occurred_at) for record in store.read(account=account)}
    if day not in known:
        nearest = sorted(sorted(known, key=lambda each: abs(each - day))[:_DAYS_SHOWN])
        msg = f"{account} has no records of {day}: the nearest days are {', '.join(map(str, nearest))}"
        raise InvalidEvent(msg)
    return f"{DAY}/{account}/{day}"


def _date(text: str) -> date | None:
    """Return a date written as 2025-11-19, None for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None
