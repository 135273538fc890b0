"""Histories of two accounts in the models and, through one store, in the project's own book."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import Side, TradeBusted, TradeCorrected
from projections.book import Book
from tests.reference.facts import Fact
from tests.reference.histories import CONTRACTS, INVERSE, RULES, SPOT, START, event_of, history, place_of
from tests.reference.orders import Orders
from tests.reference.positions import Positions

ACCOUNTS = ("A", "B")
OTHER = 10**9
Recorded = list[tuple[str, Fact]]
"""Facts with the account that each is of, in the order of the log, among words for the book itself:

AHEAD (records are appended to the store, and the book reads them later as one page), REFRESH, SNAPSHOT, RESTART, and
REBUILD (a restart without snapshots).
"""


@dataclass
class Models:
    """What the models make of one account; `facts` are those applied, with their log positions."""

    account: str
    positions: Positions
    orders: Orders = field(default_factory=Orders)
    facts: list[Fact] = field(default_factory=list)

    @property
    def days(self) -> list[Fact]:
        return [fact for fact in self.facts if fact.kind == "DAY"]

    def apply(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.positions.apply(fact)
        self.orders.apply(fact)


@dataclass
class Pair:
    """An account in a book, and in the models at the same log position."""

    book: Book
    models: Models

    @property
    def account(self) -> str:
        return self.models.account


def recorded(
    seed: int, length: int = 60, rules: Collection[str] = tuple(RULES), symbols: Collection[str] = tuple(CONTRACTS)
) -> Recorded:
    """Return the histories of two accounts, of which the second is shorter, interleaved; trade ids are used in both."""
    chance = random.Random(seed)
    # Contracts belong to no account: those of one history are for both.
    other = [fact for fact in history(seed + OTHER, length // 3, rules, symbols) if fact.kind != "DEFINE"]
    left = {"A": history(seed, length, rules, symbols), "B": other}
    order = [account for account in ACCOUNTS for _ in left[account]]
    chance.shuffle(order)
    facts: Recorded = []
    for account in order:
        fact = left[account].pop(0)
        if fact.kind == "RESTART":
            fact = replace(fact, kind=chance.choice(("RESTART", "SNAPSHOT", "REBUILD", "REFRESH")))
        facts.append((account, fact))
        if chance.random() < 1 / 20:
            facts.append((account, replace(fact, kind="AHEAD")))
        elif chance.random() < 1 / 10:
            facts.append((account, replace(fact, kind="REFRESH")))
    # How these count must be known from the start; what becomes of them if it is not has tests of its own.
    early = [each for each in facts if each[1].kind == "DEFINE" and each[1].symbol in {INVERSE, SPOT}]
    return early + [each for each in facts if each not in early]


class Compared:
    """What is recorded, in the models and in a book."""

    def __init__(self, facts: Recorded, snapshots: Path, **bounds: int) -> None:
        self._bounds, self._snapshots = bounds, snapshots
        self._clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self._clock), clock=self._clock)
        self.models = self.models_at(0)
        self.applied: Recorded = []
        self.book: Book = projections.open(self.store, snapshots=snapshots)
        self._is_ahead = False
        for account, fact in facts:
            self._apply(account, fact)
        self.book.refresh()

    @property
    def pairs(self) -> list[Pair]:
        return [Pair(self.book, each) for each in self.models.values()]

    def models_at(self, position: int) -> dict[str, Models]:
        """Return what the models make of the log up to a position."""
        models = {account: Models(account, Positions(**self._bounds)) for account in ACCOUNTS}
        for account, fact in self.applied if position else []:
            if fact.log <= position:
                _apply_to(models, account, fact)
        return models

    def close(self) -> None:
        self.book.close()
        self.store.close()

    def _apply(self, account: str, fact: Fact) -> None:
        match fact.kind:
            case "AHEAD":
                self._is_ahead = True
            case "REFRESH":
                self._is_ahead = False
                self.book.refresh()
            case "SNAPSHOT":
                self.book.snapshot()
            case "RESTART" | "REBUILD":
                self.book.close()
                kept: Path | Literal[False] = self._snapshots if fact.kind == "RESTART" else False
                self.book = projections.open(self.store, snapshots=kept)
                self._is_ahead = False
            case _:
                self._record(account, fact)

    def _record(self, account: str, fact: Fact) -> None:
        event, head = event_of(fact), self.store.head()
        assert event is not None
        # A fact without a time is recorded when it is: `at`. Nothing is recorded before it has happened.
        self._clock.advance(max(0, (fact.recorded or fact.at) - self._clock.now_ns()))
        # A book completes busts and corrections by what it knows, another process does not.
        append = self.store.append if self._is_ahead or fact.log % 2 else self.book.append
        (record,) = append(place_of(fact, account), event, occurred_at=fact.at if fact.timed else None)
        if not self._is_ahead:
            self.book.refresh()
        # A report that is recorded already, in the same stream and with the same words, is that record.
        if record.position > head:
            placed = replace(fact, log=record.position, at=record.occurred_at, recorded=record.recorded_at)
            fact = as_recorded(placed, record.event)
            self.applied.append((account, fact))
            _apply_to(self.models, account, fact)


def as_recorded(fact: Fact, event: Event) -> Fact:
    """Return a bust or correction with what the book has added of its trade before it was recorded."""
    if not isinstance(event, TradeBusted | TradeCorrected):
        return fact
    side = None if event.side is None else 1 if event.side is Side.BUY else -1
    fact = replace(fact, symbol=event.symbol, side=side, quantity=event.quantity, price=event.price)
    if isinstance(event, TradeBusted):
        return replace(fact, fee=event.fee, currency=event.fee_currency or "", held=event.position_side)
    size, price = event.previous_quantity, event.previous_price
    before = None if size is None or price is None else (size, price)
    return replace(fact, before=before, held=event.position_side)


def _apply_to(models: dict[str, Models], account: str, fact: Fact) -> None:
    for each in models.values() if fact.kind == "DEFINE" else [models[account]]:
        each.apply(fact)
