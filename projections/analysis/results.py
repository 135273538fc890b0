"""The rows of a query in the types of frames: instants in ns, whole numbers as integers, each name once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.columns import Column, Kind
from projections.analysis.libraries import arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HUGE = frozenset({"HUGEINT", "UHUGEINT"})
"""What DuckDB makes of sums of integers; in Arrow these are decimals."""


def presentable(table: Any, types: Sequence[str]) -> Any:  # noqa: ANN401 - tables of Arrow's
    """Return the table of a query's rows as a frame holds it; `types` are DuckDB's, in its words."""
    pa = arrow()
    columns = [_presentable(values, kind) for values, kind in zip(table.columns, types, strict=True)]
    return pa.Table.from_arrays(columns, names=list(_unique(table.column_names)))


def _presentable(values: Any, kind: str) -> Any:  # noqa: ANN401 - columns of Arrow's
    pa = arrow()
    given = values.type
    if pa.types.is_timestamp(given) and given.unit != "ns":
        return _cast(values, pa.timestamp("ns", tz=given.tz))
    if kind in _HUGE:
        return _cast(values, pa.int64())
    if pa.types.is_interval(given):
        return _durations(values)
    return values


def _cast(values: Any, target: Any) -> Any:  # noqa: ANN401 - the same, and a type
    """Return values of another type, or as they are if one does not fit."""
    try:
        return values.cast(target)
    except arrow().ArrowInvalid:
        return values


def _durations(values: Any) -> Any:  # noqa: ANN401 - the same
    """Return DuckDB's intervals as durations, of 24 hours a day; as text if one has months, whose length is unknown."""
    pa = arrow()
    parts = values.to_pylist()
    if any(part is not None and part.months for part in parts):
        texts = [
            None if part is None else f"{part.months} months {part.days} days {part.nanoseconds} ns" for part in parts
        ]
        return pa.chunked_array([pa.array(texts, pa.string())])
    day = 86_400_000_000_000
    lengths = [None if part is None else part.days * day + part.nanoseconds for part in parts]
    return pa.chunked_array([pa.array(lengths, pa.int64()).cast(pa.duration("ns"))])


def _unique(names: Sequence[str]) -> Iterator[str]:
    """Yield names, with a number behind one that was there before: a frame has each name once."""
    taken = set(names)
    seen: set[str] = set()
    for name in names:
        unique, number = name, 1
        while unique in seen or (unique != name and unique in taken):
            number += 1
            unique = f"{name}_{number}"
        seen.add(unique)
        yield unique


def columns_in(schema: Any) -> tuple[Column, ...]:  # noqa: ANN401 - a schema of Arrow's
    """Return the columns of an Arrow schema."""
    return tuple(Column(field.name, _kind_of(field.type)) for field in schema)


def _kind_of(kind: Any) -> Kind:  # noqa: ANN401 - a type of Arrow's
    types = arrow().types
    tests = (
        (types.is_boolean, Kind.BOOLEAN),
        (types.is_integer, Kind.INTEGER),
        (types.is_floating, Kind.FLOAT),
        (types.is_decimal, Kind.DECIMAL),
        (types.is_timestamp, Kind.INSTANT),
        (types.is_duration, Kind.DURATION),
        (types.is_date, Kind.DATE),
        (types.is_nested, Kind.JSON),
    )
    return next((found for test, found in tests if test(kind)), Kind.TEXT)
