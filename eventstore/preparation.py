"""What a caller gives becomes what a journal takes: events are checked, encoded and given their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.arguments import check_allowed, events_of, expected_of, keys_of, text_of, unchanged_of
from eventstore.batch import EncodedEvent
from eventstore.clock import check_now, derived_from, to_ns
from eventstore.errors import EventTooLarge
from eventstore.events import Durability, Event, decode, encode
from eventstore.events.registry import by_class
from eventstore.ids import NewIds, as_id, keyed_id
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
    drafting = _Drafting(durability, now, actor)
    for batch in batches:
        drafts = drafting.drafts(batch)
        if not drafts:
            continue
        is_time_given = batch.occurred_at is not None
        expected = None if batch.expected is None else expected_of(batch.expected)
        prepared.append(PreparedBatch(batch.stream, drafts, expected, is_time_given, unchanged, drafting.keys))
        unchanged = None
        count += len(drafts)
        for draft in drafts:
            size += len(draft.data)
        _check_size(count, size)
    return prepared, count


def _check_size(count: int, size: int) -> None:
    if count > BATCH_EVENTS_MAX:
        what = "a batch"
        raise EventTooLarge(what, count, BATCH_EVENTS_MAX)
    if size > BATCH_BYTES_MAX:
        what = "the data of a batch"
        raise EventTooLarge(what, size, BATCH_BYTES_MAX)


class _Drafting:
    """Makes the drafts of one append, which has any number of batches."""

    def __init__(self, durability: Durability, now: int, actor: str) -> None:
        self._durability, self._now, self._actor = durability, now, actor
        self._new_ids = NewIds(now)
        # The class that was asked about last, where it does not depend on the event or its writer what is allowed.
        self._allowed: EventType | None = None
        self.keys: tuple[str, ...] = ()
        """The keys of the last batch; empty where its ids were drawn."""

    def drafts(self, batch: Batch) -> list[Draft]:
        """Return what a batch becomes; raise InvalidEvent, EventTooLarge."""
        stream, now, given = batch.stream, self._now, batch.events
        account_of(stream)
        events = () if isinstance(given, EncodedEvent) else events_of(given)
        count = len(events)
        if count > BATCH_EVENTS_MAX:
            what = "a batch"
            raise EventTooLarge(what, count, BATCH_EVENTS_MAX)
        occurred_at = now if batch.occurred_at is None else to_ns(batch.occurred_at)
        actor = self._actor if batch.actor is None else text_of("actor", batch.actor)
        note = batch.note
        if type(note) is not str or note:
            note = text_of("note", note)
        correlation, causation = as_id(batch.correlation_id), as_id(batch.causation_id)
        if isinstance(given, EncodedEvent):
            self._check_encoded(given, batch)
            self.keys = ()
            id_, type_, schema, data = given.id, given.type, given.schema, given.data
            return [Draft(id_, stream, type_, schema, occurred_at, data, actor, note, correlation, causation)]
        if batch.key is None:
            self.keys, ids = (), self._new_ids.take(count)
        else:
            self.keys = keys_of(batch.key, count)
            ids = [keyed_id(stream, key) for key in self.keys]
        drafts = []
        for id_, event in zip(ids, events, strict=True):
            kind, data = encode(event)
            # What is asked of an event's class is asked once in a row of events of one class.
            if kind is not self._allowed or (kind.prefixes and not stream.startswith(kind.prefixes)):
                self._check_allowed(kind, event, batch)
            drafts.append(
                Draft(id_, stream, kind.name, kind.schema, occurred_at, data, actor, note, correlation, causation)
            )
        return drafts

    def _check_encoded(self, given: EncodedEvent, batch: Batch) -> None:
        assert batch.key is None, "the id of what is encoded says under which key"
        kind, stream = self._allowed, batch.stream
        is_as_the_last = kind is not None and (given.type, given.schema) == (kind.name, kind.schema)
        if kind is None or not is_as_the_last or (kind.prefixes and not stream.startswith(kind.prefixes)):
            event = decode(given)
            self._check_allowed(by_class(type(event)), event, batch)

    def _check_allowed(self, kind: EventType, event: Event, batch: Batch) -> None:
        check_allowed(kind, event, batch.stream, self._durability, batch.actor)
        self._allowed = None if kind.requires_actor or kind.durability_of is not None else kind
