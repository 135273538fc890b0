"""Exposure as checks and rules see it, compared with its model on random histories with late and repeated reports."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    LimitsSet,
    OrderCanceled,
    OrderFilled,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReplaceRequested,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    PositionReported,
    QuoteReceived,
    Side,
)
from projections import risk
from projections.risk.caches import risk_cache
from projections.risk.proposals import Proposal
from tests.proving import rounds
from tests.reference.exposure import Exposure
from tests.reference.sent_orders import Fact

pytestmark = pytest.mark.untraced

START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
MOST = 12
STEPS = 25


class Scene:
    """A book beside its model; each step records a fact that is new, late or repeated, or restarts the process."""

    def __init__(self, seed: int) -> None:
        self.chance, self.clock, self.model = random.Random(seed), ManualClock(START), Exposure()
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.facts: list[Fact] = []
        self.number = 0
        self.book = projections.open(self.store)
        self.book.append("account/A/-", AccountOpened(starting_balance=Decimal(10**9), currency="USD"))
        self.book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(1), currency="USD"))
        limit = LimitsSet(rule_id="maximum-position", parameters={"limit": str(MOST), "warn_at": "9"})
        self.book.append("limits/A/maximum-position", limit, actor="desk")

    def step(self) -> None:
        chance = self.chance
        self.clock.advance(chance.choice([1, 1, 2, 6]) * SECOND)
        if chance.random() < 0.05:
            self.book.close()
            self.book = projections.open(self.store)
        else:
            self.record(self.repeated() if self.facts and chance.random() < 0.15 else self.fresh())
        self.book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(100)))

    def record(self, fact: Fact) -> None:
        stream = "position/A/ES" if fact.kind == "HOLD" else f"order/A/{fact.order}"
        recorded = self.book.append(stream, event_of(fact), occurred_at=fact.at)[-1]
        fact = replace(fact, recorded=recorded.recorded_at)
        self.model.apply(fact)
        self.facts.append(fact)

    def repeated(self) -> Fact:
        """Return an earlier report, or a fill, once more."""
        known = [each for each in self.facts if each.kind in {"FILL", "SAY", "HOLD"}]
        return self.chance.choice(known) if known else self.fresh()

    def fresh(self) -> Fact:
        chance, now = self.chance, self.clock.now_ns()
        self.number += 1
        if not self.model.orders or chance.random() < 0.25:
            return self.sent(now)
        order_id = chance.choice(list(self.model.orders))
        order, terms = self.model.orders[order_id], self.model.orders[order_id].terms
        fact = Fact("FILL", now, 0, order_id, terms.buys, chance.randint(1, 3), trade=f"T{self.number}")
        kind = chance.choice(["FILL", "FILL", "FILL", "ASK", "ANSWER", "END", "SAY", "SAY", "HOLD", "HOLD"])
        if kind == "SAY":
            filled = max(0, order.filled + chance.choice([0, 0, 1, 2]))
            total = chance.choice([order.total, order.total, order.asked or order.total, max(filled, 1)])
            status = chance.choice(["NEW", "NEW", "CANCELED"]) if filled < total else "FILLED"
            late = chance.choice([0, 0, 0, 3 * SECOND])
            return replace(fact, kind="SAY", at=now - late, quantity=total, filled=filled, status=status)
        if kind == "HOLD":
            held = self.model.held + chance.choice([0, 0, 0, 1, -1, 2, self.model.beyond])
            return replace(fact, kind="HOLD", at=now - self.lateness(now), quantity=held)
        if kind == "ASK":
            return replace(fact, kind="ASK", quantity=chance.randint(1, 8))
        if kind == "ANSWER" and order.pending:
            taken = chance.random() < 0.6
            return replace(fact, kind="TAKE" if taken else "REFUSE", quantity=order.asked or order.total)
        if kind == "END" and not (order.ended or order.done):
            return replace(fact, kind="END")
        # Some fills are recorded late.
        return replace(fact, at=now - chance.choice([0, 0, 0, 2 * SECOND]))

    def sent(self, now: int) -> Fact:
        chance = self.chance
        parent = chance.choice(["", *self.model.orders])
        ends_at = chance.choice([None, None, now + chance.randint(1, 40) * SECOND])
        buys, quantity = chance.random() < 0.5, chance.randint(1, 5)
        group = chance.choice(["", "", "g", "h"])
        return Fact("SEND", now, 0, f"O{self.number}", buys, quantity, group=group, parent=parent, ends_at=ends_at)

    def lateness(self, now: int) -> int:
        """Return how late a report of the position is: never of before the position was last flat, or turned."""
        late, held = self.chance.choice([0, 0, 0, 2 * SECOND, 4 * SECOND]), self.model.held
        for at, quantity in sorted(self.model.fills.values(), reverse=True):
            if at < now - late:
                return late
            if not held * (held - quantity) > 0:
                return 0
            held -= quantity
        return 0

    def problems(self) -> list[str]:
        now, model = self.clock.now_ns(), self.model
        found = risk_cache(self.book, "A", now).exposure.worst_case.get("ES", Decimal(0))
        problems = []
        if found != model.worst_case(now):
            problems.append(f"exposure {found}, not {model.worst_case(now)}")
        order = Proposal(account="A", symbol="ES", side=Side.BUY, quantity=Decimal(2))
        checked = risk.check(self.book, order, now)
        ids = {each.rule_id for each in checked.findings}
        if not (model.held < 0 and checked.passed) and ("reports" in ids) is not model.contradicts(now):
            problems.append(f"contradicts: {checked.reason}, not {model.contradicts(now)}")
        return problems


def event_of(fact: Fact) -> Event:
    side, quantity = Side.BUY if fact.buys else Side.SELL, Decimal(fact.quantity)
    match fact.kind:
        case "SEND":
            return OrderSubmitted(
                symbol="ES",
                side=side,
                quantity=quantity,
                link_group=fact.group or None,
                parent_order_id=fact.parent or None,
                expires_at=fact.ends_at,
            )
        case "ASK":
            return OrderReplaceRequested(quantity=quantity)
        case "TAKE":
            return OrderReplaced(quantity=quantity)
        case "REFUSE":
            return OrderReplaceRejected()
        case "END":
            return OrderCanceled()
        case "FILL":
            return OrderFilled(trade_id=fact.trade, symbol="ES", side=side, quantity=quantity, price=Decimal(100))
        case "SAY":
            status = OrderStatus(fact.status)
            return OrderReported(status=status, quantity=quantity, filled_quantity=Decimal(fact.filled))
        case _:
            return PositionReported(symbol="ES", quantity=quantity)


@pytest.mark.slow
def test_exposure_agrees_with_its_model_after_every_fact() -> None:
    for seed in rounds("exposure against its model", test=200, prove=20_000):
        scene = Scene(seed)
        for number in range(STEPS):
            scene.step()
            assert scene.problems() == [], f"seed {seed}, step {number}: {scene.facts}"
        scene.book.close()
        scene.store.close()
