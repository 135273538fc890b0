"""The rows of an HTML file's tables, as a browser shows them; scripts, styles and hidden cells are left out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from typing_extensions import override

from gateways.importers.containers.headers import COLUMNS_MAX
from gateways.importers.containers.report import GridRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

NESTING_MAX = 16
ROW_CHARACTERS_MAX = 1_000_000
UNFINISHED_CHARACTERS_MAX = 1_000_000
"""How long a tag, a text or a script may be that has no end."""
_CHUNK = 1 << 14
_UNSEEN = frozenset({"script", "style", "template"})
_BREAKS = frozenset({"br", "p", "div", "li"})
_NOT_DISPLAYED = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_Attributes = list[tuple[str, str | None]]


class UnfitHtmlError(ValueError):
    """HTML that is not read: tables in tables without end, a row without end, or a mark that no parser knows."""


def html_rows(text: TextIO) -> Iterator[GridRow]:
    """Yield the rows of all tables, in the order in which they end; raise UnfitHtmlError, which says where."""
    parser = _TableParser()
    while True:
        chunk = text.read(_CHUNK)
        try:
            if chunk:
                parser.feed(chunk)
            else:
                parser.close()
        except AssertionError as e:
            # What the parser of the standard library says about a malformed declaration.
            msg = f"line {parser.getpos()[0]}: {e}"
            raise UnfitHtmlError(msg) from e
        yield from parser.take()
        if not chunk:
            return
        if len(parser.rawdata) > UNFINISHED_CHARACTERS_MAX:
            msg = f"line {parser.getpos()[0]}: a tag or text has no end"
            raise UnfitHtmlError(msg)


class _Cell:
    def __init__(self, columns: int, *, is_shown: bool, is_heading: bool) -> None:
        self.columns, self.is_shown, self.is_bold = columns, is_shown, is_heading
        self.parts: list[str] = []

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())


class _OpenTable:
    """A table that has not ended, with its row and cell that have not."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.line = 0
        self.cells: list[_Cell] | None = None
        self.cell: _Cell | None = None
        self.columns = self.characters = 0


class _TableParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._rows: list[GridRow] = []
        # Rows may stand outside of any table, where its tag is missing.
        self._tables = [_OpenTable(0)]
        self._started = 0
        self._ends_rows = False
        self._unseen: str | None = None

    def take(self) -> Sequence[GridRow]:
        """Return the rows that have ended since the last call."""
        rows, self._rows = self._rows, []
        return rows

    @override
    def handle_starttag(self, tag: str, attrs: _Attributes) -> None:
        table = self._tables[-1]
        self._unseen = tag if tag in _UNSEEN else self._unseen
        if tag == "table":
            self._start_table()
        elif tag in {"tr", "caption"}:
            self._end_row(table)
            self._start_row(table, tag)
        elif tag in {"td", "th"}:
            self._start_cell(table, tag, attrs)
        elif table.cell is not None and tag in {"b", "strong"}:
            table.cell.is_bold = True
        elif table.cell is not None and tag in _BREAKS:
            self.handle_data(" ")

    @override
    def handle_endtag(self, tag: str) -> None:
        table = self._tables[-1]
        if tag == self._unseen:
            self._unseen = None
        elif tag == "table":
            self._end_row(table)
            if len(self._tables) > 1:
                self._tables.pop()
        elif tag in {"tr", "caption", "thead", "tbody", "tfoot"}:
            self._end_row(table)
            self._ends_rows = self._ends_rows or tag == "tr"
        elif tag in {"td", "th"}:
            table.cell = None

    @override
    def handle_data(self, data: str) -> None:
        table = self._tables[-1]
        if table.cell is None or self._unseen is not None:
            return
        # One more, because a part takes memory however short it is.
        table.characters += len(data) + 1
        if table.characters > ROW_CHARACTERS_MAX:
            msg = f"line {table.line}: the row has more than {ROW_CHARACTERS_MAX:,} characters"
            raise UnfitHtmlError(msg)
        table.cell.parts.append(data)

    @override
    def close(self) -> None:
        super().close()
        if len(self._tables) > 1 and self._ends_rows:
            # A file whose rows have end tags has those of its tables too.
            msg = f"line {self.getpos()[0]}: the file ends in the middle of a table: it was cut"
            raise UnfitHtmlError(msg)
        for table in reversed(self._tables):
            self._end_row(table)

    def _start_table(self) -> None:
        if len(self._tables) > NESTING_MAX:
            msg = f"line {self.getpos()[0]}: tables stand in tables more than {NESTING_MAX} deep"
            raise UnfitHtmlError(msg)
        self._started += 1
        self._tables.append(_OpenTable(self._started))

    def _start_row(self, table: _OpenTable, tag: str = "tr") -> None:
        table.cells, table.cell, table.line = [], None, self.getpos()[0]
        table.columns = table.characters = 0
        if tag == "caption":
            self._start_cell(table, tag, [])

    def _start_cell(self, table: _OpenTable, tag: str, attrs: _Attributes) -> None:
        if table.cells is None:
            self._start_row(table)
        assert table.cells is not None, "a row has been started"
        given = dict(attrs)
        span = given.get("colspan") or "1"
        columns = int(span) if span.isdecimal() and len(span) <= 4 else 1  # noqa: PLR2004 - far beyond any table's width
        table.cell = _Cell(max(columns, 1), is_shown=not _is_hidden(given), is_heading=tag != "td")
        table.cells.append(table.cell)
        table.columns += table.cell.columns
        if table.columns > COLUMNS_MAX:
            msg = f"line {table.line}: the row has more than {COLUMNS_MAX:,} cells"
            raise UnfitHtmlError(msg)

    def _end_row(self, table: _OpenTable) -> None:
        if table.cells is None:
            return
        shown = [cell for cell in table.cells if cell.is_shown]
        cells: list[str] = []
        for cell in shown:
            cells += [cell.text, *[""] * (cell.columns - 1)]
        is_title = bool(shown and shown[0].is_bold and shown[0].text) and not any(cell.text for cell in shown[1:])
        is_bold = any(cell.is_bold and cell.text for cell in shown)
        self._rows.append(GridRow(table.number, table.line, cells, len(shown), is_title, is_bold))
        table.cells = table.cell = None


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    return (
        "hidden" in attributes
        or "hidden" in (attributes.get("class") or "").split()
        or _NOT_DISPLAYED.search(attributes.get("style") or "") is not None
    )
