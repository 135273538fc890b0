"""The newest records of a log in memory, encoded once for all followers who ask for the same."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, NamedTuple

from gateways.http.live.filters import EVERYTHING
from gateways.http.live.frames import record_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventstore import Record
    from gateways.http.live.filters import RecordFilter

RECORDS_MAX = 20_000
BYTES_MAX = 32_000_000
CHUNK_BYTES = 65_536
"""After so many bytes a follower is given no more at once."""
FILTERS_MAX = 100
"""For so many different filters a segment keeps what it has encoded."""
SHARED_SEGMENTS = 64
"""So many of the newest segments keep it."""


class EventChunk(NamedTuple):
    """What a follower is sent next, and the position up to which nothing else is to be sent."""

    data: bytes
    upto: int


class Segment:
    """Records that were read at once: all of the log past position `after` up to `last`."""

    __slots__ = ("_events", "_shared", "after", "bytes", "last", "records")

    def __init__(self, after: int, last: int, records: Sequence[Record]) -> None:
        self.after, self.last, self.records = after, last, records
        self.bytes = sum([len(record.data) + 1_000 for record in records])
        self._events: list[bytes] | None = None
        self._shared: dict[RecordFilter, bytes] = {}

    def chosen(self, wanted: RecordFilter, after: int) -> bytes:
        """Return the events of what a filter asks for, past a position."""
        if after > self.after:
            return self._joined(wanted, after)
        found = self._shared.get(wanted)
        if found is None:
            found = self._joined(wanted, after)
            if len(self._shared) < FILTERS_MAX:
                self._shared[wanted] = found
        return found

    def forget(self) -> None:
        """Drop what is encoded for each filter: nearly all followers are past it."""
        self._shared.clear()

    def _joined(self, wanted: RecordFilter, after: int) -> bytes:
        if self._events is None:
            self._events = [record_event(record) for record in self.records]
        matches: Callable[[Record], bool] | None = None if wanted == EVERYTHING else wanted.matches
        pairs = zip(self.records, self._events, strict=True)
        return b"".join(
            [data for record, data in pairs if record.position > after and (matches is None or matches(record))]
        )


class Ring:
    """Segments that follow one another without a gap; the oldest are dropped."""

    def __init__(self, after: int) -> None:
        self.first_after = self.last = after
        """The position before the oldest record in here, and that of the newest one."""
        self._segments: list[Segment] = []
        self._lasts: list[int] = []
        self._records = self._bytes = 0

    def add(self, segment: Segment) -> None:
        """Take the records that come next."""
        assert segment.after == self.last, "segments follow one another"
        self._segments.append(segment)
        self._lasts.append(segment.last)
        self.last = segment.last
        self._records += len(segment.records)
        self._bytes += segment.bytes
        if len(self._segments) > SHARED_SEGMENTS:
            self._segments[-SHARED_SEGMENTS - 1].forget()
        dropped = 0
        while self._records > RECORDS_MAX or self._bytes > BYTES_MAX:
            oldest = self._segments[dropped]
            self._records -= len(oldest.records)
            self._bytes -= oldest.bytes
            self.first_after = oldest.last
            dropped += 1
        if dropped:
            del self._segments[:dropped], self._lasts[:dropped]

    def past(self, position: int) -> Sequence[Segment]:
        """Return the segments with records past a position; raise LookupError where it is before the oldest."""
        if position < self.first_after:
            raise LookupError(position)
        return self._segments[bisect.bisect_right(self._lasts, position) :]

    def chunk(self, wanted: RecordFilter, after: int) -> EventChunk:
        """Return what follows a position, at most some CHUNK_BYTES; raise LookupError where it is before the oldest."""
        pieces: list[bytes] = []
        size, upto = 0, after
        for segment in self.past(after):
            pieces.append(segment.chosen(wanted, after))
            upto = segment.last
            size += len(pieces[-1])
            if size >= CHUNK_BYTES:
                break
        return EventChunk(pieces[0] if len(pieces) == 1 else b"".join(pieces), upto)
