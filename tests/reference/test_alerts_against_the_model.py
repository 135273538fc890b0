"""Alerts under random failures, kills, floods and clocks, compared with what must have arrived in the end."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Clock, EventStore, ManualClock, StorageFull
from eventstore.clock import TIME_MIN
from eventstore.trading import AlertSent, LimitJudged, LimitUnjudged
from gateways.alerting.conditions import Alert, Condition
from gateways.alerting.settings import Receiver
from projections import Book
from tests.alerting.alerting_scene import SECOND, Inbox, Scene, killed, lock
from tests.memory import directory_in_memory
from tests.projections.rules_day import NOON
from tests.proving import rounds
from tests.reference.alerts import Expected, Got, Said

RECEIVER = Receiver(name="desk", on=frozenset({Condition.LOCKOUT, Condition.LIMIT_UNJUDGED}), repeat_after=120 * SECOND)
RULES = ("daily-loss", "weekly-loss", "drawdown")


class Arriving(Inbox):
    """A receiver that notes what arrives, and may kill the process once it has."""

    def __init__(self, expected: Expected) -> None:
        super().__init__()
        self.expected = expected
        self.kills = False

    @override
    def take(self, receiver: Receiver, alert: Alert, clock: Clock) -> None:
        super().take(receiver, alert, clock)
        self.expected.got.append(Got(alert.id, alert.subject.name, alert.position, alert.ended))
        if self.kills:
            self.kills = False
            self.expected.interrupted += 1
            raise KeyboardInterrupt


class History:
    """One log, one or two processes that alert, and a receiver; each step is drawn."""

    def __init__(self, chance: random.Random, store: EventStore, book: Book, clock: ManualClock) -> None:
        self.chance, self.store, self.book, self.clock = chance, store, book, clock
        self.expected = Expected()
        self.inbox = Arriving(self.expected)
        self.processes = [self.process()]
        self.is_full = False

    def process(self) -> Scene:
        return Scene(self.book, RECEIVER, self.inbox)

    def run(self, steps: int) -> None:
        acts = (self.locked, self.flapped, self.passed, self.passed, self.changed, self.died, self.joined, self.filled,
                self.interrupted, self.set_clock)  # fmt: skip
        for _ in range(steps):
            self.chance.choice(acts)()

    def locked(self) -> None:
        for _ in range(self.chance.choice((1, 1, 2, 30))):
            self.expected.lockouts.append(lock(self.store, rule_id=f"rule-{len(self.expected.lockouts)}"))

    def flapped(self) -> None:
        rule_id = self.chance.choice(RULES)
        for _ in range(self.chance.choice((1, 1, 2, 9))):
            said = self.expected.limits.setdefault(rule_id, [])
            ended = bool(said) and not said[-1].ended
            kind = LimitJudged if ended else LimitUnjudged
            [record] = self.store.append(f"limits/ACC1/{rule_id}", kind(rule_id=rule_id, why="x", since=NOON))
            said.append(Said(str(record.uuid), record.position, ended))

    def passed(self) -> None:
        self.clock.advance(self.chance.choice((1, 5, 60, 700)) * SECOND)
        for process in list(self.processes):
            self.step(process)

    def step(self, process: Scene) -> None:
        with contextlib.suppress(StorageFull):
            try:
                process.step()
            except KeyboardInterrupt:
                self.kill(process)

    def kill(self, process: Scene) -> None:
        # What it sent while it could not be recorded is sent once more.
        self.expected.interrupted += process.receiving.unrecorded
        killed(process)
        self.processes.remove(process)
        if not self.processes:
            self.joined()

    def changed(self) -> None:
        self.inbox.fails = self.chance.choice(("", "", "no answer"))

    def died(self) -> None:
        self.kill(self.chance.choice(self.processes))

    def joined(self) -> None:
        if len(self.processes) < 2:
            self.processes.append(self.process())
            self.spoil(self.processes[-1])

    def filled(self) -> None:
        self.is_full = not self.is_full
        for process in self.processes:
            self.spoil(process)

    def spoil(self, process: Scene) -> None:
        """Let a process's records fail, or succeed again."""
        sent = process.receiving.sent
        if self.is_full:
            sent.record = no_room  # type: ignore[method-assign]
        elif "record" in vars(sent):
            del sent.record

    def interrupted(self) -> None:
        self.inbox.kills = not self.is_full and not self.inbox.fails

    def set_clock(self) -> None:
        days = self.chance.choice((-20_000, -30, 0, 30))
        self.clock.set(max(NOON + days * 86_400 * SECOND, TIME_MIN + 700_000_000 * SECOND))

    def end(self) -> list[str]:
        """Let everything work for long enough, and return what is wrong."""
        self.inbox.fails, self.inbox.kills = "", False
        if self.is_full:
            self.filled()
        for _ in range(20):
            self.clock.advance(61 * SECOND)
            for process in list(self.processes):
                self.step(process)
        streams = Counter(
            record.stream.rpartition("/")[2]
            for record in self.store.read(types=AlertSent)
            if isinstance(record.event, AlertSent) and record.event.delivered
        )
        return self.expected.problems(dict(streams))


def no_room(*_: object, **__: object) -> None:
    msg = "the disk is full"
    raise StorageFull(msg)


@contextlib.contextmanager
def history(seed: int) -> Iterator[History]:
    clock = ManualClock(NOON)
    with (
        directory_in_memory() as directory,
        eventstore.open(directory, clock=clock) as store,
        projections.open(store, snapshots=False) as book,
    ):
        yield History(random.Random(seed), store, book, clock)


@pytest.mark.untraced
def test_whatever_fails_each_alert_arrives_under_one_id() -> None:
    for seed in rounds("alerts", test=60, prove=20_000):
        with history(seed) as drawn:
            drawn.run(25)
            assert drawn.end() == [], seed
