"""Where the rows of a JSON document are: a list, the members of an object, or what a path leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateways.importers.containers.json_reader import JsonReader, UnfitJsonError, decode_json
from gateways.importers.texts import ROW_CHARACTERS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from gateways.importers.containers.table import Read

EACH = "*"
"""At the end of a path: each member of the object is a row."""
SEARCH_DEPTH = 3
NAMES_SHOWN = 20


class JsonRow(NamedTuple):
    """A value that is to be a row; `name` of the member that it is in, with EACH; `why` it could not be read."""

    number: int
    value: object
    name: str | None = None
    why: str | None = None


def document_rows(text: TextIO, read: Read) -> Iterator[JsonRow]:
    """Yield the rows of a document; raise UnfitJsonError where it is damaged, or has nothing at the path."""
    reader = JsonReader(text)
    values = _values(reader, read.path.split(".") if read.path else [])
    for number, (name, value) in enumerate(values, 1):
        yield JsonRow(number, value, name)
    reader.end()


def lines_rows(text: TextIO, read: Read) -> Iterator[JsonRow]:
    """Yield the rows of a file with a JSON value on each line; a line that is not is a row with its reason."""
    segments = read.path.split(".") if read.path else []
    number = 0
    while line := text.readline(ROW_CHARACTERS_MAX + 1):
        number += 1
        if len(line) > ROW_CHARACTERS_MAX:
            msg = f"line {number} has more than {ROW_CHARACTERS_MAX:,} characters"
            raise UnfitJsonError(msg)
        if not line.strip():
            continue
        try:
            values = list(_within(decode_json(line), segments))
        except UnfitJsonError as e:
            yield JsonRow(number, None, why=str(e))
            continue
        for name, value in values:
            yield JsonRow(number, value, name)


def _values(reader: JsonReader, segments: Sequence[str]) -> Iterator[tuple[str | None, object]]:
    """Yield the values at a path, each with the name of its member after EACH; pass over all others."""
    if not segments:
        for value in _listed(reader):
            yield None, value
    elif reader.peek() != "{":
        msg = f"has no object with a member {segments[0]!r}, as read.path says"
        raise UnfitJsonError(msg)
    elif segments == [EACH]:
        for name in reader.members():
            yield from ((name, value) for value in _listed(reader))
    else:
        yield from _member_values(reader, segments)


def _member_values(reader: JsonReader, segments: Sequence[str]) -> Iterator[tuple[str | None, object]]:
    names = []
    for name in reader.members():
        names.append(name)
        if name == segments[0]:
            yield from _values(reader, segments[1:])
        else:
            reader.skip()
    if segments[0] not in names:
        raise UnfitJsonError(_lacking(segments[0], names))


def _listed(reader: JsonReader) -> Iterator[object]:
    """Yield the elements of a list, or a single value that is not a list; nothing for null."""
    if reader.peek() == "[":
        for _ in reader.elements():
            yield reader.value()
    elif (value := reader.value()) is not None:
        yield value


def _within(value: object, segments: Sequence[str]) -> Iterator[tuple[str | None, object]]:
    """Yield the values at a path in a value that has been decoded."""
    for index, segment in enumerate(segments):
        if not isinstance(value, dict):
            msg = f"has no object with a member {segment!r}, as read.path says"
            raise UnfitJsonError(msg)
        if segment == EACH and index == len(segments) - 1:
            for name, member in value.items():
                yield from ((name, item) for item in (member if isinstance(member, list) else [member]))
            return
        if segment not in value:
            raise UnfitJsonError(_lacking(segment, list(value)))
        value = value[segment]
    if value is not None:
        yield from ((None, item) for item in (value if isinstance(value, list) else [value]))


def _lacking(segment: str, names: Sequence[str]) -> str:
    return f"has no member {segment!r}, as read.path says; it has {', '.join(names[:NAMES_SHOWN]) or 'none'}"


def check_path(text: TextIO, read: Read) -> None:
    """Raise UnfitJsonError if a document may have its rows in several places, and the mapping does not say where."""
    reader, found = JsonReader(text), list[str]()
    if read.path is None and reader.peek() == "{":
        _search(reader, (), found)
    if found:
        msg = f"has its rows in {' or '.join(found[:NAMES_SHOWN])}: state which as read.path"
        raise UnfitJsonError(msg)


def _search(reader: JsonReader, path: tuple[str, ...], found: list[str]) -> None:
    kinds = set()
    for name in reader.members():
        first = reader.peek()
        kinds.add(first)
        if first == "[":
            if _has_objects(reader):
                found.append(".".join((*path, name)))
        elif first == "{" and len(path) < SEARCH_DEPTH:
            _search(reader, (*path, name), found)
        else:
            reader.skip()
    if kinds == {"{"} and not path and not found:
        found.append(EACH)


def _has_objects(reader: JsonReader) -> bool:
    has_objects = False
    for _ in reader.elements():
        has_objects = has_objects or reader.peek() == "{"
        reader.skip()
    return has_objects
