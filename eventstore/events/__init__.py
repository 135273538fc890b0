"""Events: their base class, their registry, their form as bytes."""

from eventstore.events.base import MIRRORED, QUEUED, SYNCED, VOLATILE, Durability, Event, UnknownEvent
from eventstore.events.codec import decode, encode
from eventstore.events.registry import event
from eventstore.events.validation import DerivedInstant, Duration, Instant, Positive

__all__ = [
    "MIRRORED",
    "QUEUED",
    "SYNCED",
    "VOLATILE",
    "DerivedInstant",
    "Durability",
    "Duration",
    "Event",
    "Instant",
    "Positive",
    "UnknownEvent",
    "decode",
    "encode",
    "event",
]
