"""Records at a glance: each as a sentence with its marks, notes and tags, without folding what it changed."""

from __future__ import annotations

import contextlib
from datetime import UTC
from typing import TYPE_CHECKING

from eventstore import StoreError
from eventstore.trading import Cost
from projections.auditing.effects import Effect
from projections.auditing.marks import NotedAnomalies, marks_of
from projections.auditing.notes import NotesOfBook
from projections.auditing.sentences import Said, sentence_of
from projections.auditing.sentences.sentence import read
from projections.auditing.timeline import Entry, zone_of
from projections.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

    from eventstore import Record
    from projections.auditing.amendments import Amendments
    from projections.book import Book

NOT_FOLDED = "what it changed was not looked for"


def glances(
    book: Book, records: Iterable[Record], amendments: Amendments, *, zone: tzinfo | None = None
) -> Iterator[Entry]:
    """Yield an entry of each record, as a live book knows it, in some 30 µs: `unknown` says that nothing was folded.

    Marks are those of the record and of what others say of it; what it busts or corrects itself, its sentence names.
    """
    notes, noted = NotesOfBook(book), NotedAnomalies(book)
    known: dict[str, tuple[tzinfo | None, Cost]] = {}
    for record in records:
        account = record.account
        if account not in known:
            known[account] = _zone_of(book, account), _cost_of(book, account)
        usual, cost = known[account]
        event, why = read(record)
        unread = () if event is not None else (f"what it changed: this process cannot read it ({why})",)
        effect = Effect(record, event, Changes(), unread, None, book)
        said = Said(record, zone=zone or usual or UTC, cost=cost)
        yield Entry(
            record=record,
            sentence=sentence_of(said, event),
            changes=effect.changes,
            marks=marks_of(effect, amendments, noted),
            notes=notes.on(record),
            tags=notes.tags(record),
            unknown=unread or (NOT_FOLDED,),
        )


def _cost_of(book: Book, account: str) -> Cost:
    # Of an account whose views have failed, it is not known.
    with contextlib.suppress(StoreError):
        return book.accounts.configuration(account).cost
    return Cost.FIFO


def _zone_of(book: Book, account: str) -> tzinfo | None:
    with contextlib.suppress(StoreError):
        return zone_of(book, account)
    return None
