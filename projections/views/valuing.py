"""What open positions are worth at the prices their account is valued at, and sums of amounts in several currencies."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from eventstore.trading import QuoteUsed
from projections.decimals import ZERO
from projections.valuation import KNOWN, Standing, Status, unknown, worst
from projections.view import SHARED
from projections.views.contracts.view import Contract, ContractsState, ContractsView
from projections.views.executions.payoffs import certainty, is_price, unrealized
from projections.views.executions.pnl_totals import holdings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventstore.trading import Cost, PositionSide
    from projections.view import BookReader
    from projections.views.configuration import Configuration
    from projections.views.executions.position_totals import PositionTotals
    from projections.views.quotes.queries import Quotes
    from projections.views.rates import ExchangeRates

Amounts = dict[str | None, Decimal]
"""Sums by currency; None is the account's own where nobody has named it."""


class OpenHolding(NamedTuple):
    """An open position with its contract, None where that is not defined."""

    symbol: str
    side: PositionSide
    totals: PositionTotals
    contract: Contract | None


class PositionsValue(msgspec.Struct, frozen=True):
    """The unrealized result of open positions by currency, and what it was made with.

    `quotes` are the prices used; `last_good` the last good marks of positions without a usable price, which are shown
    and never used; `standings` those of all symbols whose part is not KNOWN. What is UNKNOWN is left out of the sums.
    """

    unrealized: Amounts
    quotes: dict[str, QuoteUsed]
    last_good: dict[str, QuoteUsed]
    standings: dict[str, Standing]

    @property
    def standing(self) -> Standing:
        return worst(self.standings.values()) if self.standings else KNOWN

    @property
    def uncertain(self) -> dict[str, list[str]]:
        """The symbols whose part is stale or unknown, sorted."""
        stale = sorted(name for name, each in self.standings.items() if each.status is Status.STALE)
        missing = sorted(name for name, each in self.standings.items() if each.status is Status.UNKNOWN)
        return {"stale": stale, "unquoted": missing}


class Total(NamedTuple):
    """A sum in one currency; `converted` is the sum of the absolute amounts that were converted into it."""

    amount: Decimal
    standing: Standing = KNOWN
    converted: Decimal = ZERO

    def at_worst(self, *standings: Standing) -> Total:
        """Return it with the worst of its own status and others."""
        found = worst((*standings, self.standing))
        return self if found is self.standing else self._replace(standing=found)


def open_holdings(book: BookReader, account: str) -> tuple[OpenHolding, ...]:
    """Return the account's open positions, sorted by symbol and side."""
    contracts: ContractsState | None = book.state(ContractsView.name, SHARED)
    held = [
        OpenHolding(each.symbol, each.side, each.totals, None if contracts is None else contracts.find(each.symbol))
        for each in holdings_of(book, account)
        if each.totals.quantity
    ]
    return tuple(sorted(held, key=lambda each: (each.symbol, each.side)))


class KnownWorth(NamedTuple):
    """What a position would realize at a price, by its contract as it was defined then."""

    totals: PositionTotals
    price: Decimal
    cost: Cost
    amount: Decimal


KnownWorths = dict[tuple[str, "PositionSide"], KnownWorth]
"""What positions were worth last, by symbol and side."""


def value_of(
    held: Iterable[OpenHolding],
    quotes: Quotes,
    at: int,
    configuration: Configuration,
    own: str | None,
    *,
    worths: KnownWorths,
) -> PositionsValue:
    """Return what positions are worth at an instant (UNIX ns), each at its price for the account's valuation.

    `worths` is what they were worth before, if no contract was defined since; it is brought up to date. Callers
    have set the context of projections.decimals.FIXED.
    """
    sums: Amounts = {}
    used: dict[str, QuoteUsed] = {}
    last_good: dict[str, QuoteUsed] = {}
    standings: dict[str, Standing] = {}
    valuation, cost = configuration.valuation, configuration.cost
    for symbol, side, totals, contract in held:
        standing = certainty(symbol, totals, contract)
        price = quotes.price(symbol, at, valuation, long=totals.quantity > ZERO)
        has_worth = price.price is not None and is_price(price.price, contract)
        if price.price is not None and not has_worth:
            standing = unknown(f"a price of {price.price} gives the inverse contract {symbol} no value")
        if price.standing.status is not Status.KNOWN:
            standing = worst([standing, price.standing])
            if price.last_good is not None:
                last_good[symbol] = price.last_good
        if standing.status is not Status.KNOWN:
            known = standings.get(symbol)
            standings[symbol] = standing if known is None else worst([known, standing])
        if price.price is None or not has_worth or contract is None or contract.multiplier is None:
            continue
        used[symbol] = QuoteUsed(price.price, price.at)
        currency = currency_of(contract, own)
        worth = worths.get((symbol, side))
        if worth is None or worth.totals is not totals or worth.price is not price.price or worth.cost is not cost:
            amount = unrealized(totals, price.price, contract, cost)
            worth = worths[symbol, side] = KnownWorth(totals, price.price, cost, amount)
        sums[currency] = sums.get(currency, ZERO) + worth.amount
    return PositionsValue(sums, used, last_good, standings)


