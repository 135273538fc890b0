"""Money from a price: what closing an open position would realize, and what it is worth, by its contract's payoff."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from eventstore import StoreError, UnknownContract
from eventstore.trading import Cost
from projections.decimals import FIXED, ZERO
from projections.valuation import KNOWN, unknown
from projections.views.executions.position_totals import revalued
from projections.views.executions.prices import has_value, price_of, value_of

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.valuation import Standing
    from projections.views.contracts.view import Contract
    from projections.views.executions.position_totals import PositionTotals


class NoValue(StoreError):
    """A price at which a contract has no result: zero or below, if it is an inverse one."""

    def __init__(self, symbol: str, price: Decimal) -> None:
        self.symbol, self.price = symbol, price
        super().__init__(f"{symbol} is an inverse contract: a price of {price} gives it no value, expected one above 0")


def unrealized(totals: PositionTotals, price: Decimal, contract: Contract, cost: Cost = Cost.FIFO) -> Decimal:
    """Return what closing a position at a price would realize, in money of the contract's currency, before fees.

    With `cost` AVERAGE it is measured against the average cost, so that together with what was realized by the same
    method it is one equity. What was opened without a price realizes nothing. Raises UnknownContract without a
    multiplier, and NoValue for a price that has none (`is_price`).
    """
    if contract.multiplier is None:
        raise UnknownContract(contract.symbol)
    return FIXED.multiply(unrealized_points(totals, price, contract, cost), contract.multiplier)


def unrealized_points(totals: PositionTotals, price: Decimal, contract: Contract, cost: Cost = Cost.FIFO) -> Decimal:
    """Return the same in points."""
    held = in_force(totals, contract)
    paid = held.cost if cost is Cost.FIFO else held.average_cost_total
    priced = FIXED.subtract(held.quantity, held.unpriced) if held.unpriced else held.quantity
    return closing_points(priced, paid, price, inverse=held.inverse, symbol=contract.symbol)


def closing_points(priced: Decimal, paid: Decimal, price: Decimal, *, inverse: bool, symbol: str) -> Decimal:
    """Return what closing a quantity that cost so much would realize at a price, in points; raises NoValue."""
    if not has_value(price, inverse=inverse):
        raise NoValue(symbol, price)
    return FIXED.subtract(FIXED.multiply(priced, _value(price, inverse=inverse)), paid)


def exposure_value(quantity: Decimal, price: Decimal, contract: Contract) -> Decimal:
    """Return what a quantity is worth at a price, whatever its sign, in money of the contract's currency.

    Raises UnknownContract without a multiplier, and NoValue for a price that has none (`is_price`).
    """
    if contract.multiplier is None:
        raise UnknownContract(contract.symbol)
    points = closing_points(quantity, ZERO, price, inverse=contract.inverse, symbol=contract.symbol)
    return abs(FIXED.multiply(points, contract.multiplier))


def is_price(price: Decimal, contract: Contract | None) -> bool:
    """Return whether a price says what a position in a contract is worth."""
    return contract is None or has_value(price, inverse=contract.inverse)


def certainty(symbol: str, totals: PositionTotals, contract: Contract | None) -> Standing:
    """Return what makes a position's value unknown, whatever its price; KNOWN if nothing does."""
    if contract is None or contract.multiplier is None:
        return unknown(f"the multiplier of {symbol} is not known")
    if totals.unpriced:
        return unknown(f"the cost of {abs(totals.unpriced):f} {symbol} is not known: state its price")
    return KNOWN


def in_force(totals: PositionTotals, contract: Contract | None) -> PositionTotals:
    """Return a position's totals under the payoff of its contract now: that may have changed since its last fill."""
    if contract is None or contract.inverse is totals.inverse:
        return totals
    with decimal.localcontext(FIXED):
        return revalued(totals, inverse=contract.inverse)


def average(totals: PositionTotals, paid: Decimal) -> Decimal | None:
    """Return the average price of what a position has open, given what that cost; None if no part has a price."""
    priced = FIXED.subtract(totals.quantity, totals.unpriced) if totals.unpriced else totals.quantity
    if not totals.lots or not priced:
        return None
    return price_of(FIXED.divide(paid, priced), inverse=totals.inverse)


def _value(price: Decimal, *, inverse: bool) -> Decimal:
    if not inverse:
        return price
    with decimal.localcontext(FIXED):
        return value_of(price, inverse=True)
