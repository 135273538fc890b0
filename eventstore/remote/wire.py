"""What client and service send each other: events to append, records, and what became of groups, as JSON."""

from __future__ import annotations

import difflib
import itertools
import uuid
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from eventstore.arguments import appended_with
from eventstore.batch import Batch
from eventstore.clock import format_time, parse_time
from eventstore.errors import InvalidEvent, shown
from eventstore.events import Durability, Event
from eventstore.events.registry import by_name
from eventstore.ids import id_text, is_drawn
from eventstore.record import Record, Unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventstore.record import Draft, PreparedBatch

    Prepare = Callable[[Sequence[Batch], Durability, Unchanged | None], tuple[list[PreparedBatch], int]]


class _Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a client sends: a member that is not known is refused, for it may be one that is misspelt."""


class SentEvent(_Sent, frozen=True, kw_only=True):
    """An event to append. `data` holds its members, as `docs/FORMAT.md` describes them.

    `key` names the fact, as `EventStore.append` takes it. Without one, `id` is the UUIDv7 that the client drew: the
    same event sent again under it, after an answer was lost, is recorded once. `schema`: the one that `data` is of, by
    default today's.
    """

    type: str
    data: msgspec.Raw
    id: str | None = None
    key: str | None = None
    schema: int | None = None


class SentUnchanged(_Sent, frozen=True, kw_only=True):
    """A condition: these accounts have no record past position `since`; without accounts, the whole log."""

    accounts: list[str] = []
    since: int


class SentEvents(_Sent, frozen=True, kw_only=True):
    """Events for one stream, with the options of `EventStore.append`; times as ISO 8601 text, or int UNIX ns."""

    events: list[SentEvent]
    expected: int | None = None
    occurred_at: str | int | None = None
    note: str = ""
    correlation_id: str | None = None
    causation_id: str | None = None


class SentAppend(SentEvents, frozen=True, kw_only=True):
    """What is appended to the stream that the URL names."""

    durability: str = Durability.SYNCED.name
    unchanged: SentUnchanged | None = None


class SentBatch(SentEvents, frozen=True, kw_only=True):
    """One of several batches."""

    stream: str


class SentGroup(_Sent, frozen=True, kw_only=True):
    """Batches that are appended together or not at all."""

    batches: list[SentBatch]
    durability: str = Durability.SYNCED.name
    unchanged: SentUnchanged | None = None


class SentGroups(_Sent, frozen=True, kw_only=True):
    """Groups, each with its own outcome, that one commit may take."""

    groups: list[SentGroup]


class SentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record: `data` is the event's JSON byte for byte, times have nine digits, ids are UUIDs, the digest is hex."""

    id: str
    stream: str
    type: str
    schema: int
    occurred_at: str
    data: msgspec.Raw
    actor: str
    note: str
    correlation_id: str | None
    causation_id: str | None
    position: int
    version: int
    recorded_at: str
    digest: str
    log: str


class SentRecords(msgspec.Struct, frozen=True, kw_only=True):
    """Records, and the position after which the next page begins; None where there is none now."""

    records: list[SentRecord]
    next_after: int | None = None
    head: int = 0


def sent_record(record: Record) -> SentRecord:
    """Return a record as it is sent."""
    return SentRecord(
        id=id_text(record.id),
        stream=record.stream,
        type=record.type,
        schema=record.schema,
        occurred_at=format_time(record.occurred_at),
        data=msgspec.Raw(record.data),
        actor=record.actor,
        note=record.note,
        correlation_id=_text_of(record.correlation_id),
        causation_id=_text_of(record.causation_id),
        position=record.position,
        version=record.version,
        recorded_at=format_time(record.recorded_at),
        digest=record.digest.hex(),
        log=record.log,
    )


def received_record(sent: SentRecord) -> Record:
    """Return the record that was sent; raise ValueError for ids, times or a digest that are none."""
    return Record(
        uuid.UUID(sent.id).bytes,
        sent.stream,
        sent.type,
        sent.schema,
        parse_time(sent.occurred_at),
        bytes(sent.data),
        sent.actor,
        sent.note,
        None if sent.correlation_id is None else uuid.UUID(sent.correlation_id).bytes,
        None if sent.causation_id is None else uuid.UUID(sent.causation_id).bytes,
        sent.position,
        sent.version,
        parse_time(sent.recorded_at),
        bytes.fromhex(sent.digest),
        sent.log,
    )


def _text_of(id_: bytes | None) -> str | None:
    return None if id_ is None else id_text(id_)


def prepared_group(sent: SentGroup, actor: str, prepare: Prepare) -> tuple[list[PreparedBatch], int]:
    """Return what a group becomes for a journal, and the number of its events: checked again, whatever a client says.

    `prepare` is `EventStore.prepared`. The actor is whom the service knows the client as, the ids of events without
    keys are the client's. Raises InvalidEvent with the path of what is malformed, EventTooLarge.
    """
    batches, ids = [], []
    for number, batch in enumerate(sent.batches):
        path = f"/batches/{number}"
        if not batch.events:
            raise malformed(f"{path}/events", "a batch has at least one event")
        batches.append(_batch_of(batch, actor, path))
        ids.append([drawn_id(event, f"{path}/events/{place}") for place, event in enumerate(batch.events)])
    unchanged = None
    if sent.unchanged is not None:
        unchanged = Unchanged(accounts=tuple(sent.unchanged.accounts), since=sent.unchanged.since)
    prepared, count = prepare(batches, sent_durability(sent), unchanged)
    return [_with_ids(each, drawn) for each, drawn in zip(prepared, ids, strict=True)], count


