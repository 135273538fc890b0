"""A book as a notebook shows it: where it is, its accounts, and what is open, working, locked and asked for."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from eventstore import StoreError
from eventstore.clock import format_time
from eventstore.html import table_html
from eventstore.readable import value_text
from eventstore.trading import Protection
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from projections.builtin import BuiltinQueries
    from projections.views.enforcement import Enforcement
    from projections.views.executions.positions import Position
    from projections.views.lockouts.lockout import Lockout
    from projections.views.orders.order import Order

    Row = tuple[str, str, str]

ROWS_MAX = 10
"""How many rows of one kind are shown."""
ACCOUNTS_MAX = 100
"""How many accounts are asked: states of the others may not even have been read from the snapshot."""
_TO_THE_SECOND = len("2025-11-19T09:00:00")


def book_html(book: BuiltinQueries, title: str, at: int, parked: Iterable[object]) -> str:
    """Return a table about a book, lockouts as of an instant (UNIX ns). What cannot be answered says why."""
    try:
        accounts = [account for account in book.accounts.known() if account != SHARED]
    except StoreError as e:
        return table_html(("", "account", ""), [("accounts", "", str(e))], caption=title)
    asked = accounts[:ACCOUNTS_MAX]
    rows = chain(
        [("accounts", "", _names(accounts))],
        _rows("protection", asked, lambda name: _modes(book, name)),
        _rows("position", asked, lambda name: map(_position, filter(_is_shown, book.positions.of(name)))),
        _rows("working order", asked, lambda name: map(_order, book.orders.open(name))),
        _rows("lockout", asked, lambda name: map(_lockout, book.lockouts.active(name, at))),
        _rows("pending request", asked, lambda name: map(_request, book.enforcement.pending(name, at))),
        _limited("stopped", (("", str(error)) for error in parked)),
    )
    caption = f"{title}, lockouts at {_second(at)}"
    if len(accounts) > len(asked):
        caption += f"; the first {len(asked)} of {len(accounts):,} accounts"
    return table_html(("", "account", ""), rows, caption=caption)


def _names(accounts: list[str]) -> str:
    more = f" and {len(accounts) - ROWS_MAX:,} more" if len(accounts) > ROWS_MAX else ""
    return f"{', '.join(accounts[:ROWS_MAX])}{more}" if accounts else "none yet"


def _rows(what: str, accounts: Iterable[str], ask: Callable[[str], Iterable[str]]) -> Iterator[Row]:
    return _limited(what, chain.from_iterable(_answers(account, ask) for account in accounts))


def _answers(account: str, ask: Callable[[str], Iterable[str]]) -> Iterator[tuple[str, str]]:
    """Yield what a book answers about an account, or the error that keeps it from answering."""
    try:
        for text in ask(account):
            yield account, text
    except StoreError as e:
        yield account, f"not known: {e}"


def _limited(what: str, found: Iterable[tuple[str, str]]) -> Iterator[Row]:
    left = iter(found)
    for account, text in islice(left, ROWS_MAX):
        yield what, account, text
    if next(left, None) is not None:
        yield what, "", "and more"


def _modes(book: BuiltinQueries, account: str) -> Iterator[str]:
    """Yield that an account's limits do not act, or are about not to."""
    held, waiting = book.shadow.setting(account), book.shadow.pending(account)
    if held is not None and held.mode is Protection.SHADOW:
        yield f"in SHADOW mode, set by {held.actor}: its limits only record what they would do"
    if waiting is not None:
        yield f"{waiting.mode} mode waits for its next trading day, set by {waiting.actor}"


def _is_shown(position: Position) -> bool:
    """Return whether a position is open, or its broker says that it is."""
    return bool(position.quantity or (position.reported and not position.superseded))


def _position(position: Position) -> str:
    side = "" if position.side == "NET" else f" {position.side}"
    price = f" at {value_text(position.average_price)}" if position.average_price is not None else ""
    uncertain = ", not certain" if position.is_uncertain else ""
    return f"{position.symbol}{side} {value_text(position.quantity)}{price}{uncertain}"


def _order(order: Order) -> str:
    members = (order.side, order.quantity, order.symbol, order.order_type, order.limit_price, order.stop_price)
    known = " ".join(value_text(each) for each in members if each is not None)
    left = "" if order.leaves is None else f", {value_text(order.leaves)} left"
    return f"{order.order_id}: {known}, {order.status}{left}"


def _lockout(lockout: Lockout) -> str:
    until = "without end date" if lockout.until is None else f"until {_second(lockout.until)}"
    return f"{lockout.rule_id} ({lockout.scope}) {until}, allows {lockout.allows}: {lockout.reason}"


def _request(request: Enforcement) -> str:
    symbol = f" {request.symbol}" if request.symbol else ""
    asked = f"{request.action}{symbol} since {_second(request.requested_at)} by {request.rule_id}"
    asked += f", attempt {request.attempt}" if request.attempt > 1 else ""
    if request.lease_until is not None and not request.taken:
        asked += f", claimed by {request.claimant} until {_second(request.lease_until)}"
    loud = "" if request.escalated_at is None else f"ESCALATED at {_second(request.escalated_at)}: "
    return f"{loud}{asked}: {request.reason}"


def _second(instant: int) -> str:
    """Return an instant (UNIX ns) as ISO 8601 text in UTC, rounded down to the second."""
    return f"{format_time(instant)[:_TO_THE_SECOND]}Z"
