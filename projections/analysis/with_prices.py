"""Prices beside the rows of a frame: for each row the newest price of its symbol that was known at its instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore import InvalidEvent
from eventstore.clock import duration_ns
from projections.analysis.arrays import array_of
from projections.analysis.columns import Column, Kind, exact_of
from projections.analysis.frame import Frame
from projections.analysis.libraries import arrow, compute, library
from projections.analysis.tables import instants_in, names_in, numbers_in, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from projections.analysis.columns import Exact

QUOTE, QUOTE_AT = Column("quote", Kind.DECIMAL), Column("quote_at", Kind.INSTANT)
_INSTANTS = ("at", "occurred_at", "exit_at", "recorded_at")


class Joined(Frame):
    """A frame of a table that is there already, whatever the types of its columns."""

    def __init__(self, table: Any, *, exact: Exact, title: str = "rows") -> None:  # noqa: ANN401 - a table of Arrow's
        columns = [Column(field.name, _kind_of(field.type)) for field in table.schema]
        super().__init__(columns, self._batches_of_table, exact=exact, title=title)
        self._table = table

    @property
    @override
    def schema(self) -> Any:
        return self._table.schema

    def _batches_of_table(self) -> Iterator[Any]:
        yield from self._table.to_batches()


def with_prices(
    frame: object,
    quotes: object,
    *,
    at: str | None = None,
    tolerance: timedelta | int | None = None,
    exact: Exact = False,
) -> Joined:
    """Return a frame with two more columns: `quote`, the newest price of the row's symbol, and `quote_at`, its instant.

    `frame` has a column symbol and one of instants, which `at` names: at, occurred_at, exit_at or recorded_at, the
    first that it has, by default. `quotes` has columns at, symbol and price. Both may be frames of pandas, polars or
    Arrow. No price is later than its row: of those at or before the row's instant, the newest counts, of several at one
    instant the last. A price older than `tolerance` (a timedelta or ns) is not taken. Where there is none, both columns
    are null. The rows stay as they are, in their order. Raises InvalidEvent for frames without these columns.
    """
    asked = exact_of(exact)
    left = table_of(frame, "frame", ("symbol",))
    right = table_of(quotes, "quotes", ("at", "symbol", "price"))
    name = at if at is not None else next((each for each in _INSTANTS if each in left.column_names), "at")
    if name not in left.column_names:
        msg = f"frame has no column {name}: name its column of instants by at=, of {', '.join(left.column_names)}"
        raise InvalidEvent(msg)
    if taken := [each.name for each in (QUOTE, QUOTE_AT) if each.name in left.column_names]:
        msg = f"frame has a column {', '.join(taken)} already: rename it first"
        raise InvalidEvent(msg)
    numbers = numbers_in(right, "price", "quotes")
    instants, symbols = instants_in(right, "at", "quotes"), names_in(right, "symbol", "quotes")
    known = [number is not None for number in numbers]
    rows = _matches(
        (instants_in(left, name, "frame"), names_in(left, "symbol", "frame")),
        (instants, symbols, arrow().array(known, arrow().bool_())),
        None if tolerance is None else duration_ns(tolerance),
    )
    pa = arrow()
    for column, values in (
        (QUOTE, array_of(numbers, QUOTE, asked)),
        (QUOTE_AT, instants.cast(pa.timestamp("ns", tz="UTC"))),
    ):
        left = left.append_column(column.name, compute().take(values, rows))
    return Joined(left, exact=asked, title="rows with prices")


def _matches(left: tuple[Any, Any], right: tuple[Any, Any, Any], tolerance: int | None) -> Any:  # noqa: ANN401 - arrays of Arrow's
    """Return for each row on the left the number of the row on the right that is its price, null without one."""
    pa, pl = arrow(), library("polars")
    instants, symbols = left
    rows = pl.DataFrame({
        "at": pl.from_arrow(instants), "symbol": pl.from_arrow(symbols), "row": pl.arange(0, len(instants), eager=True)
    }).drop_nulls()  # fmt: skip
    quotes = pl.DataFrame({
        "at": pl.from_arrow(right[0]), "symbol": pl.from_arrow(right[1]), "is_known": pl.from_arrow(right[2]),
        "match": pl.arange(0, len(right[0]), eager=True),
    }).filter("is_known").drop("is_known").drop_nulls()  # fmt: skip
    found = rows.sort("at", maintain_order=True).join_asof(
        quotes.sort("at", maintain_order=True),
        on="at",
        by="symbol",
        strategy="backward",
        tolerance=tolerance,
        check_sortedness=False,
    )
    matches: list[int | None] = [None] * len(instants)
    for row, match in zip(found["row"].to_list(), found["match"].to_list(), strict=True):
        matches[row] = match
    return pa.array(matches, pa.int64())


def _kind_of(type: Any) -> Kind:  # noqa: ANN401 - a type of Arrow's
    types = arrow().types
    if types.is_timestamp(type):
        return Kind.INSTANT
    return Kind.DURATION if types.is_duration(type) else Kind.TEXT
