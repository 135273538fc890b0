"""What a plot is given: a frame of any library, or a store to read one from, as columns of numbers and texts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from eventstore import EventReader, InvalidEvent
from eventstore.errors import shown
from projections.analysis.frame import Frame
from projections.analysis.libraries import arrow, compute, library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NAMES_SHOWN = 8
_NANOSECONDS = "ns"


def is_store(data: object) -> bool:
    """Return whether data is a store or the path of one, and not a frame."""
    return isinstance(data, EventReader | str | os.PathLike)


def rows_of(data: object, read: Callable[[], Frame], options: Mapping[str, object], needed: Iterable[str]) -> Rows:
    """Return the rows of a frame, or of what `read` reads from a store.

    Raises InvalidEvent for what is neither, for a frame that lacks one of the columns `needed`, and for `options` given
    with a frame: its rows have been read already.
    """
    if is_store(data):
        return Rows(read().to_arrow())
    unused = [name for name, value in options.items() if value is not None]
    if unused:
        msg = f"{', '.join(unused)} can be given with a store only: this frame's rows have been read already"
        raise InvalidEvent(msg)
    return rows_in(data, needed)


def rows_in(data: object, needed: Iterable[str]) -> Rows:
    """Return the rows of a frame; raise InvalidEvent if it lacks one of the columns `needed`."""
    rows = Rows(_table_of(data))
    missing = [name for name in needed if name not in rows.names]
    if missing:
        msg = f"the frame has no column {', '.join(missing)}: it has {', '.join(rows.names[:NAMES_SHOWN]) or 'none'}"
        raise InvalidEvent(msg)
    return rows


def _table_of(data: object) -> Any:  # noqa: ANN401 - a table of Arrow's
    """Return a frame of ours, of pandas, polars or Arrow as a pyarrow.Table; raise InvalidEvent for anything else."""
    pa = arrow()
    if isinstance(data, Frame):
        return data.to_arrow()
    if not isinstance(data, list | dict) and (hasattr(data, "__arrow_c_stream__") or hasattr(data, "__dataframe__")):
        # A frame of another library whose columns Arrow cannot hold raises its own errors.
        try:
            return _plain(pa.table(data))
        except (TypeError, ValueError) as e:
            msg = f"this frame's columns cannot be read: {e}"
            raise InvalidEvent(msg) from e
    msg = f"expected a frame, a store or the path of a data directory, not {shown(data)}"
    raise InvalidEvent(msg)


def _plain(table: Any) -> Any:  # noqa: ANN401 - tables of Arrow's
    """Return a table with texts as Arrow's functions take them, and without columns that no plot reads."""
    types = arrow().types
    flat = table.select([field.name for field in table.schema if not types.is_nested(field.type)])
    for place, field in enumerate(flat.schema):
        if types.is_string_view(field.type) or types.is_dictionary(field.type):
            flat = flat.set_column(place, field.name, flat.column(place).cast(arrow().string()))
    return flat


class Rows:
    """Rows of a frame, with their columns as arrays of numpy: numbers that are missing are NaN."""

    def __init__(self, table: Any) -> None:  # noqa: ANN401 - a table of Arrow's
        self._table = table

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def only(self, name: str, value: str | None) -> Rows:
        """Return the rows with a value in a column; all of them for None."""
        if value is None or name not in self.names:
            return self
        return Rows(self._table.filter(compute().equal(self._texts(name), value)))

    def one(self, name: str, value: str | None, what: str) -> tuple[Rows, str | None]:
        """Return the rows of one value of a column, and the value; raise InvalidEvent if that leaves several."""
        rows = self.only(name, value)
        found = rows.values(name)
        if len(found) > 1:
            given = ", ".join(map(shown, found[:NAMES_SHOWN])) + (" …" if len(found) > NAMES_SHOWN else "")
            msg = f"the rows are of several {what}: {given}; choose one by {name}="
            raise InvalidEvent(msg)
        return rows, value if value is not None else next(iter(found), None)

    def by(self, name: str) -> list[tuple[str, Rows]]:
        """Return the rows of each value of a column."""
        return [(value, self.only(name, value)) for value in self.values(name)]

    def values(self, name: str) -> list[str]:
        """Return the different values of a column of texts, in the order they appear; none where it is missing."""
        if name not in self.names:
            return []
        return [value for value in compute().unique(self._texts(name)).to_pylist() if value is not None]

    def in_order(self, name: str) -> Rows:
        """Return the rows that have an instant, sorted by it, those of the same instant as they were."""
        instants = self._table.column(name)
        table = self._table.filter(compute().is_valid(instants)) if instants.null_count else self._table
        order = library("numpy").argsort(Rows(table).instants(name), kind="stable")
        return Rows(table.take(arrow().array(order)))

    def instants(self, name: str) -> Any:  # noqa: ANN401 - an array of numpy's
        """Return a column of instants as UNIX ns; one that is missing is numpy's NaT as an int, below all others."""
        pa = arrow()
        column = self._table.column(name)
        # A column in which nothing stands may have no type.
        if not pa.types.is_null(column.type) and (not pa.types.is_timestamp(column.type) or column.type.tz is None):
            msg = f"column {name} has to hold instants with a time zone, not {column.type}"
            raise InvalidEvent(msg)
        whole = column.cast(pa.timestamp(_NANOSECONDS, tz="UTC")).cast(pa.int64())
        return whole.fill_null(library("numpy").iinfo("int64").min).to_numpy()

    def numbers(self, name: str) -> Any:  # noqa: ANN401 - an array of numpy's
        """Return a column of numbers, or of their texts, as float64; NaN where it is missing or not finite."""
        pa, np = arrow(), library("numpy")
        if name not in self.names:
            return np.full(len(self), np.nan)
        try:
            values = self._table.column(name).cast(pa.float64()).to_numpy()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
            msg = f"column {name} has to hold numbers: {e}"
            raise InvalidEvent(msg) from e
        return np.where(np.isfinite(values), values, np.nan)

    def texts(self, name: str) -> list[str | None]:
        """Return a column as texts."""
        return self._texts(name).to_pylist() if name in self.names else [None] * len(self)

    def is_text(self, name: str, value: str) -> Any:  # noqa: ANN401 - an array of numpy's
        """Return where a column of texts has a value."""
        if name not in self.names:
            return library("numpy").zeros(len(self), dtype=bool)
        return compute().equal(self._texts(name), value).fill_null(False).to_numpy()  # noqa: FBT003 - null is not equal

    def _texts(self, name: str) -> Any:  # noqa: ANN401 - an array of Arrow's
        return self._table.column(name).cast(arrow().string())
