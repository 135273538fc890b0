"""A log's marks in PostgreSQL, in its table `mark`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from eventstore.errors import CorruptJournal, Unavailable
from eventstore.streams import check_name
from eventstore.watermarks import InvalidWatermark, Watermark, checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from eventstore.journals.postgres.connection import Connection
    from eventstore.record import Fence
    from eventstore.side import ProcessLock

MARKS = "SELECT name, log_id, position, digest, root FROM mark ORDER BY name"
_MARKED = (
    " ON CONFLICT (name) DO UPDATE SET log_id = excluded.log_id, "
    "position = excluded.position, digest = excluded.digest, root = excluded.root"
)
MARK = f"INSERT INTO mark VALUES (%s, %s, %s, %s, %s){_MARKED}"  # noqa: S608 - constants
_NEW_MARK = "INSERT INTO mark VALUES (%s, %s, %s, %s, %s) ON CONFLICT (name) DO NOTHING"
# The row of the lease is locked, so nobody can take the lock in between.
_MARK_HELD = (
    "WITH held AS (SELECT 1 FROM lease WHERE name = %s AND epoch = %s FOR SHARE) "  # noqa: S608 - constants
    f"INSERT INTO mark SELECT %s, %s, %s, %s, %s FROM held{_MARKED} RETURNING 1"
)


class MarkTables(Protocol):
    """What asks and changes the tables beside a log, as marks need it."""

    def asked(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of an answer."""

    def changed(self, sql: str, values: Sequence[Any]) -> None:
        """Change something."""

    def changed_to(self, sql: str, values: Sequence[Any]) -> int | None:
        """Change something; return the number that is the answer, None without one."""

    def transaction(self, *fences: Fence) -> AbstractContextManager[Connection]:
        """Change several things in one step."""


class PostgresMarks:
    """The marks of one log; with a lock they are written only while nobody else takes it."""

    def __init__(self, tables: MarkTables, held: ProcessLock | None = None) -> None:
        self._tables, self._held = tables, held

    def write(self, name: str, mark: Watermark, *, synced: bool = True) -> None:
        (values,) = _rows_of([(name, mark)])
        held = None if self._held is None else self._held.fence
        if held is None:
            self._tables.changed(MARK, values)
        elif self._tables.changed_to(_MARK_HELD, (held.lock, held.epoch, *values)) is None:
            msg = f"another process has taken {held.lock} of {self._tables}: nothing was noted"
            raise Unavailable(msg)

    def write_all(self, marks: Sequence[tuple[str, Watermark]], fences: Sequence[Fence]) -> None:
        with self._tables.transaction(*fences) as connection, connection.cursor() as cursor:
            cursor.executemany(MARK, _rows_of(marks))

    def write_new(self, marks: Sequence[tuple[str, Watermark]]) -> None:
        with self._tables.transaction() as connection, connection.cursor() as cursor:
            cursor.executemany(_NEW_MARK, _rows_of(marks))

    def read(self, name: str) -> Watermark | None:
        found, invalid = self.examine()
        if name in invalid:
            raise CorruptJournal(0, f"the watermark {name} is damaged ({invalid[name]})")
        return found.get(name)

    def stamp(self, name: str) -> object:
        return self._tables.asked("SELECT position, digest FROM mark WHERE name = %s", (name,))

    def examine(self) -> tuple[dict[str, Watermark], dict[str, str]]:
        return marks_of(self._tables.asked(MARKS))

    def close(self) -> None:
        """Nothing is held: the side has the connection."""


def marks_of(found: Iterable[tuple[Any, ...]]) -> tuple[dict[str, Watermark], dict[str, str]]:
    """Return the valid marks among the rows of MARKS by name, and why each other one is invalid."""
    marks: dict[str, Watermark] = {}
    invalid: dict[str, str] = {}
    for name, *rest in found:
        try:
            marks[name] = checked(Watermark(*rest))
        except InvalidWatermark as e:
            invalid[name] = str(e)
    return marks, invalid


def _rows_of(marks: Iterable[tuple[str, Watermark]]) -> list[tuple[str, str, int, str, str]]:
    # In one order in every process: two that write the same rows then wait for each other and do not deadlock.
    return [
        (check_name("watermark", name), mark.log_id, mark.position, mark.digest, mark.root)
        for name, mark in sorted(marks, key=lambda pair: pair[0])
    ]
