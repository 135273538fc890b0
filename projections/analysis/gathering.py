"""Columns of a page put together from arrays of its types, each of which has some of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.arrays import nulls_of
from projections.analysis.libraries import arrow, library

if TYPE_CHECKING:
    from projections.analysis.columns import Column, Exact


class Gathering:
    """Arrays of groups of rows. `order[i]` is the page's row of the i-th of all groups' rows; None: one group has all.

    A row whose group has no such column is null.
    """

    def __init__(self, order: Any, size: int) -> None:  # noqa: ANN401 - an array of numpy's
        self._order, self._size = order, size
        self._parts: dict[str, list[tuple[int, int, Any]]] = {}
        self._indices: dict[tuple[int, ...], Any] = {}

    def add(self, name: str, group: int, start: int, array: Any) -> None:  # noqa: ANN401 - an array of Arrow's
        """Take a group's array of a column; `start` is where the group's rows are in the order."""
        self._parts.setdefault(name, []).append((group, start, array))

    def column(self, name: str, column: Column, exact: Exact) -> Any:  # noqa: ANN401 - the same
        """Return a column in the page's order."""
        parts = self._parts.get(name, ())
        if not parts:
            return nulls_of(column, self._size, exact)
        if self._order is None:
            return parts[0][2]
        arrays = [array for _, _, array in parts]
        whole = arrays[0] if len(arrays) == 1 else arrow().concat_arrays(arrays)
        groups = tuple(group for group, _, _ in parts)
        indices = self._indices.get(groups)
        if indices is None:
            indices = self._indices[groups] = self._indices_of([(start, len(array)) for _, start, array in parts])
        return whole.take(indices)

    def _indices_of(self, ranges: list[tuple[int, int]]) -> Any:  # noqa: ANN401 - the same
        """Return, for each row of the page, its place in the arrays of some groups, one after the other, or null."""
        pa, np = arrow(), library("numpy")
        places = np.full(self._size, -1, dtype=np.int32)
        at = 0
        for start, length in ranges:
            places[self._order[start : start + length]] = np.arange(at, at + length, dtype=np.int32)
            at += length
        return pa.array(places, mask=places < 0 if at < self._size else None)
