"""What a trader looks at first: of each account whether it is locked, how far it is from each limit, what it holds."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from eventstore import UnknownContract
from eventstore.clock import utc_date
from gateways.presenting.approvals import awaited_approvals, with_groups
from gateways.presenting.book_summary import anomalies_of, day_totals_of, positions_json
from gateways.presenting.documents import plain
from gateways.presenting.headroom import unjudged_of
from gateways.presenting.limits import enforcement_of
from projections import PartitionParked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from projections import Book
    from projections.views.equity import Equity

    Part = Callable[[Book, str, int], Any]

LOCKED, FREE, UNKNOWN = "LOCKED", "FREE", "UNKNOWN"


def account_summaries(book: Book, accounts: Sequence[str], now: int) -> list[dict[str, Any]]:
    """Return a summary of each account now, by the book's clock, as plain JSON values."""
    return [account_summary(book, account, now) for account in accounts]


def account_summary(book: Book, account: str, now: int) -> dict[str, Any]:
    """Return a summary of an account now, as plain JSON values.

    A part that cannot be known is null, and `unknown` says why, by the part's name: what is missing is never shown as
    nothing. `state` is LOCKED, FREE, or UNKNOWN where the lockouts are.
    """
    found: dict[str, Any] = {"account": account, "state": UNKNOWN}
    unknown: dict[str, str] = {}
    for name, ask in PARTS.items():
        try:
            found[name] = plain(ask(book, account, now))
        except (PartitionParked, UnknownContract) as e:
            found[name], unknown[name] = None, str(e)
    if found["lockouts"] is not None:
        found["state"] = LOCKED if found["lockouts"] else FREE
    return found | {"unknown": unknown}


def _opened(book: Book, account: str, _: int) -> dict[str, Any]:
    known = book.accounts.get(account)
    return {
        "opened": known is not None and known.starting_balance is not None,
        "currency": None if known is None else known.currency,
        "program": None if known is None else known.program,
    }


def _equity(book: Book, account: str, now: int) -> Equity | None:
    """Return the equity of an account that was opened; of another one there is nothing to measure from."""
    known = book.accounts.get(account)
    return None if known is None or known.starting_balance is None else book.equity.now(account, now)


def _day(book: Book, account: str, now: int) -> dict[str, Any]:
    session = book.sessions.current(account, now)
    return {
        "trading_day": utc_date(now) if session is None else session.trading_day,
        "session": session,
        "totals": list(day_totals_of(book, account, now)),
    }


def _mode(book: Book, account: str, _: int) -> dict[str, Any]:
    shadow = book.shadow
    return {
        "mode": shadow.mode(account),
        "setting": shadow.setting(account),
        "waiting": shadow.pending(account),
    }


# Limits are asked for without an instant: what is in force must not be missing because a clock was set back.
PARTS: dict[str, Part] = {
    "opening": _opened,
    "lockouts": lambda book, account, now: book.lockouts.active(account, now),
    "protection": _mode,
    "equity": _equity,
    "headroom": lambda book, account, _: book.limits.headroom(account),
    "unjudged": lambda book, account, _: unjudged_of(book, (account,), None).get(account, ()),
    "enforcement": lambda book, account, _: enforcement_of(book, account),
    "positions": lambda book, account, _: positions_json(book.positions.of(account), UTC),
    "orders": lambda book, account, _: book.orders.open(account),
    "pending": lambda book, account, now: book.enforcement.pending(account, now),
    "awaited": lambda book, account, _: awaited_approvals(book, with_groups(book, (account,))),
    "day": _day,
    "anomalies": lambda book, account, _: anomalies_of(book, account),
}
"""What a summary has of each account."""
