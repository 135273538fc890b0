"""What the policies of a process can judge: their names, and the parameters of limits that it reads."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from projections.views.limits.parameters import parameters_by_kind, parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventstore.side import LogSide
    from projections.views.limits.parameters import Parameters

_DIGITS = 12
_TYPE_DIGITS = 8
_PREFIX = "policies+"
_SUFFIX = ".abilities"
_WORDS = frozenset({"title", "description"})
"""What a schema says to people: another text means the same."""
_KINDS_MAX = 1_000


def abilities_of(policies: Iterable[str]) -> frozenset[str]:
    """Return what a process can judge by policies of these names.

    The names, and each parameter of each kind of limit with a digest of what it may be: a process of another version
    may have a policy of the same name, and not read a limit that has a parameter, or a choice, that is new.
    """
    kinds = parameters_by_kind()
    read = (each for kind, cls in kinds.items() for each in _read_by(kind, cls).values())
    return frozenset((*policies, *map(_known, kinds), *read))


def needed_for(policy: str, kind: str, parameters: Mapping[str, Any]) -> frozenset[str]:
    """Return what a process must be able to do to judge a limit with these parameters by a policy."""
    cls = parameters_of(kind)
    read = {} if cls is None else _read_by(kind, cls)
    return frozenset((policy, _known(kind), *(read[name] for name in parameters if name in read)))


def name_of(abilities: frozenset[str]) -> str:
    """Return a name for some abilities, which ends the names of locks: a digest, because they would not fit."""
    return hashlib.sha256(msgspec.json.encode(sorted(abilities))).hexdigest()[:_DIGITS]


def remember(side: LogSide, abilities: frozenset[str]) -> None:
    """Write down what is meant by the name of some abilities, unless that is known."""
    file = _PREFIX + name_of(abilities) + _SUFFIX
    if _abilities_in(side.documents(file).get(file, b""), name_of(abilities)) is None:
        side.keep(file, msgspec.json.encode(sorted(abilities)))


def remembered(side: LogSide, names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return what is meant by names, as far as that is written down: what a name does not prove is not believed."""
    wanted = set(names)
    if not wanted:
        return {}
    found = {}
    for file, content in side.documents(_PREFIX).items():
        name = file.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        abilities = _abilities_in(content, name) if name in wanted else None
        if abilities is not None:
            found[name] = abilities
    return found


def _abilities_in(content: bytes, name: str) -> frozenset[str] | None:
    try:
        abilities = frozenset(msgspec.json.decode(content, type=list[str]))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return abilities if name_of(abilities) == name else None


@functools.lru_cache(_KINDS_MAX)
def _read_by(kind: str, cls: type[Parameters]) -> dict[str, str]:
    """Return the ability to read each parameter of a kind, by the parameter's name."""
    return {
        each.encode_name: f"{kind}.{each.encode_name}={_digest_of(each.type)}" for each in msgspec.structs.fields(cls)
    }


def _known(kind: str) -> str:
    """Return the ability to read a kind's limit without parameters."""
    return f"{kind}="


def _digest_of(type_: Any) -> str:  # noqa: ANN401 - any type
    schema = msgspec.json.encode(_without_words(msgspec.json.schema(type_)), order="sorted")
    return hashlib.sha256(schema).hexdigest()[:_TYPE_DIGITS]


def _without_words(schema: Any) -> Any:  # noqa: ANN401 - a part of a schema
    if isinstance(schema, dict):
        return {name: _without_words(each) for name, each in schema.items() if name not in _WORDS}
    return [_without_words(each) for each in schema] if isinstance(schema, list) else schema
