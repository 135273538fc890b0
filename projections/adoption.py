"""Adopting an account whose history began before its log: its balance and high-water mark, as events, appended once."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore import (
    AccountChanged,
    Batch,
    DuplicateEvent,
    InvalidEvent,
    Overloaded,
    Unchanged,
    VersionConflict,
)
from eventstore.errors import shown
from eventstore.ids import keyed_id
from eventstore.streams import account_of, stream_of
from eventstore.trading import (
    AccountOpened,
    CashKind,
    CashMoved,
    EquityCorrected,
    OrderFilled,
    Protection,
    ProtectionMode,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.view import GROUP, SHARED
from projections.views.accounts import own_currency

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event, Record
    from projections.book import Book

KEY = "adopted"
CURRENCY = "USD"
ATTEMPTS_MAX = 20


def adopt_account(
    book: Book,
    account: str,
    *,
    balance: Decimal,
    high_water: Decimal,
    actor: str,
    reason: str,
    currency: str | None = None,
) -> list[Record]:
    """Record what an account was before its log: its balance, and its high-water mark, which drawdown floors follow.

    Returns the records, appended together. Repeated with the same figures it returns those of the first time, whatever
    has happened since: give the figures of the day when the account was adopted. An account that was opened with
    another balance gets the difference as a transfer. One without limits begins in shadow mode. Its positions are not
    adopted: append the broker's report, and reconcile it.

    `currency`: by default the account's own, or USD where the log does not know it. Raises InvalidEvent, with nothing
    appended, for malformed figures, a high-water mark below the balance, another adoption before, and an
    account that has traded already.
    """
    stream = _stream(account)
    figures = _amount("balance", balance), _amount("high_water", high_water)
    if high_water < balance:
        msg = (
            f"high_water {high_water} is below the balance {balance}: a high-water mark is at least the balance; "
            "where the firm's is of the last close, give the balance"
        )
        raise InvalidEvent(msg)
    for name, text in (("actor", actor), ("reason", reason)):
        if not (_is_text(text) and text.strip()):
            msg = f"{name} is text that says {'who' if name == 'actor' else 'why'}, not {shown(text)}"
            raise InvalidEvent(msg)
    for _ in range(ATTEMPTS_MAX + 1):
        book.refresh()
        position = book.position
        known = _adopted_before(book, account, figures)
        if known:
            return known
        batches = [replace(batch, actor=actor) for batch in _batches(book, account, figures, reason, currency)]
        # What others have written in between is looked at, and decided on again. So is what was appended: another
        # process may have been first with the same.
        with contextlib.suppress(AccountChanged, VersionConflict, DuplicateEvent):
            book.append_many(batches, unchanged=Unchanged(accounts=(account,), since=position))
    msg = f"others wrote to {stream} each of {ATTEMPTS_MAX} times: nothing was appended, try again"
    raise Overloaded(msg)


def _is_text(given: object) -> bool:
    return isinstance(given, str)


def _stream(account: object) -> str:
    if not isinstance(account, str) or account == SHARED or account.startswith(GROUP):
        msg = f"{shown(account)} is not the name of an account"
        raise InvalidEvent(msg)
    stream = stream_of("account", account, "-")
    account_of(stream)
    return stream


def _amount(name: str, given: object) -> Decimal:
    if not isinstance(given, Decimal) or not given.is_finite() or given < ZERO:
        msg = f"{name} is a Decimal of 0 or more, not {shown(given)}"
        raise InvalidEvent(msg)
    return given


def _adopted_before(book: Book, account: str, figures: tuple[Decimal, Decimal]) -> list[Record]:
    """Return the records of the adoption with these figures, none without one; raise InvalidEvent for other figures."""
    opening = _opening(book, account)
    if opening is None:
        return []
    records = list(book.read(stream=opening.stream, types=(AccountOpened, CashMoved, EquityCorrected, ProtectionMode)))
    found = next((each for each in records if _is_adoption(each, opening)), None)
    if found is None:
        return []
    if found.id != keyed_id(opening.stream, _key(opening.id, figures)):
        assert isinstance(found.event, EquityCorrected)
        msg = (
            f"{account} was adopted at position {found.position:,}, with other figures (high-water mark "
            f"{found.event.high_water}): repeat those, or correct them by CashMoved and EquityCorrected"
        )
        raise InvalidEvent(msg)
    own = {found.id, *(keyed_id(opening.stream, key) for key in (_transfer_key(opening.id), _mode_key(opening.id)))}
    # The opening is a part of it if this made it, and not one before.
    own |= {keyed_id(opening.stream, KEY)} & {opening.id}
    return [each for each in records if each.id in own]


def _is_adoption(record: Record, opening: Record) -> bool:
    return isinstance(record.event, EquityCorrected) and record.causation_id == opening.id


def _opening(book: Book, account: str) -> Record | None:
    """Return the record that the account's present life began with."""
    known = book.accounts.get(account)
    if known is None or known.opened_position is None:
        return None
    return next(book.reader.read(after=known.opened_position - 1, limit=1))


