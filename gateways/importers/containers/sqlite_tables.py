"""SQLite files, read and never written: a table or view, or what a single SELECT returns."""

from __future__ import annotations

import contextlib
import os
import urllib.parse
from typing import TYPE_CHECKING, NamedTuple

import apsw
import apsw.ext

from eventstore.errors import InvalidEvent
from gateways.importers.containers.headers import Header

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from gateways.importers.base import TableRow
    from gateways.importers.containers.content import FileContent
    from gateways.importers.containers.table import Read, Table

ROW_BYTES_MAX = 1_000_000
BUSY_WAIT_MS = 2_000
STEPS_MAX = 500_000_000
"""How many instructions SQLite may execute until the next row: about half a minute."""
_STEPS_AT_ONCE = 1_000_000
NAMES_SHOWN = 40
# SQLite reads a table in this order anyway, unless an index has all its columns. A column may have one of the names.
_ROWIDS = ("rowid", "oid", "_rowid_")
_OFF = (
    apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA,
    apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER,
    apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION,
    apsw.SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER,
)
_ALLOWED = frozenset({apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE})


class _SchemaTable(NamedTuple):
    name: str
    kind: str
    is_without_rowid: bool


def open_sqlite(content: FileContent, read: Read) -> Sequence[Table]:
    """Return the table or query that a mapping names; raise InvalidEvent with the tables if it names none."""
    with _connected(content) as connection:
        found = connection.execute("PRAGMA quick_check(1)").get
        if found != "ok":
            msg = f"{content.file} is a damaged SQLite file: {found}"
            raise InvalidEvent(msg)
        if read.query is not None:
            name, sql = "", read.query
            _restrict(connection)
        else:
            table = _chosen(connection, content.file, read.table)
            _restrict(connection)
            name, sql = table.name, _selecting(connection, table)
        header = Header(content.file, 1, _columns_of(connection, content.file, sql))
    return (SqliteTable(content, sql, header, name),)


class SqliteTable:
    """The rows of a SELECT, numbered from 1; those of a table in the order of its rowid."""

    def __init__(self, content: FileContent, sql: str, header: Header, name: str) -> None:
        self._content, self._sql, self._header, self.name = content, sql, header, name

    @property
    def columns(self) -> Mapping[str, int]:
        return self._header.columns

    def rows(self) -> Generator[TableRow, None, None]:
        number = 0
        with _connected(self._content) as connection:
            steps = _restrict(connection)
            try:
                for number, values in enumerate(connection.execute(self._sql), 1):
                    steps.taken = 0
                    yield self._header.row(number, [_cell(value) for value in values])
            except UnicodeDecodeError as e:
                msg = f"{self._content.file}, row {number + 1}: a text is not UTF-8 ({e})"
                raise InvalidEvent(msg) from e


@contextlib.contextmanager
def _connected(content: FileContent) -> Iterator[apsw.Connection]:
    """Open the file read-only; raise InvalidEvent for what SQLite raises, also while it is used."""
    # SQLite has its other files beside the file that a link leads to.
    with content.as_file() as given, _unchanged(path := given.resolve(), content.file) as parameters:
        try:
            connection = apsw.Connection(
                f"file:{urllib.parse.quote(os.fsencode(path))}?{parameters}",
                flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
            )
            with contextlib.closing(connection):
                for setting in _OFF:
                    connection.config(setting, 0)
                connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
                connection.limit(apsw.SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX)
                connection.set_busy_timeout(BUSY_WAIT_MS)
                yield connection
        except apsw.InterruptError as e:
            msg = f"{content.file}: the query takes too long to reach its next row: make it simpler"
            raise InvalidEvent(msg) from e
        except apsw.AuthError as e:
            msg = f"{content.file}: read.query does more than select: write a single SELECT"
            raise InvalidEvent(msg) from e
        except (apsw.Error, UnicodeDecodeError) as e:
            msg = f"{content.file} cannot be read as a SQLite file: {e}"
            raise InvalidEvent(msg) from e


@contextlib.contextmanager
def _unchanged(path: Path, file: str) -> Iterator[str]:
    """Yield the parameters to open a file with; raise InvalidEvent if it was read without locks, and changes.

    SQLite creates files beside a database in WAL mode even to read it. One that no program has open needs none.
    """
    with path.open("rb") as opened:
        is_wal = opened.read(20)[18:] == b"\2\2"
    if not is_wal or any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal")):
        yield "mode=ro"
        return
    before = path.stat()
    yield "mode=ro&immutable=1"
    after = path.stat()
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        msg = f"{file} changed while it was read: end the program that writes to it, or import a copy"
        raise InvalidEvent(msg)


class _StepLimit:
    """Ends a query that executes too many instructions without a row."""

    def __init__(self) -> None:
        self.taken = 0

    def __call__(self) -> bool:
        self.taken += _STEPS_AT_ONCE
        return self.taken > STEPS_MAX


def _restrict(connection: apsw.Connection) -> _StepLimit:
    """Allow nothing but reading, and only so many steps, which the reader sets to zero at each row."""
    steps = _StepLimit()

    def authorize(action: int, *_: str | None) -> int:
        return apsw.SQLITE_OK if action in _ALLOWED else apsw.SQLITE_DENY

    connection.set_progress_handler(steps, _STEPS_AT_ONCE)
    connection.set_authorizer(authorize)
    return steps


def _chosen(connection: apsw.Connection, file: str, name: str | None) -> _SchemaTable:
    """Return the table of this name, or the only one."""
    listed = connection.execute("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' ORDER BY name")
    tables = [
        _SchemaTable(str(found), str(kind), bool(without))
        for found, kind, without in listed
        if kind in {"table", "view"} and not str(found).startswith("sqlite_")
    ]
    fitting = [table for table in tables if name is None or table.name == name]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(table.name for table in tables[:NAMES_SHOWN]) or "none"
    asked = "has several tables" if name is None and tables else f"has no table {name!r}" if name else "has no table"
    msg = f"{file} {asked}: state one as read.table, or a SELECT as read.query. Its tables: {names}"
    raise InvalidEvent(msg)


def _selecting(connection: apsw.Connection, table: _SchemaTable) -> str:
    sql = f"SELECT * FROM {_quoted(table.name)}"  # noqa: S608 - the name is quoted
    if table.kind != "table" or table.is_without_rowid:
        return sql
    names = {name.lower() for name, _ in apsw.ext.query_info(connection, sql).description}
    rowid = next((name for name in _ROWIDS if name not in names), None)
    return sql if rowid is None else f"{sql} ORDER BY {rowid}"


def _columns_of(connection: apsw.Connection, file: str, sql: str) -> list[str]:
    """Return the columns of a query; raise InvalidEvent unless it is a single SELECT."""
    info = None if "\0" in sql else apsw.ext.query_info(connection, sql)
    if (
        info is None
        or (info.query_remaining or "").strip()
        or not info.is_readonly
        or info.is_explain
        or not info.description
    ):
        msg = f"{file}: read.query is not a single SELECT"
        raise InvalidEvent(msg)
    return [name for name, _ in info.description]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _cell(value: object) -> str:
    """Return a value as text: a REAL with the digits that tell it from all others, a BLOB as SQL writes it."""
    match value:
        case None:
            return ""
        case bytes():
            return f"X'{value.hex().upper()}'"
        case float():
            return repr(value)
        case _:
            return str(value)
