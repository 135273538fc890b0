"""What each released version reads: which types, members and values of today's vocabulary are new to it."""

from __future__ import annotations

import difflib
import enum
import importlib.resources
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from eventstore.errors import InvalidEvent
from eventstore.events.registry import VOCABULARY, by_name, registered_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore.record import Record

_SUFFIX = ".json"
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class ReleasedType(msgspec.Struct, frozen=True):
    """A type of a released version: its schema number, its members, and for each enumeration the values it had."""

    schema: int
    members: frozenset[str]
    values: dict[str, frozenset[str]] = {}


class Addition(msgspec.Struct, frozen=True, order=True):
    """Something that today's vocabulary has and a released version does not: a type, or of a known type one thing."""

    type: str
    member: str = ""
    value: str = ""
    schema: int = 0

    @property
    def name(self) -> str:
        if self.schema:
            return f"{self.type} of schema {self.schema}"
        return ".".join(filter(None, (self.type, self.member))) + (f" = {self.value}" if self.value else "")

    @property
    def effect(self) -> str:
        """What the released version does with a record that has it."""
        if self.value or self.schema:
            return "it cannot read the record, and stops folding its account there"
        return "it leaves the member out" if self.member else "it ignores the record"

    def is_in(self, record: Record) -> bool:
        """Return whether a record of the type has it."""
        if self.schema:
            return record.schema == self.schema
        if not self.member:
            return True
        found = _decode(record.data).get(self.member)
        return found == self.value if self.value else found is not None


def versions() -> tuple[str, ...]:
    """Return the released versions, the oldest first."""
    found = (entry.name for entry in _folder().iterdir())
    names = [name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)]
    return tuple(sorted(names, key=lambda name: [int(part) for part in name.split(".")]))


def additions(version: str) -> tuple[Addition, ...]:
    """Return what a released version does not know of today's vocabulary; raise InvalidEvent for an unknown version."""
    known = versions()
    if version not in known:
        close = difflib.get_close_matches(str(version), known, n=1)
        nearest = f"did you mean {close[0]}? " if close else ""
        msg = f"there is no released version {version!r:.80}: {nearest}The versions are {', '.join(known)}"
        raise InvalidEvent(msg)
    content = (_folder() / f"{version}{_SUFFIX}").read_bytes()
    released = msgspec.json.decode(content, type=dict[str, ReleasedType])
    return tuple(sorted(each for name in registered_names() for each in _added(name, released.get(name))))


def unread(records: Iterable[Record], new: Iterable[Addition]) -> dict[Addition, int]:
    """Return which additions some records have, each with the position of the first one that does."""
    of_type: dict[str, list[Addition]] = {}
    for each in new:
        of_type.setdefault(each.type, []).append(each)
    found: dict[Addition, int] = {}
    for record in records:
        for each in of_type.get(record.type, ()):
            if each not in found and each.is_in(record):
                found[each] = record.position
    return found


def _folder() -> Any:  # noqa: ANN401 - what importlib gives, which may lie in an archive
    return importlib.resources.files(VOCABULARY) / "released"


def _added(name: str, released: ReleasedType | None) -> Iterator[Addition]:
    kind = by_name(name)
    if kind is None or not kind.cls.__module__.startswith(f"{VOCABULARY}."):
        return
    if released is None:
        yield Addition(name)
        return
    if kind.schema != released.schema:
        yield Addition(name, schema=kind.schema)
        return
    for field in msgspec.structs.fields(kind.cls):
        if field.encode_name not in released.members:
            yield Addition(name, field.encode_name)
        else:
            before = released.values.get(field.encode_name, frozenset())
            yield from [
                Addition(name, field.encode_name, value) for value in values_of(field.type) if value not in before
            ]


def values_of(type_: Any) -> list[str]:  # noqa: ANN401 - an annotation
    """Return the values of the enumeration that a member is, or may be; none for any other member."""
    if isinstance(type_, type) and issubclass(type_, enum.Enum):
        return [str(each.value) for each in type_]
    return [value for argument in get_args(type_) for value in values_of(argument)]
