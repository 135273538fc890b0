"""Events: their base class, their registry, their form as bytes."""

from eventstore.events.base import MIRRORED, QUEUED, REPLICATED, SYNCED, VOLATILE, Durability, Event, UnknownEvent
from eventstore.events.codec import decode, encode
from eventstore.events.registry import event
from eventstore.events.validation import Currency, DerivedInstant, Duration, Instant, Positive, RecordId

__all__ = [
    "MIRRORED",
    "QUEUED",
    "REPLICATED",
    "SYNCED",
    "VOLATILE",
    "Currency",
    "DerivedInstant",
    "Durability",
    "Duration",
    "Event",
    "Instant",
    "Positive",
    "RecordId",
    "UnknownEvent",
    "decode",
    "encode",
    "event",
]
