"""An account's value at an instant: the figures that rules, checks and headroom share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore.trading import QuoteUsed
from projections.once import once
from projections.risk.caches import risk_cache
from projections.views.account_value import AccountValue

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.book import Book
    from projections.risk.cache import RiskCache
    from projections.views.balances import Balances
    from projections.views.configuration import Configuration
    from projections.views.limits.headroom import Headroom
    from projections.views.quotes.queries import Quotes
    from projections.views.rates import ExchangeRates
    from projections.views.valuing import Amounts, KnownWorths, OpenHolding

_FIGURES = "figures"


class AccountFigures(AccountValue):
    """An account's value from what its RiskCache keeps, and its results.

    The cache's trading day and week need not be those that the instant lies in. `figures_of` returns it.
    """

    def __init__(self, account: str, at: int, cache: RiskCache) -> None:
        super().__init__(account, at)
        self.cache = cache
        self.results: dict[Any, Any] = {}
        """The results of days and weeks, by what limits ask of them."""
        self.findings: dict[int, Any] = {}
        """The findings that follow from these figures alone, by the log position of the limit."""
        self.headroom: dict[str, Headroom] | None = None
        """How the account stands to its own limits, by rule id."""

    @property
    def book(self) -> Book:
        # Not held: the cache that holds this does not keep its book alive.
        return self.cache.book

    @once
    @override
    def own(self) -> str | None:
        return self.cache.currency

    @once
    @override
    def configuration(self) -> Configuration:
        return self.cache.configuration

    @once
    @override
    def held(self) -> tuple[OpenHolding, ...]:
        return self.cache.held

    @once
    @override
    def balances(self) -> Balances:
        return self.cache.balances

    @property
    @override
    def capital_amounts(self) -> Amounts | None:
        return self.cache.capital

    @property
    @override
    def worths(self) -> KnownWorths:
        return self.cache.memoize("terms", "worths", dict)

    @property
    @override
    def quotes(self) -> Quotes:
        return self.book.quotes

    @property
    @override
    def rates(self) -> ExchangeRates:
        return self.book.rates

    def lowest_quotes(self) -> dict[str, QuoteUsed]:
        """Return the prices at which positions were worth least over the confirming window."""
        used, extremes = self.positions.quotes, self.extremes
        lowest = {} if extremes is None else extremes.prices
        return {symbol: QuoteUsed(lowest.get(symbol, quote.price), quote.at) for symbol, quote in used.items()}

    @once
    def day_result(self) -> tuple[Decimal, Decimal]:
        """What the trading day has realized, cash that counts as a result included, and its fees."""
        sums = self.cache.day_sums
        realized = self.total(sums.realized, sums.cash, target=self.own)
        return realized.amount, self.total(sums.fees, target=self.own).amount


def figures_of(book: Book, account: str, at: int, period_at: int | None = None) -> AccountFigures:
    """Return an account's figures at an instant: the same object for all rules that one trigger evaluates.

    `period_at` is the instant whose trading day and week its results are of, by default the same.
    """
    if period_at is not None and period_at != at:
        return AccountFigures(account, at, risk_cache(book, account, period_at))
    cache = risk_cache(book, account, at)
    # A rate's age counts by a setting, which is not a record; rates folded again have led to another cache.
    key = (at, book.quotes.change_count, book.rates.stale_after_ns, book.position)
    known = cache.groups["positions"].get(_FIGURES)
    if known is not None and known[0] == key and known[1].cache is cache:
        figures: AccountFigures = known[1]
        return figures
    figures = AccountFigures(account, at, cache)
    cache.groups["positions"][_FIGURES] = (key, figures)
    return figures
