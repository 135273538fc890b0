"""Mappings from TOML files: the presets of the package, those of the user, and answers to what they leave open."""

from __future__ import annotations

import enum
import functools
import importlib.resources
import tomllib
import typing
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.errors import InvalidEvent
from gateways.importers.fields import fields_of
from gateways.importers.mapping import KindOfRow, Mapping
from gateways.importers.missing import InvalidAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Answers = AnyMapping[str, Any]
"""Members of a mapping by their dotted names, `time.zone` or `rows.where.Status`; a list may be text with commas."""

FILE_BYTES_MAX = 1_000_000
INHERITED = ("account", "read", "time", "numbers", "contract")
"""What a further table of a mapping has from the mapping itself unless it says otherwise."""
_TABLES = "tables"
_ASIDE = ("rows", "aside")
_KEYED = {
    ("rows", "where"),
    _ASIDE,
    ("columns",),
    ("orders", "types"),
    ("cash", "kinds"),
    ("contract", "coins"),
}
"""Members whose own members are columns or words, which may contain dots."""


class MappingFile(msgspec.Struct, frozen=True):
    """A mapping as it was written: its name, its text, and the mapping it is without answers."""

    name: str
    text: str
    mapping: Mapping

    def answered(self, answers: Answers) -> Mapping:
        """Return the mapping with the answers in it; raise InvalidAnswer where it has no such member or value."""
        if not answers:
            return self.mapping
        try:
            return _mapping_of(self.name, _parsed(self.name, self.text), answers)
        except InvalidEvent as e:
            # The mapping itself was read without a fault.
            raise InvalidAnswer(str(e)) from e


def load_mapping(path: str | Path) -> MappingFile:
    """Return the mapping of a TOML file; raise InvalidEvent if it is not one, with the member that is wrong."""
    path = Path(path)
    if path.stat().st_size > FILE_BYTES_MAX:
        msg = f"{path.name} has more than {FILE_BYTES_MAX:,} bytes: that is not a mapping"
        raise InvalidEvent(msg)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as e:
        msg = f"{path.name} is not valid UTF-8: {e}"
        raise InvalidEvent(msg) from e
    return parse_mapping(path.stem, text)


def parse_mapping(name: str, text: str) -> MappingFile:
    """Return the mapping of a TOML text; raise InvalidEvent as `load_mapping` does."""
    return MappingFile(name, text, _mapping_of(name, _parsed(name, text), {}))


@functools.cache
def presets() -> AnyMapping[str, MappingFile]:
    """Return the mappings of the package by name."""
    folder = importlib.resources.files(__package__) / "presets"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".toml")), key=lambda each: each.name)
    names = [each.name.removesuffix(".toml") for each in files]
    return {
        name: parse_mapping(name, each.read_text(encoding="utf-8")) for name, each in zip(names, files, strict=True)
    }


def preset(name: str) -> MappingFile:
    """Return a mapping of the package; raise InvalidEvent with the known names."""
    try:
        return presets()[name]
    except KeyError:
        msg = f"unknown preset {name!r}: choose one of {', '.join(presets())}"
        raise InvalidEvent(msg) from None


def show_mapping(name: str) -> str:
    """Return the text of a preset, to be edited and given with --mapping."""
    return preset(name).text


def _parsed(name: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=str)
    except tomllib.TOMLDecodeError as e:
        msg = f"mapping {name} is not TOML: {e}"
        raise InvalidEvent(msg) from e


def _mapping_of(name: str, raw: dict[str, Any], answers: Answers) -> Mapping:
    further = raw.pop(_TABLES, [])
    if not isinstance(further, list) or not all(isinstance(each, dict) for each in further):
        msg = f"mapping {name}: write each further table as [[tables]]"
        raise InvalidEvent(msg)
    for key, value in answers.items():
        target, path = _target(name, raw, further, key)
        _set(target, path, value)
        if path[0] == "columns" and value == "":
            # The field has no column.
            del target["columns"][path[-1]]
        if path[0] == "columns" and "first" in target:
            # All columns that are named in an answer belong together.
            target["first"] = [field for field in target["first"] if field != path[-1]]
    tables = [_inherited(each, raw) for each in further]
    mapping = _converted(name, raw | {_TABLES: tables})
    for each in (mapping, *mapping.tables):
        _check(name, each)
    return mapping


