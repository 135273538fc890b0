"""What people write about a trade, an order, a day or a lockout: stream `note/ACCOUNT/ID`, any id."""

import datetime
import uuid

from eventstore.errors import InvalidEvent
from eventstore.events import QUEUED, Event, event
from eventstore.streams import account_of

TEXT_MAX = 2_000
TAG_MAX = 64
TAGS_MAX = 20
DAY = "day"
"""The category of a target that is a trading day; such streams hold nothing."""


def _problem_of(note: "NoteAdded") -> str | None:
    """Return what is wrong with the target, the text or the tags."""
    problem = _problem_of_target(note.target)
    if problem is not None:
        return problem
    if note.text and not note.text.strip():
        return "the text is blank: write something, or leave it out and give tags"
    if len(note.text) > TEXT_MAX:
        return f"the text has {len(note.text):,} characters, and a note has at most {TEXT_MAX:,}: write several notes"
    if not note.text and not note.tags:
        return "a note without text and tags says nothing: give one of them"
    return _problem_of_tags(note.tags)


def _problem_of_target(target: str) -> str | None:
    if "/" not in target:
        return None if _is_record_id(target) else f"{target!r:.80} is not a target: {_TARGETS}"
    try:
        account_of(target)
    except InvalidEvent as e:
        return f"{e}; {_TARGETS}"
    category, _, entity = target.split("/")
    if category == DAY and not _is_day(entity):
        return f"{target!r:.80} is not a day: write it as in {DAY}/ACC1/2025-11-19"
    return None


_TARGETS = f"give a record's id, a stream such as order/ACC1/O-17, or a day as in {DAY}/ACC1/2025-11-19"


def _is_record_id(text: str) -> bool:
    """Return whether a text is an id as records show it: other spellings of it would be other targets."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _problem_of_tags(tags: tuple[str, ...]) -> str | None:
    if len(tags) > TAGS_MAX:
        return f"{len(tags):,} tags, and a note has at most {TAGS_MAX}"
    for tag in tags:
        if not tag.strip() or tag != tag.strip() or not tag.isprintable() or len(tag) > TAG_MAX:
            return (
                f"{tag!r:.80} is not a tag: give 1 to {TAG_MAX} printable characters, without blanks at either end, "
                "as in breakout"
            )
    if len({*tags}) < len(tags):
        twice = next(tag for index, tag in enumerate(tags) if tag in tags[:index])
        return f"the tag {twice!r} is given twice: give each once"
    return None


@event(categories=("note",), durability=QUEUED, problem_of=_problem_of)
class NoteAdded(Event, frozen=True, kw_only=True):
    """A text, tags or both about something of the stream's account.

    `target` is the id of a record, such as a fill's, the name of a stream (`order/ACC1/O-17`,
    `lockout/ACC1/daily-loss`), or a trading day (`day/ACC1/2025-11-19`).
    """

    target: str
    text: str = ""
    tags: tuple[str, ...] = ()