class Extremes(NamedTuple):
    """The least and the most that positions were worth over the confirming window, and the prices at the least."""

    least: Amounts
    most: Amounts
    prices: dict[str, Decimal]


def extremes_of(
    held: Sequence[OpenHolding], quotes: Quotes, at: int, configuration: Configuration, own: str | None
) -> Extremes | None:
    """Return the extremes of what positions were worth over the confirming window, by currency.

    None where the price of one was observed only once, or is not known: then nothing is confirmed.
    """
    least: Amounts = {}
    most: Amounts = {}
    lowest: dict[str, Decimal] = {}
    for symbol, _, totals, contract in held:
        prices = quotes.extremes(symbol, at, configuration.valuation, long=totals.quantity > ZERO)
        if prices is None or contract is None or contract.multiplier is None:
            return None
        if not all(is_price(price, contract) for price in prices):
            return None
        values = [unrealized(totals, price, contract, configuration.cost) for price in prices]
        currency = currency_of(contract, own)
        least[currency] = least.get(currency, ZERO) + min(values)
        most[currency] = most.get(currency, ZERO) + max(values)
        lowest[symbol] = prices[values.index(min(values))]
    return Extremes(least, most, lowest)


def currency_of(contract: Contract, own: str | None) -> str | None:
    """Return the currency of a contract's results: its own, else the account's."""
    return own if contract.currency is None else contract.currency


def unconverted(amounts: Mapping[str | None, Decimal], target: str | None) -> Total | None:
    """Return what `total_in` does, where every amount is in the target: mostly, and then no rate matters."""
    total = ZERO
    for currency, amount in amounts.items():
        if currency is not None and currency != target:
            return None
        total += amount
    return Total(total)


def total_in(amounts: Mapping[str | None, Decimal], target: str | None, rates: ExchangeRates, at: int) -> Total:
    """Return the sum of amounts in one currency, each converted at the newest rate.

    Without a usable rate the amount is left out, and the sum is UNKNOWN. None among the currencies is the target.
    """
    total = converted = ZERO
    standings: list[Standing] = []
    for currency, amount in amounts.items():
        if currency == target or currency is None:
            total += amount
        elif not amount:
            continue
        elif target is None:
            standings.append(
                unknown(f"the account's own currency is not known, and {amount} {currency} cannot be added")
            )
        else:
            change = rates.convert(amount, currency, target, at)
            standings.append(change.standing)
            if change.amount is not None:
                total += change.amount
                converted += abs(change.amount)
    return Total(total, worst(standings), converted)


def bounds_in(
    least: Mapping[str | None, Decimal],
    most: Mapping[str | None, Decimal],
    target: str | None,
    rates: ExchangeRates,
    at: int,
) -> tuple[Decimal, Decimal] | None:
    """Return the least and the greatest sum of amounts in one currency, at the rates that two observations confirm.

    None while one of them is not confirmed.
    """
    low = high = ZERO
    for currency in {**least, **most}:
        one, other = least.get(currency, ZERO), most.get(currency, ZERO)
        if currency == target or currency is None:
            low, high = low + one, high + other
            continue
        if not one and not other:
            continue
        extremes = None if target is None else rates.extremes(currency, target, at)
        if extremes is None:
            return None
        low += min(one * rate for rate in extremes)
        high += max(other * rate for rate in extremes)
    return low, high


def added(*parts: Mapping[str | None, Decimal]) -> Amounts:
    """Return the sums of amounts by currency."""
    sums: Amounts = {}
    for part in parts:
        if not sums:
            sums = {currency: ZERO + amount for currency, amount in part.items()}
            continue
        for currency, amount in part.items():
            sums[currency] = sums.get(currency, ZERO) + amount
    return sums
