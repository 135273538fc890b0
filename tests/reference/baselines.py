"""Reference: a day's result on equity basis, measured from the balance at the reset, the equity there, or the greater.

One contract, dates in UTC. The equity at the reset is the worst case of the first two prices of the day that confirm
one another, if nothing was traded before; without that it is not known, unless the account was flat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from tests.reference.verdicts import GOOD_FOR, SECOND, Held

DAY = 86_400 * SECOND
LATE = 300 * SECOND


@dataclass
class Day:
    """What was made since the reset at `began`: realized less fees, and cash that counts as a result."""

    began: int
    made: Fraction = Fraction(0)
    traded: bool = False
    held: bool = False
    marked: tuple[int, Fraction] | None = None
    """When the equity at the reset was found, and by how much it exceeds the balance."""


@dataclass
class Account:
    """An account that trades one contract; `lots` are open quantities with their prices, the oldest first."""

    multiplier: Fraction
    lots: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    seen: Held = field(default_factory=Held)
    day: Day = field(default_factory=lambda: Day(0))

    def at(self, now: int) -> None:
        """Begin a new day where its time has come."""
        began = now - now % DAY
        if began != self.day.began:
            self.day = Day(began, held=bool(self.lots))

    def fill(self, now: int, quantity: Fraction, price: Fraction, fee: Fraction) -> None:
        self.day.traded, self.day.made = True, self.day.made - fee
        while quantity and self.lots and (self.lots[0][0] > 0) is not (quantity > 0):
            held, paid = self.lots.pop(0)
            closed = min(abs(held), abs(quantity)) * (1 if held > 0 else -1)
            self.day.made += closed * (price - paid) * self.multiplier
            quantity += closed
            if held != closed:
                self.lots.insert(0, (held - closed, paid))
        if quantity:
            self.lots.append((quantity, price))
        self.seen.prices.append((now, price, True))
        self.seen.quantity = sum((quantity for quantity, _ in self.lots), Fraction(0))
        self.mark(now)

    def quote(self, now: int, price: Fraction) -> None:
        self.seen.prices.append((now, price, False))
        if self.lots:
            self.mark(now)

    def cash(self, now: int, amount: Fraction) -> None:
        self.day.made += amount
        self.mark(now)

    def restart(self) -> None:
        self.seen.prices = []

    def status(self, now: int) -> str:
        if self.lots and not self.seen.prices:
            return "UNKNOWN"
        return "STALE" if self.lots and now - self.seen.prices[-1][0] > GOOD_FOR else "KNOWN"

    def unrealized(self, price: Fraction) -> Fraction:
        return sum((quantity * (price - paid) for quantity, paid in self.lots), Fraction(0)) * self.multiplier

    def mark(self, now: int) -> None:
        """Find the equity at the reset, as soon as two prices show it."""
        day, extremes = self.day, self.seen.extremes() if self.lots and self.seen.prices else None
        is_of_day = extremes is not None and self.seen.window()[0][0] >= day.began
        if day.held and day.marked is None and not day.traded and is_of_day and self.status(now) == "KNOWN":
            day.marked = now, min(self.unrealized(price) for price in extremes or ())

    def result(self, now: int, baseline: str) -> tuple[str, Fraction | None]:
        """Return the status of the day's result and, where it is KNOWN, the result."""
        carried, status = Fraction(0), self.status(now)
        if baseline != "balance-at-reset" and self.day.held:
            if self.day.marked is None:
                return "UNKNOWN", None
            at, carried = self.day.marked
            if at - self.day.began > LATE and status == "KNOWN":
                status = "STALE"
            carried = max(carried, Fraction(0)) if baseline == "maximum" else carried
        if status != "KNOWN":
            return status, None
        open_now = self.unrealized(self.seen.prices[-1][1]) if self.lots else Fraction(0)
        return status, self.day.made + open_now - carried
