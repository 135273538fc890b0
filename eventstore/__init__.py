"""A time-series event-sourced state store for trading: what happened, in order, provable."""

from eventstore import trading
from eventstore.clock import Clock, ManualClock, SystemClock
from eventstore.commits import Pending
from eventstore.config import InfluxSettings
from eventstore.errors import (
    AppendError,
    Closed,
    CorruptJournal,
    DuplicateEvent,
    EventTooLarge,
    Gap,
    InvalidEvent,
    NotMirrored,
    OutcomeUnknown,
    Overloaded,
    ReadOnly,
    Refused,
    StorageFull,
    StoreError,
    TargetExists,
    Unavailable,
    UnknownContract,
    UnsupportedFormat,
    VersionConflict,
)
from eventstore.events import (
    MIRRORED,
    QUEUED,
    SYNCED,
    VOLATILE,
    Durability,
    Event,
    Instant,
    Positive,
    UnknownEvent,
    event,
)
from eventstore.journal import Verification
from eventstore.reader import EventReader
from eventstore.record import Batch, Draft, Record
from eventstore.store import EventStore, connect, open

__all__ = [
    "MIRRORED",
    "QUEUED",
    "SYNCED",
    "VOLATILE",
    "AppendError",
    "Batch",
    "Clock",
    "Closed",
    "CorruptJournal",
    "Draft",
    "DuplicateEvent",
    "Durability",
    "Event",
    "EventReader",
    "EventStore",
    "EventTooLarge",
    "Gap",
    "InfluxSettings",
    "Instant",
    "InvalidEvent",
    "ManualClock",
    "NotMirrored",
    "OutcomeUnknown",
    "Overloaded",
    "Pending",
    "Positive",
    "ReadOnly",
    "Record",
    "Refused",
    "StorageFull",
    "StoreError",
    "SystemClock",
    "TargetExists",
    "Unavailable",
    "UnknownContract",
    "UnknownEvent",
    "UnsupportedFormat",
    "Verification",
    "VersionConflict",
    "connect",
    "event",
    "open",
    "trading",
]
