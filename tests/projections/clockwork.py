"""Shared by the tests of expiry and trading days: a Monday noon in Chicago, and what was recorded since."""

from __future__ import annotations

from datetime import UTC, datetime

from eventstore import Event, EventStore
from eventstore.clock import to_ns
from eventstore.trading import LockoutExpired
from projections import Book

SECOND = 1_000_000_000
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
DAY = 24 * HOUR
NOON = to_ns(datetime(2025, 7, 21, 17, tzinfo=UTC))
STREAM = "lockout/A/loss"


def recorded(store: EventStore, *types: type[Event], stream: str | None = None) -> list[Event]:
    return [record.event for record in store.read(types=types or None, stream=stream)]


def expired(store: EventStore) -> list[Event]:
    return recorded(store, LockoutExpired)


def locked(book: Book, at: int | None = None) -> bool:
    return bool(book.lockouts.active("A", book.now_ns() if at is None else at))
