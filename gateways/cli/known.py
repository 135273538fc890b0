"""Names that a log does not have: an account, a symbol or a rule that is misspelt is said, with those close to it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from eventstore import EventReader, InvalidEvent
from gateways.presenting.output import note
from projections import SHARED, Book
from projections import open as open_book

_SHOWN = 8


def close_to(name: str, names: Iterable[str]) -> str:
    """Return the names that are close to one, as a part of a sentence; else some of those that there are."""
    folded = {known.lower(): known for known in sorted(names)}
    if not folded:
        return "there are none yet"
    asked = name.lower()
    found = difflib.get_close_matches(asked, list(folded), n=4, cutoff=0.5)
    if found:
        closest = sorted(found, key=lambda match: (-difflib.SequenceMatcher(None, match, asked).ratio(), match))
        return f"close are {', '.join(folded[match] for match in closest)}"
    shown = list(folded.values())[:_SHOWN]
    more = f" and {len(folded) - _SHOWN:,} more" if len(folded) > _SHOWN else ""
    return f"the known ones are {', '.join(shown)}{more}"


def has_account(store: EventReader, account: str) -> bool:
    """Tell whether any record is of an account; raise InvalidEvent for what can be none."""
    if account == SHARED:
        msg = f"{account!r} is no account: it stands for what belongs to none, such as contracts"
        raise InvalidEvent(msg)
    return next(store.read(account=account, limit=1), None) is not None


def check_account(store: EventReader, account: str | None, cure: str = "", *, may_be_new: bool = False) -> None:
    """Raise InvalidEvent for an account of which the log has no record, naming those that are close."""
    if account is None or has_account(store, account) or may_be_new:
        return
    msg = _unknown(store, account) + cure
    raise InvalidEvent(msg)


def note_account(store: EventReader, account: str | None) -> bool:
    """Say where the log has no record of an account, and tell whether it has: an empty answer is not one of it."""
    if account is None or has_account(store, account):
        return True
    note(_unknown(store, account))
    return False


def _unknown(store: EventReader, account: str) -> str:
    with open_book(store) as book:
        return f"there is no account {account!r} in log {store.log}: {close_to(account, book.accounts.known())}"


def note_unheard_of(store: EventReader, account: str | None, until: int) -> None:
    """Say where an account is known, but had no record up to a position."""
    if account is None or next(store.read(account=account, until=until, limit=1), None) is not None:
        return
    first = next(store.read(account=account, limit=1), None)
    if first is not None:
        note(f"the log has nothing of {account} up to position {until}: its first record is position {first.position}")


def note_symbol(book: Book, account: str, symbol: str | None) -> None:
    """Say where neither a contract nor an order or a trade of the account has a symbol."""
    if symbol is None or book.contracts.find(symbol) is not None:
        return
    used = {each.symbol for each in book.positions.of(account)} | {
        str(each.symbol) for each in book.orders.open(account)
    }
    if symbol not in used:
        names = used | {contract.symbol for contract in book.contracts.all()}
        note(f"no contract, order or position of {symbol!r} is in log {book.reader.log}: {close_to(symbol, names)}")


def note_root(book: Book, root: str | None) -> None:
    """Say where no contract has a root."""
    roots = {contract.root for contract in book.contracts.all() if contract.root}
    if root is not None and root not in roots:
        note(f"no contract of the root {root!r} is in log {book.reader.log}: {close_to(root, roots)}")


def note_rule(book: Book, account: str, rule_id: str, usual: str) -> None:
    """Say where neither a limit nor a lockout of the account has a rule's id."""
    limits = {limit.rule_id for limit in book.limits.history(account)}
    rules = limits | {lockout.rule_id for lockout in book.lockouts.history(account)}
    if rule_id not in rules | {usual}:
        note(f"no limit or lockout of {account} has the rule {rule_id!r} so far: {close_to(rule_id, rules | {usual})}")
