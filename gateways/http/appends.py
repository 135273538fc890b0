"""An append to one stream, as its route and the way past the router answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore import InvalidEvent
from eventstore.remote.wire import SentAppend, SentBatch, SentGroup, SentRecord, sent_record

if TYPE_CHECKING:
    from gateways.http.access import Caller
    from gateways.http.service import Service

_OF_BATCH = tuple(name for name in SentBatch.__struct_fields__ if name != "stream")


class Appended(msgspec.Struct, frozen=True):
    """The records that were appended, in order; of a repetition, those that were there."""

    records: list[SentRecord]


async def append_to_stream(service: Service, caller: Caller, stream: str, sent: SentAppend) -> Appended:
    """Append what a client sent for one stream; the path of what is malformed is that in the body."""
    batch = SentBatch(stream=stream, **{name: getattr(sent, name) for name in _OF_BATCH})
    group = SentGroup(batches=[batch], durability=sent.durability, unchanged=sent.unchanged)
    try:
        records = await service.append(group, caller)
    except InvalidEvent as e:
        # The body of this route is the batch itself.
        e.path = e.path.removeprefix("/batches/0")
        raise
    return Appended([sent_record(record) for record in records])
