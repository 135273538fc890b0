"""What a plot is given: a frame of any library, or a store to read one from, as columns of numbers and texts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeGuard

from eventstore import EventReader, InvalidEvent
from eventstore.errors import shown
from projections.analysis.libraries import arrow, compute, library
from projections.analysis.tables import instants_in, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from projections.analysis.frame import Frame
    from projections.analysis.sources import Source

NAMES_SHOWN = 8


def is_store(data: object) -> TypeGuard[Source]:
    """Return whether data is a store or the path of one, and not a frame."""
    return isinstance(data, EventReader | str | os.PathLike)


def rows_of(
    data: object, read: Callable[[Source], Frame], options: Mapping[str, object], needed: Sequence[str]
) -> Rows:
    """Return the rows of a frame, or of what `read` reads from a store.

    Raises InvalidEvent for what is neither, for a frame that lacks one of the columns `needed`, and for `options` given
    with a frame: its rows have been read already.
    """
    if is_store(data):
        return Rows(read(data).to_arrow())
    unused = [name for name, value in options.items() if value is not None]
    if unused:
        msg = f"{', '.join(unused)} can be given with a store only: this frame's rows have been read already"
        raise InvalidEvent(msg)
    return rows_in(data, "data", needed)


def rows_in(data: object, what: str, needed: Sequence[str]) -> Rows:
    """Return the rows of a frame of any library; raise InvalidEvent if it lacks one of the columns `needed`."""
    return Rows(_plain(table_of(data, what, needed)), what)


def _plain(table: Any) -> Any:  # noqa: ANN401 - tables of Arrow's
    """Return a table with texts as Arrow's functions take them, and without columns that no plot reads."""
    pa = arrow()
    flat = table.select([field.name for field in table.schema if not pa.types.is_nested(field.type)])
    for place, field in enumerate(flat.schema):
        column = flat.column(place)
        if pa.types.is_dictionary(field.type):
            # Those of polars have views of texts as values, which Arrow can neither take nor cast.
            chunks = [each.dictionary.cast(pa.string()).take(each.indices) for each in column.chunks]
            flat = flat.set_column(place, field.name, pa.chunked_array(chunks, pa.string()))
        elif pa.types.is_string_view(field.type):
            flat = flat.set_column(place, field.name, column.cast(pa.string()))
    return flat


class Rows:
    """Rows of a frame, with their columns as arrays of numpy: numbers that are missing are NaN."""

    def __init__(self, table: Any, what: str = "data") -> None:  # noqa: ANN401 - a table of Arrow's
        self._table, self._what = table, what

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
        return Rows(self._table.filter(compute().equal(self._texts(name), value)), self._what)

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
        np = library("numpy")
        instants = self.instants(name)
        there = np.flatnonzero(instants != np.iinfo("int64").min)
        order = there[np.argsort(instants[there], kind="stable")]
        return Rows(self._table.take(arrow().array(order)), self._what)

    def instants(self, name: str) -> Any:  # noqa: ANN401 - an array of numpy's
        """Return a column of instants as UNIX ns; one that is missing is numpy's NaT as an int, below all others."""
        return instants_in(self._table, name, self._what).fill_null(library("numpy").iinfo("int64").min).to_numpy()

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
