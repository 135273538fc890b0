"""Which events of a message are new to the log: what is repeated is left out, and a changed report gets its own key."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec.structs import fields, replace

from eventstore.errors import InvalidEvent
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.streams import account_of, stream_of
from eventstore.trading import CashMoved, NoteAdded, TradeBusted, TradeCorrected
from eventstore.trading.notes import TEXT_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event, EventStore, Record
    from gateways.messages.mapped import MappedEvent


CONFLICTING_CASH = "conflicting-cash"


def new_events(store: EventStore, events: Iterable[MappedEvent], seen: dict[bytes, Event]) -> list[MappedEvent]:
    """Return those events that the log lacks, each once; `seen` are those of one commit, by id, and gets these.

    A report that comes again with other content, such as a fee that was missing, gets a key of that content: what it
    adds is for the fold to say. Cash that moved adds up, so that the same movement with another amount is a note.
    """
    found: list[MappedEvent] = []
    for mapped in events:
        for candidate in (mapped, *_stated_otherwise(mapped)):
            if candidate.key is None:
                found.append(candidate)
                break
            id_ = keyed_id(candidate.stream, candidate.key)
            if id_ in seen:
                if seen[id_] == candidate.event:
                    break
                continue
            record = store.find(id_)
            if record is None:
                seen[id_] = candidate.event
                found.append(candidate)
                break
            if _is_same(record, candidate.event):
                break
    return found


def _stated_otherwise(mapped: MappedEvent) -> Iterable[MappedEvent]:
    """Yield what is recorded of an event if the log has another one under its key."""
    if mapped.key is None:
        return
    data = encode(mapped.event)[1]
    key = f"{mapped.key} {hashlib.sha256(data).hexdigest()[:16]}"
    if not isinstance(mapped.event, CashMoved):
        yield replace(mapped, key=key)
        return
    name = mapped.event.reference or mapped.key
    text = f"{name} was reported again with other figures, and counts once: {data.decode()}"
    note = NoteAdded(target=mapped.stream, text=text[:TEXT_MAX], tags=(CONFLICTING_CASH,))
    account = account_of(mapped.stream)
    yield replace(mapped, stream=stream_of("note", account, hashlib.sha256(key.encode()).hexdigest()[:32]), event=note)


def _is_same(record: Record, event: Event) -> bool:
    """Return whether a record says what an event says; a bust or correction was completed when it was appended."""
    kind, data = encode(event)
    if (record.type, record.schema, record.data) == (kind.name, kind.schema, data):
        return True
    if record.type != kind.name or not isinstance(event, TradeBusted | TradeCorrected):
        return False
    try:
        known = record.event
    except InvalidEvent:
        return False
    stated = [field.name for field in fields(event) if getattr(event, field.name) not in {None, field.default}]
    return all(getattr(known, name, None) == getattr(event, name) for name in stated)
