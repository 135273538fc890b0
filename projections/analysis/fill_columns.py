"""Fills as arrays: in the order of their positions, with signed quantities, and the holdings that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import InvalidEvent
from eventstore.errors import shown
from eventstore.trading import Side
from projections.analysis.libraries import arrow, library
from projections.analysis.whole_numbers import Whole, numbers_of, product

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUIRED = ("occurred_at", "account", "symbol", "side", "quantity", "price")
_SHORT = 1 << 15


class RowGroups(NamedTuple):
    """Rows sorted into groups. `codes[i]` is the group of the i-th row in this order, `starts` each group's first."""

    order: Any
    codes: Any
    starts: Any

    def since_start(self, sums: Any) -> Any:  # noqa: ANN401 - arrays of numpy's
        """Return running sums over all rows, in the groups' order, as running sums of each group."""
        np = library("numpy")
        if len(self.starts) <= 1:
            return sums
        before = np.where(self.starts > 0, sums[self.starts - 1], 0)
        return sums - before[self.codes]


class FillColumns(NamedTuple):
    """Fills in the order of their holdings, each holding's by time and log position.

    `quantity` is signed; `unit` is the contract's multiplier, 0 where it is missing; `table` has the rows as given.
    """

    table: Any
    holdings: RowGroups
    quantity: Whole
    price: Whole
    unit: Whole
    at: Any
    position: Any
    unknown: Any
    """Which rows have no multiplier, or None."""

    @property
    def points(self) -> Whole:
        """What each fill paid (above zero) or received, in points."""
        return product(self.quantity, self.price)


def table_of(rows: object, names: Sequence[str], what: str) -> Any:  # noqa: ANN401 - a table of Arrow's
    """Return a frame of any library as a table; raise InvalidEvent for what is none, and for columns it lacks."""
    pa = arrow()
    table: Any = rows.to_arrow() if hasattr(rows, "to_arrow") else rows
    if not isinstance(table, pa.Table):
        if not hasattr(table, "__arrow_c_stream__"):
            msg = f"{what} are a frame of pandas, polars, Arrow or this package, not {shown(rows)}"
            raise InvalidEvent(msg)
        table = pa.table(table)
    if missing := [name for name in names if name not in table.column_names]:
        msg = f"{what} have no columns {', '.join(missing)}: they have {', '.join(table.column_names)}"
        raise InvalidEvent(msg)
    return table


def fill_columns(rows: object) -> FillColumns:
    """Return fills as arrays; raise InvalidEvent for rows that are none."""
    np = library("numpy")
    table = _with_codes(table_of(rows, REQUIRED, "fills"))
    at = instants_of(table, "occurred_at")
    position = numbers_of(table, "position", default=0).values if "position" in table.column_names else None
    codes = codes_of(table, ("account", "symbol", "position_side"))
    holdings = grouped(codes, at, position)
    order = holdings.order
    quantity, price = numbers_of(table, "quantity"), numbers_of(table, "price")
    unit, unknown = _units(table, holdings)
    sign = _signs(table)
    return FillColumns(
        table,
        holdings,
        Whole((quantity.values * sign)[order], quantity.digits),
        Whole(price.values[order], price.digits),
        Whole(unit.values[order], unit.digits),
        at[order],
        np.arange(len(at)) if position is None else position,
        unknown,
    )


def _with_codes(table: Any) -> Any:  # noqa: ANN401 - a table of Arrow's
    """Return a table whose texts by which rows are grouped are dictionary arrays: each is encoded once."""
    for name in ("account", "symbol", "side", "position_side", "currency"):
        if name in table.column_names:
            place = table.column_names.index(name)
            table = table.set_column(place, name, encoded(table, name))
    return table


def _units(table: Any, holdings: RowGroups) -> tuple[Whole, Any]:  # noqa: ANN401 - arrays
    """Return multipliers, and which rows have none; raise InvalidEvent for a holding of several."""
    unit = numbers_of(table, "multiplier", default=0 if "multiplier" in table.column_names else 1)
    values = unit.values[holdings.order]
    if len(values) and (values != values[holdings.starts][holdings.codes]).any():
        msg = "a contract's multiplier changes among the fills: take what the fold says, in `analysis.fills`"
        raise InvalidEvent(msg)
    missing = unit.values == 0
    return unit, missing if missing.any() else None


def _signs(table: Any) -> Any:  # noqa: ANN401 - the same
    np = library("numpy")
    side = encoded(table, "side")
    names = side.dictionary.to_pylist()
    signs = {Side.BUY.value: 1, Side.SELL.value: -1}
    if side.null_count or any(name not in signs for name in names):
        msg = f"side is {' or '.join(signs)} in each fill, not {shown([name for name in names if name not in signs])}"
        raise InvalidEvent(msg)
    return np.array([signs[name] for name in names] or [1], dtype=np.int64)[side.indices.to_numpy()]


def encoded(table: Any, name: str) -> Any:  # noqa: ANN401 - the same
    """Return a column of texts as a dictionary array."""
    pa = arrow()
    column = table.column(name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def codes_of(table: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 - the same
    """Return a number for each row; rows whose columns are the same have the same. A column that is missing is one."""
    np = library("numpy")
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for name in names:
        if name in table.column_names:
            column = encoded(table, name)
            codes *= len(column.dictionary) + 1
            codes += column.indices.fill_null(len(column.dictionary)).to_numpy()
    return codes


def grouped(codes: Any, at: Any, position: Any = None) -> RowGroups:  # noqa: ANN401 - arrays of numpy's
    """Return rows by group, and in each by time and log position, those that are equal as they stand."""
    np = library("numpy")
    keys = (codes, at) if position is None else (codes, at, position)
    if _is_in_time(at, position):
        small = len(codes) == 0 or codes.max() < _SHORT
        # Numbers of 16 bits are sorted by radix.
        order = np.argsort(codes.astype(np.int16) if small else codes, kind="stable")
    else:
        order = np.lexsort(keys[::-1])
    in_order = codes[order]
    starts = np.concatenate([[0], np.flatnonzero(in_order[1:] != in_order[:-1]) + 1]) if len(codes) else codes
    dense = np.zeros(len(codes), dtype=np.int64)
    dense[starts[1:]] = 1
    return RowGroups(order, np.cumsum(dense), starts)


def _is_in_time(at: Any, position: Any) -> bool:  # noqa: ANN401 - the same
    later = at[1:] > at[:-1]
    if position is None:
        return bool((later | (at[1:] == at[:-1])).all())
    return bool((later | ((at[1:] == at[:-1]) & (position[1:] >= position[:-1]))).all())


def instants_of(table: Any, name: str) -> Any:  # noqa: ANN401 - the same
    """Return a column of instants as UNIX ns; raise InvalidEvent for another type, or for one that is missing."""
    pa = arrow()
    column = table.column(name)
    if not pa.types.is_timestamp(column.type) or column.null_count:
        msg = f"{name} is a column of instants without nulls, not of {column.type}"
        raise InvalidEvent(msg)
    return column.cast(pa.timestamp("ns", tz=column.type.tz)).cast(pa.int64()).to_numpy()
