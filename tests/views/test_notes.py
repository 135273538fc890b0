"""Notes and tags: as they were written, by target and by tag, also those that the state no longer holds."""

from __future__ import annotations

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import NoteAdded
from projections import Book
from projections.views.notes import KEPT_MAX, NotesView

START = 1_763_560_800 * 10**9
ORDER, DAY = "order/A/O-1", "day/A/2025-11-19"


def book_of(*added: tuple[str, NoteAdded]) -> Book:
    book = projections.open(EventStore(MemoryJournal(), clock=ManualClock(START)), snapshots=False)
    for number, (account, note) in enumerate(added):
        book.append(f"note/{account}/{number}", note, actor="me", occurred_at=START + number)
    return book


def test_an_account_without_notes_has_none() -> None:
    book = book_of(("A", NoteAdded(target=ORDER, text="late")))
    assert book.notes.of("B") == ()
    assert book.notes.tags("B") == ()
    assert book.notes.of("A", "order/A/O-2") == ()
    assert book.notes.of("A", tag="late") == ()


def test_notes_come_back_as_written_by_target_and_by_tag() -> None:
    book = book_of(
        ("A", NoteAdded(target=ORDER, text="late", tags=("slow", "news"))),
        ("B", NoteAdded(target=ORDER, tags=("other",))),
        ("A", NoteAdded(target=DAY, text="holiday", tags=("news",))),
    )
    first, second = book.notes.of("A")
    assert (first.account, first.target, first.text, first.tags) == ("A", ORDER, "late", ("slow", "news"))
    assert (first.actor, first.added_at, first.position) == ("me", START, 1)
    assert [record.uuid for record in book.reader.read(account="A")] == [first.uuid, second.uuid]
    assert book.notes.of("A", DAY) == (second,)
    assert book.notes.of("A", tag="news") == (first, second)
    assert book.notes.of("A", ORDER, tag="news") == (first,)
    assert book.notes.tags("A") == ("news", "slow")
    assert book.notes.tags("A", DAY) == ("news",)


def test_a_second_note_on_the_same_target_replaces_nothing() -> None:
    note = NoteAdded(target=ORDER, text="late")
    assert [each.text for each in book_of(("A", note), ("A", note)).notes.of("A", ORDER)] == ["late", "late"]


def test_notes_that_the_state_no_longer_holds_are_read_from_the_log() -> None:
    added = [("A", NoteAdded(target=ORDER, text=str(number))) for number in range(KEPT_MAX + 3)]
    added.append(("B", NoteAdded(target=ORDER, text="other")))
    book = book_of(*added)
    state = book.state(NotesView.name, "A")
    assert (len(state.notes), state.dropped, state.notes[0].text) == (KEPT_MAX, 3, "3")
    assert [note.text for note in book.notes.of("A")] == list(map(str, range(KEPT_MAX + 3)))


def test_a_past_book_has_the_notes_of_its_time() -> None:
    book = book_of(*[("A", NoteAdded(target=ORDER, text=str(number))) for number in range(KEPT_MAX + 3)])
    past = projections.as_of(book.reader, position=KEPT_MAX + 1)
    assert len(past.notes.of("A")) == KEPT_MAX + 1
