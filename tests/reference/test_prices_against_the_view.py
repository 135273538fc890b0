"""Prices with their status, and the extremes of the confirming window, against a plain model on random histories."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import projections
from eventstore import EventStore, ManualClock, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AdjustmentReason,
    ContractDefined,
    FeedAlive,
    PositionAdjusted,
    QuoteReceived,
    Side,
    TradeExecuted,
    Valuation,
)
from tests.proving import rounds
from tests.reference import valuing
from tests.reference.prices import PriceModel

pytestmark = pytest.mark.untraced

START = 1_750_000_000 * 10**9
SECOND = 10**9
STEPS = (0, SECOND // 10, SECOND // 2, SECOND, SECOND, 2 * SECOND, 11 * SECOND, 400 * SECOND)
OFFSETS = (0, 0, 0, 0, -SECOND // 5, SECOND // 5, -3 * SECOND, 5 * SECOND, 30 * SECOND, -3600 * SECOND)
SOURCES = (None, "F", "F", "G")


class History:
    """A book and the model, given the same events at the same times."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.clock, self.count = chance, ManualClock(START), 0
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book = projections.open(self.store)
        self.tick = chance.choice([None, Decimal("0.25"), Decimal("0.25")])
        self.negative = chance.random() < 0.2
        self.multiplier = 50
        self.define()
        self.model = PriceModel(None if self.tick is None else Fraction(self.tick), negative=self.negative)
        self.level = Decimal(100)

    def define(self) -> Record:
        contract = ContractDefined(
            symbol="X", multiplier=Decimal(self.multiplier), tick_size=self.tick, may_be_negative=self.negative
        )
        return self.book.append("contract/-/X", contract)[0]

    def step(self) -> None:
        chance = self.chance
        self.clock.advance(chance.choice(STEPS))
        kinds = [self.quote] * 12 + [self.fill] * 2 + [self.alive, self.alive]
        chance.choice([*kinds, chance.choice([self.split, self.redefine, self.restart, self.burst])])()

    def times(self) -> tuple[int, int]:
        now = self.clock.now_ns()
        return now + self.chance.choice(OFFSETS), now

    def price(self) -> Decimal:
        chance = self.chance
        self.level += Decimal(chance.randint(-8, 8)) / 4
        if chance.random() < 0.05:
            self.level *= chance.choice([Decimal("0.8"), Decimal("1.25")])
            self.level = max(Decimal(round(self.level)), Decimal(10))
        usual = self.level + Decimal(chance.randint(-2, 2)) / 4
        absurd = [Decimal(0), Decimal(-1), self.level * 10, self.level / 8]
        return chance.choice(absurd) if chance.random() < 0.1 else usual

    def quote(self) -> None:
        chance, (at, now), source = self.chance, self.times(), self.chance.choice(SOURCES)
        values: dict[str, Decimal] = {}
        if chance.random() < 0.6:
            bid = self.price()
            ask = bid + Decimal(chance.choice([-1, 0, 1, 1, 2, 4, 30])) / 4
            values |= chance.choice([{"bid": bid, "ask": ask}] * 3 + [{"bid": bid}, {"ask": ask}])
        values |= {kind: self.price() for kind in ("last", "mark") if chance.random() < 0.4}
        self.book.observe("quote/-/X", QuoteReceived(symbol="X", source=source, **values), occurred_at=at)
        self.model.quoted(at, now, source, **{name: Fraction(value) for name, value in values.items()})

    def burst(self) -> None:
        """Quote so often that the history of the confirming window is trimmed."""
        for _ in range(90):
            self.clock.advance(SECOND // 40)
            self.quote()

    def alive(self) -> None:
        (at, now), source = self.times(), self.chance.choice(("F", "G"))
        self.book.observe(f"feed/-/{source}", FeedAlive(source=source), occurred_at=at)
        self.model.heard(source, at, now)

    def fill(self) -> None:
        at, now = self.times()
        self.count += 1
        price, trade_id = self.price(), f"T{self.count}"
        trade = TradeExecuted(trade_id=trade_id, symbol="X", side=Side.BUY, quantity=Decimal(1), price=price)
        [record] = self.book.append(f"trade/A/{trade_id}", trade, occurred_at=at)
        self.clock.set(max(record.recorded_at, now))
        self.model.filled(at, record.recorded_at, Fraction(price))

    def split(self) -> None:
        split = PositionAdjusted(symbol="X", quantity=Decimal(1), reason=AdjustmentReason.SPLIT)
        [record] = self.book.append("position/A/X", split)
        self.clock.advance(1)
        self.forget(record.occurred_at)

    def redefine(self) -> None:
        self.multiplier += 1
        record = self.define()
        self.clock.advance(1)
        self.forget(record.occurred_at)

    def restart(self) -> None:
        self.book.close()
        self.book = projections.open(self.store)
        self.model.alive.clear()
        self.model.forget(self.model.until)

    def forget(self, until: int) -> None:
        at = self.model.at
        self.model.forget(until)
        self.model.at = at

    def problems(self) -> list[str]:
        found = []
        now = self.clock.now_ns()
        for valuation in self.chance.sample(list(Valuation), 2):
            long, later = self.chance.random() < 0.5, now + self.chance.choice((3, 11)) * SECOND
            # In both orders: what was computed for one instant must not answer for the other.
            for at in self.chance.choice([(now, later), (later, now)]):
                price = self.book.quotes.price("X", at, valuation, long=long)
                got: Any = (price.price, price.standing.status.value)
                expected: Any = valuing.price(self.model, at, valuation.value, long=long)
                if got != expected:
                    found.append(f"{valuation} {long} after {at - now}: {got}, not {expected}")
            got = self.book.quotes.extremes("X", now, valuation, long=long)
            expected = valuing.extremes(self.model, valuation.value, long=long)
            if got != expected:
                found.append(f"{valuation} {long} extremes: {got}, not {expected}")
        return found


@pytest.mark.slow
def test_prices_are_those_of_the_model() -> None:
    for seed in rounds("prices", test=200, prove=20_000):
        history = History(random.Random(seed))
        for number in range(40):
            history.step()
            assert history.problems() == [], f"seed {seed}, step {number}"
