"""Finding records of a log: by position, by id, and in a stream before another one."""

from __future__ import annotations

import uuid
from collections import deque
from datetime import UTC, tzinfo
from itertools import islice
from typing import TYPE_CHECKING

from eventstore import EventStore, InvalidEvent
from eventstore.clock import format_time, likely_unit
from eventstore.errors import shown
from projections.auditing.sentences import Said, sentence_of
from projections.auditing.sentences.sentence import read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from eventstore import Event, EventReader, Record
    from eventstore.reader import FollowOptions

SEARCHED_MAX = 1_000_000
"""How many records before another one are searched for an id where the source has no index of ids."""
_FIRST_WINDOW = 2_000
_READ_AT_ONCE = 10
"""From so many records on, they are read with those in between, if these are at most so many times as many."""


class LogSearch:
    """Looks records of one log up, each once."""

    def __init__(self, store: EventReader, zone: tzinfo = UTC) -> None:
        self.store, self.zone = store, zone
        self.head = store.head()
        self.unknown: dict[str, None] = {}
        """What the log does not show, in the order in which it was found to be missing."""
        self._known: dict[int, Record] = {}

    def note(self, text: str) -> None:
        """Remember that something is not known."""
        self.unknown[text] = None

    def at(self, position: int) -> Record | None:
        """Return the record at a log position, None where the log has none."""
        known = self._known.get(position)
        if known is None and 0 < position <= self.head:
            known = next(iter(self.store.read(after=position - 1, limit=1, until=position)), None)
            if known is not None:
                self._known[position] = known
        return known

    def of_account(self, account: str, positions: Sequence[int]) -> list[Record]:
        """Return an account's records at log positions, in their order: those close together are read at once."""
        missing = [position for position in positions if position not in self._known]
        if len(missing) > _READ_AT_ONCE:
            near = self.store.read(account=account, after=min(missing) - 1, until=max(missing))
            for record in islice(near, _READ_AT_ONCE * len(missing)):
                self._known[record.position] = record
        found = (self.at(position) for position in positions)
        return [record for record in found if record is not None]

    def required(self, position: int) -> Record:
        """Return the record at a log position; raise InvalidEvent where the log has none."""
        found = self.at(position)
        if found is not None:
            return found
        msg = f"position {shown(position)} is not in log {self.store.log}, which ends at {self.head}"
        if (unit := likely_unit(position)) is not None:
            name, at = unit
            msg += f"; it looks like a time in {name}, {format_time(at)}, and a number is a position"
        raise InvalidEvent(msg)

    def by_id(self, id_: bytes, *, before: int | None = None) -> Record | None:
        """Return the record with an id, None where this log has none.

        A source without an index of ids is searched from `before` backwards, or from its end.
        """
        if isinstance(self.store, EventStore):
            found = self.store.find(id_)
        else:
            found = self._searched(id_, self.head if before is None else before)
        if found is not None:
            self._known[found.position] = found
        return found

    def _searched(self, id_: bytes, before: int) -> Record | None:
        until, size = before, _FIRST_WINDOW
        while until > 0 and before - until < SEARCHED_MAX:
            after = max(until - size, 0)
            for page in self.store.rows(("id",), after=after, until=until):
                position = next((position for position, known in page if known == id_), None)
                if position is not None:
                    return self.at(position)
            until, size = after, size * 4
        if until > 0:
            self.note(
                f"{self.store!r} has no index of ids: {uuid.UUID(bytes=id_)} was searched for from position "
                f"{before:,} back to {until + 1:,}"
            )
        return None

    def last(self, stream: str, types: Sequence[type[Event]] | None, until: int) -> Record | None:
        """Return a stream's newest record of some types up to a log position, None without one."""
        return self._newest(until, stream=stream, types=types)

    def last_of_account(self, account: str, types: Sequence[type[Event]]) -> Record | None:
        """Return an account's newest record of some types, None without one."""
        return self._newest(self.head, account=account, types=types)

    def _newest(self, until: int, **wanted: Unpack[FollowOptions]) -> Record | None:
        # What is asked for is mostly near: all of a long log is read only where it is not.
        after, size = until, _FIRST_WINDOW
        while after > 0:
            until, after = after, max(after - size, 0)
            found = deque(self.store.read(after=after, until=until, **wanted), maxlen=1)  # type: ignore[misc]
            if found:
                self._known[found[0].position] = found[0]
                return found[0]
            size *= 32
        return None

    def first(self, stream: str) -> Record | None:
        """Return a stream's first record, None where the log has no such stream."""
        found = next(iter(self.store.read(stream=stream, limit=1)), None)
        if found is not None:
            self._known[found.position] = found
        return found

    def sentence(self, record: Record) -> str:
        """Return what a record says, as the timeline does, without what it changed."""
        return sentence_of(Said(record, zone=self.zone))


def event_of(record: Record) -> Event | None:
    """Return a record's event; None where it cannot be read here."""
    return read(record)[0]
