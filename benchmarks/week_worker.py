"""The process of the simulated week that trades: a worker's book that policies judge, quotes, checks, and readers."""

from __future__ import annotations

import itertools
import sys
import threading
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

import msgspec

import eventstore
import projections
from benchmarks.week_setting import ACCOUNTS, CALENDAR, HOUR_NS, JUDGED, Week, WeekClock, happening, write_history
from benchmarks.workload import SYMBOLS, append_all
from eventstore.trading import OrderCanceled, OrderSubmitted, QuoteReceived, Side
from projections import Policies, Worker, auditing, risk
from projections.risk.proposals import Proposal
from projections.rules import shipped_rules
from projections.worker import CutPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event, EventStore
    from projections import Book

STEPS = 60
EVERYTHING_HOURS = 6
WAIT_SECONDS = 600.0
HISTORY, WEEK = "history", "week"


def main() -> None:
    """Simulate an hour for each line read, and answer with the log's head."""
    what, given = sys.argv[1:]
    week = msgspec.json.decode(given, type=Week)
    clock = WeekClock(week.time)
    if what == HISTORY:
        write_history(week, clock)
        return
    lived = happening(week)
    for _ in range(week.before):
        next(lived)
    with (
        eventstore.open(week.directory, clock=clock) as store,
        projections.open(store, calendars=CALENDAR) as book,
        # A cut each simulated hour: at the usual five minutes the week would mostly write cuts.
        projections.open(store, accounts=JUDGED, snapshots=False, calendars=CALENDAR) as judged,
        Worker(store, book, policy=CutPolicy(events=sys.maxsize, seconds=3_600.0)) as worker,
    ):
        policies = Policies(judged, shipped_rules()).start(ticking=False)
        desk = _Desk(week, clock, store, books=(book, judged), lived=lived)
        print(store.head(), flush=True)
        for hour, _ in enumerate(sys.stdin):
            desk.trade(hour, worker, policies)
            print(store.head(), flush=True)
        policies.stop()


class _Desk:
    """What happens in each hour of the week."""

    def __init__(
        self,
        week: Week,
        clock: WeekClock,
        store: EventStore,
        *,
        books: tuple[Book, Book],
        lived: Iterator[tuple[str, Event]],
    ) -> None:
        self._week, self._clock, self._lived = week, clock, lived
        self._book, self._judged = books
        self._store = store
        self._rng, self._numbers = Random(12), itertools.count()

    def trade(self, hour: int, worker: Worker, policies: Policies) -> None:
        """Append and observe an hour's events and quotes; followers come and go, books are opened and dropped."""
        with _Followers(self._store):
            steps = min(STEPS, self._week.quotes)
            for step in range(steps):
                append_all(self._store, itertools.islice(self._lived, self._week.events // steps))
                self._observe(self._week.quotes // steps, HOUR_NS // steps)
                self._send(f"ACC{(hour * steps + step) % ACCOUNTS:03}")
                policies.tick()
        assert worker.wait(self._store.head(), WAIT_SECONDS), repr(worker)
        self._look_back(f"ACC{hour % ACCOUNTS:03}", everything=hour % EVERYTHING_HOURS == 0)

    def _observe(self, quotes: int, nanoseconds: int) -> None:
        advance, each = self._clock.advance, nanoseconds // quotes
        for _ in range(quotes):
            advance(each)
            number = next(self._numbers)
            symbol, bid = SYMBOLS[number % len(SYMBOLS)], 5_000 + Decimal("0.25") * (number % 397)
            quote = QuoteReceived(symbol=symbol, last=bid, bid=bid, ask=bid + Decimal("0.25"))
            self._book.observe(f"quote/-/{symbol}", quote)
            if number % self._week.judged == 0:
                self._judged.observe(f"quote/-/{symbol}", quote)

    def _send(self, account: str) -> None:
        """Check an order, send it and cancel it, and ask what a trading process asks."""
        now, book = self._clock.now_ns(), self._book
        order = OrderSubmitted(symbol=self._rng.choice(SYMBOLS), side=Side.BUY, quantity=Decimal(1))
        risk.check(book, Proposal.of(account, order), now)
        order_id = f"W-{next(self._numbers)}"
        risk.submit(book, account, order_id, order, now)
        book.append(f"order/{account}/{order_id}", OrderCanceled())
        book.lockouts.active(account, now)
        book.limits.headroom(account, now)
        book.positions.of(account)
        for number in range(5):
            # Of any age: also one that only the log has.
            book.orders.get(account, f"O-{self._rng.randrange(1, self._week.before // 4 + 2 + number):08}")

    def _look_back(self, account: str, *, everything: bool) -> None:
        """Open books of the past and of the present, ask each, and drop them."""
        head = self._store.head()
        for _ in range(3):
            past = projections.as_of(self._store, position=self._rng.randrange(head // 2, head), account=account)
            past.positions.of(account)
            past.orders.open(account)
        if everything:
            whole = projections.as_of(self._store, position=self._rng.randrange(head // 2, head))
            whole.equity.now(account)
            with projections.open(self._store) as second:
                second.positions.of(account)
        auditing.timeline(self._store, account=account, after=max(head - 1_000, 0), limit=50)


class _Followers:
    """Two readers that follow the log for an hour, one all of it and one an account."""

    def __init__(self, store: EventStore) -> None:
        self._cancel = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(store, account)) for account in (None, f"ACC{ACCOUNTS - 1:03}")
        ]

    def _follow(self, store: EventStore, account: str | None) -> None:
        for record in store.follow(after=store.head(), cancel=self._cancel, account=account):
            assert record.position

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._cancel.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()


if __name__ == "__main__":
    main()
