"""What every container gives: tables with named columns and rows of text; and what a mapping says about reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

import msgspec
from typing_extensions import override

from eventstore.errors import InvalidEvent
from gateways.importers.base import BadRow, TableRow

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

CONTAINERS = ("csv", "json", "jsonl", "sqlite", "xlsx", "html-table")


class Read(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a file is read, the table [read] of a mapping. What is None is found by looking at the file.

    `delimiter`, `encoding`: of CSV; without an encoding, a byte order mark decides, else it is UTF-8. `member`: the
    file to read in a zip that has several. `section`: the section of a CSV whose first column names sections and whose
    second says what a line is, `kinds` being the words for rows; or a titled table of a report. `table` or `query` (a
    single SELECT) of SQLite. `sheet` of a workbook. `header`: the number of the header's line, or names that must be in
    it, for which the first 100 lines are searched. `path`: dotted, to the rows of a JSON document (`data.trades`); with
    `*` at its end, the rows are the members of an object, and the column `*` has their names.
    """

    container: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    member: str | None = None
    section: str | None = None
    kinds: tuple[str, ...] = ("Data",)
    table: str | None = None
    query: str | None = None
    sheet: str | None = None
    header: int | tuple[str, ...] | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        if self.container not in {None, *CONTAINERS}:
            self._refuse("container", self.container, f"choose one of {', '.join(CONTAINERS)}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n\0'):
            self._refuse("delimiter", self.delimiter, 'give one character, such as ";" or a tab')
        if isinstance(self.header, int) and self.header < 1:
            self._refuse("header", self.header, "lines are counted from 1")
        if self.table is not None and self.query is not None:
            self._refuse("query", self.query, f"give it or the table {self.table!r}, not both")

    def _refuse(self, member: str, value: object, why: str) -> NoReturn:
        msg = f"read.{member} is {value!r}: {why}"
        raise InvalidEvent(msg)


class Table(Protocol):
    """A table of a file. Opening and reading raise InvalidEvent for what is damaged, and nothing else but OSError."""

    @property
    def name(self) -> str:
        """The section, sheet or table; "" where the file has just one table."""

    @property
    def columns(self) -> Mapping[str, int]:
        """Index by name, in the file's order; a column without a name is `column 5`, by its place from 1."""

    def rows(self) -> Generator[TableRow, None, None]:
        """Read the rows afresh. A line that does not fit the header is a RefusedRow, which has no cells."""


class RefusedRow(TableRow):
    """A line from which no column can be read, because its cells may be in the wrong places; asking raises BadRow."""

    __slots__ = ("why",)

    def __init__(self, file: str, line: int, columns: Mapping[str, int], why: str) -> None:
        super().__init__(file, line, columns, [])
        self.why = why

    @override
    def optional(self, column: str) -> str | None:
        raise BadRow(self.file, self.line, "", "", self.why)
