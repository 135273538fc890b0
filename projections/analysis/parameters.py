"""Values for the placeholders of a query, as DuckDB takes them: nothing is rounded, and no text becomes SQL."""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from eventstore import InvalidEvent
from eventstore.errors import shown
from projections.analysis.columns import PRECISION
from projections.analysis.libraries import library

if TYPE_CHECKING:
    from collections.abc import Collection

Parameters: TypeAlias = "Sequence[Any] | Mapping[str, Any]"
Values: TypeAlias = "list[Any] | dict[str, Any] | None"
_NUMBER = re.compile(r"[0-9]+")


def parameters_of(given: Parameters | None, wanted: Sequence[Collection[str]]) -> list[Values]:
    """Return the values of each statement, None for one without placeholders.

    `wanted` are the names of each statement's placeholders, numbers for `?` and `$1`. A mapping serves all statements,
    a sequence the only one that has placeholders. Raises InvalidEvent if the values are too few or too many.
    """
    values: object = () if given is None else given
    if isinstance(values, Mapping):
        return _by_name(values, wanted)
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return _in_order(values, wanted)
    msg = f"parameters is a sequence of values for ?, or a mapping of names to values for $name, not {shown(given)}"
    raise InvalidEvent(msg)


def _by_name(values: Mapping[str, Any], wanted: Sequence[Collection[str]]) -> list[Values]:
    names = set().union(*wanted)
    if names != set(values):
        msg = f"the query has the parameters {_listed(names)}, and values are given for {_listed(values)}"
        raise InvalidEvent(msg)
    return [{name: _value(values[name]) for name in each} if each else None for each in wanted]


def _in_order(values: Sequence[Any], wanted: Sequence[Collection[str]]) -> list[Values]:
    using = [names for names in wanted if names]
    names = set().union(*using)
    if (named := [name for name in names if not _NUMBER.fullmatch(name)]) or len(using) > 1:
        what = f"the parameters {_listed(named)}" if named else "parameters in several statements"
        msg = f"the query has {what}: name them, as $name, and give a mapping, as parameters={{'name': value}}"
        raise InvalidEvent(msg)
    if len(names) != len(values):
        msg = f"the query has {len(names)} parameters, and {len(values)} values are given"
        raise InvalidEvent(msg)
    return [[_value(value) for value in values] if each else None for each in wanted]


def _listed(names: Collection[object]) -> str:
    return ", ".join(f"${name}" for name in sorted(map(str, names))) or "none"


def _value(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return a value without what DuckDB would round off: it takes Python's times, and they end at µs."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.datetime) and getattr(value, "nanosecond", None):
        duckdb = library("duckdb")
        if value.tzinfo is None:
            return duckdb.Value(value.isoformat(), duckdb.type("TIMESTAMP_NS"))
        return duckdb.Value(value.astimezone(datetime.UTC).isoformat(), duckdb.type("TIMESTAMPTZ_NS"))
    if isinstance(value, Decimal) and not _fits(value):
        msg = (
            f"a parameter is {value}: DuckDB has decimals of {PRECISION} digits at most, and would round it to a float"
        )
        raise InvalidEvent(msg)
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        # A datetime64 or timedelta64 in ns becomes an int, which is what it counts.
        return value.item()
    return value


def _fits(value: Decimal) -> bool:
    if not value.is_finite():
        return False
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "a finite one has a number"
    # The zero before the point is a digit as well.
    return max(len(digits) + max(exponent, 0), 1 - exponent) <= PRECISION
