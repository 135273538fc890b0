"""How exported tables are written: as Parquet, as CSV by RFC 4180, and as a dump that PostgreSQL loads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from eventstore import InvalidEvent
from eventstore.files import create
from projections.analysis.columns import Column, Kind, arrow_schema
from projections.analysis.libraries import arrow, compute, library

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from projections.analysis.exports.tables import ExportedTable

_QUOTED = re.compile(r'[",\r\n]')
_TEXT_OF_COPY = str.maketrans({
    "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\v": "\\v",
})  # fmt: skip
_SQL = {
    Kind.DECIMAL: "numeric",
    Kind.INTEGER: "bigint",
    Kind.FLOAT: "double precision",
    Kind.BOOLEAN: "boolean",
    Kind.INSTANT: "timestamptz",
    Kind.DURATION: "bigint",
    Kind.DATE: "date",
    Kind.JSON: "json",
}
_MICROSECOND = 1_000


class TableWriter(Protocol):
    """Takes batches of one table after another's, in any order of tables."""

    as_text: bool
    """Whether decimals are given as text."""

    def write(self, table: ExportedTable, batch: Any, /) -> None:  # noqa: ANN401 - a batch of Arrow's
        """Write rows of a table."""

    def close(self, tables: Iterable[ExportedTable], /) -> None:
        """Complete everything; each of these tables is there, if only with its columns."""

    def discard(self) -> None:
        """Close what is open, whatever state it is in."""


class ParquetTables:
    """A Parquet file for each table; decimals that decimal128(38, 9) cannot hold make those of their table text."""

    as_text = False

    def __init__(self, folder: Path, texts: frozenset[str]) -> None:
        self._folder, self._texts = folder, texts
        self._files: dict[str, Any] = {}

    def write(self, table: ExportedTable, batch: Any, /) -> None:  # noqa: ANN401 - a batch
        self._file(table, batch.schema).write_batch(batch)

    def _file(self, table: ExportedTable, schema: Any) -> Any:  # noqa: ANN401 - pyarrow's
        if table.name not in self._files:
            path = self._folder / f"{table.name}.parquet"
            create(path)
            self._files[table.name] = library("pyarrow.parquet").ParquetWriter(str(path), schema, compression="zstd")
        return self._files[table.name]

    def close(self, tables: Iterable[ExportedTable], /) -> None:
        for table in tables:
            exact = "text" if table.type in self._texts else True
            self._file(table, arrow_schema(table.columns, exact))
        self.discard()

    def discard(self) -> None:
        for file in self._files.values():
            file.close()


class CsvTables:
    """A CSV file for each table: a header, lines that end in CR LF, decimals as written, instants with nine digits.

    A missing value is an empty field, an empty text is "".
    """

    as_text = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, TextIO] = {}

    def write(self, table: ExportedTable, batch: Any, /) -> None:  # noqa: ANN401 - a batch
        columns = [_texts(batch.column(column.name), column) for column in table.columns]
        lines = [",".join(map(_field, row)) + "\r\n" for row in zip(*columns, strict=True)]
        self._file(table).write("".join(lines))

    def _file(self, table: ExportedTable) -> TextIO:
        if table.name not in self._files:
            path = self._folder / f"{table.name}.csv"
            create(path)
            file = path.open("w", encoding="utf-8", newline="")
            self._files[table.name] = file
            file.write(",".join(_field(column.name) for column in table.columns) + "\r\n")
        return self._files[table.name]

    def close(self, tables: Iterable[ExportedTable], /) -> None:
        for table in tables:
            self._file(table)
        self.discard()

    def discard(self) -> None:
        for file in self._files.values():
            file.close()


