"""Columns of what was filled of an order, beside a quantity and a price that may be those that were ordered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateways.importers.field_texts import letters_of
from gateways.importers.texts import CellError
from gateways.importers.values import Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from gateways.importers.base import TableRow
    from gateways.importers.field_texts import FieldTexts

_QUANTITIES = frozenset({
    "filled", "filledqty", "filledquantity", "filledsize", "filledamount", "filledvolume", "fillqty", "fillquantity",
    "fillsize", "qtyfilled", "quantityfilled", "executed", "executedqty", "executedquantity", "execqty",
    "execquantity", "executedsize", "executedamount", "qtyexecuted", "quantityexecuted", "tradedqty", "tradedquantity",
})  # fmt: skip
_PRICES = frozenset({
    "fillprice", "filledprice", "avgfillprice", "averagefillprice", "avgfilledprice", "fillavgprice", "avgfill",
    "executedprice", "executionprice", "execprice", "avgexecprice", "averageexecutionprice", "avgexecutionprice",
    "tradedprice", "avgprice", "averageprice", "avgpx",
})  # fmt: skip
"""Names of columns, as letters in lower case."""


class _FilledColumn(NamedTuple):
    """A column beside that of a field."""

    field: str
    column: str


class FilledParts:
    """Looks for rows of which less was filled than their quantity, or at another price than theirs.

    `columns` are those that the mapping does not mention.
    """

    def __init__(self, texts: FieldTexts, columns: Iterable[str]) -> None:
        self._texts = texts
        letters = {letters_of(name): name for name in columns}
        named = (("quantity", _QUANTITIES), ("price", _PRICES))
        self._open = [
            _FilledColumn(field, letters[known]) for field, names in named if texts.has(field)
            for known in letters if known in names
        ]  # fmt: skip
        self._found: list[tuple[_FilledColumn, int, str, str]] = []

    @property
    def is_open(self) -> bool:
        """Whether there is a column to be looked at."""
        return bool(self._open)

    def take(self, row: TableRow) -> None:
        """Compare the columns of a row."""
        for each in tuple(self._open):
            ours, theirs = self._texts.optional(row, each.field), row.optional(each.column)
            if ours is not None and theirs is not None and self._differ(each.field, ours, theirs):
                self._found.append((each, row.line, ours, theirs))
                self._open.remove(each)

    def questions(self) -> Iterator[Question]:
        """Yield a question about each column that differs."""
        for each, line, ours, theirs in self._found:
            label = self._texts.label(each.field)
            text = (
                f"line {line} has {theirs} in column {each.column}, but {ours} in column {label}: which of them was "
                f"executed? If it is column {label}, name {each.column} in rows.ignore"
            )
            yield Question(f"columns.{each.field}", text, (), (each.column,))

    def _differ(self, field: str, ours: str, theirs: str) -> bool:
        mine, other = self._number(ours), self._number(theirs)
        if mine is None or other is None:
            # What is not a number is asked about elsewhere, and a word says nothing of a quantity.
            return False
        # More than the row's own is what was filled of the order so far; a price of 0 is none.
        return abs(other) < abs(mine) if field == "quantity" else other not in {0, mine}

    def _number(self, text: str) -> Decimal | None:
        try:
            return self._texts.number(text)
        except CellError:
            return None
