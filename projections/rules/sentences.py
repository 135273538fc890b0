"""The sentences that traders read: money, instants in the session's zone, what is locked and until when."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eventstore.clock import NANOSECONDS
from projections.view import FIXED

if TYPE_CHECKING:
    from projections.book import Book

_CENT = Decimal("0.01")


def money(amount: Decimal) -> str:
    """Return an amount with thousands' commas and two digits, more only where it has more."""
    shown = FIXED.quantize(amount, _CENT)
    return f"{shown if shown == amount else amount.normalize():,f}"


def instant(book: Book, account: str, at: int) -> str:
    """Return an instant as the account's own session writes it: 2026-11-20 17:00 CST; in UTC where it has no zone.

    A zone that nobody knows counts as none: no rule may fail for want of a sentence.
    """
    session = book.sessions.current(account, at - 1)
    calendar = book.sessions.calendar(account)
    name = calendar.zone if calendar is not None else None if session is None else session.zone
    moment = datetime.fromtimestamp(at // NANOSECONDS, UTC)
    if name is not None:
        # ValueError and OSError: what is no name of a zone at all, or the name of a folder of them.
        with contextlib.suppress(ZoneInfoNotFoundError, ValueError, OSError):
            moment = moment.astimezone(ZoneInfo(name))
    return f"{moment:%Y-%m-%d %H:%M %Z}"


def until(book: Book, account: str, at: int | None) -> str:
    """Return how long a lockout holds: `locked until …`, or `locked without end`."""
    return "locked without end" if at is None else f"locked until {instant(book, account, at)}"