def _batches(
    book: Book, account: str, figures: tuple[Decimal, Decimal], reason: str, currency: str | None
) -> Iterator[Batch]:
    """Yield what the log lacks: the opening, or what differs from it; the high-water mark; the mode."""
    stream, opening = _stream(account), _opening(book, account)
    _check_untraded(book, account, opening)
    own = own_currency(book, account)
    if currency is not None and own not in {None, currency}:
        msg = f"{account} is in {own}, not in {currency}"
        raise InvalidEvent(msg)
    balance, high_water = figures
    if opening is None:
        yield Batch(stream, AccountOpened(starting_balance=balance, currency=currency or own or CURRENCY), key=KEY)
        opening_id = keyed_id(stream, KEY)
    else:
        opening_id = opening.id
        difference = FIXED.subtract(balance, book.accounts.balance(account))
        if difference:
            moved = CashMoved(amount=difference, currency=own or CURRENCY, kind=CashKind.TRANSFER, reference=KEY)
            yield Batch(stream, moved, key=_transfer_key(opening_id))
    # Caused by the opening: so it counts on every basis, as what the account was when it began here.
    corrected = EquityCorrected(high_water=high_water, reason=reason)
    yield Batch(stream, corrected, key=_key(opening_id, figures), causation_id=opening_id)
    if not _has_limits(book, account) and next(book.read(stream=stream, types=(ProtectionMode,)), None) is None:
        mode = ProtectionMode(mode=Protection.SHADOW, reason=reason)
        yield Batch(stream, mode, key=_mode_key(opening_id))


def _check_untraded(book: Book, account: str, opening: Record | None) -> None:
    since = 0 if opening is None else book.accounts.reopened(account)
    types: tuple[type[Event], ...] = (OrderFilled, TradeExecuted)
    traded = next(book.reader.read(after=since, account=account, types=types, limit=1), None)
    if traded is not None:
        msg = (
            f"{account} has traded in this log, first at position {traded.position:,}: its balance follows from that; "
            "record what is missing as CashMoved, and a wrong high-water mark as EquityCorrected"
        )
        raise InvalidEvent(msg)


def _has_limits(book: Book, account: str) -> bool:
    return bool(book.limits.history(account) or book.limits.judging(account))


def _key(opening_id: bytes, figures: tuple[Decimal, Decimal]) -> str:
    """Return the key of an adoption: the same account with the same figures is adopted once."""
    balance, high_water = (f"{FIXED.normalize(each):f}" for each in figures)
    return f"{KEY} {opening_id.hex()} {balance} {high_water}"


def _transfer_key(opening_id: bytes) -> str:
    return f"{KEY} {opening_id.hex()} transfer"


def _mode_key(opening_id: bytes) -> str:
    return f"{KEY} {opening_id.hex()} mode"