class SqlTables:
    """One file that psql loads in one transaction: a table each, filled by COPY.

    PostgreSQL keeps microseconds, so an instant has two columns: `name` as timestamptz, rounded down, and `name_ns` as
    bigint, UNIX nanoseconds. A duration is `name_ns`, decimals are numeric, mappings and lists json.
    """

    as_text = True

    def __init__(self, path: Path, about: str) -> None:
        create(path)
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._created: set[str] = set()
        self._file.write(f"-- {about}\n\\set ON_ERROR_STOP on\nSET client_encoding = 'UTF8';\nBEGIN;\n")

    def write(self, table: ExportedTable, batch: Any, /) -> None:  # noqa: ANN401 - a batch
        self._create(table)
        names, columns = [], []
        for column in table.columns:
            for name, values in _sql_columns(batch.column(column.name), column):
                names.append(_identifier(name))
                columns.append(values)
        lines = ["\t".join(map(_copied, row)) + "\n" for row in zip(*columns, strict=True)]
        self._file.write(f"COPY {_identifier(table.name)} ({', '.join(names)}) FROM stdin;\n")
        self._file.write("".join(lines))
        self._file.write("\\.\n")

    def _create(self, table: ExportedTable) -> None:
        if table.name in self._created:
            return
        self._created.add(table.name)
        columns = [
            f"    {_identifier(name)} {kind}{' PRIMARY KEY' if name == 'position' else ''}"
            for column in table.columns
            for name, kind in _sql_types(column)
        ]
        self._file.write(f"CREATE TABLE {_identifier(table.name)} (\n" + ",\n".join(columns) + "\n);\n")

    def close(self, tables: Iterable[ExportedTable], /) -> None:
        for table in tables:
            self._create(table)
        self._file.write("COMMIT;\n")
        self.discard()

    def discard(self) -> None:
        self._file.close()


def _texts(values: Any, column: Column) -> list[str | None]:  # noqa: ANN401 - an array
    """Return values as text: instants as ISO 8601 with nine digits, booleans as true and false, durations in ns."""
    pa = arrow()
    if column.kind is Kind.INSTANT:
        return compute().replace_substring(values.cast(pa.string()), " ", "T").to_pylist()  # type: ignore[no-any-return]
    if column.kind is Kind.DURATION:
        values = values.cast(pa.int64())
    if column.kind is Kind.FLOAT:
        return [None if value is None else repr(value) for value in values.to_pylist()]
    return values.cast(pa.string()).to_pylist()  # type: ignore[no-any-return]


def _field(text: str | None) -> str:
    if text is None:
        return ""
    return '"' + text.replace('"', '""') + '"' if not text or _QUOTED.search(text) else text


def _sql_types(column: Column) -> list[tuple[str, str]]:
    kind = _SQL.get(column.kind, "text")
    if column.kind is Kind.DURATION:
        return [(f"{column.name}_ns", kind)]
    return (
        [(column.name, kind), (f"{column.name}_ns", "bigint")] if column.kind is Kind.INSTANT else [(column.name, kind)]
    )


def _sql_columns(values: Any, column: Column) -> Iterator[tuple[str, Sequence[str | None]]]:  # noqa: ANN401 - an array
    if column.kind is not Kind.INSTANT:
        yield _sql_types(column)[0][0], _texts(values, column)
        return
    pa, pc = arrow(), compute()
    nanoseconds = values.cast(pa.int64())
    whole = pc.multiply(pc.floor(pc.divide(nanoseconds, _MICROSECOND)).cast(pa.int64()), _MICROSECOND)
    shown = _texts(whole.cast(values.type), column)
    yield column.name, [None if text is None else f"{text[:-4]}Z" for text in shown]
    yield f"{column.name}_ns", nanoseconds.cast(pa.string()).to_pylist()


def _copied(text: str | None) -> str:
    if text is None:
        return "\\N"
    if "\0" in text:
        msg = f"PostgreSQL keeps no NUL character, and a text has one: {text!r:.80}; export it as Parquet or CSV"
        raise InvalidEvent(msg)
    return text.translate(_TEXT_OF_COPY)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
