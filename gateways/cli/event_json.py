"""Events from a type's name and a JSON object, checked against the vocabulary."""

from __future__ import annotations

from datetime import UTC, tzinfo

import msgspec

from eventstore import Event, InvalidEvent, SystemClock, trading
from eventstore.clock import to_ns
from eventstore.events.registry import EventType, by_name
from eventstore.readable import annotations_of, is_instant
from gateways.presenting.close_names import close_to
from gateways.presenting.times import parse_local


def event_of(name: str, text: str, zone: tzinfo = UTC) -> Event:
    """Return an event; its instants may be text, read in a zone, or UNIX ns from 1990 on.

    Raises InvalidEvent for what does not fit the type.
    """
    kind = by_name(name)
    if kind is None:
        msg = f"unknown event type {name!r}: {close_to(name, known_types())}"
        raise InvalidEvent(msg)
    members = _members(kind, text)
    hints = annotations_of(kind.cls)
    now = SystemClock.now_ns()
    for member, value in members.items():
        if member not in hints:
            msg = f"{name} has no member {member!r}: {close_to(member, list(hints))}"
            raise InvalidEvent(msg)
        if is_instant(hints[member]):
            members[member] = _instant(f"{name}.{member}", value, zone, now)
    try:
        return kind.decoder.decode(msgspec.json.encode(members))  # type: ignore[no-any-return]
    except msgspec.ValidationError as e:
        msg = f"{kind.name}: {e}".replace("`$.", "`")
        raise InvalidEvent(msg) from e


def _instant(where: str, value: msgspec.Raw, zone: tzinfo, now: int) -> msgspec.Raw:
    given = msgspec.json.decode(value)
    if isinstance(given, str):
        return msgspec.Raw(str(parse_local(given, zone, now)).encode())
    if type(given) is int:
        try:
            to_ns(given)
        except InvalidEvent as e:
            msg = f"{where}: {e}"
            raise InvalidEvent(msg) from e
    return value  # what else it is, the type's decoder refuses


def known_types() -> list[str]:
    """Return the names of the vocabulary's events."""
    return [name for name in trading.__all__ if by_name(name) is not None]


def unknown_types(names: list[str]) -> list[str]:
    """Return a sentence for each unknown event type, with those close to it."""
    unknown = [name for name in names if by_name(name) is None]
    return [f"unknown event type {name!r}: {close_to(name, known_types())}" for name in unknown]


def _members(kind: EventType, text: str) -> dict[str, msgspec.Raw]:
    """Return the members of an object as they are written, so that no figure passes through a float."""
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeEncodeError) as e:
        required = [field.name for field in msgspec.structs.fields(kind.cls) if field.required]
        example = ", ".join(f'"{name}": …' for name in required)
        msg = f"the members of {kind.name} are not a JSON object ({e}): write them like '{{{example}}}'"
        raise InvalidEvent(msg) from e
    return dict(members)
