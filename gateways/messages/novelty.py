"""Which events of a message are new to the log: what is repeated is left out, and a changed report gets its own key."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec.structs import fields, replace

from eventstore.errors import InvalidEvent
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.trading import TradeBusted, TradeCorrected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event, EventStore, Record
    from gateways.messages.mapped import MappedEvent


def new_events(store: EventStore, events: Iterable[MappedEvent]) -> list[MappedEvent]:
    """Return those events that the log lacks, each once.

    A report that comes again with other content, such as a fee that was missing, gets a key of that content: what it
    adds is for the fold to say.
    """
    found: list[MappedEvent] = []
    seen: dict[bytes, Event] = {}
    for mapped in events:
        for candidate in (mapped, *_with_key_of_content(mapped)):
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


def _with_key_of_content(mapped: MappedEvent) -> Iterable[MappedEvent]:
    if mapped.key is not None:
        digest = hashlib.sha256(encode(mapped.event)[1]).hexdigest()[:16]
        yield replace(mapped, key=f"{mapped.key} {digest}")


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
