"""An account's value at an instant: the figures that rules, checks and headroom share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from eventstore.trading import QuoteUsed
from projections.risk.caches import risk_cache
from projections.valuation import Status, worst
from projections.views.valuing import Extremes, PositionsValue, Total, added, bounds_in, extremes_of, total_in, value_of

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.book import Book
    from projections.risk.cache import RiskCache
    from projections.views.valuing import Amounts

_KNOWN = Status.KNOWN
_FIGURES = "figures"


class AccountFigures:
    """An account at an instant (UNIX ns): what checks and rules ask of it, each computed once.

    `period_at` is the instant whose trading day and week its results are of, by default the same. Use it within the
    decimal context projections.decimals.FIXED, and for one log position: `figures_of` returns it.
    """

    def __init__(self, account: str, at: int, cache: RiskCache) -> None:
        self.account, self.at, self.cache = account, at, cache

    @property
    def book(self) -> Book:
        # Not held: the cache that holds this does not keep its book alive.
        return self.cache.book

    @property
    def own(self) -> str | None:
        """The account's own currency."""
        return self.cache.currency

    @cached_property
    def positions(self) -> PositionsValue:
        """The open positions at the newest prices."""
        cache = self.cache
        return value_of(cache.held, self.book.quotes, self.at, cache.configuration, self.own)

    @cached_property
    def extremes(self) -> Extremes | None:
        """The extremes of what positions were worth over the confirming window; None if not confirmed."""
        cache = self.cache
        return extremes_of(cache.held, self.book.quotes, self.at, cache.configuration, self.own)

    def lowest_quotes(self) -> dict[str, QuoteUsed]:
        """Return the prices at which positions were worth least over the confirming window."""
        used, extremes = self.positions.quotes, self.extremes
        lowest = {} if extremes is None else extremes.prices
        return {symbol: QuoteUsed(lowest.get(symbol, quote.price), quote.at) for symbol, quote in used.items()}

    def total(self, *parts: Amounts, target: str | None) -> Total:
        """Return the sum of amounts in one currency, at the newest rates."""
        return total_in(added(*parts), target, self.book.rates, self.at)

    @cached_property
    def capital(self) -> Decimal | None:
        """The starting balance and what came from outside since, in the account's own currency; None if not opened."""
        amounts = self.cache.capital
        return None if amounts is None else self.total(amounts, target=self.own).amount

    @cached_property
    def balance(self) -> Total:
        """The balance in the account's own currency."""
        sums = self.cache.balances
        total = self.total(sums.amounts, target=self.own)
        return total._replace(standing=worst([sums.standing, total.standing]))

    @cached_property
    def equity(self) -> Total:
        """Balance and unrealized result in the account's own currency."""
        sums, positions = self.cache.balances, self.positions
        total = self.total(sums.amounts, positions.unrealized, target=self.own)
        return total._replace(standing=worst([sums.standing, positions.standing, total.standing]))

    @cached_property
    def day_result(self) -> tuple[Decimal, Decimal]:
        """What the trading day has realized, cash that counts as a result included, and its fees."""
        sums = self.cache.day_sums
        realized = self.total(sums.realized, sums.cash, target=self.own)
        return realized.amount, self.total(sums.fees, target=self.own).amount

    @cached_property
    def equity_bounds(self) -> tuple[Decimal, Decimal] | None:
        """The least and the greatest equity over the confirming window; None if it is not confirmed."""
        return self.confirmed(self.cache.balances.amounts, self.own) if self.equity.standing.status is _KNOWN else None

    @cached_property
    def balance_bounds(self) -> tuple[Decimal, Decimal] | None:
        """The least and the greatest balance at the rates that two observations confirm; None if they do not."""
        amounts = self.cache.balances.amounts
        return self.bounds_of(amounts, self.own) if self.balance.standing.status is _KNOWN else None

    def confirmed(self, amounts: Amounts, target: str | None) -> tuple[Decimal, Decimal] | None:
        """Return the least and the greatest sum of amounts and positions over the confirming window, if confirmed."""
        extremes = self.extremes
        if extremes is None:
            return None
        least, most = added(amounts, extremes.least), added(amounts, extremes.most)
        return bounds_in(least, most, target, self.book.rates, self.at)

    def bounds_of(self, amounts: Amounts, target: str | None) -> tuple[Decimal, Decimal] | None:
        """Return the least and the greatest sum of amounts at the rates that two observations confirm, if they do."""
        return bounds_in(amounts, amounts, target, self.book.rates, self.at)


def figures_of(book: Book, account: str, at: int, period_at: int | None = None) -> AccountFigures:
    """Return an account's figures at an instant: the same object for all rules that one trigger evaluates."""
    if period_at is not None and period_at != at:
        return AccountFigures(account, at, risk_cache(book, account, period_at))
    cache = risk_cache(book, account, at)
    key = (at, book.quotes.change_count, book.position)
    known = cache.groups["positions"].get(_FIGURES)
    if known is not None and known[0] == key and known[1].cache is cache:
        figures: AccountFigures = known[1]
        return figures
    figures = AccountFigures(account, at, cache)
    cache.groups["positions"][_FIGURES] = (key, figures)
    return figures
