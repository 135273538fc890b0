"""A log in memory whose records are made by several persons, and a book on it, to ask what needs two of them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import projections
from eventstore import Event, EventStore, ManualClock, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.streams import stream_of
from eventstore.trading import (
    AccountConfigured,
    Approved,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    SessionReset,
)

START = 1_750_000_000_000_000_000
SECOND = 1_000_000_000
ANN, BOB, CARL = "ann@desk1/bot", "bob@desk2/cli", "carl"


class Desk:
    """The account A with the second approver given, appended to and asked by several persons."""

    def __init__(self, approver: str | None = "bob") -> None:
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock, log_id=bytes(16)), clock=self.clock)
        self.book = projections.open(self.store)
        if approver is not None:
            self.configure(CARL, second_approver=approver)

    def add(self, stream: str, event: Event, actor: str, **more: Any) -> Record:  # noqa: ANN401 - any option
        self.clock.advance(SECOND)
        return self.book.append(stream, event, actor=actor, **more)[0]

    def configure(self, actor: str, account: str = "A", **settings: Any) -> Record:  # noqa: ANN401 - any setting
        return self.add(f"account/{account}/-", AccountConfigured(**settings), actor)

    def lock(self, actor: str = CARL, rule: str = "manual", account: str = "A", **more: Any) -> Record:  # noqa: ANN401 - any member
        return self.add(stream_of("lockout", account, rule), LockoutSet(rule_id=rule, **more), actor)

    def clear(self, actor: str = ANN, rule: str = "manual", **more: Any) -> Record:  # noqa: ANN401 - any member
        return self.add(stream_of("lockout", "A", rule), LockoutCleared(**more), actor)

    def approve(self, request: Record, actor: str = BOB, account: str = "A", by: str = "", **more: Any) -> Record:  # noqa: ANN401 - any option
        return self.add(stream_of("approval", account, "1"), Approved(record=request.uuid, by=by), actor, **more)

    def limit(self, actor: str, limit: int, account: str = "A", **more: Any) -> Record:  # noqa: ANN401 - any member
        event = LimitsSet(rule_id="daily-loss", parameters={"limit": str(limit)}, **more)
        return self.add(stream_of("limits", account, "daily-loss"), event, actor)

    def next_day(self, account: str = "A") -> None:
        now = self.clock.now_ns() + SECOND
        # Another day each time, whatever its name.
        day = date(2026, 1, 1) + timedelta(days=self.store.head())
        self.add(f"session/{account}/{day}", SessionReset(trading_day=day, scheduled_for=now), "clock")

    def locked(self, account: str = "A") -> list[str]:
        return [each.rule_id for each in self.book.lockouts.active(account, self.clock.now_ns())]

    def in_force(self, account: str = "A") -> list[str]:
        return [each.parameters["limit"] for each in self.book.limits.of(account)]

    def waiting(self, account: str = "A") -> list[int]:
        return [each.record.position for each in self.book.approvals.waiting(account)]

    def whys(self) -> list[str]:
        return [each.why for each in self.book.approvals.ineffective("A")]
