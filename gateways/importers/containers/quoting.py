"""Quotation marks that are missing or too many, which make one cell of several lines of a CSV file."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BREAK = re.compile(r"\r\n?|\n")
SWALLOWED = (
    "a quoted cell of this row holds whole lines of the file: a quotation mark is missing or is too many in it; "
    "repair it, or export the file again"
)


def swallows_rows(cells: Sequence[str], delimiter: str, width: int) -> bool:
    """Return whether a cell of several lines, as a note may be, holds a row of the table, or the ends of two."""
    return any(_holds_rows(cells, index, delimiter, width) for index, cell in enumerate(cells) if _BREAK.search(cell))


def _holds_rows(cells: Sequence[str], index: int, delimiter: str, width: int) -> bool:
    first, *whole, last = (
        len(next(csv.reader([line], delimiter=delimiter), ())) for line in _BREAK.split(cells[index])
    )
    ends_rows = index + first >= width and last + len(cells) - index - 1 >= width
    return width > 1 and (ends_rows or any(count >= width for count in whole))
