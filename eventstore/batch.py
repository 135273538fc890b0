"""What a caller gives to be appended: events for a stream, and the options that go with them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import msgspec

from eventstore.clock import Times
from eventstore.events import Durability, Event

if TYPE_CHECKING:
    from eventstore.record import Unchanged

Id: TypeAlias = bytes | uuid.UUID
"""An event's id: a UUID or its 16 bytes."""


class AppendOptions(TypedDict, total=False):
    """The keyword arguments of `EventStore.append`, for what passes them on."""

    expected: int | None
    key: str | Sequence[str] | None
    occurred_at: Times | None
    durability: Durability
    actor: str | None
    note: str
    correlation_id: Id | None
    causation_id: Id | None
    unchanged: Unchanged | None


class EnqueueOptions(TypedDict, total=False):
    """The keyword arguments of `EventStore.enqueue`: those of `append` without durability, which is QUEUED."""

    expected: int | None
    key: str | Sequence[str] | None
    occurred_at: Times | None
    actor: str | None
    note: str
    correlation_id: Id | None
    causation_id: Id | None
    unchanged: Unchanged | None


class EncodedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that was checked and encoded long before it is appended, with the id that its key gives it.

    For other parts of the house, in the place of a batch's events: `data` is believed to be what `encode` returned.
    """

    id: bytes
    type: str
    schema: int
    data: bytes


class Batch(msgspec.Struct, frozen=True):
    """Events for one stream, in order, with `append`'s arguments: what `append_many` takes several of.

    Durability and `unchanged` are of all batches, and so `append_many`'s own.
    """

    stream: str
    events: Event | Sequence[Event] | EncodedEvent
    expected: int | None = None
    key: str | Sequence[str] | None = None
    occurred_at: Times | None = None
    actor: str | None = None
    note: str = ""
    correlation_id: Id | None = None
    causation_id: Id | None = None
