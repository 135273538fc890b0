"""What a caller gives becomes what a journal takes: events are checked, encoded and given their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.arguments import check_allowed, events_of, expected_of, keyed_ids, text_of, unchanged_of
from eventstore.clock import check_now, derived_from, to_ns
from eventstore.errors import EventTooLarge
from eventstore.events import Durability, encode
from eventstore.ids import as_id, new_ids
from eventstore.journal import BATCH_BYTES_MAX, BATCH_EVENTS_MAX
from eventstore.record import Draft, PreparedBatch
from eventstore.streams import account_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.batch import Batch
    from eventstore.events.registry import EventType
    from eventstore.record import Unchanged


def prepare(
    batches: Sequence[Batch], durability: Durability, *, unchanged: Unchanged | None, now: int, actor: str
) -> tuple[list[PreparedBatch], int]:
    """Return what is appended at an instant, by default by `actor`, as a journal takes it; and the number of events.

    Batches without events are left out; `unchanged` is on the first of the others.
    """
    condition = unchanged_of(unchanged)
    # One reading of the clock for all: the events of one append happened at one time, and their ids say the same.
    now = check_now(now)
    # By a clock that is wrong by decades, times before 1990 are those of today.
    with derived_from(now):
        return _prepared(batches, durability, condition, now, actor)


def _prepared(
    batches: Sequence[Batch], durability: Durability, unchanged: Unchanged | None, now: int, actor: str
) -> tuple[list[PreparedBatch], int]:
    prepared, count, size = [], 0, 0
    for batch in batches:
        drafts = _drafts(batch, durability, now, actor)
        if not drafts:
            continue
        is_time_given = batch.occurred_at is not None
        expected = expected_of(batch.expected)
        prepared.append(PreparedBatch(batch.stream, drafts, expected, is_time_given, unchanged))
        unchanged = None
        count += len(drafts)
        size += sum([len(draft.data) for draft in drafts])
        if count > BATCH_EVENTS_MAX:
            what = "a batch"
            raise EventTooLarge(what, count, BATCH_EVENTS_MAX)
        if size > BATCH_BYTES_MAX:
            what = "the data of a batch"
            raise EventTooLarge(what, size, BATCH_BYTES_MAX)
    return prepared, count


def _drafts(batch: Batch, durability: Durability, now: int, default_actor: str) -> list[Draft]:
    stream = batch.stream
    account_of(stream)
    events = events_of(batch.events)
    if len(events) > BATCH_EVENTS_MAX:
        what = "a batch"
        raise EventTooLarge(what, len(events), BATCH_EVENTS_MAX)
    occurred_at = now if batch.occurred_at is None else to_ns(batch.occurred_at)
    actor = default_actor if batch.actor is None else text_of("actor", batch.actor)
    note = batch.note
    if type(note) is not str or note:
        note = text_of("note", note)
    correlation, causation = as_id(batch.correlation_id), as_id(batch.causation_id)
    ids = new_ids(len(events), now) if batch.key is None else keyed_ids(stream, batch.key, len(events))
    drafts = []
    allowed: EventType | None = None
    for id_, event in zip(ids, events, strict=True):
        kind, data = encode(event)
        # What is asked of an event's class is asked once in a row of events of one class.
        if kind is not allowed:
            check_allowed(kind, event, stream, durability, batch.actor)
            allowed = kind if kind.durability_of is None else None
        drafts.append(
            Draft(id_, stream, kind.name, kind.schema, occurred_at, data, actor, note, correlation, causation)
        )
    return drafts
