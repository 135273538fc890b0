"""Limits on contracts compared with the reference: what is held and works, weights, scaling, lockouts that end."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from eventstore import Event
from eventstore.trading import (
    CashKind,
    CashMoved,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderRejected,
    OrderSubmitted,
    OrderType,
    QuoteReceived,
    Side,
    Verdict,
)
from projections.risk import Proposal, check
from tests.proving import rounds
from tests.reference.contract_limits import ContractLimits
from tests.reference.facts import Fact
from tests.reference.scene import MULTIPLIERS
from tests.reference.scene import Scene as Trading
from tests.reference.traded import Seen

pytestmark = pytest.mark.untraced

LENGTH = 6
WEIGHTS = {"NQ": "0.5"}
MISSPELT: tuple[tuple[str, dict[str, object]], ...] = (
    ("maximum-contract", {"limit": "3"}),
    ("maximum-contracts", {"limit": "many"}),
    ("maximum-contracts:b", {"max": "3"}),
)


class Scene(Trading[ContractLimits]):
    """An account that sends, fills and cancels orders, and trades beside them."""

    model_class = ContractLimits

    @override
    def limit(self) -> None:
        chance = self.chance
        rule = chance.choice(("maximum-contracts", "maximum-contracts:b"))
        given: dict[str, object] = {"limit": str(chance.choice((2, 4, 6))), "weights": WEIGHTS}
        if chance.randrange(3) == 0:
            given["scaling"] = [["50200", "8"], ["51000", "12"]]
        options: list[dict[str, object]] = [{"severity": "WARNING"}, {"revocable": False}, {"enabled": False}]
        given |= chance.choice(options) if chance.randrange(4) == 0 else {}
        if chance.randrange(10) == 0:
            rule, given = chance.choice(MISSPELT)
        self.set(rule, given)

    @override
    def step(self) -> None:
        super().step()
        # Time alone ends and begins lockouts, at the next tick.
        self.tick()
        self.chance.choice((self.order, self.order, self.execute, self.end, self.end))()
        self.judge()
        self.tick()
        for symbol in MULTIPLIERS:
            price = self.moved()
            for process, seen in zip(self.desk.processes, self.model.prices, strict=True):
                process.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=price))
                seen.setdefault(symbol, Seen()).prices.append((self.desk.now, Fraction(price), False))

    def order(self) -> None:
        """Send an order, which the venue may accept."""
        symbol, side = self.chance.choice(list(MULTIPLIERS)), self.chance.choice(list(Side))
        self.count += 1
        name, quantity = f"W{self.count}", self.chance.randint(1, 3)
        event = OrderSubmitted(
            symbol=symbol, side=side, quantity=Decimal(quantity), order_type=OrderType.LIMIT, limit_price=Decimal(1_000)
        )
        self.desk.append(f"order/A/{name}", event)
        if self.chance.randrange(2):
            self.desk.append(f"order/A/{name}", OrderAccepted())
        self.model.working[name] = symbol, Fraction(quantity if side is Side.BUY else -quantity)

    def execute(self) -> None:
        """Fill a working order, in part or all of it."""
        if not self.model.working:
            return
        name = self.chance.choice(list(self.model.working))
        symbol, left = self.model.working[name]
        done = self.chance.randint(1, int(abs(left)))
        side = 1 if left > 0 else -1
        self.count += 1
        fact = Fact("FILL", 0, self.desk.now, stream=f"order/{name}", id=f"T{self.count}", symbol=symbol, side=side)
        self.model.working[name] = symbol, left - side * done
        if abs(left) == done:
            del self.model.working[name]
        self.tell(replace(fact, quantity=Decimal(done), price=self.moved()))

    def end(self) -> None:
        """End an order: canceled, expired or rejected."""
        if self.model.working:
            name = self.chance.choice(list(self.model.working))
            kinds: tuple[type[Event], ...] = (OrderCanceled, OrderExpired, OrderRejected)
            has_filled = any(trade.stream == f"order/{name}" for trade in self.reported)
            self.desk.append(f"order/A/{name}", self.chance.choice(kinds[:2] if has_filled else kinds)())
            del self.model.working[name]

    @override
    def fill(self, at: int | None = None) -> None:
        """Trade without an order."""
        self.count += 1
        name, symbol = f"T{self.count}", self.chance.choice(list(MULTIPLIERS))
        fact = Fact("TRADE", 0, at or self.desk.now, stream=f"trade/{name}", id=name, symbol=symbol)
        fact = replace(fact, side=self.chance.choice((1, -1)), quantity=Decimal(self.chance.randint(1, 2)))
        self.trades.append(self.tell(replace(fact, price=self.moved(), fee=Decimal(1))))

    @override
    def cash(self) -> None:
        amount = Decimal(self.chance.choice((300, 900)))
        self.desk.append("account/A/-", CashMoved(amount=amount, currency="USD", kind=CashKind.DEPOSIT))
        self.model.moved += Fraction(amount)

    @override
    def fee(self) -> None:
        super().fee()
        # A fee may change what the balance allows: the next tick sees it.
        self.tick()

    @override
    def ticked(self) -> None:
        """A tick judges by what is in force before it records a trading day, and loosenings begin."""
        self.judge()
        super().ticked()

    @override
    def problems(self) -> list[str]:
        found = []
        for number, process in enumerate(self.desk.processes):
            now = self.desk.now
            locked = {(each.rule_id, each.until, each.revocable) for each in process.book.lockouts.active("A", now)}
            locked = {each for each in locked if each[0] != "unpriced"}
            if locked != self.model.active(now):
                found.append(f"{number}: locked {locked}, not {self.model.active(now)}")
            headroom: dict[str, Any] = {
                each.rule_id: None if each.figure is None else (each.figure, each.limit)
                for each in process.book.limits.headroom("A", now)
            }
            if headroom != self.model.figures(number, now):
                found.append(f"{number}: headroom {headroom}, not {self.model.figures(number, now)}")
            for symbol in MULTIPLIERS:
                for side, quantity in ((Side.BUY, 1), (Side.SELL, 1), (Side.BUY, 2)):
                    order = Proposal(account="A", symbol=symbol, side=side, quantity=Decimal(quantity))
                    said = check(process.book, order, now)
                    signed = Fraction(quantity if side is Side.BUY else -quantity)
                    if (said.verdict is Verdict.REJECT) is not self.model.rejects(symbol, signed, number, now):
                        found.append(f"{number}: {side} {quantity} {symbol} {said.verdict} {said.reason}")
        return found


@pytest.mark.slow
def test_contracts_are_limited_as_the_reference_says(memory_path: Path) -> None:
    for seed in rounds("contracts against the reference", test=200, prove=20_000):
        scene = Scene(seed, memory_path)
        for number in range(LENGTH):
            scene.step()
            assert scene.problems() == [], f"seed {seed}, step {number}"
        scene.desk.close()
