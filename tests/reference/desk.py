"""A log with one or two processes on it, each with a store, a book and its policies, which end and start at random."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import eventstore
import projections
from eventstore import Event, EventStore, ManualClock, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountConfigured, AccountOpened, Baseline, LimitsSet, Side, Valuation, Verdict
from projections import Policies
from projections.book import Book
from projections.risk import Proposal, check
from projections.rules import shipped_rules
from projections.sessions import Calendar
from projections.valuation import Status

EVERY_DAY = Calendar(zone="UTC", open=time(22), reset=time(22), weekdays=tuple(range(7)))
"""Trading days from 22:00 to 22:00, weekends too; weeks begin with the day of Monday."""
_MANY = 8


@dataclass
class Process:
    """One process: what it has open on the log."""

    store: EventStore
    book: Book
    policies: Policies


class Desk:
    """One log: in memory for one process or, one time in eight, in a directory for two."""

    def __init__(self, chance: random.Random, directory: Path, start: int, calendar: Calendar | None = None) -> None:
        self.chance, self.clock, self._calendar = chance, ManualClock(start), calendar
        self._directory = directory / f"log-{chance.getrandbits(60)}" if chance.randrange(_MANY) == 0 else None
        self._memory = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self._cuts = directory / f"cuts-{chance.getrandbits(60)}"
        self.processes = [self._opened() for _ in range(1 if self._directory is None else 2)]

    @property
    def now(self) -> int:
        return self.clock.now_ns()

    def open_account(self) -> None:
        """Open account A with 50,000 USD, valued at last prices, its days measured from the balance at the reset."""
        self.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        settings = AccountConfigured(valuation=Valuation.LAST, baseline=Baseline.BALANCE_AT_RESET)
        self.append("account/A/-", settings)

    def append(self, stream: str, event: Event, at: int | None = None) -> Record:
        """Append by one of the processes; what a book would refuse, straight to the store, as old programs did."""
        process = self.chance.choice(self.processes)
        by_hand = isinstance(event, LimitsSet) or self.chance.randrange(6) == 0
        target = process.store if by_hand else process.book
        [record] = target.append(stream, event, occurred_at=at, actor="desk")
        for each in self.processes:
            each.book.refresh()
        return record

    def restart(self) -> int:
        """End one process and start it again, from a cut or from the log; return its number."""
        number = self.chance.randrange(len(self.processes))
        ended = self.processes[number]
        if self.chance.randrange(2):
            ended.book.snapshot()
        self._close(ended)
        self.processes[number] = self._opened()
        return number

    def tick(self) -> int:
        """Let time pass in one process; return its number."""
        number = self.chance.randrange(len(self.processes))
        self.processes[number].policies.tick()
        return number

    def close(self) -> None:
        for each in self.processes:
            self._close(each)
        self._cuts.unlink(missing_ok=True)

    def _opened(self) -> Process:
        store = self._memory
        if self._directory is not None:
            store = eventstore.open(self._directory, clock=self.clock)
        # Beside a directory's journal by default.
        cuts = self._cuts if self._directory is None else None
        book = projections.open(store, snapshots=self.chance.choice((cuts, False)), calendars=self._calendar)
        return Process(store, book, Policies(book, shipped_rules()).start(ticking=False))

    def _close(self, process: Process) -> None:
        process.policies.stop()
        process.book.close()
        if self._directory is not None:
            process.store.close()


def answers(process: Process, now: int, symbol: str) -> dict[str, Any]:
    """Return what a book says of account A: lockouts, headroom, and whether a unit of new exposure is rejected."""
    book = process.book
    locked = {(each.rule_id, each.until, each.revocable) for each in book.lockouts.active("A", now)}
    headroom = {
        each.rule_id: None if each.status is not Status.KNOWN else (each.figure, each.limit)
        for each in book.limits.headroom("A", now)
    }
    found = [
        check(book, Proposal(account="A", symbol=symbol, side=side, quantity=Decimal(1_000)), now) for side in Side
    ]
    is_rejected = {each.verdict is Verdict.REJECT for each in found}
    assert len(is_rejected) == 1, f"one side is rejected alone: {[each.reason for each in found]}"
    assert process.policies.is_caught_up, repr(process.policies)
    return {"locked": locked, "headroom": headroom, "rejected": is_rejected.pop(), "why": found[0].reason}
