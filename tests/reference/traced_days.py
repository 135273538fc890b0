"""Reference: which records made a trading day's result of one contract, by plain first in, first out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from tests.reference.daily_results import Fill, trading_day


@dataclass
class TracedDay:
    """What each record added to a day's result, net of fees, and the records of before that it closed a part of."""

    added: dict[int, Fraction] = field(default_factory=dict)
    opened: set[int] = field(default_factory=set)

    @property
    def result(self) -> Fraction:
        return sum(self.added.values(), Fraction(0))


@dataclass
class Traced:
    """An account of one contract, whose point is worth `point`: `take` takes its fills in order."""

    point: int
    balance: Fraction
    days: dict[date, TracedDay] = field(default_factory=dict)
    lots: list[tuple[int, Fraction, int]] = field(default_factory=list)
    highest: Fraction = Fraction(0)
    since_high: dict[int, Fraction] = field(default_factory=dict)
    """What each record since the highest balance added."""

    def __post_init__(self) -> None:
        self.highest = self.balance

    def take(self, fill: Fill, position: int) -> TracedDay:
        """Take the fill that a record reports; return its day."""
        day = self.days.setdefault(trading_day(fill.at), TracedDay())
        left, made = fill.quantity, Fraction(0)
        while left and self.lots and (self.lots[0][0] > 0) is not (left > 0):
            quantity, price, opener = self.lots[0]
            sign, closed = (1 if quantity > 0 else -1), min(abs(quantity), abs(left))
            made += sign * closed * (fill.price - price)
            left += sign * closed
            day.opened.add(opener)
            self.lots[:1] = [(quantity - sign * closed, price, opener)] if abs(quantity) > closed else []
        if left:
            self.lots.append((left, fill.price, position))
        day.added[position] = made * self.point - fill.fee
        self._count(day.added[position], position)
        return day

    def _count(self, added: Fraction, position: int) -> None:
        self.balance += added
        self.since_high[position] = added
        if self.balance > self.highest:
            self.highest, self.since_high = self.balance, {}
