"""The other way: a file imported into a store whose account is in shadow mode, with policies running."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import eventstore
import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import LockoutSet, Protection, ProtectionMode, WouldLock
from gateways.importers import import_file
from projections import Policies, seeds
from projections.rules import shipped_rules
from tests.reference.daily_results import Fill
from tests.trying import years

ACCOUNT = "A1"
SECOND = 1_000_000_000
Locks = set[tuple[date, str, str, Decimal]]
"""Trading day, rule, scope and figure of each lockout."""


class ShadowImport:
    """A store with an account of a program in shadow mode, whose clock is moved by the test.

    It is `on_disk`, or in memory: on disk each tick of a later day syncs the cursor of each policy.
    """

    def __init__(self, directory: Path, program: Path, began_at: int, *, on_disk: bool = False) -> None:
        self.directory, plan = directory, seeds.load(program, ACCOUNT)
        self.rules = {limit.rule_id for limit in plan.limits[ACCOUNT]}
        self.calendar = plan.calendars[ACCOUNT]
        self.clock = clock = ManualClock(self.calendar.day_at(began_at).began_at)
        in_memory = EventStore(MemoryJournal(clock=clock), clock=clock)
        self.store = eventstore.open(directory / "data", clock=clock) if on_disk else in_memory
        self.book = projections.open(self.store, calendars=plan.calendars, snapshots=False)
        shadow = ProtectionMode(mode=Protection.SHADOW)
        self.book.append(f"account/{ACCOUNT}/-", shadow, actor="desk")
        plan.apply(self.book, "desk")
        self.policies = Policies(self.book, shipped_rules()).start(ticking=False)
        self.policies.tick()
        self.imported = 0

    def pass_to(self, instant: int) -> None:
        """Let time pass, with a tick at each reset as a running process has it."""
        while (reset := self.calendar.next_reset(self.clock.now_ns())) <= instant:
            self.clock.advance(reset - self.clock.now_ns())
            self.policies.tick()
        self.clock.advance(instant - self.clock.now_ns())

    def take(self, fills: list[Fill], *, unwatched: bool = False) -> None:
        """Import fills now; `unwatched`: while no policies run, which start again afterwards."""
        path = years.write(self.directory / "part.csv", [fills], first=self.imported)
        if unwatched:
            self.policies.stop()
        import_file(self.store, path, "fills", account=ACCOUNT)
        self.imported += len(fills)
        self.book.refresh()
        if unwatched:
            self.policies.start(ticking=False)
        self.policies.tick()

    def close(self) -> Locks:
        """End it, and return what would have locked, apart from missing prices: no file has quotes."""
        self.policies.stop()
        self.book.close()
        assert not list(self.store.read(types=LockoutSet)), "in shadow mode nothing is locked"
        found = {lock for record in self.store.read(types=WouldLock) if (lock := self._lock(record.event)) is not None}
        self.store.close()
        return found

    def _lock(self, event: object) -> tuple[date, str, str, Decimal] | None:
        assert isinstance(event, WouldLock)
        if event.rule_id not in self.rules:
            return None
        assert isinstance(event.details, dict)
        day, figure = event.details["trading_day"], event.details["figure"]
        return date.fromisoformat(day), event.rule_id, event.scope, Decimal(figure)
