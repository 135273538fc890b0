"""The ids of rows: refused where a spreadsheet rounded them, or where only some executions have one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateways.importers.base import BadRow
from gateways.importers.fields import columns_of, names_of
from gateways.importers.mapping import KindOfRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateways.importers.base import TableRow
    from gateways.importers.mapping import Mapping as FileMapping

_ROUNDED = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d+", re.ASCII)
_IDS = ("trade_id", "order_id", "broker_order_id", "exchange_trade_id", "buy_id", "sell_id", "reference")


class RowIds:
    """Checks the ids of a file's rows, in the columns that a mapping has for them."""

    def __init__(self, mapping: FileMapping, columns: Mapping[str, int]) -> None:
        of_fields = columns_of(mapping)
        named = [name for field in _IDS for name in names_of(of_fields.get(field, ()))]
        self._indexes = [(name, columns[name]) for name in dict.fromkeys(named) if name in columns]
        own = names_of(of_fields.get("trade_id", ())) if mapping.rows.kind is KindOfRow.EXECUTION else ()
        self._own = () if mapping.identity.columns else tuple(name for name in own if name in columns)
        self._line_with = self._line_without = 0

    def check(self, row: TableRow) -> None:
        """Raise BadRow for an id that lost its digits, and for one that is missing where other rows have theirs."""
        cells = row.cells
        for name, index in self._indexes:
            if index < len(cells) and "+" in cells[index] and _ROUNDED.fullmatch(cells[index].strip()):
                why = "is an id that a spreadsheet has rounded: take the file as it was exported, not saved again"
                raise BadRow(row.file, row.line, name, cells[index].strip(), why)
        if self._own:
            self._check_missing(row)

    def _check_missing(self, row: TableRow) -> None:
        """Raise BadRow for the first row that has no id among rows that have one, or the other way round."""
        has_id = row.optional(self._own[0]) is not None
        has_id = has_id or any(row.optional(name) is not None for name in self._own[1:])
        if has_id:
            self._line_with = self._line_with or row.line
        else:
            self._line_without = self._line_without or row.line
        if self._line_with and self._line_without:
            column = " + ".join(self._own)
            other = self._line_without if has_id else self._line_with
            why = (
                f"is {'there' if has_id else 'empty'}, but {'empty' if has_id else 'there'} on line {other}: a row "
                "without an id among executions may be a sum of them, or the same again"
            )
            raise BadRow(row.file, row.line, column, row.optional(self._own[0]) or "", why)
