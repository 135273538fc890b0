"""The timeline: each record as a sentence, with what it changed and what is remarkable of it."""

from __future__ import annotations

import contextlib
from datetime import UTC
from typing import TYPE_CHECKING, ClassVar

import msgspec

from eventstore import InvalidEvent, Record, StoreError
from eventstore.arguments import position_of
from eventstore.clock import format_time
from eventstore.html import table_html
from eventstore.readable import Readable
from eventstore.trading import Cost
from projections import sessions
from projections.auditing.amendments import Amendments
from projections.auditing.effects import Effect, effects
from projections.auditing.marks import Mark, marks_of
from projections.auditing.notes import NotesOf
from projections.auditing.selection import RECORDED, TimelineSelection, page_of, recorded
from projections.auditing.sentences import Said, sentence_of
from projections.changes import Changes
from projections.views.notes import Note
from projections.views.sessions import SessionsView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

    from eventstore import EventReader
    from eventstore.clock import Times
    from eventstore.reader import Types
    from projections.book import Book
    from projections.views.sessions import SessionsState

PAGE = 1_000
"""How many entries a page has unless another limit is given."""


class Entry(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One record of a timeline: what it says as a sentence, what it changed, and what is remarkable of it.

    `changes` are those of the log's own course: what the record changed when it was recorded, with what was known
    then. `unknown` says what of that cannot be said, and why; `error` which view failed on it. `marks` and `notes` are
    as known at the log's head; `tags` are the record's and its stream's.
    """

    record: Record
    sentence: str
    changes: Changes
    marks: tuple[Mark, ...] = ()
    notes: tuple[Note, ...] = ()
    tags: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    error: str | None = None

    shown_too: ClassVar[tuple[str, ...]] = ("position", "recorded_at", "occurred_at")

    @property
    def position(self) -> int:
        return self.record.position

    @property
    def recorded_at(self) -> int:
        return self.record.recorded_at

    @property
    def occurred_at(self) -> int:
        return self.record.occurred_at

    @property
    def account(self) -> str:
        return self.record.account

    @property
    def actor(self) -> str:
        return self.record.actor

    @property
    def behind_ns(self) -> int:
        """How long after it happened it was recorded; below zero if it states a later time."""
        return self.record.recorded_at - self.record.occurred_at


class TimelinePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of entries in the order of one of both times, `by`; those of one instant in the order of the log.

    `next_after` is the `after` of the next page, None if there is none.
    """

    entries: tuple[Entry, ...]
    by: str
    next_after: int | None

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def _repr_html_(self) -> str:
        rows = [
            (
                *(str(each.position), format_time(each.recorded_at), format_time(each.occurred_at), each.account),
                *(each.actor, each.sentence, ", ".join(mark.kind for mark in each.marks)),
            )
            for each in self.entries
        ]
        more = "" if self.next_after is None else f", more after position {self.next_after:,}"
        headers = ("position", "recorded", "occurred", "account", "actor", "what", "marks")
        return table_html(headers, rows, caption=f"{len(rows):,} records by time {self.by}{more}")


def timeline(
    store: EventReader,
    *,
    account: str | None = None,
    types: Types | None = None,
    actor: str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    by: str = RECORDED,
    after: int = 0,
    limit: int = PAGE,
    zone: tzinfo | None = None,
) -> TimelinePage:
    """Return a page of what was recorded, each record as a sentence with what it changed and what marks it.

    `account` is one account, a group as `@NAME`, or `-` for what belongs to none; `types` are event classes or names;
    `actor` is an actor, or a person: `ann` stands for `Ann@desk1/cli` too. `start` (included) and `stop` (not) bound
    the time `by` which the entries are ordered: when they were `recorded`, or when they `occurred`. `after` is the log
    position of the last entry of the page before. Instants in sentences are in `zone`, by default in that of the
    account's sessions, else in UTC. Raises InvalidEvent for arguments that mean nothing.
    """
    selection = TimelineSelection.of(account=account, types=types, actor=actor, start=start, stop=stop, by=by)
    return page(store, selection, after=after, limit=limit, zone=zone)


def page(
    store: EventReader, selection: TimelineSelection, *, after: int, limit: int, zone: tzinfo | None
) -> TimelinePage:
    """Return a page of the records that a selection has."""
    records, is_last = page_of(store, selection, after=after, limit=limit)
    in_order = sorted(records, key=lambda record: record.position)
    found = {entry.position: entry for entry in _entries(store, in_order, selection, zone)}
    entries = tuple(found[record.position] for record in records)
    return TimelinePage(
        entries=entries, by=selection.by, next_after=None if is_last or not entries else entries[-1].position
    )  # fmt: skip


def walk(
    store: EventReader, selection: TimelineSelection, *, after: int = 0, zone: tzinfo | None = None
) -> Iterator[Entry]:
    """Yield the entries of all pages of a selection in the order of the log: in one pass, however many there are."""
    if selection.by != RECORDED:
        msg = "walk goes through the log in its own order: ask for pages of what is ordered by when it occurred"
        raise InvalidEvent(msg)
    return _entries(store, recorded(store, selection, position_of("after", after)), selection, zone)


def _entries(
    store: EventReader, records: Iterable[Record], selection: TimelineSelection, zone: tzinfo | None
) -> Iterator[Entry]:
    return entries_of(store, records, account=selection.account, folded=selection.folded, zone=zone)


def entries_of(
    store: EventReader,
    records: Iterable[Record],
    *,
    account: str | None,
    folded: frozenset[str] | None,
    zone: tzinfo | None = None,
) -> Iterator[Entry]:
    """Yield an entry of each of some records, which come in the order of the log; they are of an account, or of any.

    `folded` are the accounts whose changes are looked for, None for all.
    """
    amendments, notes = Amendments(store, account), NotesOf(store, account)
    for effect in effects(store, records, accounts=folded):
        yield entry_of(effect, zone, marks_of(effect, amendments), notes)


def entry_of(effect: Effect, zone: tzinfo | None, marks: tuple[Mark, ...] = (), notes: NotesOf | None = None) -> Entry:
    """Return what a record changed as an entry of a timeline."""
    record = effect.record
    return Entry(
        record=record,
        sentence=sentence_of(said_of(effect, zone), effect.event),
        changes=effect.changes,
        marks=marks,
        notes=() if notes is None else notes.on(record),
        tags=() if notes is None else notes.tags(record),
        unknown=effect.unknown,
        error=effect.error,
    )


def said_of(effect: Effect, zone: tzinfo | None) -> Said:
    """Return what the sentence about a record is made of."""
    record, book = effect.record, effect.book
    cost = Cost.FIFO
    # Of an account whose views have failed, neither is known.
    with contextlib.suppress(StoreError):
        cost = book.accounts.configuration(record.account).cost
        zone = zone or zone_of(book, record.account)
    return Said(record, effect.changes, True, zone or UTC, cost, effect.missing)  # noqa: FBT003 - a member of a tuple


def zone_of(book: Book, account: str) -> tzinfo | None:
    """Return the zone of the newest trading day of an account that names one; None without any."""
    state: SessionsState | None = book.state(SessionsView.name, account)
    for session in reversed(() if state is None else state.days):
        # No sentence may fail because of an unknown zone.
        with contextlib.suppress(InvalidEvent):
            if session.zone is not None:
                return sessions.zone_of(session.zone)
    return None