def _inherited(table: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    found = {key: above[key] for key in INHERITED if key in above} | table
    if "read" in table and "read" in above:
        found["read"] = above["read"] | table["read"]
    return found


def _converted(name: str, raw: dict[str, Any]) -> Mapping:
    try:
        return msgspec.convert(raw, Mapping)
    except msgspec.ValidationError as e:
        msg = f"mapping {name}: {e}"
        raise InvalidEvent(msg) from e


def _check(name: str, mapping: Mapping) -> None:
    """Raise InvalidEvent for members that contradict one another, or a field that the kind does not have."""
    mapping.time.parser()
    rows = mapping.rows
    if (rows.kind is KindOfRow.SNAPSHOT) is (rows.of is None):
        msg = f"mapping {name}: rows.of says what a snapshot is about, and belongs to kind snapshot alone"
        raise InvalidEvent(msg)
    fields = fields_of(rows)
    for field in mapping.columns:
        if field not in fields:
            msg = f"mapping {name}: columns.{field}: unknown field {field!r}; the fields are {', '.join(fields)}"
            raise InvalidEvent(msg)
    if _contradictory(mapping):
        msg = f"mapping {name}: the same words stand in sides.buy and sides.sell"
        raise InvalidEvent(msg)


def _contradictory(mapping: Mapping) -> bool:
    sides = mapping.sides
    return bool({word.casefold() for word in sides.buy} & {word.casefold() for word in sides.sell})


# Answers


def is_member(key: str) -> bool:
    """Return whether a dotted name begins with a member of mappings, as `rows.ignore` does."""
    return key.partition(".")[0] in {field.encode_name for field in msgspec.structs.fields(Mapping)}


def _target(
    name: str, raw: dict[str, Any], further: Sequence[dict[str, Any]], key: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the table that an answer belongs to, and the path in it; raise InvalidEvent if there is none."""
    first, _, rest = key.partition(".")
    if first != _TABLES:
        return raw, _path(key)
    number, _, inside = rest.partition(".")
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= len(further)):
        msg = f"{key}: mapping {name} has {len(further)} further tables; write it like tables.1.rows.order"
        raise InvalidEvent(msg)
    return further[int(number) - 1], _path(inside)


def _path(key: str) -> tuple[str, ...]:
    for keyed in _KEYED:
        prefix = f"{'.'.join(keyed)}."
        if key.startswith(prefix):
            return (*keyed, key.removeprefix(prefix))
    return tuple(key.split("."))


def _set(target: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    kind: Any = Mapping
    table = target
    for depth, member in enumerate(path):
        kind = _member_type(kind, member, ".".join(path))
        if depth < len(path) - 1:
            table = table.setdefault(member, {})
            if not isinstance(table, dict):
                msg = f"{'.'.join(path)}: {'.'.join(path[: depth + 1])} is {table!r} in this mapping, not a table"
                raise InvalidEvent(msg)
    found = _typed(kind, value, ".".join(path)) if isinstance(value, str) else value
    if path[:2] == _ASIDE:
        # What the mapping sets aside stays so: an answer is about a word that it does not know.
        further = [found] if isinstance(found, str) else found
        found = [*table.get(path[-1], ()), *(further if isinstance(further, list | tuple) else ())]
    table[path[-1]] = found


def _member_type(kind: Any, member: str, key: str) -> Any:  # noqa: ANN401 - a type expression
    """Return the type of a member of a struct or of a dictionary."""
    for each in _alternatives(kind):
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            for field in msgspec.structs.fields(each):
                if field.encode_name == member:
                    return field.type
        if typing.get_origin(each) in {dict, AnyMapping}:
            return typing.get_args(each)[1]
    msg = f"{key}: a mapping has no such member; `eventstore import --show-mapping NAME` shows one"
    raise InvalidEvent(msg)


def _typed(kind: Any, text: str, key: str) -> object:  # noqa: ANN401 - a type expression
    """Return text as what a member is: a list has commas between its words."""
    alternatives = _alternatives(kind)
    if int in alternatives and text.isascii() and text.isdigit():
        return int(text)
    if str in alternatives and "," not in text:
        return text
    if any(typing.get_origin(each) is tuple for each in alternatives):
        return [word.strip() for word in text.split(",")]
    words = [word for each in alternatives for word in _words(each)]
    if words and text not in words:
        msg = f"{key}={text}: choose one of {', '.join(words)}"
        raise InvalidEvent(msg)
    try:
        return msgspec.to_builtins(msgspec.convert(text, kind, strict=False))
    except msgspec.ValidationError as e:
        msg = f"{key}={text}: {e}"
        raise InvalidEvent(msg) from e


def _words(kind: Any) -> Iterable[str]:  # noqa: ANN401 - a type expression
    """Return the words that a type consists of; none if it is another kind of type."""
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    return list(kind) if isinstance(kind, type) and issubclass(kind, enum.StrEnum) else ()


def _alternatives(kind: Any) -> Iterable[Any]:  # noqa: ANN401 - a type expression
    return typing.get_args(kind) if isinstance(kind, UnionType) or typing.get_origin(kind) is typing.Union else (kind,)
