"""Sections of a CSV file, each with a header of its own: statements and Flex queries of Interactive Brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from gateways.importers.base import BadRow
from gateways.importers.containers.headers import Header, is_filled
from gateways.importers.containers.quoting import SWALLOWED, swallows_rows
from gateways.importers.texts import rows_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from typing import TextIO

    from gateways.importers.base import TableRow
    from gateways.importers.containers.content import FileContent
    from gateways.importers.containers.table import Read, Table

NAMES_SHOWN = 40
_SUMS = frozenset({"SubTotal", "Total", "Notes"})
_ENGLISH = "Header"
# Line types of Flex queries (IB Flex Web Service, "CSV" delivery with header and trailer records).
_BEGIN, _END = "BOS", "EOS"
_FLEX_HEADER, _FLEX_ROW = "HEADER", "DATA"


def open_sections(content: FileContent, read: Read, delimiter: str) -> Sequence[Table]:
    """Return a table for each header that a section has; raise InvalidEvent for a section that the file lacks."""
    tables: dict[tuple[str, ...], SectionTable] = {}
    with content.open_text() as text:
        lines = _SectionLines(text, read, delimiter, content.file)
        for line, is_header, cells in lines:
            if is_header:
                if tuple(cells) not in tables:
                    tables[tuple(cells)] = SectionTable(content, read, delimiter, Header(content.file, line, cells))
            elif not tables:
                raise BadRow(content.file, line, "", "", f"is a row of section {read.section} above its header")
    if not tables:
        found = ", ".join(sorted(lines.sections)[:NAMES_SHOWN])
        msg = f"{content.file} has no section {read.section!r}, as read.section says; the first column has: {found}"
        raise InvalidEvent(msg)
    others = lines.other_kinds - _SUMS
    if others and not lines.rows:
        msg = (
            f"{content.file} has no row in section {read.section!r} whose second column is "
            f"{' or '.join(read.kinds)}, but {', '.join(sorted(others)[:NAMES_SHOWN])}: name those that are rows as "
            "read.kinds"
        )
        raise InvalidEvent(msg)
    return tuple(tables.values())


class SectionTable:
    """The rows of a section that stand under one header, wherever that is repeated."""

    def __init__(self, content: FileContent, read: Read, delimiter: str, header: Header) -> None:
        self._content, self._read, self._delimiter, self._header = content, read, delimiter, header
        self.name = read.section or ""

    @property
    def columns(self) -> Mapping[str, int]:
        return self._header.columns

    def rows(self) -> Generator[TableRow, None, None]:
        header, is_ours = self._header, False
        with self._content.open_text() as text:
            for line, is_header, cells in _SectionLines(text, self._read, self._delimiter, self._content.file):
                if is_header:
                    is_ours = cells == header.cells
                elif is_ours and swallows_rows(cells, self._delimiter, len(header.cells)):
                    yield header.refused(line, SWALLOWED)
                elif is_ours:
                    yield header.row(line, cells)


class _SectionLines:
    """The headers and rows of one section, and what else the file has."""

    def __init__(self, text: TextIO, read: Read, delimiter: str, file: str) -> None:
        self._lines, self._read, self._file = rows_of(text, delimiter), read, file
        self.sections: set[str] = set()
        self.other_kinds: set[str] = set()
        self.rows = 0
        # The section's first line is its header, and the word for it is the same in the others: it is translated.
        self._header_word: str | None = None
        self._width = 0
        self._is_inside = self._expects_header = False

    def __iter__(self) -> Iterator[tuple[int, bool, list[str]]]:
        """Yield line, whether it is a header, and the cells without those that say what the line is."""
        for line, cells in self._lines:
            first, second = ([cell.strip() for cell in cells[:2]] + ["", ""])[:2]
            found = self._read_line(line, first, second, cells)
            if found is not None:
                self.rows += not found[0]
                yield (line, *found)

    def _read_line(self, line: int, first: str, second: str, cells: list[str]) -> tuple[bool, list[str]] | None:
        section = self._read.section
        if first == section:
            return self._titled(line, second, cells)
        if second == section and first in {_BEGIN, _END}:
            self._is_inside = self._expects_header = first == _BEGIN
        elif second == section and first in {_FLEX_HEADER, _FLEX_ROW}:
            return first == _FLEX_HEADER, cells[2:]
        elif self._is_inside and is_filled(cells):
            is_header, self._expects_header = self._expects_header, False
            return is_header, cells
        elif first:
            self._take_other(line, first, cells)
        return None

    def _take_other(self, line: int, first: str, cells: list[str]) -> None:
        """Take a line of another section; refuse one without its section's name, or that the end of the file cut."""
        if self._header_word and (first in {self._header_word, *self._read.kinds}):
            raise BadRow(self._file, line, "", first, f"begins with {first!r}: the name of its section is missing")
        if self._header_word and len(cells) == 1 and (self._read.section or "").startswith(first):
            raise BadRow(self._file, line, "", first, f"ends after {first!r}: the file was cut")
        if len(self.sections) < NAMES_SHOWN:
            self.sections.add(first)

    def _titled(self, line: int, kind: str, cells: list[str]) -> tuple[bool, list[str]] | None:
        self._header_word = self._header_word or kind
        if kind == self._header_word:
            self._width = len(cells)
            return True, cells[2:]
        if kind in self._read.kinds:
            return False, cells[2:]
        if len(cells) < self._width and kind not in _SUMS:
            why = f"has {len(cells)} cells, not {self._width}, and {kind!r} where it says what the line is"
            raise BadRow(self._file, line, "", kind, why)
        if self._header_word == _ENGLISH and kind not in _SUMS and self.rows:
            why = f"says {kind!r} where it says what the line is: name it in read.kinds if such lines are rows"
            raise BadRow(self._file, line, "", kind, why)
        if len(self.other_kinds) < NAMES_SHOWN:
            self.other_kinds.add(kind)
        return None
