"""Copies of states for a fold that continues aside: what can change is copied, what cannot is shared."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect
from msgspec.structs import force_setattr

if TYPE_CHECKING:
    from collections.abc import Iterable


def copied(value: Any) -> Any:  # noqa: ANN401 - any part of any state
    """Return a copy that can change while the original stays as it is.

    Encoding and decoding a state, as a cut does, takes ten times as long: most of it are values that never change.
    """
    kind = value.__class__
    return value if is_fixed(kind) else _copier(kind)(value)


@functools.cache
def is_fixed(kind: type) -> bool:
    """Return whether a class's values cannot change, nor anything in them: as its declaration says."""
    if issubclass(kind, dict | list | set | tuple | bytearray):
        return False
    if not issubclass(kind, msgspec.Struct):
        # Numbers, text, bytes, enums, dates: everything else that msgspec decodes.
        return kind.__module__ in {"builtins", "decimal", "datetime", "uuid"} or issubclass(kind, str | int)
    if not kind.__struct_config__.frozen:
        return False
    try:
        return _is_fixed(inspect.type_info(kind), frozenset())
    except (TypeError, NameError, AttributeError):
        return False


def _is_fixed(declared: Any, within: frozenset[type]) -> bool:  # noqa: ANN401 - any type of msgspec's
    match declared:
        case inspect.Metadata() | inspect.VarTupleType() | inspect.FrozenSetType():
            return _is_fixed(declared.type if isinstance(declared, inspect.Metadata) else declared.item_type, within)
        case inspect.TupleType():
            return all(_is_fixed(each, within) for each in declared.item_types)
        case inspect.UnionType():
            return all(_is_fixed(each, within) for each in declared.types)
        case inspect.StructType():
            frozen = declared.cls.__struct_config__.frozen
            inner = within | {declared.cls}
            return frozen and (declared.cls in within or all(_is_fixed(each.type, inner) for each in declared.fields))
        case inspect.NamedTupleType():
            return all(_is_fixed(each.type, within) for each in declared.fields)
        case _:
            return isinstance(declared, _SIMPLE)


_SIMPLE = (
    inspect.NoneType, inspect.BoolType, inspect.IntType, inspect.FloatType, inspect.StrType, inspect.BytesType,
    inspect.DecimalType, inspect.DateType, inspect.DateTimeType, inspect.EnumType, inspect.LiteralType,
    inspect.UUIDType,
)  # fmt: skip


@functools.cache
def _copier(kind: type) -> Any:  # noqa: ANN401 - a function of one value
    if kind is dict:
        return _copy_dict
    if kind in {list, set}:
        return lambda value: kind(value if _has_fixed(value) else [copied(each) for each in value])
    if kind is tuple:
        return lambda value: value if _has_fixed(value) else tuple([copied(each) for each in value])
    if issubclass(kind, tuple) and hasattr(kind, "_make"):
        return lambda value: value if _has_fixed(value) else kind._make([copied(each) for each in value])
    return _copy_struct if issubclass(kind, msgspec.Struct) else copy.deepcopy


def _has_fixed(values: Iterable[Any]) -> bool:
    # One look at each class, not at each value: this runs for thousands of small containers in each copy.
    return all(map(is_fixed, set(map(type, values))))


def _copy_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    if _has_fixed(value.values()):
        return value.copy()
    return {key: copied(each) for key, each in value.items()}


def _copy_struct(value: Any) -> Any:  # noqa: ANN401 - a struct
    made = copy.copy(value)
    for name in value.__struct_fields__:
        member = getattr(value, name)
        if not is_fixed(member.__class__):
            force_setattr(made, name, copied(member))
    return made
