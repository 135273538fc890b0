"""The sentences that traders read: money, instants in the session's zone, what is locked and until when."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eventstore.clock import NANOSECONDS
from projections.decimals import FIXED

if TYPE_CHECKING:
    from projections.book import Book

_CENT, _SHOWN = Decimal("0.01"), Decimal("0.00000001")
# Eight decimals more have to fit into the 34 digits of a fold.
_PLAIN_MAX = 25


def money(amount: Decimal) -> str:
    """Return an amount with thousands' commas and two decimals, up to eight where it has more.

    An amount beyond all that is traded is in powers of ten: no rule may fail for want of a sentence.
    """
    if amount.adjusted() >= _PLAIN_MAX:
        return f"{amount:.4g}"
    cents = FIXED.quantize(amount, _CENT)
    shown = cents if cents == amount else FIXED.quantize(amount, _SHOWN).normalize(FIXED)
    return f"{shown or abs(cents):,f}"


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
