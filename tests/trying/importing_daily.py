"""The other way: each day's file imported in its evening, into a store in shadow mode, with policies running."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import eventstore
import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import LockoutSet, Protection, ProtectionMode, WouldLock
from gateways.importers import import_file
from projections import Policies, seeds
from projections.rules import shipped_rules
from projections.seeds import Seeds
from tests.reference.daily_results import Fill
from tests.trying import years

ACCOUNT = "A1"
SECOND = 1_000_000_000
Locks = set[tuple[date, str, str, str]]
"""Trading day, rule, scope and reason of each lockout."""


class DailyImport:
    """A store with an account of a program, whose clock is moved by the test.

    It is `on_disk`, or in memory: on disk each tick of a later day syncs the cursor of each policy.
    """

    def __init__(self, directory: Path, program: Path, began_at: int, *, on_disk: bool = False) -> None:
        self.directory, self.plan = directory, seeds.load(program, ACCOUNT)
        self.calendar = self.plan.calendars[ACCOUNT]
        self.clock = clock = ManualClock(self.calendar.day_at(began_at).began_at)
        in_memory = EventStore(MemoryJournal(clock=clock), clock=clock)
        self.store = eventstore.open(directory / "data", clock=clock) if on_disk else in_memory
        self.book = projections.open(self.store, calendars=self.plan.calendars, snapshots=False)
        self.imported = 0
        self._set_up(self.plan)
        self.policies = Policies(self.book, shipped_rules()).start(ticking=False)
        self.policies.tick()

    def _set_up(self, plan: Seeds) -> None:
        shadow = ProtectionMode(mode=Protection.SHADOW)
        self.book.append(f"account/{ACCOUNT}/-", shadow, actor="desk")
        plan.apply(self.book, "desk")

    def pass_to(self, instant: int) -> None:
        """Let time pass, with a tick at each reset as a running process has it."""
        while (reset := self.calendar.next_reset(self.clock.now_ns())) <= instant:
            self.clock.advance(reset - self.clock.now_ns())
            self.policies.tick()
        self.clock.advance(instant - self.clock.now_ns())

    def take(self, fills: list[Fill], at: int) -> None:
        """Import fills at an instant."""
        self.pass_to(at)
        path = years.write(self.directory / "part.csv", [fills], first=self.imported)
        import_file(self.store, path, "fills", account=ACCOUNT)
        self.imported += len(fills)
        self.book.refresh()
        self.policies.tick()

    def close(self) -> Locks:
        """End it, and return what would have locked, apart from missing prices: no file has quotes."""
        self.policies.stop()
        self.book.close()
        found = locks_in(self.store, self.plan)
        self.store.close()
        return found


def locks_in(store: EventStore, plan: Seeds) -> Locks:
    rules = {limit.rule_id for limit in plan.limits[ACCOUNT]}
    found = set()
    assert not list(store.read(types=LockoutSet)), "in shadow mode nothing is locked"
    for record in store.read(types=WouldLock):
        event = record.event
        assert isinstance(event, WouldLock)
        if event.rule_id in rules:
            day = plan.calendars[ACCOUNT].day_at(record.recorded_at).trading_day
            found.add((day, event.rule_id, event.scope, event.reason))
    return found
