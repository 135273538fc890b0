"""Names that a log does not have: an unknown account, symbol or rule is reported, with those close to it."""

from __future__ import annotations

from eventstore import EventReader, InvalidEvent
from gateways.presenting.close_names import close_to
from gateways.presenting.output import note
from projections import SHARED, Book
from projections import open as open_book


def has_account(store: EventReader, account: str) -> bool:
    """Return whether the log has a record of an account; raise InvalidEvent for a name that cannot be one."""
    if account == SHARED:
        msg = f"{account!r} is not an account: it stands for records without one, such as contracts"
        raise InvalidEvent(msg)
    return next(store.read(account=account, limit=1), None) is not None


def check_account(store: EventReader, account: str, hint: str = "", *, may_be_new: bool = False) -> None:
    """Raise InvalidEvent for an account without records in the log, naming those close to it."""
    if has_account(store, account) or may_be_new:
        return
    msg = _unknown(store, account) + hint
    raise InvalidEvent(msg)


def note_account(store: EventReader, account: str | None) -> bool:
    """Return whether the log has a record of an account, and print a note if not; True without a name."""
    if account is None or has_account(store, account):
        return True
    note(_unknown(store, account))
    return False


def _unknown(store: EventReader, account: str) -> str:
    with open_book(store) as book:
        return f"there is no account {account!r} in log {store.log}: {close_to(account, book.accounts.known())}"


def note_later_account(store: EventReader, account: str | None, until: int) -> None:
    """Print a note if an account's first record lies past a position."""
    if account is None or next(store.read(account=account, until=until, limit=1), None) is not None:
        return
    first = next(store.read(account=account, limit=1), None)
    if first is not None:
        note(
            f"{account} has no records up to position {until} of log {store.log}: "
            f"its first record is position {first.position}"
        )


def note_symbol(book: Book, account: str, symbol: str | None) -> None:
    """Print a note if neither a contract nor an order or position of the account has a symbol."""
    if symbol is None or book.contracts.find(symbol) is not None:
        return
    used = {each.symbol for each in book.positions.of(account)} | {
        str(each.symbol) for each in book.orders.open(account)
    }
    if symbol not in used:
        known = used | {contract.symbol for contract in book.contracts.all()}
        note(f"log {book.reader.log} has no contract, order or position for {symbol!r}: {close_to(symbol, known)}")


def note_root(book: Book, root: str | None) -> None:
    """Print a note if no contract has a root."""
    roots = {contract.root for contract in book.contracts.all() if contract.root}
    if root is not None and root not in roots:
        note(f"log {book.reader.log} has no contract with root {root!r}: {close_to(root, roots)}")


def note_rule(book: Book, account: str, rule_id: str, default: str) -> None:
    """Print a note if neither a limit nor a lockout of the account has a rule's id, and it is not the default."""
    limits = {limit.rule_id for limit in book.limits.history(account)}
    rules = {default} | limits | {lockout.rule_id for lockout in book.lockouts.history(account)}
    if rule_id not in rules:
        note(f"{account} has no limit or lockout with rule {rule_id!r} yet: {close_to(rule_id, rules)}")
