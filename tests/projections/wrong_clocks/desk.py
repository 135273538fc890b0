"""Shared by the tests of wrong clocks: an account, the processes that run its days, and ways to set the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import to_ns
from eventstore.trading import (
    AccountOpened,
    ClockJumped,
    ContractDefined,
    LimitsSet,
)
from projections import Book
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.schedule import LockoutExpiry, SessionKeeper
from projections.risk.policies import Policies
from projections.sessions import Calendar
from tests.projections.clockwork import DAY, HOUR, NOON, SECOND, recorded

CHICAGO = Calendar(
    zone="America/Chicago",
    open=datetime(2025, 1, 1, 17).time(),  # noqa: DTZ001 - a time of day
    reset=datetime(2025, 1, 1, 17).time(),  # noqa: DTZ001 - a time of day
)
MONDAY, TUESDAY, WEDNESDAY = (date(2025, 7, day) for day in (21, 22, 23))
RESET = to_ns(datetime(2025, 7, 21, 22, tzinfo=UTC))
SHORT_JUMPS = (6 * SECOND + RESET - NOON, 12 * HOUR, DAY, 7 * DAY)
LONG_JUMP = 400 * DAY
"""Each of its days is recorded, which takes a second."""
JUMPS = (*SHORT_JUMPS, LONG_JUMP)


class Desk:
    """A log with an account, and the processes that run its days and lockouts."""

    def __init__(self, store: EventStore, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.books: list[Book] = []
        self.running: list[Policies] = []
        self.book = self.start()
        self.book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        self.book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        self.tick()

    def start(self) -> Book:
        """Start one more process."""
        book = projections.open(self.store, snapshots=False, calendars=CHICAGO)
        self.books.append(book)
        rules = [LockoutExpiry(), SessionKeeper(), DailyLoss()]
        self.running.append(Policies(book, rules).start(ticking=False))
        return book

    def stop(self) -> None:
        """End every process."""
        for policies, book in zip(self.running, self.books, strict=True):
            policies.stop()
            book.close()
        self.running, self.books = [], []

    def restart(self) -> None:
        self.stop()
        self.book = self.start()
        self.tick()

    def tick(self) -> None:
        for _ in range(3):
            for policies in self.running:
                policies.tick()

    def set(self, instant: int) -> None:
        """Set the wall clock, and let the processes see it."""
        self.clock.set(instant)
        self.tick()

    def advance(self, nanoseconds: int) -> None:
        self.clock.advance(nanoseconds)
        self.tick()

    def limit(self, amount: int, effective_from: int | None = None) -> None:
        event = LimitsSet(rule_id="daily-loss", parameters={"limit": str(amount)}, effective_from=effective_from)
        self.store.append("limits/A/daily-loss", event, actor="desk")
        self.tick()

    def held(self) -> str | None:
        """Return the loss that is allowed now."""
        limit = self.book.limits.get("A", "daily-loss")
        return None if limit is None else limit.parameters["limit"]

    def day(self) -> date | None:
        session = self.book.sessions.current("A")
        return None if session is None else session.trading_day

    def jumps(self) -> list[ClockJumped]:
        return [each for each in recorded(self.store, ClockJumped) if isinstance(each, ClockJumped)]


def seen(desk: Desk, instant: int) -> None:
    desk.set(instant)


def found_late(desk: Desk, instant: int) -> None:
    """Set the clock while no process runs."""
    desk.stop()
    desk.clock.set(instant)
    desk.book = desk.start()
    desk.tick()


def seen_by_one(desk: Desk, instant: int) -> None:
    """Set the clock while one process runs, and start another one afterwards."""
    desk.set(instant)
    desk.start()
    desk.tick()


WAYS = [seen, found_late, seen_by_one]
Way = Callable[[Desk, int], None]
