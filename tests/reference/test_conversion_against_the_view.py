"""Conversions compared with a plain model, on random rates and quotes: late, repeated, absurd, in both directions."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import QuoteReceived, RateQuoted
from projections.book import Book
from tests.proving import rounds
from tests.reference.conversion import Observed, convert

pytestmark = pytest.mark.untraced

START = 1_750_000_000 * 10**9
SECOND = 10**9
LENGTH = 40


class Both:
    """A book and what was observed of EUR and USD."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.chance = random.Random(seed)
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.cuts = directory / f"{seed}.sqlite"
        self.book: Book = projections.open(self.store, snapshots=self.cuts)
        self.observed: list[Observed] = []
        self.price = {"EUR": Decimal(110), "USD": Decimal(90)}

    def step(self) -> None:
        self.clock.advance(self.chance.choice((0, SECOND // 2, SECOND, 3 * SECOND, 40 * SECOND, 130 * SECOND)))
        match self.chance.randint(0, 9):
            case 0:
                self.restart()
            case 1 | 2 | 3:
                self.quote()
            case _:
                self.rate()

    def rate(self) -> None:
        now, chance = self.clock.now_ns(), self.chance
        offset = chance.choice((0, 0, 0, 0, -SECOND, -SECOND // 2, -90 * SECOND, 60 * SECOND, 200 * SECOND))
        base = chance.choice(("EUR", "EUR", "USD"))
        # Sometimes stated the wrong way round, and sometimes absurd.
        value = Decimal(chance.choice((100, 105, 110, 120, 121, 90, 91, 220, 230, 5))) / 100
        quote = "USD" if base == "EUR" else "EUR"
        event = RateQuoted(base=base, quote=quote, rate=value)
        [record] = self.book.append(f"rate/-/{base}{quote}", event, occurred_at=now + offset)
        self.observed.append(Observed(False, base, value, now + offset, record.recorded_at))

    def quote(self) -> None:
        """Observe a price near the symbol's last: what is ignored, and until when, is not the subject here."""
        # Which of two at one time is the newest is not the subject either.
        self.clock.advance(1)
        now, base = self.clock.now_ns(), self.chance.choice(("EUR", "USD"))
        self.price[base] = min(max(self.price[base] + self.chance.randint(-2, 2), Decimal(60)), Decimal(140))
        value, symbol = self.price[base] / 100, "EURUSD" if base == "EUR" else "USDEUR"
        self.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=value), occurred_at=now)
        self.observed.append(Observed(True, base, value, now, now))

    def restart(self) -> None:
        """Write a cut, or open the book again with or without it: quotes are not known then."""
        if self.chance.random() < 1 / 3:
            self.book.snapshot()
            return
        self.book.close()
        self.book = projections.open(self.store, snapshots=self.chance.choice((self.cuts, False)))
        self.observed = [each for each in self.observed if not each.is_quote]


def test_amounts_are_what_the_model_says(memory_path: Path) -> None:
    for seed in rounds("conversion against a model", test=200, prove=20_000):
        both = Both(seed, memory_path)
        for _ in range(LENGTH):
            both.step()
            amount = Decimal(both.chance.randint(-3, 3))
            source, target = both.chance.choice((("EUR", "USD"), ("USD", "EUR"), ("USD", "USD")))
            at = both.clock.now_ns() + both.chance.choice((0, 0, 9 * SECOND, 11 * SECOND, 100 * SECOND))
            found = both.book.rates.convert(amount, source, target, at)
            assert (found.amount, found.standing.status) == convert(both.observed, amount, source, target, at)
        both.book.close()
        both.cuts.unlink(missing_ok=True)
