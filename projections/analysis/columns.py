"""What the columns of a frame are: their names and kinds, from the classes of events, and their types in Arrow."""

from __future__ import annotations

import enum
import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec import inspect

from eventstore import InvalidEvent
from eventstore.errors import shown
from eventstore.events.registry import by_name
from projections.analysis.libraries import arrow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event

Exact: TypeAlias = bool | str
"""How decimals are given: False as float64, True as decimal128(38, 9), "text" as they are written."""
TEXT_DECIMALS = "text"
PRECISION, SCALE = 38, 9
"""A wider scale cannot be multiplied in Arrow or DuckDB: the digits of a product are those of both factors."""


class Kind(enum.Enum):
    """What a column holds; DECIMAL becomes what `exact` says."""

    TEXT = "text"
    ENUM = "enum"
    DECIMAL = "decimal"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    DURATION = "duration"
    DATE = "date"
    JSON = "json"
    """Members that are mappings, sequences or structs, as JSON text."""


class Column(msgspec.Struct, frozen=True):
    """A column of a frame: `values` are an enum's, in their order."""

    name: str
    kind: Kind
    values: tuple[str, ...] = ()


class Member(msgspec.Struct, frozen=True):
    """A member of an event's class, the column that it fills, and its value where it is left out.

    `is_ambiguous`: null in the data and left out of it are two values. `is_required`: without it there is no event.
    """

    name: str
    column: Column
    default: Any = None
    is_ambiguous: bool = False
    is_required: bool = False


RECORD = (
    Column("position", Kind.INTEGER),
    Column("recorded_at", Kind.INSTANT),
    Column("occurred_at", Kind.INSTANT),
    Column("type", Kind.TEXT),
    Column("category", Kind.TEXT),
    Column("account", Kind.TEXT),
    Column("entity", Kind.TEXT),
    Column("version", Kind.INTEGER),
    Column("actor", Kind.TEXT),
    Column("note", Kind.TEXT),
)
"""What a frame of events has of each record, in its order; `entity` as it was given, with its slashes."""
FURTHER = (
    Column("stream", Kind.TEXT),
    Column("schema", Kind.INTEGER),
    Column("id", Kind.TEXT),
    Column("correlation_id", Kind.TEXT),
    Column("causation_id", Kind.TEXT),
    Column("digest", Kind.TEXT),
    Column("data", Kind.JSON),
)
"""What a frame of events has only if it is asked for."""
OF_RECORDS = {column.name: column for column in (*RECORD, *FURTHER)}

_SIMPLE: dict[type, Kind] = {
    inspect.StrType: Kind.TEXT,
    inspect.DecimalType: Kind.DECIMAL,
    inspect.IntType: Kind.INTEGER,
    inspect.FloatType: Kind.FLOAT,
    inspect.BoolType: Kind.BOOLEAN,
    inspect.DateType: Kind.DATE,
    inspect.UUIDType: Kind.TEXT,
}


def members_of(type_name: str) -> tuple[Member, ...]:
    """Return the members of a registered type of events; none for a type that has no class here."""
    registered = by_name(type_name)
    return () if registered is None else _members_of_class(registered.cls)


@functools.lru_cache(maxsize=1_000)
def _members_of_class(cls: type[Event]) -> tuple[Member, ...]:
    fields = inspect.type_info(cls).fields  # type: ignore[attr-defined] # a struct's
    return tuple(_member(field) for field in fields)


def _member(field: Any) -> Member:  # noqa: ANN401 - msgspec's Field
    name = f"event_{field.name}" if field.name in OF_RECORDS else field.name
    kind, values = kind_of(field.type)
    default = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if default is msgspec.NODEFAULT:
        default = None
    is_optional = isinstance(field.type, inspect.UnionType) and field.type.includes_none
    is_ambiguous = default is not None and is_optional
    return Member(field.name, Column(name, kind, values), default, is_ambiguous, field.required)


def kind_of(declared: Any) -> tuple[Kind, tuple[str, ...]]:  # noqa: ANN401 - any type of msgspec's
    """Return the kind of a column that holds a struct's member, and an enum's values."""
    if isinstance(declared, inspect.Metadata):
        marks = declared.extra or {}
        if marks.get("instant"):
            return Kind.INSTANT, ()
        if marks.get("duration"):
            return Kind.DURATION, ()
        return kind_of(declared.type)
    if isinstance(declared, inspect.UnionType):
        others = [each for each in declared.types if not isinstance(each, inspect.NoneType)]
        return kind_of(others[0]) if len(others) == 1 else (Kind.JSON, ())
    if isinstance(declared, inspect.EnumType):
        return Kind.ENUM, tuple(str(member.value) for member in declared.cls)
    return _SIMPLE.get(type(declared), Kind.JSON), ()


def united(types: Iterable[str]) -> dict[str, Column]:
    """Return the columns of the members of some types, in their order; those that differ in kind become text."""
    columns: dict[str, Column] = {}
    for name in types:
        for member in members_of(name):
            column = member.column
            known = columns.setdefault(column.name, column)
            if known != column:
                columns[column.name] = _joined(known, column)
    return columns


def _joined(one: Column, other: Column) -> Column:
    if one.kind is other.kind is Kind.ENUM:
        return Column(one.name, Kind.ENUM, tuple(dict.fromkeys((*one.values, *other.values))))
    return Column(one.name, one.kind if one.kind is other.kind else Kind.TEXT)


def exact_of(given: object) -> Exact:
    """Return how decimals are to be given; raise InvalidEvent for anything else."""
    if given is True or given is False or given == TEXT_DECIMALS:
        return given
    msg = f"exact is True, False or {TEXT_DECIMALS!r}, not {shown(given)}"
    raise InvalidEvent(msg)


def arrow_type(column: Column, exact: Exact) -> Any:  # noqa: ANN401 - a type of Arrow's
    """Return the Arrow type of a column."""
    pa = arrow()
    if column.kind is Kind.DECIMAL:
        return _decimal(exact)
    types = {
        Kind.ENUM: pa.dictionary(pa.int32(), pa.string()),
        Kind.INTEGER: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.INSTANT: pa.timestamp("ns", tz="UTC"),
        Kind.DURATION: pa.duration("ns"),
        Kind.DATE: pa.date32(),
    }
    return types.get(column.kind, pa.string())


def _decimal(exact: Exact) -> Any:  # noqa: ANN401 - the same
    pa = arrow()
    if exact == TEXT_DECIMALS:
        return pa.string()
    return pa.decimal128(PRECISION, SCALE) if exact else pa.float64()


def arrow_schema(columns: Iterable[Column], exact: Exact) -> Any:  # noqa: ANN401 - a schema of Arrow's
    """Return the Arrow schema of some columns."""
    return arrow().schema([(column.name, arrow_type(column, exact)) for column in columns])
