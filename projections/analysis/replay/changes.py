"""What is asked of a history that was not: records left out of it, and other events in the place of some."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import astuple, replace

from eventstore import SYNCED, Batch, Event, InvalidEvent, Record
from eventstore.arguments import events_of
from eventstore.clock import derived_from
from eventstore.errors import shown
from eventstore.ids import is_drawn
from eventstore.preparation import prepare
from eventstore.record import Draft
from eventstore.streams import check_pattern
from eventstore.trading import LimitsSet
from projections.views.limits.parameters import refuse_unreadable

if TYPE_CHECKING:
    from eventstore import EventReader

Predicate: TypeAlias = Callable[[Record], bool]
Place: TypeAlias = "int | str | bytes | uuid.UUID | Record"
"""A record, by its log position or its id (hex, UUID or 16 bytes); text with a slash is a stream, or a prefix."""
Without: TypeAlias = "Place | Predicate | Iterable[Place]"
InPlace: TypeAlias = "Event | Batch | Record"
Instead: TypeAlias = "Mapping[Place, InPlace | Sequence[InPlace]]"
_HEX_DIGITS = 32


class AskedChanges:
    """What becomes of each record of a range: it stays, is left out, or other drafts stand in its place."""

    def __init__(
        self, reader: EventReader, first: int, until: int, without: Without | None, instead: Instead | None
    ) -> None:
        self._reader, self._first, self._until = reader, first, until
        self._ids: dict[bytes, int] | None = None
        self._left_out: set[int] = set()
        self._streams: set[str] = set()
        self._prefixes: tuple[str, ...] = ()
        self._predicate: Predicate | None = None
        self._instead: dict[int, list[Draft]] = {}
        if without is not None:
            self._leave_out(without)
        if instead is not None:
            self._replace(instead)

    @property
    def begins(self) -> int:
        """The first position that may be changed; where nothing is known to be, the first of the range."""
        places = [*self._left_out, *self._instead]
        for stream in (*self._streams, *self._prefixes):
            places += [record.position for record in self._reader.read(stream=stream, after=self._first, limit=1)]
        return self._first + 1 if self._predicate is not None or not places else min(places)

    def of(self, record: Record) -> list[Draft] | None:
        """Return what stands in a record's place, nothing where it is left out; None where it stays."""
        drafts = self._instead.get(record.position)
        if drafts is not None:
            return drafts
        is_left_out = (
            record.position in self._left_out
            or record.stream in self._streams
            or (self._prefixes and record.stream.startswith(self._prefixes))
            or (self._predicate is not None and self._predicate(record))
        )
        return [] if is_left_out else None

    def _leave_out(self, without: Any) -> None:  # noqa: ANN401 - what callers give, checked here
        if callable(without):
            self._predicate = without
            return
        single = isinstance(without, int | str | bytes | uuid.UUID | Record)
        places: Any = [without] if single else without
        if isinstance(places, Mapping) or not hasattr(places, "__iter__"):
            msg = f"without is positions, ids, records or streams, or f(record) -> bool, not {shown(without)}"
            raise InvalidEvent(msg)
        for place in places:
            if isinstance(place, str) and "/" in place:
                self._leave_out_stream(place)
            else:
                self._left_out.add(self._position("without", place))

    def _leave_out_stream(self, stream: str) -> None:
        check_pattern(stream)
        if not any(True for _ in self._reader.read(stream=stream, after=self._first, until=self._until, limit=1)):
            msg = f"without names stream {shown(stream)}, which has no record in what is played"
            raise InvalidEvent(msg)
        if stream.endswith("/"):
            self._prefixes = (*self._prefixes, stream)
        else:
            self._streams.add(stream)

    def _replace(self, instead: Any) -> None:  # noqa: ANN401 - what callers give, checked here
        if not isinstance(instead, Mapping):
            msg = f"instead is a mapping of a record to what stands in its place, not {shown(instead)}"
            raise InvalidEvent(msg)
        for place, given in instead.items():
            position = self._position("instead", place)
            if position in self._left_out or position in self._instead:
                msg = f"position {position} is named twice: leave it out, or give what stands in its place"
                raise InvalidEvent(msg)
            record = next(iter(self._reader.read(after=position - 1, limit=1)))
            self._instead[position] = _drafts(record, given)

    def _position(self, what: str, place: object) -> int:
        """Return a record's log position; raise InvalidEvent for one that is not in the range."""
        if isinstance(place, Record):
            place = place.position
        found = place if type(place) is int else self._position_of_id(what, place)
        if not self._first < found <= self._until:
            name = f"position {found}" if type(place) is int else f"the record with id {shown(place)}"
            msg = f"{what} names {name}, and what is played are positions {self._first + 1} to {self._until}"
            raise InvalidEvent(msg)
        return found

    def _position_of_id(self, what: str, place: object) -> int:
        given = place
        if isinstance(given, uuid.UUID):
            given = given.bytes
        elif isinstance(given, str) and len(digits := given.replace("-", "")) == _HEX_DIGITS:
            try:
                given = bytes.fromhex(digits)
            except ValueError:
                given = None
        if not isinstance(given, bytes):
            msg = (
                f"{what} names a record by its log position or its id, or a stream with its slashes: not {shown(place)}"
            )
            raise InvalidEvent(msg)
        if self._ids is None:
            pages = self._reader.rows(("id",), after=self._first, until=self._until)
            self._ids = {id_: position for page in pages for position, id_ in page}
        return self._ids.get(given, 0)


def _drafts(record: Record, given: object) -> list[Draft]:
    """Return what stands in a record's place; raise InvalidEvent for what the store would refuse."""
    parts = given if isinstance(given, list | tuple) else [given]
    drafts: list[Draft] = []
    for part in parts:
        if isinstance(part, Record):
            drafts.append(Draft(*astuple(part)[:10]))
            continue
        correlation, causation = record.correlation_id, record.causation_id
        batch = part
        if isinstance(part, Event):
            batch = Batch(record.stream, part, correlation_id=correlation, causation_id=causation)
        if not isinstance(batch, Batch):
            msg = (
                f"what stands in the place of position {record.position} is an event, a Batch(stream, events) for "
                f"another stream, or a list of them, not {shown(part)}"
            )
            raise InvalidEvent(msg)
        drafts += _prepared(record, batch)
    # What continues the record's own stream is that record to all that refers to it.
    is_free = not any(draft.id == record.id for draft in drafts)
    found = []
    for number, draft in enumerate(drafts):
        if is_free and draft.stream == record.stream:
            found.append(replace(draft, id=record.id))
            is_free = False
        elif is_drawn(draft.id) and draft.id != record.id:
            found.append(replace(draft, id=_counted(record, number)))
        else:
            found.append(draft)
    return found


def _prepared(record: Record, batch: Batch) -> list[Draft]:
    batch = replace(batch, actor=batch.actor or record.actor, note=batch.note or record.note)
    if batch.occurred_at is None:
        batch = replace(batch, occurred_at=record.occurred_at)
    for event in events_of(batch.events):
        if isinstance(event, LimitsSet):
            refuse_unreadable(event, batch.stream)
    with derived_from(record.occurred_at):
        prepared, _ = prepare([batch], SYNCED, unchanged=None, now=record.recorded_at, actor=record.actor)
    return [draft for each in prepared for draft in each.drafts]


def _counted(record: Record, number: int) -> bytes:
    """Return the same id in each replay, of the kind that is drawn."""
    digest = bytearray(hashlib.sha256(record.id + number.to_bytes(4, "big")).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x70
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)
