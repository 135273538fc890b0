"""Reference: which lockouts follow from fills and prices, with the status of the equity; last prices alone, one day.

A price is good for ten seconds, and gone after a restart. One of ten times the last is ignored, and the symbol is not
KNOWN until the next one. Nothing without end follows from one observation: what is judged is the best case of all
prices that were in force during the last second, and a high follows the worst case. A fill is a price, and confirms by
itself what the price before it showed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

SECOND = 1_000_000_000
GOOD_FOR = 10 * SECOND
CONFIRM = SECOND


@dataclass
class Held:
    """A symbol: the signed quantity held, and the prices of this life of the process as (time, price, is a fill)."""

    quantity: Fraction = Fraction(0)
    prices: list[tuple[int, Fraction, bool]] = field(default_factory=list)
    unconfirmed: bool = False

    def window(self) -> list[tuple[int, Fraction, bool]]:
        """Return the prices in force since a second before the newest one; none where that is too early."""
        at, _, is_fill = self.prices[-1]
        begin = self.prices[-2][0] if is_fill and len(self.prices) > 1 else at - CONFIRM
        before = [index for index, (then, *_) in enumerate(self.prices[:-1]) if then <= begin]
        return self.prices[before[-1] :] if before else []

    def extremes(self) -> tuple[Fraction, Fraction] | None:
        """Return the lowest and the highest of them."""
        found = [price for _, price, _ in self.window()]
        return (min(found), max(found)) if found else None


@dataclass
class Account:
    """An account with a trailing drawdown and a daily loss, both on equity; `locked` are the rules that locked it."""

    start: Fraction
    distance: Fraction
    loss: Fraction
    multiplier: Fraction
    traded: Fraction = Fraction(0)
    moved: Fraction = Fraction(0)
    high: Fraction = Fraction(0)
    held: dict[str, Held] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.high = self.start

    def status(self, now: int) -> str:
        """Return whether every open position has a price that may be used."""
        worst = "KNOWN"
        for each in self.held.values():
            if each.quantity and not each.prices:
                return "UNKNOWN"
            if each.quantity and (each.unconfirmed or now - each.prices[-1][0] > GOOD_FOR):
                worst = "STALE"
        return worst

    def equity(self, prices: dict[str, Fraction] | None = None) -> Fraction:
        """Return cash and positions at their newest prices, or at others."""
        value = sum(
            (
                each.quantity * (each.prices[-1][1] if prices is None else prices[symbol]) * self.multiplier
                for symbol, each in self.held.items()
                if each.quantity and each.prices
            ),
            Fraction(0),
        )
        return self.start + self.moved + self.traded + value

    def bounds(self) -> tuple[Fraction, Fraction] | None:
        """Return the worst and the best case over the confirming window; None while it is not complete."""
        worst, best = {}, {}
        for symbol, each in self.held.items():
            if not each.quantity:
                continue
            found = each.extremes()
            if found is None:
                return None
            low, high = found if each.quantity > 0 else (found[1], found[0])
            worst[symbol], best[symbol] = low, high
        return self.equity(worst), self.equity(best)

    # What happens

    def fill(self, now: int, symbol: str, quantity: Fraction, price: Fraction, fee: Fraction) -> None:
        each = self.held.setdefault(symbol, Held())
        each.quantity += quantity
        each.prices.append((now, price, True))
        each.unconfirmed = False
        self.traded -= quantity * price * self.multiplier + fee
        self.judge(now)

    def quote(self, now: int, symbol: str, price: Fraction, *, absurd: bool) -> None:
        each = self.held.setdefault(symbol, Held())
        each.unconfirmed = absurd and bool(each.prices)
        if not each.unconfirmed:
            each.prices.append((now, price, False))
        if each.quantity:
            self.judge(now)

    def move(self, now: int, amount: Fraction) -> None:
        """Cash from outside moves the balance, the high and with it the floor alike."""
        self.moved += amount
        self.high += amount
        self.judge(now)

    def restart(self, now: int) -> None:
        for each in self.held.values():
            each.prices, each.unconfirmed = [], False
        self.judge(now)

    def judge(self, now: int) -> None:
        """Lock what is breached, as far as it is known, and for what has no end, as far as it is confirmed."""
        if self.status(now) != "KNOWN":
            return
        bounds = self.bounds()
        if bounds is not None:
            self.high = max(self.high, bounds[0])
        if bounds is not None and bounds[1] <= self.high - self.distance and self.equity() <= self.high - self.distance:
            self.locked.add("trailing-drawdown")
        if self.equity() - self.start - self.moved <= -self.loss:
            self.locked.add("daily-loss")
