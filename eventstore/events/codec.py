"""Events to JSON bytes and back: validated on the way in, upcast on the way out, never rewritten."""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from eventstore.errors import EventTooLarge, InvalidEvent
from eventstore.events.base import Event, UnknownEvent
from eventstore.events.registry import EventType, by_class, by_name

EVENT_BYTES_MAX = 60_000
_BACKSLASH = ord("\\")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Encoded(Protocol):
    """An event as it is stored: what every draft and record has, whatever else it carries."""

    @property
    def type(self) -> str: ...
    @property
    def schema(self) -> int: ...
    @property
    def data(self) -> bytes: ...


_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode_raw = msgspec.json.Decoder().decode


def encode(event: Event) -> tuple[EventType, bytes]:
    """Return what is registered for an event, and its data: compact JSON, defaults left out.

    Raises InvalidEvent for an unregistered class, a wrong member, members that do not fit one another or text that is
    not Unicode, EventTooLarge for more than 60,000 bytes.
    """
    kind = by_class(type(event))
    event = kind.validator.check(event)
    if kind.problem_of is not None and (problem := kind.problem_of(event)) is not None:
        msg = f"{kind.name}: {problem}"
        raise InvalidEvent(msg)
    try:
        data = _encode(event)
    except (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError) as e:
        msg = f"{kind.name} cannot be stored as JSON: {e}"
        raise InvalidEvent(msg) from e
    # A backslash and "u0000" that were given as such stand behind an escaped backslash. Hardly any data has one.
    if _BACKSLASH in data and _NUL.search(data):
        msg = f"{kind.name} holds text with a NUL character, which no database and no terminal keeps: leave it out"
        raise InvalidEvent(msg)
    if len(data) > EVENT_BYTES_MAX:
        what = f"the data of {kind.name}"
        raise EventTooLarge(what, len(data), EVENT_BYTES_MAX)
    return kind, data


def decode(draft: Encoded) -> Event:
    """Return a record's event in today's class, or UnknownEvent where none is registered for it.

    Raises InvalidEvent if the data does not fit a class of the same schema number.
    """
    kind = by_name(draft.type)
    try:
        if kind is None or draft.schema > kind.schema:
            return UnknownEvent(type=draft.type, schema=draft.schema, data=_decode_raw(draft.data))
        if draft.schema == kind.schema:
            return kind.decoder.decode(draft.data)  # type: ignore[no-any-return]
        return _upcast(kind, draft)
    except RecursionError as e:
        msg = f"{draft.type} is nested too deeply to be read here: read it where the stack is less deep"
        raise InvalidEvent(msg) from e
    except msgspec.MsgspecError as e:
        msg = (
            f"{draft.type} of schema {draft.schema} does not fit its class: {e}. Raise the class's schema number and "
            "give an upcaster from the old one"
        )
        raise InvalidEvent(msg) from e


def _upcast(kind: EventType, draft: Encoded) -> Event:
    steps = [kind.upcasters.get(number) for number in range(draft.schema, kind.schema)]
    raw = _decode_raw(draft.data)
    for upcaster in steps:
        if upcaster is None:
            return UnknownEvent(type=kind.name, schema=draft.schema, data=_decode_raw(draft.data))
        raw = upcaster(raw)
    return msgspec.convert(raw, kind.cls)
