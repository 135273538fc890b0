"""Reference: the limits of one group of accounts, from the facts in the order in which they were recorded.

Three limits: the members' loss of their trading days in the group's currency, their contracts, and their fills. A
lockout by the loss or by the fills lasts longer than any history; one by contracts as long as there are too many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

LOSS, CONTRACTS, FILLS = "daily-loss", "maximum-contracts", "trade-limit"
LASTING = {LOSS, FILLS}
OWN = "USD"
GOOD_FOR = 10


@dataclass
class Account:
    """An account: its lots by symbol, first in first out, and what its trading day has made and filled."""

    currency: str
    lots: dict[str, list[Fraction]] = field(default_factory=dict)
    made: Fraction = Fraction(0)
    fills: int = 0
    locked: set[str] = field(default_factory=set)

    def fill(self, symbol: str, quantity: int, price: Fraction, multiplier: int) -> None:
        """Buy, or with a negative quantity sell; a lot is one contract, a short one has its price below zero."""
        lots = self.lots.setdefault(symbol, [])
        sign = 1 if quantity > 0 else -1
        for _ in range(abs(quantity)):
            if lots and (lots[0] > 0) is (sign < 0):
                self.made += (price - abs(lots[0])) * multiplier * -sign
                del lots[0]
            else:
                lots.append(sign * price)
        self.fills += 1

    @property
    def contracts(self) -> int:
        """Return the number of contracts held, of all symbols."""
        return sum(map(len, self.lots.values()))


@dataclass
class Rule:
    """A limit: what is in force, and what waits, with the members that have begun a trading day since it was set."""

    held: int | None = None
    waiting: int | None = None
    begun: set[str] = field(default_factory=set)

    def change(self, limit: int) -> None:
        """Set the limit: a lower one holds at once, a higher one waits."""
        self.waiting, self.begun = None, set()
        if self.held is None or limit <= self.held:
            self.held = limit
        else:
            self.waiting = limit

    def look(self, members: set[str]) -> None:
        """Let what waits come into force, if every member has begun a day."""
        if self.waiting is not None and members and members <= self.begun:
            self.held, self.waiting = self.waiting, None


@dataclass
class Group:
    """The group, all accounts in it or not, and the newest rate of each currency with its time, in seconds."""

    accounts: dict[str, Account]
    multiplier: int
    members: set[str] = field(default_factory=set)
    rules: dict[str, Rule] = field(default_factory=lambda: {name: Rule() for name in (LOSS, CONTRACTS, FILLS)})
    rates: dict[str, tuple[Fraction, int]] = field(default_factory=dict)
    now: int = 0

    # Facts

    def define(self, members: set[str]) -> None:
        self.members = members
        for rule in self.rules.values():
            rule.look(members)

    def limit(self, name: str, limit: int) -> None:
        self.rules[name].change(limit)

    def begin(self, name: str) -> None:
        """Begin an account's trading day."""
        account = self.accounts[name]
        account.made, account.fills = Fraction(0), 0
        for rule in self.rules.values():
            if name in self.members:
                rule.begun.add(name)
                rule.look(self.members)

    def fill(self, name: str, symbol: str, quantity: int, price: Fraction) -> None:
        self.accounts[name].fill(symbol, quantity, price, self.multiplier)

    # Answers

    def figure(self, name: str) -> Fraction | None:
        """Return what the members have together of a limit; None while a rate that it needs is unknown."""
        members = [self.accounts[member] for member in sorted(self.members)]
        if name == CONTRACTS:
            return Fraction(sum(each.contracts for each in members))
        if name == FILLS:
            return Fraction(sum(each.fills for each in members))
        total = Fraction(0)
        for each in members:
            if not each.made or each.currency == OWN:
                total -= each.made
                continue
            rate, at = self.rates.get(each.currency, (Fraction(0), -GOOD_FOR))
            if self.now - at > GOOD_FOR or not rate:
                return None
            total -= each.made * rate
        return total

    def is_breach(self, name: str, more: int = 0) -> bool | None:
        """Return whether a limit is breached, with so many contracts more; None while that is unknown."""
        most, figure = self.rules[name].held, self.figure(name)
        if most is None or figure is None:
            return None
        return figure + more > most if name == CONTRACTS else figure >= most

    def judge(self) -> None:
        """Lock every member where a limit is breached, and release what is over."""
        for name in self.rules:
            breach = self.is_breach(name)
            if breach and self.members:
                for member in self.members:
                    self.accounts[member].locked.add(name)
            elif breach is False and name not in LASTING and self.members:
                for account in self.accounts.values():
                    account.locked.discard(name)

    def rejects(self) -> set[str]:
        """Return the limits that reject a member's order of one contract of a symbol that nobody holds."""
        return {
            name
            for name, rule in self.rules.items()
            if rule.held is not None and self.is_breach(name, 1 if name == CONTRACTS else 0) is not False
        }
