"""Shared by the tests of alerts: one receiver of a log, driven step by step by a clock that is set by hand."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from eventstore import Clock, EventStore
from eventstore.clock import NANOSECONDS
from eventstore.trading import AlertSent, LimitJudged, LimitUnjudged, LockoutSet
from gateways.alerting.conditions import Alert, Condition
from gateways.alerting.feeds import WantedQuotes
from gateways.alerting.receiving import Receiving
from gateways.alerting.sending import NotDelivered, send
from gateways.alerting.settings import Receiver
from gateways.alerting.states import Sight
from gateways.alerting.verifying import TailCheck
from gateways.alerting.waiting import RetryPace
from projections import Book, Worker
from tests.alerting.http_receiver import SECRET
from tests.projections.rules_day import NOON

SECOND = NANOSECONDS
DISK = Receiver(name="desk", on=frozenset({Condition.DISK}), disk_free_below=10**18)
ALL = Receiver(name="desk", on=frozenset(Condition) - {Condition.DISK})


class Inbox:
    """A receiver in this process: keeps what it takes, and fails while `fails` says why."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.attempts = 0
        self.fails = ""

    def take(self, receiver: Receiver, alert: Alert, clock: Clock) -> None:
        self.attempts += 1
        if self.fails:
            raise NotDelivered(self.fails)
        self.alerts.append(alert)

    @property
    def sentences(self) -> list[str]:
        return [each.sentence for each in self.alerts]


class Scene:
    """One process that alerts one receiver, as `Alerts` runs it in a thread."""

    def __init__(
        self,
        book: Book,
        receiver: Receiver,
        inbox: Inbox | None = None,
        *,
        workers: tuple[Worker, ...] = (),
        follow: bool = False,
        pace: RetryPace | None = None,
    ) -> None:
        store = book.reader
        assert isinstance(store, EventStore)
        self.book, self.store, self.workers, self.follow = book, store, workers, follow
        self.reports: list[str] = []
        self.leaves_prices = False
        """Whether another process that alerts has the prices."""
        sender = (lambda to, alert, clock: send(to, alert, clock, 0.3)) if inbox is None else inbox.take
        self.receiving = Receiving(
            store, receiver, random.Random(1), pace=pace, sender=sender, report=self.reports.append
        )
        self.wanted, self.tail = WantedQuotes(store), TailCheck(store)
        self.receiving.begin()

    def step(self, seconds: float = 0) -> None:
        """Let time pass, then do what the thread does each second."""
        advance = getattr(self.store.clock, "advance", None)
        if seconds and advance is not None:
            advance(int(seconds * SECOND))
        if self.follow:
            self.book.refresh()
        self.wanted.update()
        self.tail.update()
        self.receiving.step(self.sight, threading.Event())

    def steps(self, seconds: int) -> None:
        for _ in range(seconds):
            self.step(1)

    def sight(self) -> Sight:
        has_prices = self.book.listener is not None
        return Sight(
            self.book,
            self.store,
            self.receiving.receiver,
            self.wanted,
            self.tail,
            self.workers,
            has_prices=has_prices,
            judges_prices=has_prices or (self.receiving.is_keeper and not self.leaves_prices),
            is_keeper=self.receiving.is_keeper,
        )

    def sent(self) -> list[AlertSent]:
        return sent(self.store)


def sent(store: EventStore) -> list[AlertSent]:
    found = [record.event for record in store.read(types=AlertSent)]
    return [each for each in found if isinstance(each, AlertSent)]


def to(url: str, *on: Condition, **more: Any) -> Receiver:  # noqa: ANN401 - any setting
    conditions: Iterable[Condition] = on or tuple(Condition)
    return Receiver(name="desk", on=frozenset(conditions), url=url, secret=SECRET, **more)


def lock(store: EventStore, account: str = "ACC1", rule_id: str = "daily-loss") -> str:
    """Append a lockout, and return the id that its alert has."""
    event = LockoutSet(rule_id=rule_id, reason="too much lost", details={"figure": str(Decimal("-1000.50"))})
    [record] = store.append(f"lockout/{account}/{rule_id}", event)
    return str(record.uuid)


def flap(store: EventStore, rule_id: str = "daily-loss", *, judged: bool = False) -> str:
    kind = LimitJudged if judged else LimitUnjudged
    event = kind(rule_id=rule_id, why="no rate", since=NOON)
    [record] = store.append(f"limits/ACC1/{rule_id}", event)
    return str(record.uuid)


def ids(inbox: Inbox) -> list[str]:
    return [each.id for each in inbox.alerts]


def killed(scene: Scene) -> None:
    """Leave what a kill leaves: the cursor as it was last written, and no lock."""
    assert scene.receiving._lock is not None
    scene.receiving._lock.release()
