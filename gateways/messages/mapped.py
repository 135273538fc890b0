"""What all mappings of live messages share: events with their place, the protocol of a mapping, and its one error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from eventstore.errors import InvalidEvent
from eventstore.events import Event

FieldNames = Mapping[str, Mapping[str, str]]
"""For each kind of message its fields: what each becomes (`OrderReported.status`), or why it is left out."""


class MappedEvent(msgspec.Struct, frozen=True):
    """One event of a message. Stream and key decide its id; `occurred_at` is in UNIX ns, None for now.

    An order's stream is named by the id that the program gave the order, where the message states it, else by the
    broker's id: the Recorder finds the order that has it, and holds a `parent_order_id` to the same. Without a key each
    delivery is a record of its own: for quotes, and for states that have neither an id nor a time. `order_names` are
    further ids of the order that the message states, by which it is found where the stream's name is not known.
    """

    stream: str
    event: Event
    key: str | None
    occurred_at: int | None
    order_names: tuple[str, ...] = ()


class MessageMapping(Protocol):
    """Makes events of one source's messages. Beside it its module has FIELDS and LEFT_OUT, both FieldNames."""

    @property
    def source(self) -> str:
        """The name of the source in notes and error messages, such as `projectx` or `ccxt/binance`."""

    def events(self, message: Mapping[str, object]) -> tuple[MappedEvent, ...]:
        """Return the events of a message: the same ones for the same message, whatever came before it.

        No events if there is nothing to record. Raises Unmapped if it cannot be mapped, and no other error.
        """


@runtime_checkable
class DividedMapping(Protocol):
    """A mapping whose messages may list many objects: an event loop has them recorded a few at a time."""

    def parts(self, message: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
        """Return messages that together say what a message does, the message itself if it is short; never raise."""


class Unmapped(InvalidEvent):
    """A message that cannot be mapped: `kind` is its type, `why` what is wrong, `message` all of it.

    `is_market`: it is market data, of which a few examples are kept.
    """

    def __init__(self, source: str, kind: str, why: str, message: object, *, is_market: bool = False) -> None:
        self.source, self.kind, self.why, self.message, self.is_market = source, kind, why, message, is_market
        super().__init__(f"{source} {kind}: {why}")
