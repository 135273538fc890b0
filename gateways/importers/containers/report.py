"""Reports: tables one below the other, each under a title and a header, with sums and remarks between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import InvalidEvent
from gateways.importers.base import BadRow
from gateways.importers.containers.headers import Header, is_filled

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from gateways.importers.base import TableRow
    from gateways.importers.containers.table import Read

TABLES_MAX = 1_000
TITLES_SHOWN = 40
VALUE = re.compile(r"[-+(]?\s*[$€£]?\s*\.?\d")


class GridRow(NamedTuple):
    """A row of a grid, its cells followed by empty ones for the further columns that they span.

    `given` is how many cells it had; `is_title` that it may be the title of a table; `is_bold` that a cell stands out,
    as in sums; `why` it cannot be relied on, if it cannot.
    """

    grid: int
    line: int
    cells: list[str]
    given: int
    is_title: bool
    is_bold: bool
    why: str = ""


class TitledRow(NamedTuple):
    """A row in its table: the table's number, its title, and whether the row is its header."""

    table: int
    title: str
    row: GridRow
    is_header: bool


OpenRows = Callable[[], "AbstractContextManager[Iterable[GridRow]]"]


def report_tables(open_rows: OpenRows, read: Read, file: str, name: str = "") -> list[ReportTable]:
    """Return a report's tables; raise InvalidEvent if it has some, but none that `read` names.

    `name` is for tables without a title.
    """
    tables: list[ReportTable] = []
    with open_rows() as rows:
        for found in _report_rows(rows, read, file):
            if found.is_header:
                tables.append(ReportTable(open_rows, read, file, found, name))
            if len(tables) > TABLES_MAX:
                msg = f"{file} has more than {TABLES_MAX:,} tables"
                raise InvalidEvent(msg)
    named = [table for table in tables if read.section is None or _plain(table.name) == _plain(read.section)]
    if tables and not named:
        raise no_tables(file, read, [table.name for table in tables])
    return named


def no_tables(file: str, read: Read, titles: Sequence[str]) -> InvalidEvent:
    """Return the error of a file without the tables that `read` names."""
    msg = f"{file} has no table"
    if read.section is not None and titles:
        shown = ", ".join([*dict.fromkeys(filter(None, titles))][:TITLES_SHOWN]) or "none"
        msg += f" titled {read.section!r}, as read.section says; titles: {shown}"
    elif isinstance(read.header, tuple):
        msg += f" with the columns {', '.join(read.header)}"
    return InvalidEvent(msg)


class ReportTable:
    """The rows under one header of a report, up to the next title."""

    def __init__(
        self,
        open_rows: OpenRows,
        read: Read,
        file: str,
        found: TitledRow,
        name: str,
    ) -> None:
        if found.row.why:
            raise BadRow(file, found.row.line, "", "", found.row.why)
        self._open_rows, self._read, self._file = open_rows, read, file
        self.name = found.title or name
        self._number, self._given = found.table, found.row.given
        self._width = len(found.row.cells)
        self._header = Header(file, found.row.line, found.row.cells, number_repeats=True)

    @property
    def columns(self) -> Mapping[str, int]:
        return self._header.columns

    def rows(self) -> Generator[TableRow, None, None]:
        with self._open_rows() as rows:
            for found in _report_rows(rows, self._read, self._file):
                if found.table != self._number or found.is_header:
                    continue
                line, why = found.row.line, found.row.why
                yield self._header.refused(line, why) if why else self._header.row(line, self._fitted(found.row))

    def _fitted(self, row: GridRow) -> list[str]:
        """Return a row's cells, with empty ones added or taken away at its end where that cannot move a value.

        Sums and remarks have few cells. A row with almost as many as the header lacks one, and it may be any.
        """
        cells, missing = row.cells, self._width - len(row.cells)
        if missing < 0 and not is_filled(cells[self._width :]):
            return cells[: self._width]
        if missing > 0 and (row.is_bold or row.given * 2 < self._given):
            return [*cells, *[""] * missing]
        return cells


class _Grid:
    """How far the reading of a grid has come: the title and header that it is under."""

    def __init__(self, read: Read, file: str) -> None:
        self._read, self._file = read, file
        self.title = ""
        self.table = 0
        self._header: GridRow | None = None
        self._last_header: GridRow | None = None
        self._expects_header = True
        self._follows_gap = False

    def is_header(self, row: GridRow) -> bool | None:
        """Take the next row; return whether it is a header, None if it is neither one nor a row of a table."""
        follows_gap, self._follows_gap = self._follows_gap, not is_filled(row.cells)
        if self._follows_gap:
            return None
        if row.is_title:
            self.title, self._header, self._expects_header = " ".join(row.cells).strip(), None, True
            return None
        if self._expects_header and self._fits(row):
            self._header = self._last_header = row
            self._expects_header = False
            return True
        if self._header is None or (follows_gap and len(row.cells) != len(self._header.cells)):
            self._end(row)
            return None
        return None if row.cells == self._header.cells else False

    def _fits(self, row: GridRow) -> bool:
        """Return whether a row is the header that is expected; under a title, one without values is."""
        given = self._read.header
        if isinstance(given, int):
            return row.line >= given
        if isinstance(given, tuple):
            return set(given) <= {cell.strip() for cell in row.cells}
        filled = [cell for cell in row.cells if cell.strip()]
        return not self.title or (len(filled) > 1 and not any(VALUE.match(cell) for cell in filled))

    def _end(self, row: GridRow) -> None:
        """Be outside of any table; raise InvalidEvent if the row has about as many values as the table above it."""
        self._header = None
        # Of a header that is named, titles and remarks may stand above.
        self._expects_header = self._expects_header and self._read.header is not None
        if self._last_header is None:
            return
        values, columns = (sum(bool(cell.strip()) for cell in found.cells) for found in (row, self._last_header))
        if values * 4 >= columns * 3:
            msg = (
                f"{self._file}, line {row.line}: looks like a row of the table whose header is in line "
                f"{self._last_header.line}, but stands below {self.title!r}, or below a gap: move it, or name the "
                "header as read.header"
            )
            raise InvalidEvent(msg)


def _report_rows(rows: Iterable[GridRow], read: Read, file: str) -> Iterator[TitledRow]:
    """Yield the headers and rows of all tables; raise InvalidEvent for a row of a table that stands outside it."""
    grids: dict[int, _Grid] = {}
    tables = 0
    for row in rows:
        grid = grids.setdefault(row.grid, _Grid(read, file))
        is_header = grid.is_header(row)
        if is_header:
            tables += 1
            grid.table = tables
        if is_header is not None:
            yield TitledRow(grid.table, grid.title, row, is_header=is_header)


def _plain(title: str) -> str:
    return title.strip().rstrip(":").casefold()
