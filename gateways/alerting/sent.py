"""Which alerts one receiver got, as the log says: what is asked before an alert is sent, in any process."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec

from eventstore import DuplicateEvent, StoreError
from eventstore.clock import GIVEN_MIN, NANOSECONDS, wall_ns
from eventstore.ids import keyed_id
from eventstore.streams import check_name, stream_of, unescaped
from eventstore.trading import AlertSent
from gateways.alerting.conditions import Subject, cut
from projections.view import SHARED

if TYPE_CHECKING:
    from eventstore import EventStore, Record
    from gateways.alerting.conditions import Alert

ACTOR = "alerts"
KNOWN_NS = 7 * 86_400 * NANOSECONDS
"""How far back sent alerts are read at a start."""
SUBJECTS_MAX = 10_000
WHY_MAX = 300


class LastSent(msgspec.Struct, frozen=True):
    """The newest alert about a subject, when it was sent (monotonic ns), and the log position that it reported."""

    id: str
    ended: bool
    delivered: bool
    at: int
    position: int
    reported: int | None


class SentAlerts:
    """The alerts that a receiver got, or that were given up: each once in the log, whichever process sent it."""

    def __init__(self, store: EventStore, receiver: str) -> None:
        self._store, self._receiver = store, receiver
        self._last: dict[Subject, LastSent] = {}

    def load(self, until: int) -> None:
        """Read what was sent lately, up to a log position."""
        after = min(position_before(self._store, KNOWN_NS), until)
        for record in self._store.read(after=after, until=until, types=AlertSent):
            self.note(record)

    def note(self, record: Record) -> None:
        """Note a record of an alert that was sent."""
        try:
            event = record.event
        except StoreError:
            return
        if not isinstance(event, AlertSent) or event.to != self._receiver:
            return
        subject = Subject(event.what, record.account, event.subject)
        id_ = unescaped(record.entity)
        known = self._last.get(subject)
        if known is not None and known.position >= record.position:
            return
        # It may have been given up first, and be delivered later: the same alert.
        is_delivered = event.delivered or (known is not None and known.id == id_ and known.delivered)
        clock = self._store.clock
        at = clock.monotonic_ns() - max(wall_ns(clock) - record.recorded_at, 0)
        self._put(subject, LastSent(id_, event.ended, is_delivered, at, record.position, event.reported))

    def last(self, subject: Subject) -> LastSent | None:
        """Return the newest alert about a subject."""
        return self._last.get(subject)

    def lasting(self) -> list[Subject]:
        """Return the subjects of which somebody knows that they last: delivered, and not ended."""
        return [subject for subject, last in self._last.items() if last.delivered and not last.ended]

    def given_up(self) -> list[Subject]:
        """Return the subjects whose newest alert was not delivered."""
        return [subject for subject, last in self._last.items() if not last.delivered]

    def is_past(self, alert: Alert) -> bool:
        """Return whether a record's alert need not be sent: it was delivered, or merged into one that was sent."""
        if alert.is_never_dropped:
            return self.is_delivered(alert)
        last = self._last.get(alert.subject)
        reported = None if last is None else last.reported
        return reported is not None and alert.position is not None and alert.position <= reported

    def is_delivered(self, alert: Alert) -> bool:
        """Return whether the log says that an alert was delivered."""
        id_ = keyed_id(self._stream(alert), self._key(delivered=True))
        return self._store.find(uuid.UUID(bytes=id_)) is not None

    def record(self, alert: Alert, attempts: int, why: str = "", *, delivered: bool) -> None:
        """Append that an alert was delivered, or given up; raise a StoreError if it cannot be appended now."""
        event = AlertSent(
            what=alert.subject.what,
            to=self._receiver,
            attempts=attempts,
            delivered=delivered,
            why="" if delivered else cut(why, WHY_MAX),
            subject=alert.subject.name,
            ended=alert.ended,
            reported=alert.position,
        )
        key = self._key(delivered=delivered)
        try:
            self.note(*self._store.append(self._stream(alert), event, key=key, actor=ACTOR))
        except DuplicateEvent as e:
            # Another process recorded it first, after another number of attempts.
            if e.record is not None:
                self.note(e.record)

    def _stream(self, alert: Alert) -> str:
        try:
            account = check_name("account", alert.subject.account)
        except StoreError:
            account = SHARED
        return stream_of("alert", account, alert.id)

    def _key(self, *, delivered: bool) -> str:
        return f"{self._receiver}/{'delivered' if delivered else 'given up'}"

    def _put(self, subject: Subject, last: LastSent) -> None:
        if len(self._last) >= SUBJECTS_MAX and subject not in self._last:
            del self._last[next(iter(self._last))]
        self._last.pop(subject, None)
        self._last[subject] = last


def position_before(store: EventStore, age: int) -> int:
    """Return the last log position of so long ago (ns); 0 where the clock cannot be right."""
    since = wall_ns(store.clock) - age
    return store.position_at(since) if since >= GIVEN_MIN else 0
