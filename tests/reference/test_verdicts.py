"""Lockouts compared with the reference on random days: restarts, dead feeds, absurd prices, fills, cash in and out."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    CashKind,
    CashMoved,
    ContractDefined,
    LimitsSet,
    OrderFilled,
    QuoteReceived,
    Side,
    Valuation,
)
from projections import Policies
from projections.rules import shipped_rules
from tests.proving import rounds
from tests.reference.verdicts import Account

pytestmark = pytest.mark.untraced

START = 1_790_000_000 * NANOSECONDS
SYMBOLS = {"ESZ6": Decimal(6_000), "NQZ6": Decimal(21_000)}
GAPS_MS = (100, 400, 700, 1_000, 1_300, 3_000, 11_000)
RULES = {"trailing-drawdown", "daily-loss"}


class Scene:
    """One account of a real store, with the shipped policies, and the reference beside it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.clock = chance, ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.prices, self.count, self.absurd = dict(SYMBOLS), 0, ""
        self.model = Account(Fraction(50_000), Fraction(2_000), Fraction(1_500), Fraction(10))
        self.open()
        self.book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        self.book.append("account/A/-", AccountConfigured(valuation=Valuation.LAST), actor="desk")
        for symbol in SYMBOLS:
            self.book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, multiplier=Decimal(10)))
        for rule, given in (("trailing-drawdown", {"distance": "2000"}), ("daily-loss", {"limit": "1500"})):
            limit = LimitsSet(rule_id=rule, parameters={**given, "basis": "equity"})
            self.book.append(f"limits/A/{rule}", limit, actor="desk")

    def open(self) -> None:
        self.book = projections.open(self.store)
        self.policies = Policies(self.book, shipped_rules()).start(ticking=False)

    def close(self) -> None:
        self.policies.stop()
        self.book.close()

    def step(self) -> None:
        """Do one of the things that happen, to both."""
        self.clock.advance(self.chance.choice(GAPS_MS) * 1_000_000)
        now, symbol = self.clock.now_ns(), self.chance.choice(list(SYMBOLS))
        kind = self.chance.choices(("quote", "fill", "cash", "restart", "wait"), (70, 20, 4, 3, 3))[0]
        if kind == "restart":
            self.close()
            self.open()
            self.model.restart(now)
        elif kind == "cash":
            amount = self.chance.choice((500, -500, 3_000))
            kinds = CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
            self.book.append("account/A/-", CashMoved(amount=Decimal(abs(amount)), currency="USD", kind=kinds))
            self.model.move(now, Fraction(amount))
        elif kind == "fill":
            self._fill(now, symbol)
        elif kind == "quote":
            self._quote(now, symbol)

    def _moved(self, symbol: str) -> Decimal:
        self.prices[symbol] += SYMBOLS[symbol] / 1_000 * self.chance.randint(-6, 6)
        return self.prices[symbol]

    def _quote(self, now: int, symbol: str) -> None:
        known = self.model.held.get(symbol)
        is_absurd = self.chance.randrange(12) == 0 and known is not None and not known.unconfirmed
        price = self.prices[symbol] * 10 if is_absurd else self._moved(symbol)
        if is_absurd and known is not None and not known.prices:
            price = self._moved(symbol)
        self.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=price))
        self.model.quote(now, symbol, Fraction(price), absurd=is_absurd)

    def _fill(self, now: int, symbol: str) -> None:
        self.count += 1
        side, quantity, price = self.chance.choice(list(Side)), Decimal(self.chance.randint(1, 2)), self._moved(symbol)
        fill = OrderFilled(
            trade_id=f"T{self.count}", symbol=symbol, side=side, quantity=quantity, price=price, fee=Decimal(2)
        )
        self.book.append(f"order/A/O{self.count}", fill)
        signed = Fraction(quantity) if side is Side.BUY else -Fraction(quantity)
        self.model.fill(now, symbol, signed, Fraction(price), Fraction(2))

    def problems(self) -> list[str]:
        """Return where the book says something else than the reference."""
        now, found = self.clock.now_ns(), []
        equity, status = self.book.equity.now("A"), self.model.status(now)
        if equity.status != status:
            found.append(f"status {equity.status} ({equity.why}), not {status}")
        if status == "KNOWN" and Fraction(equity.equity) != self.model.equity():
            found.append(f"equity {equity.equity}, not {self.model.equity()}")
        locked = {each.rule_id for each in self.book.lockouts.active("A", now)} & RULES
        if locked != self.model.locked:
            found.append(f"locked by {sorted(locked)}, not by {sorted(self.model.locked)}")
        return found


@pytest.mark.slow
def test_lockouts_follow_as_the_reference_says() -> None:
    for seed in rounds("verdicts against the reference", test=200, prove=20_000):
        scene = Scene(random.Random(seed))
        for number in range(30):
            scene.step()
            assert scene.problems() == [], f"seed {seed}, step {number}"
        scene.close()
