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
        if own is None:
            return False
        stated = names | currencies
        if not any(own in name for name in stated):
            # Of two other currencies it may be the rate of a limit in one of them.
            others = limit_currencies(book, account)
            if not any(other in name for other in others for name in stated):
                return False
        return any(book.rates.is_quoted_by(name, *pair) for pair in pairs_of(book, account) for name in names)
    except PartitionParked:
        # Evaluated, its policies stop and say so; skipped, they would silently miss a breach.
        return True


def pairs_of(book: Book, account: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of currencies that an account converts at: each of its currencies, with its own.

    For limits in other currencies, its own and those of its groups, it converts to these as well.
    """
    own = own_currency(book, account)
    if own is None:
        return ()
    return pairs_among(own, currencies_of(book, account), limit_currencies(book, account))


def currencies_of(book: Book, account: str) -> set[str | None]:
    """Return the currencies of an account's open positions, and of its cash and results."""
    held = {held.currency for held in book.positions.of(account) if held.quantity}
    return held | {*balances_of(book, account).amounts}


def pairs_among(own: str, currencies: set[str | None], others: set[str]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of some currencies with an account's own one, and with others that limits are in."""
    targets = {own, *others}
    if len(targets) > 1:
        currencies = {*currencies, own}
    return tuple(
        (currency, target)
        for currency in sorted(currencies - {None}, key=str)
        for target in sorted(targets)
        if currency is not None and currency != target
    )


def limit_currencies(book: Book, account: str) -> set[str]:
    """Return the currencies that an account's limits name, those of its groups included, and of what is to come."""
    accounts = (account, *(GROUP + name for name in book.groups.of(account)))
    limits = [limit for each in accounts for limit in (*book.limits.of(each), *book.limits.pending(each))]
    return {named for limit in limits if isinstance(named := limit.parameters.get("currency"), str)}
