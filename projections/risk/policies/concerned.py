"""Which accounts a quote concerns: those that hold its symbol, or convert at it as a rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.view import GROUP, SHARED, PartitionParked
from projections.views.accounts import own_currency
from projections.views.balances import balances_of
from projections.views.quotes.bounds import SYMBOLS_MAX

if TYPE_CHECKING:
    from eventstore import Record
    from projections.book import Book

_CHANGES = frozenset({
    "AccountOpened", "AccountReopened", "CashMoved", "ContractDefined", "FeeCharged", "GroupDefined", "LimitsSet",
    "OrderFilled", "PositionAdjusted", "TradeBusted", "TradeCorrected", "TradeExecuted",
})  # fmt: skip
"""After one of these, a quote may concern other accounts, which are looked up again."""


class ConcernedAccounts:
    """The accounts that quotes of each symbol concern, each looked up once until that may have changed."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._by_symbol: dict[str, tuple[str, ...]] = {}

    def by(self, symbol: str) -> tuple[str, ...]:
        found = self._by_symbol.get(symbol)
        if found is None:
            # A feed of ever new names must not grow this while no account trades.
            if len(self._by_symbol) >= SYMBOLS_MAX:
                self._by_symbol.clear()
            found = self._by_symbol[symbol] = concerned_by(self._book, symbol)
        return found

    def note(self, record: Record) -> None:
        """Take notice of a folded record."""
        if record.type in _CHANGES:
            self._by_symbol.clear()


def concerned_by(book: Book, symbol: str) -> tuple[str, ...]:
    """Return the accounts whose value a quote changes: they hold the symbol, or convert at it as a rate.

    Those whose positions are unavailable are among them.
    """
    try:
        contract = book.contracts.find(symbol)
    except PartitionParked:
        contract = None
    names = {symbol} if contract is None else {symbol, contract.symbol}
    accounts = sorted({*book.partitions("executions"), *book.partitions("accounts")} - {SHARED})
    currencies = set() if contract is None else {contract.currency or "", contract.base_currency or ""}
    return tuple(account for account in accounts if _may_concern(book, account, names, currencies))


def _may_concern(book: Book, account: str, names: set[str], currencies: set[str]) -> bool:
    try:
        if any(held.quantity and held.symbol in names for held in book.positions.of(account)):
            return True
        # Most symbols are not a pair with the account's currency, and its balances take time.
        own = own_currency(book, account)
        if own is None or not any(own in name for name in names | currencies):
            return False
        return any(book.rates.is_quoted_by(name, *pair) for pair in pairs_of(book, account) for name in names)
    except PartitionParked:
        # Evaluated, its policies stop and say so; skipped, they would silently miss a breach.
        return True


def pairs_of(book: Book, account: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of currencies that an account converts at: each of its currencies, with its own.

    For the limits of its groups it converts to their currencies as well.
    """
    own = own_currency(book, account)
    if own is None:
        return ()
    currencies = {held.currency for held in book.positions.of(account) if held.quantity}
    currencies |= {*balances_of(book, account).amounts}
    targets = {own, *_group_currencies(book, account)}
    if len(targets) > 1:
        currencies.add(own)
    return tuple(
        (currency, target)
        for currency in sorted(currencies - {None}, key=str)
        for target in sorted(targets)
        if currency is not None and currency != target
    )


def _group_currencies(book: Book, account: str) -> set[str]:
    """Return the currencies that the limits of an account's groups name."""
    limits = (limit for name in book.groups.of(account) for limit in book.limits.of(GROUP + name))
    return {named for limit in limits if isinstance(named := limit.parameters.get("currency"), str)}