def sent_durability(sent: SentGroup) -> Durability:
    """Return the durability that a group is sent with; raise InvalidEvent for none that `append` takes."""
    try:
        return appended_with(Durability.__members__.get(sent.durability, sent.durability))
    except InvalidEvent as e:
        raise malformed("/durability", str(e)) from e


def _with_ids(batch: PreparedBatch, ids: Sequence[bytes | None]) -> PreparedBatch:
    if not any(ids):
        return batch
    drafts = [
        draft if id_ is None else replace(draft, id=id_) for draft, id_ in zip(batch.drafts, ids, strict=True)
    ]  # fmt: skip
    return replace(batch, drafts=drafts)


def _batch_of(sent: SentBatch, actor: str, path: str) -> Batch:
    events = [event_of(event, f"{path}/events/{place}") for place, event in enumerate(sent.events)]
    keys = [event.key for event in sent.events if event.key is not None]
    if keys and len(keys) != len(events):
        raise malformed(f"{path}/events", f"{len(events)} events and {len(keys)} keys: give a key for each, or none")
    return Batch(
        sent.stream,
        events,
        sent.expected,
        keys or None,
        sent.occurred_at,
        actor,
        sent.note,
        id_of(sent.correlation_id, f"{path}/correlation_id"),
        id_of(sent.causation_id, f"{path}/causation_id"),
    )


def event_of(sent: SentEvent, path: str) -> Event:
    """Return the event that a client sent, of a class that is registered here; `path` is where it stands.

    Raises InvalidEvent for an unknown type, another schema than today's, and members that do not fit or are not known:
    what a record holds of these may stay unread, what is sent must not be dropped.
    """
    kind = by_name(sent.type)
    if kind is None:
        raise malformed(f"{path}/type", f"unknown event type {shown(sent.type)}: the service has no class for it")
    if sent.schema not in {None, kind.schema}:
        raise malformed(
            f"{path}/schema",
            f"{sent.type} is sent in schema {sent.schema}, and the service has {kind.schema}: "
            "update the older one of client and service",
        )
    try:
        event: Event = kind.decoder.decode(sent.data)
    except msgspec.MsgspecError as e:
        what, _, where = str(e).partition(" - at `$")
        raise malformed(f"{path}/data{pointer(where.rstrip('`'))}", f"{sent.type}: {what}") from e
    known = kind.cls.__struct_encode_fields__
    unknown = next((name for name in _members(sent.data) if name not in known), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, known, 1)
        cure = f"did you mean {near[0]}?" if near else "update the service, if the client is newer"
        raise malformed(f"{path}/data/{unknown}", f"{sent.type} has no member {shown(unknown)}: {cure}")
    return event


_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def pointer(path: str) -> str:
    """Return a JSON Pointer (RFC 6901) of a path as msgspec writes it, without its `$`: `.a[3].b` is `/a/3/b`."""
    return path.replace("[", "/").replace("]", "").replace(".", "/")


def malformed(path: str, what: str) -> InvalidEvent:
    """Return the error of a member of what a client sent."""
    error = InvalidEvent(what)
    error.path = path
    return error


def drawn_id(sent: SentEvent, path: str) -> bytes | None:
    if sent.id is None:
        return None
    if sent.key is not None:
        raise malformed(f"{path}/id", "an event has an id or a key, not both: the key makes the id")
    id_ = id_of(sent.id, f"{path}/id")
    if id_ is None or not is_drawn(id_):
        # Another version may be the id that somebody's key gives.
        raise malformed(f"{path}/id", f"an event's id is a UUIDv7 (RFC 9562), not {shown(sent.id)}")
    return id_


def id_of(text: str | None, path: str) -> bytes | None:
    if text is None:
        return None
    try:
        return uuid.UUID(text).bytes
    except ValueError as e:
        raise malformed(path, f"{shown(text)} is not a UUID") from e


def sent_group(group: Sequence[PreparedBatch]) -> SentGroup:
    """Return a prepared group as it is sent: what a service does not take from a client is left out.

    These are the times that were not stated, and the actor, whom the service knows by the key. Raises InvalidEvent for
    an id that was not drawn, without the key that it is of.
    """
    batches, unchanged = [], None
    for batch in group:
        if batch.unchanged is not None:
            if batch.unchanged.since is None or batch.unchanged.fence is not None:
                msg = "a fence is a lock of a log in PostgreSQL, which a service does not hand out: open the log itself"
                raise InvalidEvent(msg)
            unchanged = SentUnchanged(accounts=list(batch.unchanged.accounts), since=batch.unchanged.since)
        expected = batch.expected
        # What the drafts of a prepared batch share is sent once; those of other makers may differ.
        for about, numbered in itertools.groupby(enumerate(batch.drafts), key=lambda pair: _about(pair[1])):
            occurred_at, note, correlation, causation = about
            events = [_sent_event(draft, batch.keys[at] if batch.keys else None) for at, draft in numbered]
            batches.append(
                SentBatch(
                    stream=batch.stream,
                    events=events,
                    expected=expected,
                    occurred_at=format_time(occurred_at) if batch.occurred_at_given else None,
                    note=note,
                    correlation_id=_text_of(correlation),
                    causation_id=_text_of(causation),
                )
            )
            expected = None
    return SentGroup(batches=batches, unchanged=unchanged)


def _about(draft: Draft) -> tuple[int, str, bytes | None, bytes | None]:
    return draft.occurred_at, draft.note, draft.correlation_id, draft.causation_id


def _sent_event(draft: Draft, key: str | None) -> SentEvent:
    if key is None and not is_drawn(draft.id):
        msg = f"the {draft.type} in {draft.stream} has the id of a key that is not given: give key="
        raise InvalidEvent(msg)
    id_ = None if key is not None else id_text(draft.id)
    return SentEvent(type=draft.type, data=msgspec.Raw(draft.data), id=id_, key=key, schema=draft.schema)
