"""Reference: money by trading day and currency: what each item realized, and fees, on the day that each happened."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from tests.reference.facts import SECOND, Fact
from tests.reference.positions import Positions


@dataclass
class Money:
    """Realized by FIFO and by average cost, before fees, and fees."""

    realized: Fraction = Fraction(0)
    realized_average_cost: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)


def day_of(at: int, stated: list[Fact]) -> str:
    """Return the stated trading day that an instant lies in, or `~` and its date in UTC."""
    for fact in stated:
        if fact.at <= at < fact.until:
            return str(fact.trading_day)
    return "~" + datetime.fromtimestamp(at // SECOND, UTC).date().isoformat()


def money(account: Positions, stated: list[Fact]) -> dict[tuple[str, str], Money]:
    """Return what each day made in each currency; what comes to nothing is left out."""
    made: dict[tuple[str, str], Money] = defaultdict(Money)
    for execution in account.executions.all:
        _charge(made, day_of(execution.at, stated), execution.fees, _contract(account, execution.contract))
    for fact in account.charged:
        _charge(made, day_of(fact.at, stated), {fact.currency: fact.fee}, _contract(account, fact.symbol))
    for (symbol, _), position in account.held.items():
        contract = _contract(account, symbol)
        for item, first, average in position.entries():
            day = day_of(item.at, stated)
            _charge(made, day, item.fees, contract)
            if first or average:
                # Without a known multiplier there is no amount of money: this fails.
                total, multiplier = made[day, contract.currency], Fraction(str(contract.multiplier))
                total.realized += first * multiplier
                total.realized_average_cost += average * multiplier
    return {key: each for key, each in made.items() if each != Money()}


def _contract(account: Positions, symbol: str | None) -> Fact:
    contracts = account.executions.contracts
    return contracts.defined.get(contracts.of(symbol or ""), Fact("DEFINE", 0, 0))


def _charge(made: dict[tuple[str, str], Money], day: str, fees: dict[str, Decimal], contract: Fact) -> None:
    """Count fees; one that names no currency is in its contract's."""
    for currency, amount in fees.items():
        made[day, currency or contract.currency].fees += Fraction(amount)
