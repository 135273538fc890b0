"""The demo's trading process: plays the day into a log, and resumes where a killed one stopped."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from decimal import Decimal

import eventstore
from eventstore import Batch, EventStore, ManualClock, Record
from eventstore.trading import EnforcementTaken
from gateways.demo.day import (
    ACCOUNTS,
    EVENTS_APART_NS,
    INSTRUMENTS,
    OPENS_AT,
    SEED,
    TICK_NS,
    ZONE,
    Fact,
    SimulatedMarket,
    ticks,
)
from projections import Book, Calendar, Policies
from projections import open as open_book
from projections.risk.policies.protocol import ACTOR
from projections.rules import shipped_rules

Acknowledged = Callable[[Sequence[Record]], None]

SENT_AGAIN = 200
"""Events sent again after a kill, under their keys, because it is unknown which of the last are on disk."""
_RESET = datetime.time(17)
CALENDAR = Calendar(zone=ZONE, open=_RESET, reset=_RESET)


class TradingLoop:
    """Appends the day tick by tick, asks the book before each order, and runs the built-in policies on its limits.

    It opens its own store on the log, with the day's clock, so that the policies decide at that day's times. The day
    is the same in every run, so one that was cut short is replayed in memory up to the end of the log. `acknowledged`
    is called with the records of each tick once they are on disk.
    """

    def __init__(self, store: EventStore, acknowledged: Acknowledged) -> None:
        assert store.directory is not None, "the day is played into a log on disk"
        self.refused = self.sent_again = 0
        self._place, self._log = store.directory.parent, store.log
        self._acknowledged = acknowledged

    def run(self) -> None:
        """Play the day to its end."""
        clock = ManualClock(OPENS_AT - TICK_NS)
        with ExitStack() as stack:
            store = stack.enter_context(eventstore.open(self._place, log=self._log, clock=clock))
            book = stack.enter_context(open_book(store, calendars=CALENDAR))
            policies: Policies | None = None
            found, head, at = _played(store), store.head(), 0

            def may_open(account: str, symbol: str, at: int) -> bool:
                # While the earlier part of the day is replayed, a lockout that the log already has is not yet in force.
                locked = any(lock.set_at <= at for lock in book.lockouts.active(account, at, symbol))
                self.refused += locked
                return not locked

            market = SimulatedMarket(random.Random(SEED))
            # The simulated feed has a price of one contract at each tick, in turn.
            book.quotes.stale_after_ns = 2 * len(INSTRUMENTS) * TICK_NS
            for number, facts in enumerate(ticks(may_open, market=market)):
                at += len(facts)
                _wait_until(clock, facts[-1].occurred_at + EVENTS_APART_NS)
                # Also while the earlier part is replayed: the quotes of the last minute are evidence of a decision.
                quote = market.quote(number)
                book.observe(f"quote/-/{quote.symbol}", quote)
                if at > found - SENT_AGAIN:
                    self.sent_again += sum(record.position <= head for record in _append(book, facts))
                if at < found:
                    continue
                if policies is None:
                    # From here on the policies see everything, including what a killed process left undecided.
                    policies = Policies(book, shipped_rules()).start(ticking=False)
                    stack.callback(policies.stop)
                _answer(book)
                self._acknowledged(list(store.read(after=head)))
                head = store.head()


def _played(store: EventStore) -> int:
    """Return how many of the day's own events a log has, without those of the policies and the loop's answers."""
    return sum(not record.actor.startswith(ACTOR) and record.type != "EnforcementTaken" for record in store.read())


def _wait_until(clock: ManualClock, instant: int) -> None:
    clock.advance(max(instant - clock.now_ns(), 0))


def _append(book: Book, facts: Sequence[Fact]) -> list[Record]:
    return book.append_many(
        [Batch(fact.stream, fact.event, key=fact.key, occurred_at=fact.occurred_at, actor=fact.actor) for fact in facts]
    )


def _answer(book: Book) -> None:
    """Answer the policies' requests once they are done: the account is flat and has no working orders."""
    for account in ACCOUNTS:
        for request in book.enforcement.of(account):
            held = any(position.quantity for position in book.positions.of(account))
            if not request.taken and not held and not book.orders.open(account):
                answer = EnforcementTaken(request_id=request.request_id, success=True)
                book.append(f"enforcement/{account}/{request.request_id}", answer, key="taken")


def net(book: Book, account: str) -> Decimal:
    """Return an account's realized profit and loss, after fees."""
    return sum((position.realized - position.fees for position in book.positions.of(account)), Decimal(0))
