"""Reference: trailing drawdowns on the balance, on the equity and on the balance at each close; one account.

The floor follows the highest figure, and what was reached once stays: highs and floors are marked, so that neither a
fall nor a looser limit lowers them. Cash from outside moves all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from typing_extensions import override

from tests.reference.limited import Figure, Limited
from tests.reference.traded import NOTHING

START = Fraction(50_000)


@dataclass
class Drawdowns(Limited):
    """An account with such limits; `marks` are the highest marked balance, equity and close, and the floor."""

    moved: Fraction = NOTHING
    marks: dict[str, Fraction] = field(
        default_factory=lambda: {"realized": START, "equity": START, "end_of_day": START}
    )
    floor: Fraction | None = None

    @override
    def until(self, rule: str, now: int) -> int | None:
        return None

    def balance(self, until: int | None = None) -> Fraction:
        """Return the balance, or what it was without the trades since an instant."""
        steps = [step for step in self.steps() if until is None or step.at < until]
        return START + self.moved + sum((step.made - step.fees for step in steps), NOTHING)

    def move(self, amount: Fraction) -> None:
        """Take cash from outside: performance it is not."""
        self.moved += amount
        self.marks = {basis: mark + amount for basis, mark in self.marks.items()}
        self.floor = None if self.floor is None else self.floor + amount

    def equity(self, process: int, now: int) -> list[Fraction] | None:
        """Return the equity, with its least and most over a complete confirming window; None unless it is known."""
        if not self.is_priced(process, now):
            return None
        balance = self.balance()
        return [balance + each for each in self.unrealized(process) or [NOTHING]]

    def confirmed(self, basis: str, process: int, now: int) -> Fraction | None:
        """Return the present figure that may become a high."""
        if basis == "realized":
            return self.balance()
        equity = self.equity(process, now) if basis == "equity" else None
        return None if equity is None or len(equity) == 1 else equity[1]

    def high(self, basis: str, process: int, now: int) -> Fraction:
        found = self.confirmed(basis, process, now)
        return self.marks[basis] if found is None else max(self.marks[basis], found)

    def floor_of(self, high: Fraction, parameters: dict[str, Any]) -> Fraction:
        floor, stop = high - Fraction(parameters["distance"]), parameters["locks_at"]
        return floor if stop is None else min(floor, Fraction(stop))

    def floor_now(self, parameters: dict[str, Any], process: int, now: int) -> Fraction:
        floor = self.floor_of(self.high(parameters["basis"], process, now), parameters)
        if self.floor is None or parameters["severity"] == "WARNING":
            return floor
        return max(floor, self.floor)

    def value(self, parameters: dict[str, Any], process: int, now: int) -> list[Fraction] | None:
        return [self.balance()] * 3 if parameters["basis"] == "realized" else self.equity(process, now)

    @override
    def figure(self, rule: str, parameters: dict[str, Any], process: int, now: int) -> Figure | None:
        """Return how much of the distance is used up; one price is enough to raise the floor before an order."""
        found = self.value(parameters, process, now)
        if found is None:
            return None
        floor = self.floor_now(parameters, process, now)
        if parameters["basis"] != "end_of_day":
            most = found[2] if len(found) > 1 else found[0]
            floor = max(floor, self.floor_of(max(self.high(parameters["basis"], process, now), most), parameters))
        distance = Fraction(parameters["distance"])
        return distance - (found[0] - floor), distance

    @override
    def judge(self, process: int, now: int) -> None:
        """Mark what is a new high or floor, then lock what is at its floor, without end only if that is confirmed."""
        limits = {rule: each for rule, each in self.settings.of(now).items() if each is not None}
        self.mark(list(limits.values()), process, now)
        for rule, parameters in limits.items():
            found, floor = self.value(parameters, process, now), self.floor_now(parameters, process, now)
            if parameters["severity"] == "WARNING" or found is None or len(found) == 1:
                continue
            if found[0] <= floor and found[2] <= floor and not any(name == rule for name, *_ in self.active(now)):
                self.locked.append((rule, None, parameters["revocable"]))

    def close(self, process: int, now: int, ended_at: int) -> None:
        """Mark the balance at a day's close, without the trades of later days."""
        locking = [
            each for each in self.settings.of(now).values() if each is not None and each["severity"] == "LOCKOUT"
        ]
        balance = self.balance(ended_at)
        self.marks["end_of_day"] = max(self.marks["end_of_day"], balance)
        floors = [self.floor_of(self.high(each["basis"], process, now), each) for each in locking]
        self.marks["realized"] = max(self.marks["realized"], balance)
        self.floor = max([*floors, *([] if self.floor is None else [self.floor])], default=None)

    def mark(self, limits: list[dict[str, Any]], process: int, now: int) -> None:
        locking = [each for each in limits if each["severity"] == "LOCKOUT"]
        raised = [self.floor_of(self.marks[each["basis"]], each) for each in locking]
        is_raised = bool(raised) and (self.floor is None or max(raised) > self.floor)
        if not (is_raised or any(self.is_new(each, process, now) for each in limits)):
            return
        floors = [self.floor_of(self.high(each["basis"], process, now), each) for each in locking]
        self.marks["realized"] = max(self.marks["realized"], self.balance())
        equity = self.confirmed("equity", process, now)
        if equity is not None:
            self.marks["equity"] = max(self.marks["equity"], equity)
        self.floor = max([*floors, *([] if self.floor is None else [self.floor])], default=None)

    def is_new(self, parameters: dict[str, Any], process: int, now: int) -> bool:
        marked, found = self.marks[parameters["basis"]], self.confirmed(parameters["basis"], process, now)
        return found is not None and found > marked and found - marked >= Fraction(parameters["step"])
