"""Reference: what an account realized and holds, step by step, and at which of the seen prices that is valued.

Days last from 22:00 to 22:00 UTC, weeks from Sunday's 22:00. A price is good for ten seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.reference.facts import DAY, SECOND, Fact
from tests.reference.positions import Positions
from tests.reference.verdicts import GOOD_FOR, Held

HOUR = 3_600 * SECOND
WEEK = 7 * DAY
RESET = 22 * HOUR
SUNDAY = 3 * DAY + RESET
"""The first Sunday's reset after the epoch, which was a Thursday."""
NOTHING = Fraction(0)
Price = tuple[int, Fraction, bool]
"""When it was received, the price, and whether a trade was made at it."""


def day_begin(at: int) -> int:
    return at - (at - RESET) % DAY


def week_begin(at: int) -> int:
    return at - (at - SUNDAY) % WEEK


@dataclass
class Step:
    """What changed a result at an instant: before fees, and the fees."""

    at: int
    made: Fraction
    fees: Fraction = NOTHING


@dataclass
class Seen(Held):
    """What a process has seen of a symbol; `older` are prices from before one that was taken away."""

    older: list[Price] = field(default_factory=list)


@dataclass
class Traded:
    """One account; `prices` are what each process has seen, by symbol, `fills` what each trade was reported with."""

    positions: Positions = field(default_factory=Positions)
    cash: list[Step] = field(default_factory=list)
    prices: list[dict[str, Seen]] = field(default_factory=list)
    fills: dict[str, Price] = field(default_factory=dict)
    changed: list[Price] = field(default_factory=list)
    known: list[Any] = field(default_factory=list)
    """Everything that was realized and what is open, found once after each fact."""

    def steps(self) -> list[Step]:
        """Return everything that was realized or charged, each where it happened."""
        self.known = self.known or [self._steps(), self._open_positions()]
        return sorted(self.cash + self.known[0], key=lambda step: step.at)

    def open_positions(self) -> list[tuple[str, Fraction, Fraction, Fraction]]:
        """Return each open position: symbol, signed quantity, cost of its lots, multiplier."""
        self.known = self.known or [self._steps(), self._open_positions()]
        return list(self.known[1])

    def _steps(self) -> list[Step]:
        found = []
        for execution in self.positions.executions.all:
            fees = [(execution.at, fee) for fee in execution.costs] + execution.spent
            found += [Step(at, NOTHING, Fraction(fee.amount)) for at, fee in fees]
        for position in self.positions.held.values():
            for item, first, _ in position.entries():
                made = first * Fraction(str(item.terms.multiplier)) if first and item.terms else NOTHING
                found.append(Step(item.at, made, sum((Fraction(fee.amount) for fee in item.fees), NOTHING)))
        return found

    def _open_positions(self) -> list[tuple[str, Fraction, Fraction, Fraction]]:
        found = []
        for (symbol, _), position in self.positions.held.items():
            totals = position.totals()
            if totals.quantity:
                terms = self.positions.executions.contracts.defined[symbol]
                found.append((symbol, totals.quantity, totals.cost, Fraction(str(terms.multiplier))))
        return found

    def is_priced(self, process: int, now: int) -> bool:
        """Return whether a process knows a fresh price of each open position."""
        seen = self.prices[process]
        return all(
            symbol in seen and bool(seen[symbol].prices) and now - seen[symbol].prices[-1][0] <= GOOD_FOR
            for symbol, *_ in self.open_positions()
        )

    def unrealized(self, process: int) -> list[Fraction] | None:
        """Return the open result now, and the least and the most over the confirming window, where it is complete."""
        now, least, most, is_confirmed = NOTHING, NOTHING, NOTHING, True
        for symbol, quantity, cost, multiplier in self.open_positions():
            held = self.prices[process][symbol]
            extremes = held.extremes()
            is_confirmed &= extremes is not None
            results = [(quantity * price - cost) * multiplier for price in extremes or (held.prices[-1][1],)]
            now += (quantity * held.prices[-1][1] - cost) * multiplier
            least, most = least + min(results), most + max(results)
        return [now, least, most] if is_confirmed else [now]

    def apply(self, fact: Fact) -> None:
        """Take a trade, which is a price of its contract, or what changes one."""
        self.positions.apply(fact)
        self.known = []
        price = (fact.at, Fraction(fact.price or 0), True)
        if fact.kind in {"FILL", "TRADE"}:
            self.fills[fact.id] = price
            for seen in self.prices:
                prices = seen.setdefault(str(fact.symbol), Seen()).prices
                prices.append(price)
                prices.sort(key=lambda each: each[0])
        elif fact.kind in {"BUST", "CORRECT"}:
            before = self.fills.pop(fact.id)
            self.changed.append(before)
            if fact.kind == "CORRECT":
                self.fills[fact.id] = (before[0], price[1], True)
            for seen in self.prices:
                self._change(seen.setdefault(str(fact.symbol), Seen()), before, self.fills.get(fact.id))

    def _change(self, held: Seen, before: Price, after: Price | None) -> None:
        """Correct the newest price, or go back to the one before it: what came before confirms nothing any more."""
        if before not in held.prices:
            return
        held.older += held.prices[:-1]
        if held.prices[-1] != before:
            held.prices[:] = held.prices[-1:]
            return
        known = [price for price in held.older if price not in self.changed]
        newest = after or max(known, key=lambda price: price[0], default=None)
        held.prices[:] = [] if newest is None else [newest]
