"""Values that a notebook shows as a table of their members: escaped, with instants as times and ids as UUIDs."""

from __future__ import annotations

import functools
import types
import typing
import uuid
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar

import msgspec

from eventstore.clock import format_time
from eventstore.errors import StoreError
from eventstore.html import table_html

PARTS_MAX = 10
"""How many elements of one member are shown."""
TEXT_MAX = 1_000
_UUID_BYTES = 16
_EXPONENT_MAX = 40
_EMPTY: tuple[object, ...] = (None, "", b"", (), {}, [])


class Readable:
    """A struct whose members a notebook shows as a table, without flags and counts at their default, and empty ones."""

    __slots__ = ()

    shown_too: ClassVar[tuple[str, ...]] = ()
    """Properties that are shown after the members."""

    def _repr_html_(self) -> str:
        return table_html(("", type(self).__name__), member_rows(self))


def member_rows(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any struct
    """Yield the name and the text of each member of a struct; several for one that holds several things."""
    for name, member, hint in _members(value):
        yield from _rows_of(name, member, hint)
    for name in getattr(value, "shown_too", ()):
        try:
            figure = getattr(value, name)
        except StoreError as e:
            figure = str(e)
        if figure not in _EMPTY:
            yield from _rows_of(name, figure, None)


def value_text(value: Any, hint: Any = None) -> str:  # noqa: ANN401 - any member of any struct
    """Return a value as a short text; `hint` is its annotation, which says whether it is an instant."""
    text = _text(value, hint)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"


def _rows_of(name: str, member: object, hint: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any annotation
    if not isinstance(member, tuple | list) or hasattr(member, "_fields") or not any(map(_has_members, member)):
        yield name, value_text(member, hint)
        return
    for part in member[:PARTS_MAX]:
        yield name, value_text(part)
        name = ""
    if len(member) > PARTS_MAX:
        yield "", f"and {len(member) - PARTS_MAX:,} more"


def _members(value: msgspec.Struct) -> Iterator[tuple[str, object, Any]]:
    hints = annotations_of(type(value))
    for field in msgspec.structs.fields(value):
        member = getattr(value, field.name)
        is_usual = member in _EMPTY or (isinstance(member, int) and member == field.default)
        if field.required or not is_usual:
            yield field.name, member, hints.get(field.name)


def _text(value: Any, hint: Any) -> str:  # noqa: ANN401, C901 - one case for each kind of value
    match value:
        case None:
            return ""
        case Enum():
            return str(value.value)
        case int() if is_instant(hint) and not isinstance(value, bool):
            return format_time(value)
        case Decimal():
            return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < _EXPONENT_MAX else str(value)
        case bytes():
            return str(uuid.UUID(bytes=value)) if len(value) == _UUID_BYTES else _bytes_text(value)
        case Mapping():
            return ", ".join(f"{key}: {_text(each, None)}" for key, each in value.items())
        case msgspec.Struct():
            return ", ".join(f"{name} {_text(each, each_hint)}" for name, each, each_hint in _members(value))
        case tuple() | list() if hasattr(value, "_fields"):
            named = zip(value._fields, value, strict=True)
            return ", ".join(f"{name} {_text(each, None)}" for name, each in named if each not in _EMPTY)
        case tuple() | list():
            return ", ".join(_text(each, None) for each in value)
        case _:
            return str(value)


def _bytes_text(value: bytes) -> str:
    """Return an event's data as the JSON that it is, anything else in hexadecimal."""
    return value.decode("utf-8", "backslashreplace") if value.startswith(b"{") else value.hex()


def _has_members(value: object) -> bool:
    return isinstance(value, msgspec.Struct) or hasattr(value, "_fields")


@functools.cache
def annotations_of(cls: type) -> dict[str, Any]:
    """Return the annotations of a class's members, with their metadata."""
    return typing.get_type_hints(cls, include_extras=True)


def is_instant(hint: Any) -> bool:  # noqa: ANN401 - any annotation
    """Return whether an annotation says that a value is an instant, or an instant or None."""
    if hasattr(hint, "__metadata__"):
        marks = [mark for mark in hint.__metadata__ if isinstance(mark, msgspec.Meta)]
        return any((mark.extra or {}).get("instant") for mark in marks) or is_instant(hint.__origin__)
    return any(map(is_instant, typing.get_args(hint))) if is_union(hint) else False


def is_union(hint: Any) -> bool:  # noqa: ANN401 - any annotation
    """Return whether an annotation names several types."""
    return typing.get_origin(hint) in {typing.Union, types.UnionType}
