"""Reference: how many contracts an account may hold at worst, by weight, and by its balance."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from typing_extensions import override

from tests.reference.facts import DAY
from tests.reference.limited import Figure, Limited
from tests.reference.traded import NOTHING, day_begin

START = Fraction(50_000)


@dataclass
class ContractLimits(Limited):
    """An account with such limits; `working` are its orders: symbol, signed quantity that may still be executed."""

    working: dict[str, tuple[str, Fraction]] = field(default_factory=dict)
    moved: Fraction = NOTHING

    def balance(self) -> Fraction:
        return START + self.moved + sum((step.made - step.fees for step in self.steps()), NOTHING)

    def held(self, symbol: str) -> Fraction:
        return sum((quantity for name, quantity, *_ in self.open_positions() if name == symbol), NOTHING)

    def worst(self, symbol: str, more: Fraction = NOTHING) -> Fraction:
        """Return the most that may be held of a symbol: all bought and nothing sold, or the other way round."""
        held = self.held(symbol)
        orders = [quantity for name, quantity in self.working.values() if name == symbol] + [more]
        bought = sum((quantity for quantity in orders if quantity > 0), NOTHING)
        sold = sum((quantity for quantity in orders if quantity < 0), NOTHING)
        return max(held + bought, -held - sold)

    def most(self, parameters: dict[str, Any]) -> Fraction:
        found = Fraction(parameters["limit"])
        for reached, scaled in parameters["scaling"]:
            found = Fraction(scaled) if self.balance() >= Fraction(reached) else found
        return found

    def total(self, parameters: dict[str, Any], symbol: str = "", more: Fraction = NOTHING) -> Fraction:
        """Return all contracts at worst, with an order of a symbol more."""
        names = {name for name, *_ in self.open_positions()} | {name for name, _ in self.working.values()} | {symbol}
        return sum(
            (
                self.worst(name, more if name == symbol else NOTHING) * Fraction(parameters["weights"].get(name, 1))
                for name in names - {""}
            ),
            NOTHING,
        )

    @override
    def figure(self, rule: str, parameters: dict[str, Any], process: int, now: int) -> Figure | None:
        return self.total(parameters), self.most(parameters)

    @override
    def judge(self, process: int, now: int) -> None:
        """Lock until the reset, and only while more is held than allowed, unless that is irrevocable."""
        until, exceeded = day_begin(now) + DAY, set[str]()
        for rule, parameters in self.settings.of(now).items():
            if parameters is None or self.total(parameters) <= self.most(parameters):
                continue
            exceeded.add(rule)
            if parameters["severity"] == "LOCKOUT" and not any(name == rule for name, *_ in self.active(now)):
                self.locked.append((rule, until, parameters["revocable"]))
        self.locked = [each for each in self.locked if each[0] in exceeded or not each[2]]

    def reduces(self, symbol: str, quantity: Fraction) -> bool:
        """Return whether an order, with those that work on its side, can only close what is held."""
        held = self.held(symbol)
        beside = [each for name, each in self.working.values() if name == symbol and each * quantity > 0]
        return held * quantity < 0 and abs(quantity) + sum(map(abs, beside), NOTHING) <= abs(held)

    def rejects(self, symbol: str, quantity: Fraction, process: int, now: int) -> bool:
        """Return whether an order is rejected: under a lockout, an unjudged limit, or more than allowed."""
        if self.reduces(symbol, quantity):
            return False
        return (
            bool(self.active(now))
            or not self.is_priced(process, now)
            or any(
                parameters is None
                or (
                    parameters["severity"] == "LOCKOUT"
                    and self.total(parameters, symbol, quantity) > self.most(parameters)
                )
                for parameters in self.settings.of(now).values()
            )
        )
