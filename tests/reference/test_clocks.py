"""Days, limits and lockouts compared with the reference in random histories of a wall clock that is set."""

from __future__ import annotations

import random
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountOpened, LimitsSet, LockoutSet
from projections import Book, Calendar, Policies
from projections.risk.limits.schedule import LockoutExpiry, SessionKeeper
from tests.proving import rounds
from tests.reference.clocks import DAY, World

pytestmark = pytest.mark.untraced

START = 20_000 * DAY + 9 * 3_600 * NANOSECONDS
HOUR = 3_600 * NANOSECONDS
CALENDAR = Calendar(zone="UTC", open=time(0), reset=time(0), weekdays=tuple(range(7)))
ERRORS = (0, 0, 0, 7 * NANOSECONDS, HOUR, 16 * HOUR, DAY, 3 * DAY, 7 * DAY, 60 * DAY, -HOUR, -DAY)
GAPS = (NANOSECONDS, 60 * NANOSECONDS, HOUR, 6 * HOUR, DAY + HOUR)
DURATIONS = (60 * NANOSECONDS, 2 * HOUR, 20 * HOUR, 3 * DAY)


class Scene:
    """A log with one account, and the one or two processes that run its days and lockouts."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.clock, self.world = chance, ManualClock(START), World(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.running: list[tuple[Policies, Book]] = []
        self.count = 0
        self.store.append("account/A/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
        self.start()
        self.tick()

    def start(self) -> None:
        book = projections.open(self.store, snapshots=False, calendars=CALENDAR)
        self.running.append((Policies(book, [LockoutExpiry(), SessionKeeper()]).start(ticking=False), book))

    def stop(self) -> None:
        while self.running:
            policies, book = self.running.pop()
            policies.stop()
            book.close()

    def tick(self) -> None:
        # What one process appends at its tick, the other one knows at its next; and both once more.
        for _ in range(3):
            for policies, _ in self.chance.sample(self.running, len(self.running)):
                policies.tick()

    def step(self) -> None:
        """Do one of the things that happen."""
        kinds = ("advance", "jump", "restart", "second", "limit", "lock")
        kind = self.chance.choices(kinds, (40, 25, 10, 5, 12, 12))[0]
        if kind == "advance":
            self.advance(self.chance.choice(GAPS))
        elif kind == "jump":
            self.jump(self.chance.choice(ERRORS), seen=True)
            self.tick()
        elif kind == "restart":
            self.stop()
            # A clock that is behind and is set while nothing runs looks like one that was right all the time.
            if self.world.error >= 0 and self.chance.randrange(2):
                self.jump(self.chance.choice(ERRORS), seen=False)
            self.start()
        elif kind == "second" and len(self.running) == 1:
            self.start()
        elif kind == "limit":
            amount = self.chance.randint(1, 9)
            event = LimitsSet(rule_id="daily-loss", parameters={"limit": str(amount)})
            self.store.append("limits/A/daily-loss", event, actor="desk")
            self.world.limit(amount)
        elif kind == "lock":
            self.lock()
        self.tick()

    def advance(self, gap: int) -> None:
        """Let time pass, from one reset of the wall clock or of the true time to the next."""
        while gap:
            to_reset = min(DAY - each % DAY for each in (self.world.now, self.world.wall))
            part = min(gap, to_reset)
            self.clock.advance(part)
            self.world.advance(part)
            gap -= part
            self.tick()

    def jump(self, error: int, *, seen: bool) -> None:
        self.world.jump(error, seen=seen)
        self.clock.set(self.world.wall)

    def lock(self) -> None:
        self.count += 1
        name = f"rule-{self.count}"
        until = self.world.lock(name, self.chance.choice(DURATIONS))
        event = LockoutSet(rule_id=name, until=until, revocable=bool(self.chance.randrange(2)))
        self.store.append(f"lockout/A/{name}", event)

    def problems(self) -> list[str]:
        found = []
        for _, book in self.running:
            session, limit = book.sessions.current("A"), book.limits.get("A", "daily-loss")
            day = None
            if session is not None:
                named = datetime.combine(session.trading_day, time(), UTC)
                day = int(named.timestamp()) * NANOSECONDS // DAY
            held = None if limit is None else int(limit.parameters["limit"])
            locked = {each.rule_id for each in book.lockouts.active("A", self.clock.now_ns())}
            found += self.world.problems(day, held, locked)
        return found

    def differing(self) -> list[str]:
        """Return the views whose state is not that of a fold of the whole log."""
        with projections.open(self.store, snapshots=False) as other:
            views = ("sessions", "limits", "lockouts")
            return [
                view for view in views if any(b.state(view, "A") != other.state(view, "A") for _, b in self.running)
            ]


@pytest.mark.slow
def test_days_limits_and_lockouts_go_by_the_true_time() -> None:
    for seed in rounds("wrong clocks", test=200, prove=20_000):
        scene = Scene(random.Random(seed))
        for number in range(20):
            scene.step()
            assert scene.problems() == [], f"seed {seed}, step {number}"
        scene.jump(0, seen=True)
        scene.tick()
        scene.advance(2 * HOUR)
        assert scene.problems() == [], f"seed {seed}, at the end"
        assert scene.differing() == [], f"seed {seed}"
        scene.stop()
