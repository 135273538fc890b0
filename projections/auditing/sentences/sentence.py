"""The sentence of a record: what it says, and what it changed, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore import InvalidEvent, UnknownEvent
from eventstore.readable import member_rows
from projections.auditing.sentences import accounts, audits, enforcement, limits, lockouts, orders, records, trades

if TYPE_CHECKING:
    from eventstore import Event, Record
    from projections.auditing.sentences.wording import Said, Sentences

SHOWN_MAX = 300
"""How much of data that no sentence is known for is shown, in characters."""

_SENTENCES: Sentences = {
    **orders.SENTENCES,
    **trades.SENTENCES,
    **accounts.SENTENCES,
    **limits.SENTENCES,
    **lockouts.SENTENCES,
    **enforcement.SENTENCES,
    **records.SENTENCES,
    **audits.SENTENCES,
}


def sentence_of(said: Said, event: Event | None = None) -> str:
    """Return what a record says, as a sentence without a full stop; also of one that cannot be read here.

    `event` is the record's, where it has been read already.
    """
    record, why = said.record, ""
    if event is None:
        event, why = read(record)
    if event is None:
        return f"A record of the type {record.type} that cannot be read here ({why}): {_cut(_data(record))}"
    say = _SENTENCES.get(type(event))
    if say is None:
        members = ", ".join(f"{name} {text}" for name, text in member_rows(event))
        return f"{record.type} in {record.stream}: {_cut(members) or 'no member differs from its default'}"
    return say(event, said)


def read(record: Record) -> tuple[Event | None, str]:
    """Return a record's event; None and why not, where this process cannot read it."""
    try:
        event = record.event
    except InvalidEvent as e:
        return None, str(e)
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError, LookupError) as e:
        # An upcaster is its user's code.
        return None, f"{type(e).__name__}: {e}"
    if isinstance(event, UnknownEvent):
        return None, f"no class of this type and its schema {record.schema} is registered here"
    return event, ""


def has_sentence(kind: type[Event]) -> bool:
    """Return whether a class of events has a sentence of its own."""
    return kind in _SENTENCES


def _data(record: Record) -> str:
    return record.data.decode("utf-8", "backslashreplace")


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"
