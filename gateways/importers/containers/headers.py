"""The header of a table: where it is, and the columns that it names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from gateways.importers.base import BadRow, TableRow
from gateways.importers.containers.table import RefusedRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEARCHED = 100
"""How many lines are searched for a header that is given by names."""
COLUMNS_MAX = 4_000


def find_header(
    rows: Iterable[tuple[int, list[str]]], header: int | tuple[str, ...] | None, file: str
) -> tuple[int, list[str]]:
    """Return the header's last line and its cells, consuming what precedes it and the header itself.

    `header` is the number of a line, or names that must be in it; without it, it is the first line that is not blank.
    """
    nearest: tuple[int, list[str]] | None = None
    for number, (line, cells) in enumerate(rows, 1):
        if isinstance(header, int):
            if line >= header and is_filled(cells):
                return line, cells
        elif is_filled(cells):
            lacking = [name for name in header or () if name not in {cell.strip() for cell in cells}]
            if not lacking:
                return line, cells
            if nearest is None or len(lacking) < len(nearest[1]):
                nearest = line, lacking
            if number >= SEARCHED:
                break
    msg = f"{file} {_why_missing(header, nearest)}"
    raise InvalidEvent(msg)


def _why_missing(header: int | tuple[str, ...] | None, nearest: tuple[int, list[str]] | None) -> str:
    if nearest is not None and isinstance(header, tuple):
        line, lacking = nearest
        found = f"; line {line} lacks {', '.join(lacking)}" if len(lacking) < len(header) else ""
        return f"has no header with {', '.join(header)} in its first {SEARCHED} lines{found}"
    return "has no rows: it is empty" if header is None else f"has no header: read.header is {header}"


class Header:
    """The names of a table's columns, and the rows that fit them.

    A first column without a name is `index`, as pandas writes it; any other is `column N`, and is left out where it is
    the header's last: lines that end with a delimiter have one. A name that comes twice is refused, unless
    `number_repeats`, which makes the second `Price (2)`.
    """

    def __init__(self, file: str, line: int, cells: Sequence[str], *, number_repeats: bool = False) -> None:
        self.file, self.line, self.cells = file, line, list(cells)
        if len(cells) > COLUMNS_MAX:
            raise BadRow(file, line, "", "", f"the header has {len(cells):,} columns, {COLUMNS_MAX:,} at most")
        names = [cell.strip() for cell in cells]
        if names and not names[0]:
            names[0] = "index"
        self._given = len(names)
        while len(names) > 1 and not names[-1]:
            del names[-1]
        names = [name or f"column {index}" for index, name in enumerate(names, 1)]
        if number_repeats:
            names = _numbered(names)
        self.columns = {name: index for index, name in enumerate(names)}
        self._named = len(names)
        self.width = self._named if self._named == self._given else 0
        """How many cells a row has that fits as it is; 0 where its last ones may have to be dropped."""
        if len(self.columns) != len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise BadRow(file, line, twice, twice, "occurs more than once in the header")

    def row(self, line: int, cells: list[str]) -> TableRow:
        """Return a line as a row of the table, refused if it has more or fewer cells than the header."""
        if len(cells) != self._given:
            why = f"the line has {len(cells)} cells, but the header has {self._given}"
            return self.refused(line, why)
        if self._given != self._named:
            if is_filled(cells[self._named :]):
                return self.refused(line, "the line has a value in a column that the header does not name")
            cells = cells[: self._named]
        return TableRow(self.file, line, self.columns, cells)

    def refused(self, line: int, why: str) -> RefusedRow:
        return RefusedRow(self.file, line, self.columns, why)


def is_filled(cells: Iterable[str]) -> bool:
    """Return whether any cell holds more than white space."""
    return bool("".join(cells).strip())


def _numbered(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return numbered
