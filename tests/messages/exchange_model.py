"""Reference: what became of an account at a crypto exchange, by plain sums over its executions and its cash.

Fractions, one execution at a time in the order in which they happened; each counts once, by its contract and id.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Terms:
    """How a symbol counts: a linear contract or spot pair by its size, an inverse one by size ÷ price."""

    size: Fraction
    settled_in: str
    is_inverse: bool = False
    bought_coin: str = ""


@dataclass(frozen=True)
class Executed:
    at: int
    id: str
    order: str
    symbol: str
    held: str  # NET, LONG or SHORT
    quantity: Fraction  # below zero: sold
    price: Fraction
    fees: tuple[tuple[str, Fraction], ...] = ()


class Held:
    """One position: lots, first in, first out."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.lots: list[tuple[Fraction, Fraction]] = []
        self.realized = Fraction(0)
        self.fees: defaultdict[str, Fraction] = defaultdict(Fraction)

    @property
    def quantity(self) -> Fraction:
        return sum((quantity for quantity, _ in self.lots), Fraction(0))

    def execute(self, each: Executed) -> None:
        quantity = each.quantity
        for currency, amount in each.fees:
            if currency == self.terms.bought_coin and quantity > 0:
                # It never arrived, and is paid for at the price.
                quantity -= amount
                self.fees[self.terms.settled_in] += amount * each.price
            else:
                self.fees[currency] += amount
        while quantity and self.lots and (self.lots[0][0] > 0) != (quantity > 0):
            lot, entry = self.lots.pop(0)
            closed = min(abs(lot), abs(quantity)) * (1 if lot > 0 else -1)
            self.realized += closed * self.terms.size * self._gain(entry, each.price)
            quantity += closed
            if lot != closed:
                self.lots.insert(0, (lot - closed, entry))
        if quantity:
            self.lots.append((quantity, each.price))

    def _gain(self, entry: Fraction, exit_: Fraction) -> Fraction:
        return 1 / entry - 1 / exit_ if self.terms.is_inverse else exit_ - entry


@dataclass
class Account:
    """All that there is to compare: positions, orders' filled quantities, cash by currency."""

    positions: dict[tuple[str, str], Held]
    filled: dict[tuple[str, str], Fraction]
    cash: dict[str, Fraction]


def account_of(terms: dict[str, Terms], executed: list[Executed], cash: dict[str, tuple[str, Fraction]]) -> Account:
    """Return the account after all executions and all movements of cash, each of which has an id."""
    once = {(each.symbol, each.id): each for each in executed}
    positions: dict[tuple[str, str], Held] = {}
    filled: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for each in sorted(once.values(), key=lambda each: each.at):
        positions.setdefault((each.symbol, each.held), Held(terms[each.symbol])).execute(each)
        filled[each.symbol, each.order] += abs(each.quantity)
    sums: defaultdict[str, Fraction] = defaultdict(Fraction)
    for currency, amount in cash.values():
        sums[currency] += amount
    return Account(positions, dict(filled), dict(sums))
