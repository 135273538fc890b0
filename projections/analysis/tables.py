"""Frames that others made: anything that gives its rows to Arrow, with its instants, names and numbers checked."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent
from eventstore.clock import TIME_MAX, parse_time, to_ns
from eventstore.errors import shown
from projections.analysis.frame import Frame
from projections.analysis.libraries import arrow, compute

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMS = "a frame of pandas or polars, an Arrow table, one of these frames or a dict of lists"


def table_of(given: object, what: str, columns: Sequence[str]) -> Any:  # noqa: ANN401 - a table of Arrow's
    """Return a frame as an Arrow table that has some columns; raise InvalidEvent for anything else."""
    pa = arrow()
    if isinstance(given, Frame):
        table = given.to_arrow()
    elif isinstance(given, dict) or hasattr(given, "__arrow_c_stream__"):
        try:
            table = pa.table(given)
        except (pa.ArrowException, TypeError, ValueError, AttributeError) as e:
            msg = f"{what} cannot be read as a table ({e}): give {_FORMS}"
            raise InvalidEvent(msg) from e
    else:
        msg = f"{what} is {_FORMS}, with columns {', '.join(columns)}, not {shown(type(given).__name__)}"
        raise InvalidEvent(msg)
    if missing := [name for name in columns if name not in table.column_names]:
        msg = f"{what} has no column {', '.join(missing)}, only {', '.join(table.column_names)}"
        raise InvalidEvent(msg)
    return table


def instants_in(table: Any, name: str, what: str) -> Any:  # noqa: ANN401 - a table and an array of Arrow's
    """Return a column of instants as UNIX ns: timestamps with a zone, ISO 8601 text with one, or ints of UNIX ns.

    Raises InvalidEvent for anything else, and for instants outside 1970 to 2199.
    """
    pa, pc = arrow(), compute()
    column = table.column(name).combine_chunks()
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.int64())
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        try:
            found = column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64())
        except pa.ArrowException as e:
            msg = f"column {name} of {what} has instants outside 1970 to 2199: {e}"
            raise InvalidEvent(msg) from e
        bounds = pc.min_max(found)
        if found.null_count < len(found) and not (bounds["min"].as_py() >= 0 and bounds["max"].as_py() <= TIME_MAX):
            msg = f"column {name} of {what} has instants outside 1970 to 2199"
            raise InvalidEvent(msg)
        return found
    if pa.types.is_integer(kind):
        return pa.array([None if value is None else to_ns(value) for value in column.to_pylist()], pa.int64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.array([None if value is None else parse_time(value) for value in column.to_pylist()], pa.int64())
    zone = "has no time zone" if pa.types.is_timestamp(kind) else f"is {kind}"
    msg = f"column {name} of {what} {zone}: give timestamps in a zone, ISO 8601 text or ints of UNIX nanoseconds"
    raise InvalidEvent(msg)


def names_in(table: Any, name: str, what: str) -> Any:  # noqa: ANN401 - a table and an array of Arrow's
    """Return a column of names, such as symbols, as text."""
    pa = arrow()
    try:
        return table.column(name).cast(pa.string()).combine_chunks()
    except pa.ArrowException as e:
        msg = f"column {name} of {what} is {table.column(name).type}: give names as text"
        raise InvalidEvent(msg) from e


def numbers_in(table: Any, name: str, what: str) -> list[Decimal | None]:  # noqa: ANN401 - a table of Arrow's
    """Return a column of numbers as they are shown; what is null or not a number is None."""
    found = []
    for value in table.column(name).to_pylist():
        try:
            number = None if value is None else Decimal(repr(value) if isinstance(value, float) else value)
        except (InvalidOperation, TypeError, ValueError) as e:
            msg = f"{name} of {what} is {shown(value)}: give numbers"
            raise InvalidEvent(msg) from e
        if number is not None and number.is_infinite():
            msg = f"{name} of {what} is {number}: give numbers that are finite, and null where there is none"
            raise InvalidEvent(msg)
        found.append(None if number is None or math.isnan(number) else number)
    return found
