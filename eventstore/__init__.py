"""A time-series event-sourced state store for trading: what happened, in order, provable."""

from eventstore import trading
from eventstore.batch import Batch
from eventstore.clock import Clock, ManualClock, SystemClock
from eventstore.commits import Pending
from eventstore.config import InfluxSettings
from eventstore.connection import connect
from eventstore.errors import (
    AccountChanged,
    AppendError,
    Closed,
    CorruptJournal,
    EventTooLarge,
    Fenced,
    Gap,
    InvalidEvent,
    InvalidNote,
    LogHasEnded,
    NoSuchLog,
    NotReplicated,
    OutcomeUnknown,
    Overloaded,
    ReadOnly,
    Refused,
    StorageFull,
    StorageWarning,
    StoreError,
    TargetExists,
    Unavailable,
    UnknownContract,
    Unproved,
    UnsupportedFormat,
    VersionConflict,
)
from eventstore.events import (
    MIRRORED,
    QUEUED,
    REPLICATED,
    SYNCED,
    VOLATILE,
    Durability,
    Duration,
    Event,
    Instant,
    Positive,
    UnknownEvent,
    event,
)
from eventstore.journal import Verification
from eventstore.opening import open
from eventstore.proofs.settings import CheckpointSettings
from eventstore.reader import EventReader
from eventstore.record import Draft, Record, Unchanged
from eventstore.record_errors import DuplicateEvent, NotMirrored
from eventstore.store import EventStore

__all__ = [
    "MIRRORED",
    "QUEUED",
    "REPLICATED",
    "SYNCED",
    "VOLATILE",
    "AccountChanged",
    "AppendError",
    "Batch",
    "CheckpointSettings",
    "Clock",
    "Closed",
    "CorruptJournal",
    "Draft",
    "DuplicateEvent",
    "Durability",
    "Duration",
    "Event",
    "EventReader",
    "EventStore",
    "EventTooLarge",
    "Fenced",
    "Gap",
    "InfluxSettings",
    "Instant",
    "InvalidEvent",
    "InvalidNote",
    "LogHasEnded",
    "ManualClock",
    "NoSuchLog",
    "NotMirrored",
    "NotReplicated",
    "OutcomeUnknown",
    "Overloaded",
    "Pending",
    "Positive",
    "ReadOnly",
    "Record",
    "Refused",
    "StorageFull",
    "StorageWarning",
    "StoreError",
    "SystemClock",
    "TargetExists",
    "Unavailable",
    "Unchanged",
    "UnknownContract",
    "UnknownEvent",
    "Unproved",
    "UnsupportedFormat",
    "Verification",
    "VersionConflict",
    "connect",
    "event",
    "open",
    "trading",
]
