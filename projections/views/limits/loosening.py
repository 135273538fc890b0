"""Which parameters of a limit became looser: by the directions that its kind states, any other change counts."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec
from msgspec.structs import fields

from eventstore.trading import Protection
from projections.views.limits.directions import ABSENT, Direction, is_looser_table, is_same
from projections.views.limits.parameters import Parameters, is_readable, parameters_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTECTION = "protection"
"""The rule id under which an account's protection mode is kept: no limit has it."""


def loosened(rule_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the parameters by which `new` is looser than `old`, sorted; none for a tightening.

    A change counts as looser unless the kind's direction says that it is not: so does an unknown name, a value of
    another type, and a negative figure, whose sign may mean either. Parameters that no rule can read were in force for
    nobody: what replaces them loosens nothing. A parameter whose looser values wait for no session is left out.
    """
    kind = parameters_of(rule_id)
    directions = {} if kind is None else directions_of(kind)
    return tuple(name for name in weakened(rule_id, old, new) if name not in directions or directions[name].waits)


def weakened(rule_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what `loosened` does, and the parameters that are looser at once: what one person alone may not change."""
    if rule_id == PROTECTION:
        modes = old.get("mode"), new.get("mode")
        return ("mode",) if modes == (Protection.ARMED, Protection.SHADOW) else ()
    kind = parameters_of(rule_id)
    if kind is None or not is_readable(kind, old):
        return ()
    directions, defaults = directions_of(kind), _defaults_of(kind)
    before, after = {**defaults, **_stated(old)}, {**defaults, **_stated(new)}
    return tuple(
        name for name in sorted({*before, *after}) if _is_looser(directions.get(name), name, before, after)
    )  # fmt: skip


def directions_of(kind: type[Parameters]) -> Mapping[str, Direction]:
    """Return the direction of each parameter of a kind; one that states none is missing."""
    return _annotations_of(kind)


def _is_looser(direction: Direction | None, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    before, after = old.get(name, ABSENT), new.get(name, ABSENT)
    has_fallback = direction is not None and isinstance(direction.fallback, str)
    # A table's figures may mean something else though the table stays: they fall back to another parameter.
    if is_same(before, after) and not (has_fallback and before is not ABSENT):
        return False
    if direction is None:
        return True
    if not direction.by_name:
        return direction.is_looser(before, after)
    fallback = direction.fallback
    if isinstance(fallback, str):
        fallbacks = old.get(fallback, ABSENT), new.get(fallback, ABSENT)
    else:
        fallbacks = (ABSENT, ABSENT) if fallback is None else (str(fallback), str(fallback))
    return is_looser_table(before, after, direction, fallbacks)


def _stated(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters without those that are null, which have their default."""
    return {name: value for name, value in parameters.items() if value is not None}


@cache
def _annotations_of(kind: type[Parameters]) -> Mapping[str, Direction]:
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for name in kind.__struct_fields__:
        stated = [each for each in getattr(hints[name], "__metadata__", ()) if isinstance(each, Direction)]
        if stated:
            found[name] = stated[0]
    return found


@cache
def _defaults_of(kind: type[Parameters]) -> dict[str, Any]:
    """Return what a parameter means that is left out, as an event would have it; left out where that is None."""
    found = {}
    for field in fields(kind):
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if default is not msgspec.NODEFAULT and default is not None:
            found[field.name] = msgspec.json.decode(msgspec.json.encode(default))
    return found
