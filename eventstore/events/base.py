"""The base of every event, and what is known of one class of events."""

from __future__ import annotations

import enum
from typing import Any

import msgspec


class Durability(enum.IntEnum):
    """How much must survive before an event counts as taken; a greater one is stronger."""

    VOLATILE = 0
    QUEUED = 1
    SYNCED = 2
    MIRRORED = 3
    REPLICATED = 4


VOLATILE = Durability.VOLATILE
QUEUED = Durability.QUEUED
SYNCED = Durability.SYNCED
MIRRORED = Durability.MIRRORED
REPLICATED = Durability.REPLICATED


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A fact in the past tense, typed and immutable. Subclass it and register the class with `@event`."""


class UnknownEvent(Event, frozen=True, kw_only=True, gc=True):
    """The event of a record whose type, or schema number, is not registered in this process."""

    type: str
    schema: int
    data: Any
