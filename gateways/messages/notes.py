"""Messages that cannot be mapped, as notes that keep their text, and accounts that nobody opened."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from eventstore.errors import shown
from eventstore.streams import stream_of
from eventstore.trading import NoteAdded
from eventstore.trading.notes import TAG_MAX, TEXT_MAX
from gateways.messages.mapped import MappedEvent, Unmapped
from gateways.messages.redaction import redacted, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

UNMAPPED = "unmapped"
MARKET_DATA = "market-data"
UNOPENED = "unopened-account"
_NO_ACCOUNT = "-"
# Of a message's text so much is searched for secrets: what is hidden is shorter then.
_READ_MAX = 4 * TEXT_MAX


def note_of(error: Unmapped) -> MappedEvent:
    """Return the note that keeps a message: why it is not mapped, and its text, 2,000 characters without secrets."""
    raw = raw_text(error.message)
    # The same message again is the same note.
    digest = hashlib.sha256(f"{error.source}\0{error.kind}\0{raw}".encode()).hexdigest()[:32]
    text = redacted(f"{_ascii(error.kind)}: {_ascii(error.why)}\n{raw}"[:_READ_MAX])[:TEXT_MAX]
    tags = _tags(UNMAPPED, *[MARKET_DATA] * error.is_market, error.source, error.kind)
    note = NoteAdded(target=stream_of("message", _NO_ACCOUNT, _ascii(error.source)), text=text, tags=tags)
    return MappedEvent(stream_of("note", _NO_ACCOUNT, digest), note, UNMAPPED, None)


def events_of_parts(parts: Iterable[Iterable[MappedEvent]]) -> tuple[MappedEvent, ...]:
    """Return the events of a message's parts, with a note for each part that cannot be mapped: it takes no other away.

    A part is mapped when it is iterated. Raises Unmapped, as the first of them does, if no part has an event.
    """
    found: list[MappedEvent] = []
    errors: list[Unmapped] = []
    for part in parts:
        try:
            for each in part:
                found.append(each)  # noqa: PERF402 - what comes before an error is kept
        except Unmapped as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return (*found, *map(note_of, errors))


def note_of_unopened(source: str, account: str) -> MappedEvent:
    """Return the note that an account has messages, and was never opened in this log."""
    text = (
        f"{source} sends messages of account {account}, which was never opened here: append AccountOpened, or give the "
        "mapping the name that it has here (accounts=...)"
    )
    note = NoteAdded(target=stream_of("account", account, "-"), text=text, tags=_tags(UNOPENED, source))
    return MappedEvent(stream_of("note", account, UNOPENED), note, f"{UNOPENED} {source}", None)


def raw_text(message: object) -> str:
    """Return a message as JSON in ASCII, or as Python shows it where JSON cannot; never an exception."""
    try:
        return json.dumps(without_secrets(message), default=shown)
    except (TypeError, ValueError, RecursionError):
        return _ascii(shown(message, TEXT_MAX))


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _tags(*words: str) -> tuple[str, ...]:
    tags = ("".join(each if each.isprintable() else " " for each in _ascii(word))[:TAG_MAX].strip() for word in words)
    return tuple(dict.fromkeys(tag for tag in tags if tag))
