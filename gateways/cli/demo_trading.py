"""The demo's trading process: plays the day into a store, and goes on from whatever a killed one left there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from eventstore import Batch, EventStore, Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import Allows, LockoutSet
from gateways.cli.demo_day import ACCOUNTS, RESET_AT, Fact, ticks
from projections import Book
from projections import open as open_book

Acknowledged = Callable[[Sequence[Record]], None]

LOSS_MAX = Decimal(3_000)
RULE = "daily-loss"
NOTICED_AFTER_NS = 15 * NANOSECONDS
SENT_AGAIN = 200
"""After a kill nobody knows what of the last appends was on disk: so many events are sent again, under their keys."""


class TradingLoop:
    """Appends the day tick by tick, asks the book before each order, and locks out whoever has lost too much.

    The day is the same in every run, so one that was cut short is played again in memory up to where the journal
    ends. `acknowledged` is called with the records of each append, once they are on disk.
    """

    def __init__(self, store: EventStore, acknowledged: Acknowledged) -> None:
        self.refused = self.sent_again = 0
        self._store, self._acknowledged = store, acknowledged
        self._book: Book = open_book(store)
        self._found = store.head()
        self._at = 0

    def run(self) -> None:
        """Play the day to its end."""
        with self._book:
            for facts in ticks(self._may_open):
                end = self._at + len(facts)
                if end > self._found - SENT_AGAIN:
                    self._append(facts)
                self._at = end
                self._watch_losses(facts[0].occurred_at + NOTICED_AFTER_NS)

    def _append(self, facts: Sequence[Fact]) -> None:
        batches = [Batch(fact.stream, fact.event, key=fact.key, occurred_at=fact.occurred_at) for fact in facts]
        records = self._book.append_many(batches)
        # The journal is this loop's own: what it returns stands where the day has it, now or before the kill.
        assert [record.position for record in records] == list(range(self._at + 1, self._at + 1 + len(facts)))
        self.sent_again += records[-1].position <= self._found and len(records)
        self._acknowledged(records)

    def _may_open(self, account: str, symbol: str, at: int) -> bool:
        # A lockout that the journal holds already had not been set yet when the earlier part of the day was played.
        locked = any(lock.set_at <= at for lock in self._book.lockouts.active(account, at, symbol))
        self.refused += locked
        return not locked

    def _watch_losses(self, now: int) -> None:
        if self._at < self._found:
            self._pass_over_lockout(now)
            return
        for account in ACCOUNTS:
            if not self._book.lockouts.active(account, now) and net(self._book, account) <= -LOSS_MAX:
                self._lock_out(account, now)

    def _pass_over_lockout(self, now: int) -> None:
        """Count a lockout that the journal holds from just here, so that the places that follow are right."""
        for account in ACCOUNTS:
            for lock in self._book.lockouts.active(account, now):
                self._at += lock.positions[0] == self._at + 1

    def _lock_out(self, account: str, now: int) -> None:
        lost = net(self._book, account)
        event = LockoutSet(
            rule_id=RULE,
            allows=Allows.REDUCE_ONLY,
            reason=f"{-lost:,} USD lost, {LOSS_MAX:,} is the limit",
            until=RESET_AT,
            revocable=False,
        )
        self._append([Fact(f"lockout/{account}/{RULE}", event, f"{RULE} 2025-11-19", now)])
        self._at += 1


def net(book: Book, account: str) -> Decimal:
    """Return an account's realized profit and loss, after fees."""
    return sum((position.realized - position.fees for position in book.positions.of(account)), Decimal(0))
