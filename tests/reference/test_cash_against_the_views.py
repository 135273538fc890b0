"""High water, floor, capital, balances and the days' cash compared with a plain model, on random histories."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    CashAtReset,
    CashKind,
    CashMoved,
    EquityMarked,
    RateQuoted,
    SessionClosed,
    SessionReset,
)
from projections.book import Book
from projections.views.accounts import capital
from projections.views.valuing import total_in
from tests.proving import rounds
from tests.reference import cash as model
from tests.reference.cash import Fact

pytestmark = pytest.mark.untraced

START = to_ns(datetime(2026, 1, 5, tzinfo=UTC))
MINUTE = 60 * 10**9
PAYOUTS = ("moves-floor", "keeps-floor", "floor-to=0", "floor-to=100.5", "floor-to=-20")
STREAMS = {"CASH": "account/A/-", "OPEN": "account/A/-", "CONFIGURE": "account/A/-", "MARK": "equity/A/-"}
LENGTH = 40


class Both:
    """One account in a book and in the model."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.chance = random.Random(seed)
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.cuts = directory / f"{seed}.sqlite"
        self.book: Book = projections.open(self.store, snapshots=self.cuts)
        self.facts: list[Fact] = []
        self.rates = {"USD": Decimal(1)}
        self.begins = self.chance.random() < 1 / 3
        self.add(Fact("OPEN", currency="USD", amount=self.amount()))
        self.quote()

    def amount(self) -> Decimal:
        return Decimal(self.chance.randint(-2_000, 2_000)) / 4

    def at(self) -> int:
        """Return a time, often exactly at a reset, sometimes late or in the future."""
        hours = self.chance.choice((0, 24, 48, 72, self.chance.randint(0, 80)))
        return START + hours * 60 * MINUTE + self.chance.choice((0, 0, -1, 1))

    def add(self, fact: Fact) -> None:
        """Append a fact; a closing's mark names it as its cause."""
        self.clock.advance(self.chance.choice((1, MINUTE, 240 * MINUTE)))
        causation_id = None
        if "close" in fact.figures:
            closing = self.book.append("session/A/-", SessionClosed())
            causation_id = closing[0].id
        at = fact.at if fact.kind == "CASH" else None
        stream = STREAMS.get(fact.kind, f"session/A/{fact.name}")
        [record] = self.book.append(stream, event_of(fact), occurred_at=at, actor="test", causation_id=causation_id)
        self.facts.append(replace(fact, recorded_at=record.recorded_at))

    def quote(self) -> None:
        """Record rates that move by less than a jump."""
        for code in ("EUR", "GBP"):
            rate = Decimal(self.chance.randint(100, 115)) / 100
            self.book.append(f"rate/-/{code}USD", RateQuoted(base=code, quote="USD", rate=rate))
            self.rates[code] = rate

    def step(self) -> None:
        match self.chance.randint(0, 12):
            case 0:
                self.add(Fact("CONFIGURE", payout=self.chance.choice(PAYOUTS)))
            case 1:
                self.add(Fact("OPEN", currency="USD", amount=self.amount()))
            case 2 | 3 | 4:
                self.add(Fact("MARK", figures=self.figures()))
            case 5 | 6:
                number = self.chance.randint(0, 2)
                day = START + number * 1_440 * MINUTE
                name = (datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=number)).date().isoformat()
                if name not in {fact.name for fact in self.facts}:
                    self.add(Fact("DAY", name=name, at=day, until=day + 1_440 * MINUTE, begins=self.begins))
            case 7:
                self.quote()
            case _:
                kind = self.chance.choice(list(CashKind)).value
                currency = self.chance.choice(("USD", "USD", "USD", "EUR", "GBP"))
                self.add(Fact("CASH", at=self.at(), currency=currency, amount=self.amount(), cash=kind))

    def figures(self) -> dict[str, Decimal]:
        figures = {name: self.amount() for name in ("high_water", "balance", "floor")}
        if self.chance.random() < 1 / 3:
            del figures["floor"]
        if self.chance.random() < 1 / 4:
            return figures | {"close": figures["balance"]}
        return figures | {"equity": min(self.amount(), figures["high_water"])}

    def restart(self) -> None:
        match self.chance.randint(0, 3):
            case 0:
                self.book.snapshot()
            case 1:
                self.book.close()
                self.book = projections.open(self.store, snapshots=self.cuts)
            case 2:
                self.book.close()
                self.book = projections.open(self.store, snapshots=False)


def event_of(fact: Fact) -> Event:
    match fact.kind:
        case "OPEN":
            return AccountOpened(starting_balance=fact.amount, currency=fact.currency)
        case "CONFIGURE":
            return AccountConfigured(payout=fact.payout)
        case "CASH":
            return CashMoved(amount=fact.amount, currency=fact.currency, kind=CashKind(fact.cash))
        case "MARK":
            figures: dict[str, Any] = {name: value for name, value in fact.figures.items() if name != "close"}
            # A mark of a close states an equity too, which does not count as one.
            return EquityMarked(**{"equity": figures["high_water"] - 1, **figures}, currency="USD")
        case _:
            flag = CashAtReset.DAY_THAT_BEGINS if fact.begins else None
            day = datetime.fromisoformat(fact.name).date()
            return SessionReset(trading_day=day, scheduled_for=fact.at, resets_at=fact.until, cash_at_reset=flag)


def problems(both: Both) -> list[tuple[str, object, object]]:
    """Return each figure in which book and model differ, as found and as expected."""
    book, facts, rates = both.book, both.facts, both.rates
    highs, mark = book.bests.highs("A"), book.equity.get("A")
    in_days = {name: {each.currency: each.cash for each in totals if each.cash} for name, totals in book.pnl.days("A")}
    pairs: list[tuple[str, object, object]] = [
        ("balance", highs.balance, model.high(facts, "balance", rates)),
        ("equity", highs.equity, model.high(facts, "equity", rates)),
        ("close", highs.close, model.high(facts, "close", rates)),
        ("high water", None if mark is None else mark.high_water, model.high(facts, "high_water", rates)),
        ("floor", book.equity.now("A").floor, model.floor(facts, rates)),
        (
            "capital",
            total_in(capital(book, "A", "USD"), "USD", book.rates, both.clock.now_ns()).amount,
            model.capital(facts, rates),
        ),
        (
            "balances",
            {each.currency: each.folded for each in book.accounts.balances("A") if each.folded},
            model.balances(facts),
        ),
        ("days", {name: found for name, found in in_days.items() if found}, model.days(facts)),
    ]
    return [each for each in pairs if each[1] != each[2]]


def test_cash_moves_what_the_model_says(memory_path: Path) -> None:
    for seed in rounds("cash against models", test=200, prove=20_000):
        both = Both(seed, memory_path)
        for _ in range(LENGTH):
            both.step()
            if both.chance.random() < 1 / 6:
                both.restart()
        assert problems(both) == []
        both.book.close()
        both.cuts.unlink(missing_ok=True)
