"""Logs with data as it is given, and a second, plain computation of what a frame of them holds."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from eventstore import Event, EventReader, Instant, ManualClock
from eventstore import event as registered
from eventstore.events import Duration, UnknownEvent
from eventstore.ids import keyed_id
from eventstore.journal import append
from eventstore.journals.memory import MemoryJournal
from eventstore.journals.sqlite import SqliteJournal
from eventstore.record import Draft, PreparedBatch, Record
from eventstore.trading import Side

START = 1_764_500_000_123_456_789


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, frozen=True):
    name: str
    size: Decimal


@registered(name="FrameSample", schema=2, upcasters={1: lambda raw: {**raw, "symbol": raw["instrument"]}})
class Sample(Event, frozen=True, kw_only=True):
    """A member of each kind."""

    symbol: str
    price: Decimal
    fee: Decimal = Decimal(0)
    limit: Decimal | None = None
    side: Side | None = None
    colour: Colour = Colour.RED
    count: int = 0
    share: float | None = None
    is_open: bool | None = None
    at: Instant | None = None
    took: Duration | None = None
    day: datetime.date | None = None


@registered(name="FrameNamed")
class Named(Event, frozen=True, kw_only=True):
    """Members that are called like a record's, and one that is text where another type has a number."""

    position: Decimal
    account: str = ""
    count: str = ""
    symbol: str = ""


@registered(name="FrameNested")
class Nested(Event, frozen=True, kw_only=True):
    parts: tuple[Part, ...] = ()
    by_name: dict[str, int] = msgspec.field(default_factory=dict)


@registered(name="FrameAmbiguous")
class Ambiguous(Event, frozen=True, kw_only=True):
    """Left out, the level is five; null, it is none."""

    level: int | None = 5


def draft(type_: str, data: bytes | str, *, number: int, schema: int = 1, stream: str = "test/ACC1/one") -> Draft:
    raw = data.encode() if isinstance(data, str) else data
    id_ = keyed_id(stream, str(number))
    return Draft(id_, stream, type_, schema, START - number, raw, "a@b/c", "", None, None)


def log_of(*drafts: Draft, path: Path | None = None) -> EventReader:
    """Return a log with drafts as they are: no class has checked their data."""
    clock = ManualClock(START)
    journal = MemoryJournal(clock=clock) if path is None else SqliteJournal(path, clock=clock)
    for each in drafts:
        clock.advance(1)
        append(journal, [PreparedBatch(each.stream, [each])])
    return EventReader(journal)


def samples(*data: str | bytes, path: Path | None = None) -> EventReader:
    """Return a log of Samples of today's schema."""
    drafts = [draft("FrameSample", each, number=number, schema=2) for number, each in enumerate(data)]
    return log_of(*drafts, path=path)


def plain(records: Sequence[Record], name: str) -> list[Any]:
    """Return a member of each record's event as the event has it, None where it has none."""
    events = [record.event for record in records]
    return [None if isinstance(event, UnknownEvent) else getattr(event, name, None) for event in events]


def texts(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else str(getattr(value, "value", value)) for value in values]
