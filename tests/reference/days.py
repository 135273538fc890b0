"""Reference: money by trading day and currency: what each item realized, and fees, on the day that each happened."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from tests.reference.facts import SECOND, Fact
from tests.reference.positions import Positions
from tests.reference.trades import Fee


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
        _charge(made, day_of(execution.at, stated), execution.fees)
    for fact in account.executions.charged:
        _charge(made, day_of(fact.at, stated), [account.executions.fees[fact.log]])
    for item, first, average in (entry for position in account.held.values() for entry in position.entries()):
        day, terms = day_of(item.at, stated), item.terms or Fact("DEFINE", 0, 0)
        _charge(made, day, item.fees)
        if first or average:
            # Without a known multiplier there is no amount of money: this fails.
            total, multiplier = made[day, terms.currency], Fraction(str(terms.multiplier))
            total.realized += first * multiplier
            total.realized_average_cost += average * multiplier
    return {key: each for key, each in made.items() if each != Money()}


def _charge(made: dict[tuple[str, str], Money], day: str, fees: list[Fee]) -> None:
    """Count fees; one that states no currency is in its contract's."""
    for fee in fees:
        made[day, fee.currency or (fee.terms.currency if fee.terms else "")].fees += Fraction(fee.amount)
