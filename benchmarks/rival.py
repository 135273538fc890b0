"""The baseline that others know: `eventsourcing` on SQLite, with its own classes, as its documentation shows."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime
from decimal import Decimal  # noqa: TC003 - a dataclass's members
from typing import TYPE_CHECKING, Any

from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import DatetimeAsISO, DecimalAsStr, JSONTranscoder, Mapper, StoredEvent, UUIDAsHex
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from eventstore import Event

_SOME_TIME = datetime(2025, 11, 21, 14, 30, tzinfo=UTC)
PAGE = 1_000


class OrderSubmitted(DomainEvent):
    symbol: str
    side: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal
    time_in_force: str
    strategy: str


class OrderAccepted(DomainEvent):
    broker_order_id: str


class OrderRejected(DomainEvent):
    reason: str


class OrderFilled(DomainEvent):
    trade_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal


class OrderReplaceRequested(DomainEvent):
    limit_price: Decimal


class OrderReplaced(DomainEvent):
    limit_price: Decimal


class OrderCancelRequested(DomainEvent):
    pass


class OrderCanceled(DomainEvent):
    reason: str


class OrderReported(DomainEvent):
    status: str
    symbol: str
    filled_quantity: Decimal


class PositionReported(DomainEvent):
    symbol: str
    quantity: Decimal


class LockoutSet(DomainEvent):
    rule_id: str
    reason: str


class LockoutCleared(DomainEvent):
    by: str


_CLASSES: dict[str, type[DomainEvent]] = {
    cls.__name__: cls for cls in DomainEvent.__subclasses__() if cls.__module__ == __name__
}
_PLACE = {field.name for field in dataclasses.fields(DomainEvent)}


def mapper() -> Mapper[uuid.UUID]:
    """Return what turns that library's events into what it stores: JSON with its own transcodings."""
    transcoder = JSONTranscoder()
    for transcoding in (UUIDAsHex(), DecimalAsStr(), DatetimeAsISO()):
        transcoder.register(transcoding)
    return Mapper(transcoder)


class Rival:
    """One file, one recorder with a total order, JSON with the library's own transcodings."""

    def __init__(self, path: Path) -> None:
        self._store = SQLiteDatastore(str(path))
        self.recorder = SQLiteApplicationRecorder(self._store)
        self.recorder.create_table()
        self.mapper = mapper()
        with self._store.transaction(commit=False) as cursor:
            cursor.execute("PRAGMA synchronous")
            # FULL is 2: a sync for each commit, as ours has.
            self.is_synced = int(cursor.fetchone()[0]) >= 2

    def put(self, events: Sequence[DomainEvent]) -> None:
        """Encode and save, as the library's event store does."""
        self.recorder.insert_events([self.mapper.to_stored_event(event) for event in events])

    def stored(self, events: Iterable[DomainEvent]) -> list[StoredEvent]:
        """Return events as they are just before they go into the database."""
        return [self.mapper.to_stored_event(event) for event in events]

    def read_all(self) -> int:
        """Read the whole log in pages and decode every event; return how many there were."""
        count, start = 0, 1
        decode = self.mapper.to_domain_event
        while page := self.recorder.select_notifications(start, PAGE):
            for notification in page:
                decode(notification)
            count += len(page)
            start = page[-1].id + 1
        return count

    def close(self) -> None:
        self._store.close()


def domain_event(event: Event, originator: uuid.UUID, version: int) -> DomainEvent:
    """Return an event of ours as one of that library's, with the members that the workload sets."""
    cls = _CLASSES[type(event).__name__]
    members: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name not in _PLACE:
            value = getattr(event, field.name)
            members[field.name] = str(value) if isinstance(value, str) else value
    return cls(originator, version, _SOME_TIME, **members)


def originator_of(stream: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, stream)
