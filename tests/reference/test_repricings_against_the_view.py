"""Prices of contracts that are defined again, split and renamed, against a plain model, with restarts in between."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import ManualClock
from eventstore.trading import AdjustmentReason, ContractDefined, PositionAdjusted, QuoteReceived, Valuation
from tests.proving import rounds
from tests.reference.repricings import RepricingModel

pytestmark = pytest.mark.untraced

START = 1_750_000_000 * 10**9
SECOND = 10**9
SYMBOLS = ("ESU5", "ESZ5", "NQZ5")
NAMES = (*SYMBOLS, "@1", "@2", "@3")


class History:
    """A book and the model, given the same events at the same times."""

    def __init__(self, chance: random.Random, directory: Path) -> None:
        self.chance, self.directory, self.clock = chance, directory, ManualClock(START)
        self.book = projections.open(eventstore.open(directory, clock=self.clock))
        self.model, self.times, self.count = RepricingModel(), [START], 0

    def step(self) -> None:
        self.clock.advance(SECOND)
        self.times.append(self.clock.now_ns())
        kinds = [self.define] * 5 + [self.split] * 2 + [self.quote] * 6 + [self.restart]
        self.chance.choice(kinds)()

    def define(self) -> None:
        chance, symbol = self.chance, self.chance.choice(SYMBOLS)
        multiplier = Decimal(chance.choice((1, 1, 2)))
        names = tuple(chance.sample(NAMES, chance.choice((0, 1, 1, 2))))
        names = tuple(name for name in names if name != symbol)
        event = ContractDefined(symbol=symbol, multiplier=multiplier, broker_ids=names)
        self.book.append(f"contract/-/{symbol}", event)
        self.model.define(symbol, multiplier, names, self.times[-1])

    def split(self) -> None:
        name, account = self.chance.choice(NAMES), self.chance.choice("AB")
        event = PositionAdjusted(symbol=name, quantity=Decimal(1), reason=AdjustmentReason.SPLIT)
        self.book.append(f"position/{account}/{name}", event)
        self.model.split(name, self.times[-1])

    def quote(self) -> None:
        """Observe a price of now, or send one again that is from before."""
        chance, name = self.chance, self.chance.choice(NAMES)
        self.count += 1
        # No two are of one instant, and all are near each other.
        at = chance.choice((self.times[-1], chance.choice(self.times))) + self.count - SECOND // 2
        price = 100 + Decimal(self.count) / 1_000
        self.book.observe(f"quote/-/{name}", QuoteReceived(symbol=name, last=price), occurred_at=at)
        self.model.quoted(name, at, price)

    def restart(self) -> None:
        if self.chance.random() < 0.5:
            self.book.snapshot()
        self.close()
        self.book = projections.open(eventstore.open(self.directory, clock=self.clock))
        self.model.restart()

    def close(self) -> None:
        store: Any = self.book.reader
        self.book.close()
        store.close()

    def problems(self) -> list[str]:
        found = []
        for name in NAMES:
            got = self.book.quotes.price(name, self.clock.now_ns(), Valuation.LAST, long=True).price
            expected = self.model.price(name)
            if got != expected:
                found.append(f"{name}: {got}, not {expected}")
        return found


@pytest.mark.slow
def test_prices_after_changes_are_those_of_the_model(tmp_path: Path) -> None:
    for seed in rounds("repricings", test=60, prove=5_000):
        history = History(random.Random(seed), tmp_path / str(seed))
        for number in range(30):
            history.step()
            assert history.problems() == [], f"seed {seed}, step {number}"
        history.close()
