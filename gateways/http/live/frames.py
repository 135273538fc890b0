"""Server-sent events as bytes: records, positions, and the last one, which says why a stream ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.remote.wire import sent_record

if TYPE_CHECKING:
    from eventstore import Record

MEDIA_TYPE = "text/event-stream"
_encode = msgspec.json.Encoder().encode


def record_event(record: Record) -> bytes:
    """Return a record as an event whose id is its log position."""
    return b"id: %d\nevent: record\ndata: %b\n\n" % (record.position, _one_line(_encode(sent_record(record))))


def event(name: str, data: Any, id_: int | None = None) -> bytes:  # noqa: ANN401 - any plain JSON
    """Return an event of another kind; only one with an id moves the client's `Last-Event-ID`."""
    first = b"" if id_ is None else b"id: %d\n" % id_
    return first + b"event: %b\ndata: %b\n\n" % (name.encode(), _one_line(_encode(data)))


def comment(text: str) -> bytes:
    """Return a comment, which clients pass over: it only shows that the connection lives."""
    return b": %b\n\n" % text.encode()


def _one_line(data: bytes) -> bytes:
    # A line feed would end the member. JSON has none but between its tokens, where the client's own stands as well.
    if b"\n" in data or b"\r" in data:
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
    return data
