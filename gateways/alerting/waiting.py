"""Alerts that wait to be sent to one receiver: merged, limited in number and rate, tried again after growing pauses."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from eventstore.clock import NANOSECONDS
from eventstore.influx.backoff import Backoff
from gateways.alerting.conditions import Alert

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from gateways.alerting.conditions import Subject

WAITING_MAX = 1_000
"""How many alerts wait that may be merged; the oldest is left out for one more."""
READ_AHEAD_MAX = 500
"""How many alerts wait that are never dropped. Those after them stay in the log, and are read later."""
ALERTS_MAX, SUBJECTS_MAX = 4, 10_000
"""How many alerts about one subject are sent within `repeat_after`."""


class RetryPace(msgspec.Struct, frozen=True):
    """When what failed is tried again, in seconds: after growing pauses, so often, then only what is never dropped."""

    first: float = 1.0
    longest: float = 60.0
    attempts: int = 8
    again: float = 600.0


class Waiting(msgspec.Struct):
    """One alert that is not done: when it is due (monotonic ns), how often it was tried, and what came of it.

    `position` is the log position of the first record that it stands for.
    """

    alert: Alert
    due: int
    pauses: Backoff
    position: int | None = None
    attempts: int = 0
    why: str = ""
    is_delivered: bool = False
    is_given_up: bool = False


class Queue:
    """The alerts that wait for one receiver, by what they are about, or by id where each is sent by itself.

    Not for several threads. Times are monotonic ns.
    """

    def __init__(self, pace: RetryPace, jitter: random.Random, repeat_after: int) -> None:
        self._pace, self._jitter, self._repeat_after = pace, jitter, repeat_after
        self._single: dict[str, Waiting] = {}
        self._merged: dict[Subject, Waiting] = {}
        self._recent: dict[Subject, deque[int]] = {}

    def __len__(self) -> int:
        return len(self._single) + len(self._merged)

    def __iter__(self) -> Iterator[Waiting]:
        return iter((*self._single.values(), *self._merged.values()))

    @property
    def has_room(self) -> bool:
        """Whether another record may be read."""
        return len(self._single) < READ_AHEAD_MAX

    def add(self, alert: Alert, now: int) -> None:
        """Let an alert wait; of several about the same only the newest, which says how many it stands for."""
        if alert.is_never_dropped:
            self._single.setdefault(alert.id, self._new(alert, now))
            return
        known = self._merged.get(alert.subject)
        if known is not None:
            if known.alert.id != alert.id and not known.is_delivered:
                known.alert = replace(alert, merged=known.alert.merged + 1)
                known.is_given_up = False
            return
        if len(self._merged) >= WAITING_MAX:
            oldest = self._merged.pop(next(iter(self._merged)))
            alert = replace(alert, merged=oldest.alert.merged + 1)
        self._merged[alert.subject] = self._new(alert, max(now, self._allowed_at(alert.subject, now)))

    def waits(self, subject: Subject) -> Alert | None:
        """Return the alert that waits about a subject, if it is one that may be merged."""
        found = self._merged.get(subject)
        return None if found is None else found.alert

    def due(self, now: int) -> Waiting | None:
        """Return the alert that has been due longest; those that are never dropped first."""
        for waiting in (self._single, self._merged):
            found = min(waiting.values(), key=lambda each: each.due, default=None)
            if found is not None and found.due <= now:
                return found
        return None

    @property
    def next_due(self) -> int | None:
        """When the next attempt is due; None if nothing waits."""
        return min((each.due for each in self), default=None)

    @property
    def first_position(self) -> int | None:
        """The log position of the first record whose alert is not done."""
        return min((each.position for each in self if each.position is not None), default=None)

    def failed(self, waiting: Waiting, why: str, now: int) -> bool:
        """Note a failed attempt; return whether this was the last of a series, after which it is given up."""
        waiting.attempts, waiting.why = waiting.attempts + 1, why
        is_last = not waiting.is_given_up and waiting.attempts >= self._pace.attempts
        waiting.is_given_up = waiting.is_given_up or is_last
        pause = self._pace.again if waiting.is_given_up else waiting.pauses.next()
        waiting.due = now + int(pause * NANOSECONDS)
        return is_last

    def postpone(self, waiting: Waiting, now: int) -> None:
        """Try later what was delivered, and could not be recorded."""
        waiting.due = now + int(waiting.pauses.next() * NANOSECONDS)

    def done(self, waiting: Waiting, now: int) -> None:
        """Forget an alert. Once one was delivered, what was given up is tried at once."""
        alert = waiting.alert
        if self._single.pop(alert.id, None) is None:
            self._merged.pop(alert.subject, None)
            self.count(alert.subject, now)
        if waiting.is_delivered:
            for each in self._single.values():
                each.due = min(each.due, now)

    def drop(self, subject: Subject) -> None:
        """Forget what waits about a subject: it is over, and was never sent."""
        self._merged.pop(subject, None)

    def count(self, subject: Subject, at: int) -> None:
        """Count an alert that was sent about a subject."""
        if len(self._recent) >= SUBJECTS_MAX and subject not in self._recent:
            del self._recent[next(iter(self._recent))]
        self._recent.setdefault(subject, deque(maxlen=ALERTS_MAX)).append(at)

    def _new(self, alert: Alert, due: int) -> Waiting:
        pauses = Backoff(self._pace.first, self._pace.longest, shortest=self._pace.first / 4, jitter=self._jitter)
        return Waiting(alert, due, pauses, alert.position)

    def _allowed_at(self, subject: Subject, now: int) -> int:
        """Return when one more alert may be sent about a subject that comes and goes."""
        recent = self._recent.get(subject)
        return now if recent is None or len(recent) < ALERTS_MAX else recent[0] + self._repeat_after
