"""Reference: money by trading day and currency: what each item realized, and fees, on the day that each happened."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

from tests.reference.facts import Fact, day_of
from tests.reference.positions import Positions
from tests.reference.trades import Fee

Place = tuple[str, str, str, str]
"""A day, a currency, a contract and a side."""


@dataclass
class Money:
    """Realized by FIFO and by average cost, before fees, and fees."""

    realized: Fraction = Fraction(0)
    realized_average_cost: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)


def money(account: Positions, stated: list[Fact]) -> dict[tuple[str, str], Money]:
    """Return what each day made in each currency; what comes to nothing is left out."""
    made: dict[tuple[str, str], Money] = defaultdict(Money)
    for (day, currency, _, _), each in money_by_position(account, stated).items():
        total = made[day, currency]
        total.realized += each.realized
        total.realized_average_cost += each.realized_average_cost
        total.fees += each.fees
    return {key: each for key, each in made.items() if each != Money()}


def money_by_position(account: Positions, stated: list[Fact]) -> dict[Place, Money]:
    """Return what each day made in each currency by contract and side, both empty for what names no contract."""
    made: dict[Place, Money] = defaultdict(Money)
    for execution in account.executions.all:
        _charge(made, day_of(execution.at, stated), (execution.contract, execution.held), execution.costs)
        for at, fee in execution.spent:
            _charge(made, day_of(at, stated), (execution.contract, execution.held), [fee])
    for fact in account.executions.charged:
        name = (account.executions.contracts.of(fact.symbol), fact.held) if fact.symbol else ("", "")
        _charge(made, day_of(fact.at, stated), name, [account.executions.fees[fact.log]])
    for name, position in account.held.items():
        for item, first, average in position.entries():
            day, terms = day_of(item.at, stated), item.terms or Fact("DEFINE", 0, 0)
            _charge(made, day, name, [] if item.is_of_twin else item.fees)
            if first or average:
                # Without a known multiplier there is no amount of money: this fails.
                total, multiplier = made[day, terms.currency, *name], Fraction(str(terms.multiplier))
                total.realized += first * multiplier
                total.realized_average_cost += average * multiplier
    return {key: each for key, each in made.items() if each != Money()}


def _charge(made: dict[Place, Money], day: str, name: tuple[str, str], fees: list[Fee]) -> None:
    """Count fees; one that states no currency is in its contract's."""
    for fee in fees:
        made[day, fee.currency or (fee.terms.currency if fee.terms else ""), *name].fees += Fraction(fee.amount)
