"""A day's result under each baseline compared with the reference on random days: restarts, dead feeds, cash."""

from __future__ import annotations

import decimal
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
    Baseline,
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
from projections.decimals import FIXED
from projections.risk.account_figures import figures_of
from projections.risk.limits.daily_loss import DailyLossParameters
from projections.risk.limits.results import Basis, period_results
from projections.rules import shipped_rules
from tests.proving import rounds
from tests.reference.baselines import DAY, Account

pytestmark = pytest.mark.untraced

START = 1_789_999_000 * NANOSECONDS
GAPS_MS = (300, 1_000, 1_500, 2_500, 12_000, 400_000, 20_000_000)
PARAMETERS = DailyLossParameters(limit=Decimal(10_000_000), basis=Basis.EQUITY)


class Scene:
    """An account for each baseline, to which the same happens."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.clock = chance, ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.price, self.count, self.model = Decimal(6_000), 0, Account(Fraction(10))
        self.model.at(START)
        self.open()
        self.book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(10), currency="USD"))
        for account in Baseline:
            self.book.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
            settings = AccountConfigured(valuation=Valuation.LAST, baseline=account)
            self.book.append(f"account/{account}/-", settings, actor="desk")
            limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "10000000", "basis": "equity"})
            self.book.append(f"limits/{account}/daily-loss", limit, actor="desk")

    def open(self) -> None:
        self.book = projections.open(self.store)
        self.policies = Policies(self.book, shipped_rules()).start(ticking=False)

    def close(self) -> None:
        self.policies.stop()
        self.book.close()

    def step(self) -> None:
        """Do one of the things that happen, to all."""
        gap = self.chance.choice(GAPS_MS) * 1_000_000
        if self.chance.randrange(8) == 0:
            # To just after the reset, where equity still counts as that at the reset.
            gap = DAY - self.clock.now_ns() % DAY + NANOSECONDS
        self.clock.advance(gap)
        now = self.clock.now_ns()
        self.model.at(now)
        kind = self.chance.choices(("quote", "fill", "cash", "restart"), (60, 20, 10, 5))[0]
        self.price += self.chance.randint(-20, 20)
        if kind == "quote":
            self.book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=self.price))
            self.model.quote(now, Fraction(self.price))
        elif kind == "restart":
            self.close()
            self.open()
            self.model.restart()
        elif kind == "cash":
            self._cash(now)
        else:
            self._fill(now)

    def _cash(self, now: int) -> None:
        amount = self.chance.choice((7, -5))
        kind = self.chance.choice((CashKind.FUNDING, CashKind.INTEREST, CashKind.DEPOSIT))
        for account in Baseline:
            moved = CashMoved(amount=Decimal(amount), currency="USD", kind=kind)
            self.book.append(f"account/{account}/-", moved)
        self.model.cash(now, Fraction(0 if kind is CashKind.DEPOSIT else amount))

    def _fill(self, now: int) -> None:
        self.count += 1
        side, quantity = self.chance.choice(list(Side)), Decimal(self.chance.randint(1, 3))
        for account in Baseline:
            fill = OrderFilled(
                trade_id=f"T{self.count}", symbol="ES", side=side, quantity=quantity, price=self.price, fee=Decimal(2)
            )
            self.book.append(f"order/{account}/O{self.count}", fill, occurred_at=now)
        signed = Fraction(quantity) if side is Side.BUY else -Fraction(quantity)
        self.model.fill(now, signed, Fraction(self.price), Fraction(2))

    def problems(self) -> list[str]:
        """Return where a result or its status is another than the reference's."""
        now, found = self.clock.now_ns(), []
        for account in Baseline:
            with decimal.localcontext(FIXED):
                [result] = period_results(figures_of(self.book, account, now), PARAMETERS, basis=Basis.EQUITY)
            status, amount = self.model.result(now, account)
            if result.standing.status != status:
                found.append(f"{account}: {result.standing.status} ({result.standing.why}), not {status}")
            elif amount is not None and Fraction(result.amount) != amount:
                found.append(f"{account}: {result.amount}, not {float(amount)}")
        return found


@pytest.mark.slow
def test_a_days_result_is_measured_as_the_reference_says() -> None:
    for seed in rounds("results by baseline", test=200, prove=20_000):
        scene = Scene(random.Random(seed))
        for number in range(30):
            scene.step()
            assert scene.problems() == [], f"seed {seed}, step {number}"
        scene.close()
