"""Drafts and records: an event as bytes, before and after a journal gave it its place; and the digest of a record."""

from __future__ import annotations

import functools
import hashlib
import struct
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from eventstore.errors import InvalidEvent
from eventstore.events import Event, Instant, codec
from eventstore.readable import Readable

ID_BYTES = 16
SHARED_MAX = 20_000
_NO_IDS = bytes(8)
Row: TypeAlias = tuple[Any, ...]
"""A record's members as they are stored, in their order, but for its log."""
_length = struct.Struct(">I").pack
# position, version, recorded_at, occurred_at, id, each after its length; then the length of the data.
digest_place = struct.Struct(">IQIQIqIqI16sI").pack


# gc=False: a draft refers to nothing that could refer back to it, so the collector need not visit millions of them.
class Draft(Readable, msgspec.Struct, frozen=True, gc=False):
    """An event as bytes, with all that its writer knows. Times are UNIX ns, UTC; ids are 16 bytes."""

    id: bytes
    stream: str
    type: str
    schema: int
    occurred_at: Instant
    data: bytes
    actor: str
    note: str
    correlation_id: bytes | None
    causation_id: bytes | None

    @property
    def event(self) -> Event:
        """The event itself, decoded at each access and upcast to today's class."""
        return codec.decode(self)

    @property
    def uuid(self) -> uuid.UUID:
        return uuid.UUID(bytes=self.id)

    @property
    def category(self) -> str:
        return self.stream.split("/", 1)[0]

    @property
    def account(self) -> str:
        return self.stream.split("/", 2)[1]

    @property
    def entity(self) -> str:
        """The third part of the stream's name, with `%2F` still in it."""
        return self.stream.split("/", 2)[2]

    def same_fact(self, other: Draft) -> bool:
        """Return whether two drafts record the same fact, by any writer at any time: stream, type, schema and data.

        Data that differs in its bytes alone, as 5 and "5" do, or a default left out and one given, is the same.
        """
        if (self.stream, self.type, self.schema) != (other.stream, other.type, other.schema):
            return False
        if self.data == other.data:
            return True
        try:
            return self.event == other.event
        except InvalidEvent:
            # What its class cannot read is the same as its own bytes alone.
            return False


class Record(Draft, frozen=True, gc=False):
    """An event with its place. `position` in its log and `version` in its stream count from 1 without gaps."""

    position: int
    version: int
    recorded_at: Instant
    digest: bytes
    log: str


class Fence(msgspec.Struct, frozen=True):
    """A lock of a log's side as one process took it: its name, and its epoch, which rises whenever it is taken.

    Locks choose who works, and may be lost unnoticed, as by a process that is paused; the epoch decides who publishes.
    """

    lock: str
    epoch: int


class Unchanged(msgspec.Struct, frozen=True, kw_only=True):
    """The condition that these accounts have no record past position `since`; without accounts, the whole log.

    What an append's decision was based on still holds then. Contracts and rates are of account `-`: name it where they
    matter. `fence`: no process has taken that lock since, on PostgreSQL alone; `since` may be None with it.
    """

    accounts: Sequence[str] = ()
    since: int | None
    fence: Fence | None = None


class PreparedBatch(msgspec.Struct, frozen=True):
    """Drafts for one stream, in order, as a journal takes them. `expected`: the stream's version before them.

    `unchanged` must hold before any part of the batch's group is written; it keeps out the whole group.
    `occurred_at_given`: whether their `occurred_at` was stated, not taken from the clock. An execution report that
    repeats another one has to have its time only then. `keys`: those that the drafts' ids were made of, one for each;
    empty where the ids were drawn. Journals need them no more, a service makes the ids again.
    """

    stream: str
    drafts: Sequence[Draft]
    expected: int | None = None
    occurred_at_given: bool = True
    unchanged: Unchanged | None = None
    keys: Sequence[str] = ()


def digest_beginning(log_id: bytes, stream: str) -> bytes:
    """Return the digested bytes that the records of one stream begin with: 0x00, the log's id and the stream."""
    encoded = stream.encode()
    return b"\0" + _length(len(log_id)) + log_id + _length(len(encoded)) + encoded


def digest_middle(draft: Draft) -> bytes:
    """Return the digested bytes that the records of one type and writer share, whatever their stream: six members."""
    shared = _digested_once(draft.type, draft.schema, draft.actor, draft.note)
    if draft.correlation_id is None and draft.causation_id is None:
        return shared + _NO_IDS
    return shared + b"".join(
        [_length(len(id_)) + id_ for id_ in (draft.correlation_id or b"", draft.causation_id or b"")]
    )


# A process that appends one event at a time has a few types and one writer.
@functools.lru_cache(maxsize=1_000)
def _digested_once(type_: str, schema: int, actor: str, note: str) -> bytes:
    members = (type_.encode(), schema.to_bytes(8, "big"), actor.encode(), note.encode())
    return b"".join([_length(len(member)) + member for member in members])


def digest_prefix(log_id: bytes, draft: Draft) -> bytes:
    """Return the digested bytes that the records of one stream, type and writer share: 0x00 and eight members."""
    return digest_beginning(log_id, draft.stream) + digest_middle(draft)


def digest(prefix: bytes, position: int, version: int, recorded_at: int, draft: Draft) -> bytes:
    """Return a record's SHA-256, which is its leaf hash in the log's tree (docs/FORMAT.md has every byte)."""
    data = draft.data
    place = digest_place(8, position, 8, version, 8, recorded_at, 8, draft.occurred_at, 16, draft.id, len(data))
    return hashlib.sha256(prefix + place + data).digest()


