"""What a caller gives becomes what a journal takes: events are checked, encoded and given their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.arguments import check_allowed, events_of, keys_of, position_of, text_of, unchanged_of
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
    prepared, count = [], 0
    drafting = _Drafting(durability, now, actor)
    for batch in batches:
        drafts = drafting.drafts(batch)
        if not drafts:
            continue
        expected = batch.expected
        if expected is not None:
            expected = position_of("expected", expected)
        is_time_given = batch.occurred_at is not None
        prepared.append(PreparedBatch(batch.stream, drafts, expected, is_time_given, unchanged, drafting.keys))
        unchanged = None
        count += len(drafts)
        if count > BATCH_EVENTS_MAX or drafting.size > BATCH_BYTES_MAX:
            raise _too_large(count, drafting.size)
    return prepared, count


def _too_large(count: int, size: int) -> EventTooLarge:
    if count > BATCH_EVENTS_MAX:
        return EventTooLarge("a batch", count, BATCH_EVENTS_MAX)
    return EventTooLarge("the data of a batch", size, BATCH_BYTES_MAX)


class _Drafting:
    """Makes the drafts of one append, which has any number of batches.

    An append of 1,000 streams asks everything of a batch 1,000 times, so what was not given is not asked about.
    """

    def __init__(self, durability: Durability, now: int, actor: str) -> None:
        self._durability, self._now, self._actor = durability, now, actor
        self._new_ids = NewIds(now)
        # The class that was asked about last, where it does not depend on the event or its writer what is allowed.
        self._allowed: EventType | None = None
        self.keys: tuple[str, ...] = ()
        """The keys of the last batch; empty where its ids were drawn."""
        self.size = 0
        """How many bytes of data all drafts have together."""

    def drafts(self, batch: Batch) -> list[Draft]:
        """Return what a batch becomes; raise InvalidEvent, EventTooLarge."""
        stream, given = batch.stream, batch.events
        account_of(stream)
        encoded = given if type(given) is EncodedEvent else None
        events = () if encoded is not None else events_of(given)
        count = len(events)
        if count > BATCH_EVENTS_MAX:
            raise _too_large(count, self.size)
        occurred_at = self._now if batch.occurred_at is None else to_ns(batch.occurred_at)
        actor = self._actor if batch.actor is None else text_of("actor", batch.actor)
        note = batch.note
        note = note if type(note) is str and not note else text_of("note", note)
        correlation = None if batch.correlation_id is None else as_id(batch.correlation_id)
        causation = None if batch.causation_id is None else as_id(batch.causation_id)
        if encoded is not None:
            self._check_encoded(encoded, batch)
            self.keys = ()
            id_, type_, schema, data = encoded.id, encoded.type, encoded.schema, encoded.data
            self.size += len(data)
            return [Draft(id_, stream, type_, schema, occurred_at, data, actor, note, correlation, causation)]
        self.keys = () if batch.key is None else keys_of(batch.key, count)
        ids = self._new_ids.take(count) if batch.key is None else [keyed_id(stream, key) for key in self.keys]
        drafts, size = [], self.size
        allowed: EventType | None = None
        type_, schema = "", 0
        following = iter(ids)
        for event in events:
            kind, data = encode(event)
            # What is asked of an event's class is asked once in a row of events of one class.
            if kind is not allowed:
                if kind is not self._allowed or (kind.prefixes and not stream.startswith(kind.prefixes)):
                    self._check_allowed(kind, event, batch)
                allowed, type_, schema = self._allowed, kind.name, kind.schema
            size += len(data)
            id_ = next(following)
            drafts.append(Draft(id_, stream, type_, schema, occurred_at, data, actor, note, correlation, causation))
        self.size = size
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
