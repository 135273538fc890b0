"""The notes and tags of records, and of the streams that they are in, as known at the log's head or in a book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import NoteAdded
from projections.views.notes import note_of

if TYPE_CHECKING:
    from eventstore import EventReader, Record
    from projections.book import Book
    from projections.views.notes import Note


class NotesOf:
    """What people have written about the records of an account, or of all."""

    def __init__(self, store: EventReader, account: str | None) -> None:
        self._by_target: dict[tuple[str, str], list[Note]] = {}
        if NoteAdded.__name__ not in store.types():
            return
        for record in store.read(account=account, types=(NoteAdded,)):
            event = record.event
            if isinstance(event, NoteAdded):
                self._by_target.setdefault((record.account, event.target), []).append(note_of(event, record))

    def on(self, record: Record) -> tuple[Note, ...]:
        """Return the notes on a record itself, oldest first."""
        return tuple(self._by_target.get((record.account, str(record.uuid)), ()))

    def tags(self, record: Record) -> tuple[str, ...]:
        """Return the tags of a record and of its stream, each once, sorted."""
        of_stream = self._by_target.get((record.account, record.stream), ())
        return tuple(sorted({tag for note in (*self.on(record), *of_stream) for tag in note.tags}))


class NotesOfBook:
    """What people have written about records, as a live book has it: nothing is read from the log for a few notes."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._by_account: dict[str, dict[str, list[Note]]] = {}

    def on(self, record: Record) -> tuple[Note, ...]:
        """Return the notes on a record itself, oldest first."""
        known = self._of(record.account)
        return tuple(known.get(str(record.uuid), ())) if known else ()

    def tags(self, record: Record) -> tuple[str, ...]:
        """Return the tags of a record and of its stream, each once, sorted."""
        known = self._of(record.account)
        if not known:
            return ()
        of_stream = known.get(record.stream, ())
        return tuple(sorted({tag for note in (*self.on(record), *of_stream) for tag in note.tags}))

    def _of(self, account: str) -> dict[str, list[Note]]:
        known = self._by_account.get(account)
        if known is None:
            known = self._by_account[account] = {}
            for note in self._book.notes.of(account):
                known.setdefault(note.target, []).append(note)
        return known