class SoundRun(NamedTuple):
    """The digests of sound records in a row, and when the first and the last of them were recorded."""

    leaves: list[bytes]
    first_recorded_at: int
    last_recorded_at: int


class Digester:
    """Computes digests of one log's records; what many of them share is put together once."""

    def __init__(self, log_id: bytes) -> None:
        self._log_id = log_id
        self._shared: dict[tuple[str, int, str, str], bytes] = {}
        self._streams: dict[str, bytes] = {}

    def digest(self, record: Record) -> bytes:
        """Return the digest that a record's members have, whatever it carries."""
        shared = (record.type, record.schema, record.actor, record.note)
        middle = self._shared.get(shared) or self._middle(shared)
        beginning = self._streams.get(record.stream) or self._beginning(record.stream)
        data = record.data
        correlation, causation = record.correlation_id, record.causation_id
        ids = _NO_IDS if correlation is None and causation is None else _ids_of(correlation, causation)
        place = digest_place(
            8,
            record.position,
            8,
            record.version,
            8,
            record.recorded_at,
            8,
            record.occurred_at,
            16,
            record.id,
            len(data),
        )
        return hashlib.sha256(b"".join((beginning, middle, ids, place, data))).digest()

    def is_sound(self, record: Record) -> bool:
        """Return whether a record's digest is that of its members, and they are of the sizes that the format gives."""
        return self.sound((record,)) == 1

    def sound(self, records: Sequence[Record]) -> int:
        """Return how many records, from the first on, are sound: one page of them in half the time of single calls."""
        shared, streams, sha256, place = self._shared, self._streams, hashlib.sha256, digest_place
        sound = 0
        try:
            for record in records:
                type_, schema, id_, data, stream = record.type, record.schema, record.id, record.data, record.stream
                writer = (type_, schema, record.actor, record.note)
                middle = shared.get(writer) or self._middle(writer)
                beginning = streams.get(stream) or self._beginning(stream)
                correlation, causation = record.correlation_id, record.causation_id
                if correlation is None and causation is None:
                    ids = _NO_IDS
                elif _is_id_or_none(correlation) and _is_id_or_none(causation):
                    ids = _ids_of(correlation, causation)
                else:
                    break
                # The same bytes as `digest` has, inlined.
                recorded_at, occurred_at = record.recorded_at, record.occurred_at
                members = place(
                    8, record.position, 8, record.version, 8, recorded_at, 8, occurred_at, 16, id_, len(data)
                )  # fmt: skip
                leaf = sha256(beginning + middle + ids + members + data).digest()
                # 1.0 is the same key as 1, and no schema number.
                if leaf != record.digest or len(id_) != ID_BYTES or type(schema) is not int:
                    break
                sound += 1
        except (struct.error, AttributeError, OverflowError, TypeError, UnicodeError):
            # Not what the columns declare: nothing that was ever written so.
            return sound
        return sound

    def run(self, rows: Iterable[Row], after: int, since: int) -> SoundRun | None:
        """Return the digests of rows that follow a position and a time; None unless all are sound and in order.

        Asks of each row what `sound` asks of a record, and nothing of a row outlives it: in three quarters of the time.
        """
        shared, streams, sha256, place = self._shared, self._streams, hashlib.sha256, digest_place
        leaves: list[bytes] = []
        first, position, last = 0, after, since
        try:
            for (
                id_, stream, type_, schema, occurred_at, data, actor, note, correlation, causation,
                at, version, recorded_at, digest,
            ) in rows:  # fmt: skip
                position += 1
                writer = (type_, schema, actor, note)
                middle = shared.get(writer) or self._middle(writer)
                beginning = streams.get(stream) or self._beginning(stream)
                if correlation is None and causation is None:
                    ids = _NO_IDS
                elif _is_id_or_none(correlation) and _is_id_or_none(causation):
                    ids = _ids_of(correlation, causation)
                else:
                    return None
                members = place(8, at, 8, version, 8, recorded_at, 8, occurred_at, 16, id_, len(data))
                leaf = sha256(beginning + middle + ids + members + data).digest()
                if leaf != digest or len(id_) != ID_BYTES or type(schema) is not int:
                    return None
                if at != position or recorded_at <= last:
                    return None
                last = recorded_at
                first = first or last
                leaves.append(leaf)
        except (struct.error, AttributeError, OverflowError, TypeError, UnicodeError):
            return None
        return SoundRun(leaves, first, last)

    def _beginning(self, stream: str) -> bytes:
        if len(self._streams) >= SHARED_MAX:
            # Emptied as a whole: to evict the least recently used, each digest would have to keep an order of use.
            self._streams.clear()
        beginning = self._streams[stream] = digest_beginning(self._log_id, stream)
        return beginning

    def _middle(self, shared: tuple[str, int, str, str]) -> bytes:
        type_, schema, actor, note = shared
        members = (type_.encode(), schema.to_bytes(8, "big"), actor.encode(), note.encode())
        if len(self._shared) >= SHARED_MAX:
            self._shared.clear()
        middle = self._shared[shared] = b"".join([_length(len(member)) + member for member in members])
        return middle


def _ids_of(correlation: bytes | None, causation: bytes | None) -> bytes:
    """Return the digested bytes of the ids that a record refers to."""
    return b"".join([_length(len(id_)) + id_ for id_ in (correlation or b"", causation or b"")])


def _is_id_or_none(given: bytes | None) -> bool:
    return given is None or len(given) == ID_BYTES
