"""JSON documents and lines: rows are objects, their nested members columns such as `fee.cost`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from gateways.importers.base import BadRow, TableRow
from gateways.importers.containers.headers import COLUMNS_MAX
from gateways.importers.containers.json_paths import EACH, check_path, document_rows, lines_rows
from gateways.importers.containers.json_reader import JsonNumber, UnfitJsonError, to_json
from gateways.importers.containers.table import RefusedRow

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from gateways.importers.containers.content import FileContent
    from gateways.importers.containers.json_paths import JsonRow
    from gateways.importers.containers.table import Read, Table

NESTING_MAX = 16


def open_json(content: FileContent, read: Read) -> Sequence[Table]:
    """Return the table of a JSON document; raise InvalidEvent if its rows cannot be found."""
    with content.open_text() as text:
        try:
            check_path(text, read)
        except UnfitJsonError as e:
            msg = f"{content.file} {e}"
            raise InvalidEvent(msg) from e
    return (JsonTable(content, read, are_lines=False),)


def open_jsonl(content: FileContent, read: Read) -> Sequence[Table]:
    """Return the table of a file with an object on each line."""
    return (JsonTable(content, read, are_lines=True),)


class JsonTable:
    """Objects as rows, numbered from 1; those of a file of lines have the numbers of their lines.

    The columns are the members of all rows. A member that a row lacks, or that is null, is empty; a list is its JSON.
    """

    def __init__(self, content: FileContent, read: Read, *, are_lines: bool) -> None:
        self._content, self._read, self._are_lines = content, read, are_lines
        self.name = read.path or ""
        self._columns: dict[str, int] = {}
        for row in self._rows():
            cells = self._cells(row)
            if isinstance(cells, dict) and not cells.keys() <= self._columns.keys():
                for name in cells:
                    self._columns.setdefault(name, len(self._columns))
            if len(self._columns) > COLUMNS_MAX:
                why = (
                    f"the rows have more than {COLUMNS_MAX:,} members together: where members are rows, end "
                    f"read.path with {EACH}"
                )
                raise BadRow(content.file, row.number, "", "", why)

    @property
    def columns(self) -> Mapping[str, int]:
        return self._columns

    def rows(self) -> Generator[TableRow, None, None]:
        file, columns = self._content.file, self._columns
        for row in self._rows():
            cells = self._cells(row)
            if isinstance(cells, str):
                yield RefusedRow(file, row.number, columns, cells)
            else:
                yield TableRow(file, row.number, columns, [cells.get(name, "") for name in columns])

    def _rows(self) -> Iterator[JsonRow]:
        with self._content.open_text() as text:
            number = 0
            try:
                for row in lines_rows(text, self._read) if self._are_lines else document_rows(text, self._read):
                    number = row.number
                    yield row
            except UnfitJsonError as e:
                msg = f"{self._content.file}, after row {number}: {e}" if number else f"{self._content.file} {e}"
                raise InvalidEvent(msg) from e

    def _cells(self, row: JsonRow) -> dict[str, str] | str:
        """Return a row's cells by column, or why it has none."""
        if row.why is not None:
            return row.why
        if not isinstance(row.value, dict):
            return f"is {_kind(row.value)}, not an object whose members are columns"
        cells = {EACH: row.name} if row.name is not None else {}
        try:
            _flatten(row.value, cells)
            "".join(cells.values()).encode()
        except UnfitJsonError as e:
            return str(e)
        except UnicodeEncodeError:
            return "has half a character, an escape like \\ud83d without its second half"
        return cells


def _flatten(members: Mapping[str, object], cells: dict[str, str], before: str = "", depth: int = 0) -> None:
    """Add the cells of an object, and of the objects in it, under the names of their columns."""
    if depth > NESTING_MAX:
        msg = f"has objects in objects more than {NESTING_MAX} deep"
        raise UnfitJsonError(msg)
    for key, value in members.items():
        name = before + key.strip()
        # Nearly all of them are numbers and texts: those are seen first.
        if type(value) is JsonNumber or type(value) is str:
            if name in cells:
                raise UnfitJsonError(_twice(name))
            cells[name] = str(value)
            continue
        if isinstance(value, dict):
            _flatten(value, cells, f"{name}.", depth + 1)
            continue
        if name in cells:
            raise UnfitJsonError(_twice(name))
        cells[name] = "" if value is None else to_json(value)


def _twice(name: str) -> str:
    return f"has two members that make the column {name!r}"


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case list():
            return "a list"
        case JsonNumber():
            return f"the number {value}"
        case str():
            return "a text"
        case _:
            return "true or false"
