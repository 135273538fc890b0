"""NoteAdded: what a note is about and what it says, and what is refused."""

from __future__ import annotations

import uuid

import pytest

from eventstore import EventStore, InvalidEvent
from eventstore.trading import NoteAdded
from eventstore.trading.notes import TAG_MAX, TAGS_MAX, TEXT_MAX

ORDER = "order/ACC1/O-17"
RECORD = "0190b5c8-7d3a-7c5e-8f1a-2b3c4d5e6f70"


@pytest.mark.parametrize(
    "target",
    [
        "",
        "O-17",
        "17",
        "order/ACC1",
        "order/ACC1/O/17",
        "order/A CC/O-17",
        "order/ACC1/\u202eO",
        "day/ACC1/2025-02-30",
        "day/ACC1/20251119",
        "day/ACC1/2025-W47-3",
        "day/ACC1/-",
        RECORD.upper(),
        "{" + RECORD + "}",
        RECORD.replace("-", ""),
        "urn:uuid:" + RECORD,
        "<script>alert(1)</script>",
    ],
)
def test_a_target_that_names_nothing_is_refused(store: EventStore, target: str) -> None:
    with pytest.raises(InvalidEvent, match=r"give a record's id, a stream|write it as in day/ACC1/2025-11-19"):
        store.append("note/ACC1/1", NoteAdded(target=target, text="late entry"))
    assert store.head() == 0


@pytest.mark.parametrize(
    ("text", "tags", "said"),
    [
        ("", (), "says nothing"),
        (" \n", ("late",), "the text is blank"),
        ("x" * (TEXT_MAX + 1), (), "2,001 characters, and a note has at most 2,000"),
        ("", ("",), "'' is not a tag"),
        ("", (" ",), "' ' is not a tag"),
        ("", ("late ",), "without blanks at either end"),
        ("", ("late\nentry",), "is not a tag"),
        ("", ("late\u202e",), "is not a tag"),
        ("", ("late\x1b[2J",), "is not a tag"),
        ("", ("x" * (TAG_MAX + 1),), "1 to 64 printable characters"),
        ("", ("late", "news", "late"), "'late' is given twice"),
        ("", tuple(map(str, range(TAGS_MAX + 1))), "21 tags"),
    ],
)
def test_a_note_that_says_nothing_or_too_much_is_refused(
    store: EventStore, text: str, tags: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InvalidEvent, match=said):
        store.append("note/ACC1/1", NoteAdded(target=ORDER, text=text, tags=tags))
    assert store.head() == 0


def test_a_text_in_place_of_tags_is_not_taken_letter_by_letter(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match=r"NoteAdded\.tags"):
        store.append("note/ACC1/1", NoteAdded(target=ORDER, tags="late"))  # type: ignore[arg-type]


def test_a_note_belongs_in_a_stream_of_notes(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match="belongs in the stream note/ACC1/O-17"):
        store.append(ORDER, NoteAdded(target=ORDER, text="late entry"))


@pytest.mark.parametrize(
    "target", [RECORD, ORDER, "lockout/ACC1/daily-loss", "day/ACC1/2025-11-19", "order/ACC1/O%2F17", "day/-/2024-02-29"]
)
def test_a_note_is_on_a_record_a_stream_or_a_day(store: EventStore, target: str) -> None:
    [record] = store.append("note/ACC1/1", NoteAdded(target=target, text="late\nentry", tags=("late", "für später")))
    assert record.event == NoteAdded(target=target, text="late\nentry", tags=("late", "für später"))


def test_a_note_may_wait_for_its_sync_and_be_as_long_as_allowed(store: EventStore) -> None:
    tags = tuple(f"{number:0{TAG_MAX}}" for number in range(TAGS_MAX))
    note = NoteAdded(target=str(uuid.UUID(RECORD)), text="\U0001f600" * TEXT_MAX, tags=tags)
    [record] = store.enqueue("note/ACC1/1", note).result(5)
    assert record.event == note
