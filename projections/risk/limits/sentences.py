"""Parts of the sentences that traders read: money, instants in the session's zone, and how long a lockout lasts."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eventstore.clock import NANOSECONDS
from eventstore.trading import Verdict
from projections.decimals import FIXED, ZERO
from projections.risk.days import TradingPeriod, day_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections.book import Book
    from projections.risk.contexts import AccountContext

_CENT, _SHOWN = Decimal("0.01"), Decimal("0.00000001")
# Eight decimals more must fit into the 34 digits of the decimal context.
_PLAIN_MAX = 25


def money(amount: Decimal) -> str:
    """Return an amount with thousands' commas and two decimals, up to eight where it has more.

    An absurdly large amount is written in powers of ten: a rule must not fail because of its sentence.
    """
    if amount.adjusted() >= _PLAIN_MAX:
        return f"{amount:.4g}"
    cents = FIXED.quantize(amount, _CENT)
    shown = cents if cents == amount else FIXED.quantize(amount, _SHOWN).normalize(FIXED)
    return f"{shown or abs(cents):,f}"


def instant(book: Book, account: str, at: int) -> str:
    """Return an instant in the zone of the account's sessions: 2026-11-20 17:00 CST; in UTC if they have none.

    An unknown zone counts as none: a rule must not fail because of its sentence.
    """
    session = book.sessions.current(account, at - 1)
    calendar = book.sessions.calendar(account)
    name = calendar.zone if calendar is not None else None if session is None else session.zone
    moment = datetime.fromtimestamp(at // NANOSECONDS, UTC)
    if name is not None:
        # ValueError and OSError: text that is not a zone's name, or the name of a directory of zones.
        with contextlib.suppress(ZoneInfoNotFoundError, ValueError, OSError):
            moment = moment.astimezone(ZoneInfo(name))
    return f"{moment:%Y-%m-%d %H:%M %Z}"


def until(book: Book, account: str, at: int | None) -> str:
    """Return how long a lockout lasts: `locked until …`, or `locked without end`."""
    return "locked without end" if at is None else f"locked until {instant(book, account, at)}"


def haircut_of(context: AccountContext, converted: Decimal) -> Decimal:
    """Return by how much the account's haircut on converted amounts narrows headroom; it changes no figure."""
    haircut = context.cache.configuration.haircut
    return converted * haircut if haircut else ZERO


def reserved(reserve: Decimal) -> str:
    return f", {money(reserve)} held back for converted amounts" if reserve else ""


def unit_of(currency: str | None) -> str:
    return "" if currency is None else f" {currency}"


def lock_suffix(
    context: AccountContext,
    reached: bool,  # noqa: FBT001 - internal
    verdict: Verdict,
    find: Callable[..., TradingPeriod] = day_of,
) -> str:
    """Return the end of the sentence: a limit that is reached locks until the end of the day or week."""
    if not reached or verdict is not Verdict.REJECT:
        return " reached" if reached else ""
    book, account, at = context.book, context.account, context.at
    return f" reached; {until(book, account, find(book, account, at, at).ends_at)}"
