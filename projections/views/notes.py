"""The notes view: texts and tags on an account's trades, orders, days and lockouts; and its queries."""

from __future__ import annotations

import uuid
from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record
from eventstore.readable import Readable
from eventstore.trading import NoteAdded
from projections.view import BookReader, View, check_covered

KEPT_MAX = 1_000


class Note(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One note: about what (`target`, see NoteAdded), by whom, and when it was written (UNIX ns).

    `id` is that of the note's record, `position` its log position.
    """

    account: str
    target: str
    text: str
    tags: tuple[str, ...]
    actor: str
    added_at: Instant
    position: int
    id: bytes

    @property
    def uuid(self) -> uuid.UUID:
        """The id of the note's record: a note on this one has its text as target."""
        return uuid.UUID(bytes=self.id)


class NotesState(msgspec.Struct):
    """One account: its newest 1,000 notes, oldest first, and how many older ones are only in the log."""

    notes: tuple[Note, ...] = ()
    dropped: int = 0


class NotesView(View[NotesState]):
    """Notes as they were written. What is wrong in one is corrected by a later note on it."""

    name: ClassVar[str] = "notes"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (NoteAdded,)

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max

    @override
    def initial(self) -> NotesState:
        return NotesState()

    @override
    def apply(self, state: NotesState, event: Event, record: Record) -> None:
        if isinstance(event, NoteAdded):
            notes = (*state.notes, note_of(event, record))
            over = max(len(notes) - self._kept_max, 0)
            # The number first: a reader then takes all from the log, and never the kept ones for all.
            state.dropped += over
            state.notes = notes[over:]


class Notes:
    """Queries about notes and tags."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def of(self, account: str, target: str | None = None, *, tag: str | None = None) -> tuple[Note, ...]:
        """Return an account's notes, on one target or with one tag if given, oldest first.

        If the account has more than 1,000, all are read from the log.
        """
        return tuple([
            note for note in self._all(account)
            if (target is None or note.target == target) and (tag is None or tag in note.tags)
        ])  # fmt: skip

    def tags(self, account: str, target: str | None = None) -> tuple[str, ...]:
        """Return the tags of an account's notes, of those on one target if given, each once, sorted."""
        return tuple(sorted({tag for note in self.of(account, target) for tag in note.tags}))

    def _all(self, account: str) -> tuple[Note, ...]:
        state: NotesState | None = self._book.state(NotesView.name, account)
        if state is None:
            check_covered(self._book, account)
            return ()
        notes = state.notes
        if not state.dropped:
            return notes
        records = self._book.read(account=account, types=(NoteAdded,))
        return tuple([note_of(record.event, record) for record in records if isinstance(record.event, NoteAdded)])


def note_of(event: NoteAdded, record: Record) -> Note:
    """Return a note as its record has it."""
    return Note(
        account=record.account,
        target=event.target,
        text=event.text,
        tags=event.tags,
        actor=record.actor,
        added_at=record.occurred_at,
        position=record.position,
        id=record.id,
    )
