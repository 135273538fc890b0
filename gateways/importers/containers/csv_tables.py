"""CSV files: one table under a header, or the sections that a mapping names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.importers.base import TableRow
from gateways.importers.containers.delimiters import SAMPLE_CHARACTERS, delimiter_of
from gateways.importers.containers.headers import Header, find_header, is_filled
from gateways.importers.containers.quoting import SWALLOWED, swallows_rows
from gateways.importers.containers.sections import open_sections
from gateways.importers.texts import rows_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from gateways.importers.containers.content import FileContent
    from gateways.importers.containers.table import Read, Table

_HINT = "sep="


def open_csv(content: FileContent, read: Read) -> Sequence[Table]:
    """Return the tables of a CSV file; raise InvalidEvent if it has no header."""
    delimiter = read.delimiter
    if delimiter is None:
        with content.open_text() as text:
            sample = text.read(SAMPLE_CHARACTERS).removeprefix("\ufeff")
        delimiter = _hinted(sample) or delimiter_of(sample, read, content.file)
    if read.section is not None:
        return open_sections(content, read, delimiter)
    return (CsvTable(content, read, delimiter),)


class CsvTable:
    """The lines under a header, streamed. Blank lines and repetitions of the header are left out."""

    name = ""

    def __init__(self, content: FileContent, read: Read, delimiter: str) -> None:
        self._content, self._read, self._delimiter = content, read, delimiter
        with content.open_text() as text:
            self._header = self._found(rows_of(text, delimiter))

    @property
    def columns(self) -> Mapping[str, int]:
        return self._header.columns

    def rows(self) -> Generator[TableRow, None, None]:
        with self._content.open_text() as text:
            lines = rows_of(text, self._delimiter)
            header = self._found(lines)
            last, width = header.line, header.width
            file, columns = header.file, header.columns
            for line, cells in lines:
                lines_of_row, last = line - last, line
                # Most rows begin with a filled cell, and a call would cost each row more than the look at it.
                if not ((cells and cells[0].strip()) or is_filled(cells)) or cells == header.cells:
                    continue
                if lines_of_row == 1 and len(cells) == width:
                    yield TableRow(file, line, columns, cells)
                    continue
                if lines_of_row > 1 and swallows_rows(cells, self._delimiter, len(header.cells)):
                    yield header.refused(line, SWALLOWED)
                else:
                    yield header.row(line, cells)

    def _found(self, lines: Iterator[tuple[int, list[str]]]) -> Header:
        skipped = (row for row in lines if not _is_hint(row))
        return Header(self._content.file, *find_header(skipped, self._read.header, self._content.file))


def _hinted(sample: str) -> str | None:
    """Return the delimiter that a first line `sep=;` names, as Excel writes and reads it."""
    first = sample.partition("\n")[0].rstrip("\r")
    return first.removeprefix(_HINT) if _is_hint((1, [first])) else None


def _is_hint(row: tuple[int, list[str]]) -> bool:
    line, cells = row
    text = "".join(cells)
    return line == 1 and text.startswith(_HINT) and len(text) <= len(_HINT) + 1
