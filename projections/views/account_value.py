"""An account's balance and equity at an instant: what the equity view shows is what rules and checks judge."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from projections.once import once
from projections.valuation import Status
from projections.views.valuing import (
    Extremes,
    KnownWorths,
    PositionsValue,
    Total,
    added,
    bounds_in,
    extremes_of,
    total_in,
    unconverted,
    value_of,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.views.balances import Balances
    from projections.views.configuration import Configuration
    from projections.views.quotes.queries import Quotes
    from projections.views.rates import ExchangeRates
    from projections.views.valuing import Amounts, OpenHolding

_KNOWN = Status.KNOWN


class AccountValue(abc.ABC):
    """An account at an instant (UNIX ns), each figure computed once; a subclass has what it is computed from.

    Use it within the decimal context projections.decimals.FIXED, and for one log position.
    """

    def __init__(self, account: str, at: int) -> None:
        self.account, self.at = account, at

    @property
    @abc.abstractmethod
    def own(self) -> str | None:
        """The account's own currency."""

    @property
    @abc.abstractmethod
    def configuration(self) -> Configuration:
        """How the account is valued and judged."""

    @property
    @abc.abstractmethod
    def held(self) -> tuple[OpenHolding, ...]:
        """The open positions as they are valued."""

    @property
    def worths(self) -> KnownWorths:
        """What the positions were worth before, if that is remembered."""
        return {}

    @property
    @abc.abstractmethod
    def balances(self) -> Balances:
        """Cash and realized results less fees, by currency."""

    @property
    @abc.abstractmethod
    def capital_amounts(self) -> Amounts | None:
        """The starting balance and what came from outside since, by currency; None for an account not opened."""

    @property
    @abc.abstractmethod
    def quotes(self) -> Quotes:
        """The prices that positions are valued at."""

    @property
    @abc.abstractmethod
    def rates(self) -> ExchangeRates:
        """The rates that amounts are converted at."""

    @once
    def positions(self) -> PositionsValue:
        """The open positions at the newest prices."""
        return value_of(self.held, self.quotes, self.at, self.configuration, self.own, worths=self.worths)

    @once
    def extremes(self) -> Extremes | None:
        """The extremes of what positions were worth over the confirming window; None if not confirmed."""
        return extremes_of(self.held, self.quotes, self.at, self.configuration, self.own)

    def total(self, *parts: Amounts, target: str | None) -> Total:
        """Return the sum of amounts in one currency, at the newest rates."""
        amounts = parts[0] if len(parts) == 1 else added(*parts)
        return unconverted(amounts, target) or total_in(amounts, target, self.rates, self.at)

    @once
    def capital(self) -> Decimal | None:
        """The starting balance and what came from outside since, in the account's own currency; None if not opened."""
        amounts = self.capital_amounts
        return None if amounts is None else self.total(amounts, target=self.own).amount

    @once
    def balance(self) -> Total:
        """The balance in the account's own currency."""
        sums = self.balances
        return self.total(sums.amounts, target=self.own).at_worst(sums.standing)

    @once
    def equity(self) -> Total:
        """Balance and unrealized result in the account's own currency."""
        sums, positions = self.balances, self.positions
        total = self.total(sums.amounts, positions.unrealized, target=self.own)
        return total.at_worst(sums.standing, positions.standing)

    @once
    def equity_bounds(self) -> tuple[Decimal, Decimal] | None:
        """The least and the greatest equity over the confirming window; None if it is not confirmed."""
        return self.confirmed(self.balances.amounts, self.own) if self.equity.standing.status is _KNOWN else None

    @once
    def balance_bounds(self) -> tuple[Decimal, Decimal] | None:
        """The least and the greatest balance at the rates that two observations confirm; None if they do not."""
        amounts = self.balances.amounts
        return self.bounds_of(amounts, self.own) if self.balance.standing.status is _KNOWN else None

    def confirmed(self, amounts: Amounts, target: str | None) -> tuple[Decimal, Decimal] | None:
        """Return the least and the greatest sum of amounts and positions over the confirming window, if confirmed."""
        extremes = self.extremes
        if extremes is None:
            return None
        least, most = added(amounts, extremes.least), added(amounts, extremes.most)
        return bounds_in(least, most, target, self.rates, self.at)

    def bounds_of(self, amounts: Amounts, target: str | None) -> tuple[Decimal, Decimal] | None:
        """Return the least and the greatest sum of amounts at the rates that two observations confirm, if they do."""
        return bounds_in(amounts, amounts, target, self.rates, self.at)
