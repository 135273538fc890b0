"""The SQLite file of an older program, read-only: its tables and their rows. Nothing in it is executed or unpickled."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

import apsw

from eventstore import InvalidEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"SQLite format 3\0"
_ROWS_MAX = 10_000_000
# The second reads without SQLite's locks, and creates nothing beside the file.
_LOCKED, _UNLOCKED = "mode=ro", "mode=ro&immutable=1"


def is_database(path: Path) -> bool:
    """Return whether a file is one of SQLite's."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class Database:
    """A SQLite file that is only read, and while another program may be using it."""

    def __init__(self, path: Path) -> None:
        self.path, self._stat = path, path.stat()
        try:
            self._connection, options = self._open(path)
        except apsw.Error as e:
            raise self._unreadable(e) from e
        self._unlocked = options != _LOCKED

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        now = self.path.stat()
        changed = (now.st_mtime_ns, now.st_size) != (self._stat.st_mtime_ns, self._stat.st_size)
        if kind is None and self._unlocked and changed:
            msg = f"{self.path} changed while it was read: end the program that writes to it"
            raise InvalidEvent(msg)

    def close(self) -> None:
        self._connection.close()

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of each table, views left out."""
        with self._translated():
            names = self._connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            ).fetchall()
            return {str(name): self._columns(str(name)) for (name,) in names}

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield a table's rows in the order in which they were inserted, as far as it is known."""
        columns = self._columns(table)
        with self._translated():
            for number, row in enumerate(self._connection.execute(f'SELECT * FROM "{_quoted(table)}"')):  # noqa: S608 - quoted
                if number >= _ROWS_MAX:
                    msg = f"{self.path}: table {table} has more than {_ROWS_MAX:,} rows"
                    raise InvalidEvent(msg)
                yield dict(zip(columns, row, strict=True))

    def _columns(self, table: str) -> tuple[str, ...]:
        found = self._connection.execute(f'PRAGMA table_info("{_quoted(table)}")')
        return tuple(str(row[1]).lower() for row in found)

    @staticmethod
    def _open(path: Path) -> tuple[apsw.Connection, str]:
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        for options in _options(path):
            connection = apsw.Connection(f"{path.absolute().as_uri()}?{options}", flags=flags)
            try:
                connection.set_busy_timeout(5_000)
                connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
                connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
                connection.execute("PRAGMA trusted_schema = OFF; SELECT count(*) FROM sqlite_schema").fetchall()
            except apsw.CantOpenError:
                connection.close()
                continue
            except BaseException:
                connection.close()
                raise
            # One state of all tables, whatever is written meanwhile.
            connection.execute("BEGIN")
            return connection, options
        msg = f"{path} cannot be opened to read: copy it with its -wal file to a directory of your own"
        raise InvalidEvent(msg)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (apsw.Error, UnicodeDecodeError) as e:
            raise self._unreadable(e) from e

    def _unreadable(self, error: Exception) -> InvalidEvent:
        return InvalidEvent(f"{self.path} cannot be read as a SQLite database: {error}")


def _options(path: Path) -> tuple[str, ...]:
    """Return how a file may be opened: where no program has it open, without creating anything beside it."""
    with path.open("rb") as file:
        is_wal = file.read(20)[18:] == b"\2\2"
    if path.with_name(path.name + "-wal").exists():
        return (_LOCKED,)
    return (_UNLOCKED,) if is_wal else (_LOCKED, _UNLOCKED)


def _quoted(name: str) -> str:
    return name.replace('"', '""')
