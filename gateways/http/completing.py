"""What the service completes or refuses of an append by its book, as an append through a book does.

A client library's store appends as a store does, and its books complete what they append themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from eventstore import InvalidEvent
from eventstore.arguments import keyed_ids
from eventstore.events import encode
from eventstore.events.registry import by_class
from eventstore.remote.wire import drawn_id, event_of
from projections import completion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore import Event, EventStore
    from eventstore.remote.wire import SentBatch, SentGroup
    from projections.book import Book

_LOOKED_AT = frozenset(by_class(kind).name for kind in completion.LOOKED_AT)


def is_looked_at(group: SentGroup) -> bool:
    """Return whether anything of a group may be completed or refused."""
    return any(event.type in _LOOKED_AT for batch in group.batches for event in batch.events)


def completed_group(book: Book, store: EventStore, group: SentGroup) -> SentGroup:
    """Return a group with its busts and corrections completed from their trades.

    Raises InvalidEvent, with its path, for what is malformed, for a limit that none can judge, and for an account in
    use that is reopened.
    """
    given = [_given(batch, f"/batches/{number}") for number, batch in enumerate(group.batches)]
    for number, each in enumerate(given):
        try:
            completion.refuse(book, store, [each])
        except InvalidEvent as e:
            e.path = e.path or f"/batches/{number}/events"
            raise
    found = completion.completed(book, store, given)
    return replace(group, batches=list(map(_with_events, group.batches, given, found)))


def _given(batch: SentBatch, path: str) -> completion.GivenEvents:
    events, ids = [], []
    for place, sent in enumerate(batch.events):
        where = f"{path}/events/{place}"
        events.append(event_of(sent, where))
        ids.append(drawn_id(sent, where) if sent.key is None else keyed_ids(batch.stream, sent.key, 1)[0])
    return completion.GivenEvents(batch.stream, events, ids)


def _with_events(batch: SentBatch, given: completion.GivenEvents, found: Sequence[Event]) -> SentBatch:
    events = [
        sent if event is known else replace(sent, data=msgspec.Raw(encode(event)[1]))
        for sent, known, event in zip(batch.events, given.events, found, strict=True)
    ]
    return replace(batch, events=events)
