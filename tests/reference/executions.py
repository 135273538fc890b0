"""Reference: which reports are one execution, and which execution a fee, a bust or a correction is about.

Written to be obviously right, without anything of the project: plain facts in, plain values out, no limit on time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tests.reference.facts import SECOND, ZERO, Fact

IDENTITIES_MAX = 2_000


@dataclass
class Execution:
    """One trade. `figures` are all that were ever in force, as (since, signed quantity, price); a bust leaves zero."""

    id: str
    symbol: str
    held: str
    at: int
    timed: bool
    log: int
    streams: list[str]
    trading_day: str | None
    figures: list[tuple[int, Decimal, Decimal]]
    fees: dict[str, Decimal] = field(default_factory=dict)
    fee_stated: bool = False
    conflicts: list[int] = field(default_factory=list)

    @property
    def quantity(self) -> Decimal:
        return self.figures[-1][1]

    @property
    def price(self) -> Decimal:
        return self.figures[-1][2]

    @property
    def busted(self) -> bool:
        return not self.quantity

    @property
    def order(self) -> str | None:
        """The order it was first reported for."""
        return next((stream.removeprefix("order/") for stream in self.streams if stream.startswith("order/")), None)

    def charge(self, currency: str, amount: Decimal) -> None:
        """Add a fee; the fees of a busted trade are gone with it."""
        if not self.busted:
            self.fees[currency] = self.fees.get(currency, ZERO) + amount

    def change(self, fact: Fact) -> tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]:
        """Bust or correct it by what the fact states; return the figures before and after. This ends any conflict."""
        before = (self.quantity, self.price)
        size = ZERO if fact.kind == "BUST" else abs(self.quantity) if fact.quantity is None else fact.quantity
        sign = fact.side or (1 if self.quantity > 0 else -1)
        after = (sign * size, self.price if fact.kind == "BUST" or fact.price is None else fact.price)
        self.figures.append((fact.at, *after))
        self.conflicts.clear()
        return before, after


class Executions:
    """The executions of one account, in the order of their first reports."""

    def __init__(self, identities_max: int = IDENTITIES_MAX) -> None:
        self.all: list[Execution] = []
        self.contract_of: dict[str, str] = {}
        self._max = identities_max

    def contract(self, name: str) -> str:
        return self.contract_of.get(name, name)

    def define(self, fact: Fact) -> None:
        self.contract_of.update(dict.fromkeys((str(fact.symbol), *fact.names), str(fact.symbol)))

    def report(self, fact: Fact) -> tuple[str, Execution]:
        """Return NEW, REPEATED, COMPLETED or CONFLICTING, and the execution that a report is of."""
        figures = [(fact.at, (fact.side or 0) * (fact.quantity or ZERO), fact.price or ZERO)]
        times = (fact.at, fact.timed, fact.log)
        fresh = Execution(fact.id, str(fact.symbol), fact.held, *times, [fact.stream], fact.trading_day, figures)
        if fact.fee:
            fresh.charge(fact.currency, fact.fee)
            fresh.fee_stated = True
        verdict, known = self.compared(fresh, self.all[-self._max :])
        if known is None:
            self.all.append(fresh)
            return verdict, fresh
        if verdict == "CONFLICTING":
            known.conflicts.append(fact.log)
        return verdict, known

    def compared(self, fresh: Execution, among: list[Execution]) -> tuple[str, Execution | None]:
        """Compare a report with what is known: an id is one trade per contract, side and stated trading day."""
        rivals = [
            each
            for each in among
            if each.id == fresh.id
            and self.contract(each.symbol) == self.contract(fresh.symbol)
            and any((quantity > 0) is (fresh.figures[0][1] > 0) for _, quantity, _ in each.figures if quantity)
            and (None in {each.trading_day, fresh.trading_day} or each.trading_day == fresh.trading_day)
        ]
        # A report of the figures before a correction is a report of the same execution.
        same = [each for each in rivals if fresh.figures[0][1:] in [figure[1:] for figure in each.figures]]
        same.sort(key=lambda each: each.trading_day == fresh.trading_day)
        if same:
            return ("COMPLETED" if completed(same[-1], fresh) else "REPEATED"), same[-1]
        return ("CONFLICTING", rivals[-1]) if rivals else ("NEW", None)

    def about(self, fact: Fact) -> Execution | None:
        """Return the execution that a later fact names: of its own stream, else the newest with all that is stated."""
        known = [
            each
            for each in self.all[-self._max :]
            if each.id == fact.id
            and (fact.symbol is None or self.contract(each.symbol) == self.contract(fact.symbol))
            and (fact.kind != "BUST" or fact.side is None or each.busted or (each.quantity > 0) is (fact.side > 0))
        ]
        return max(known, key=lambda each: (fact.stream in each.streams, each.log), default=None)

    def twins(self) -> list[tuple[Execution, Execution, str]]:
        """Take out those that names learned later show to be another one; return each with that one and the verdict."""
        found = []
        for twin in list(self.all):
            verdict, known = self.compared(twin, self.all[: self.all.index(twin)])
            if known is not None:
                self.all.remove(twin)
                if verdict == "CONFLICTING":
                    known.conflicts.append(twin.log)
                found.append((twin, known, verdict))
        return found


def completed(known: Execution, again: Execution) -> bool:
    """Take over what was missing from a repeated report; return whether anything was."""
    before = (known.fee_stated, known.timed, known.trading_day, known.order)
    known.streams += [stream for stream in again.streams if stream not in known.streams]
    known.trading_day = known.trading_day or again.trading_day
    if again.fee_stated and not known.fee_stated:
        known.fee_stated = True
        for currency, amount in again.fees.items():
            known.charge(currency, amount)
    if again.timed and not known.timed and abs(again.at - known.at) >= SECOND:
        known.at, known.timed = again.at, True
    return before != (known.fee_stated, known.timed, known.trading_day, known.order)
