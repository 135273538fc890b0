"""One appending transaction: in one statement where nobody else has written, else while the head's row is locked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.errors import CorruptJournal
from eventstore.journal import drafts_of
from eventstore.journals.postgres import rows, tables
from eventstore.journals.postgres.connection import PostgresError
from eventstore.journals.type_table import row_of_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from eventstore.journal import Group, TypeRow
    from eventstore.journals.postgres.connection import Connection
    from eventstore.proofs import merkle

COPIED_MIN = 16
"""From how many records on they are copied and not inserted one by one."""
LOCK_SECONDS = 3
"""How long a transaction waits for others before it fails, with nothing written: less than a commit may take."""
IDLE_SECONDS = 10
"""How long a process may stand still with the head locked, before the server ends its transaction."""

_SETTINGS = {
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    # Either would cancel a commit that waits for its standby.
    "statement_timeout": "0",
    # Else a commit whose wait was canceled would succeed without the warning that says so.
    "client_min_messages": "warning",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    # A process that was killed in the middle of a statement is noticed.
    "client_connection_check_interval": "500ms",
}
_LOCK_HEAD = "SELECT position, recorded_at, frontier FROM head FOR UPDATE"
_BEGIN = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {_LOCK_HEAD}"
_PLACES = ", ".join(["%s"] * 15)
_ONE = (
    "WITH h AS (UPDATE head SET position = %s, recorded_at = %s, frontier = %s WHERE one = 1 AND position = %s "  # noqa: S608 - constants
    f"RETURNING 1), e AS (INSERT INTO event ({rows.NAMES}) SELECT {_PLACES} FROM h) SELECT pg_notify(%s, '') FROM h"
)
_LOADED = "SELECT current_setting('synchronous_standby_names'), pg_conf_load_time()"


class Transaction:
    """The statements of one transaction on a connection, in autocommit mode outside of it."""

    def __init__(self, connection: Connection, log_id: bytes, *, is_replicated: bool) -> None:
        self._connection, self._channel = connection, tables.channel_of(log_id)
        self._is_replicated = is_replicated
        self._settings: tuple[object, ...] | None = None
        connection.warned.clear()

    @property
    def is_doubtful(self) -> bool:
        """Whether the commit may have waited for no standby: its server's settings were loaded again meanwhile.

        A server whose `synchronous_standby_names` are emptied lets all commits that wait succeed, without a warning.
        """
        return self._settings is not None and self._settings != self._connection.settings

    @staticmethod
    def prepare(connection: Connection) -> None:
        """Give a connection the settings that these transactions rest on."""
        for name, value in _SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.settings = connection.execute(_LOADED).fetchone()

    @staticmethod
    def rolled_back(connection: Connection) -> bool:
        """End a transaction that failed; return whether the connection can be used again."""
        try:
            if connection.is_in_transaction:
                connection.execute("ROLLBACK")
        except PostgresError:
            return False
        return not connection.is_lost

    def append_one(self, row: Sequence[Any], position: int, frontier: bytes) -> bool:
        """Append one record if the head is still at a position; return whether it was."""
        position_after, recorded_at = row[10], row[12]
        values = (position_after, recorded_at, frontier, position, *_as_text(row), self._channel)
        if not self._is_replicated:
            return self._connection.execute(_ONE, values).fetchone() is not None
        cursors: list[Any] = []

        def send() -> None:
            self._connection.execute("BEGIN")
            cursors.append(self._connection.execute(_ONE, values))
            self._connection.execute("COMMIT")
            cursors.append(self._connection.execute(_LOADED))

        _in_one_trip(self._connection, send)
        appended, loaded = cursors
        self._settings = loaded.fetchone()
        return appended.fetchone() is not None

    def begin(self) -> tuple[int, int, bytes]:
        """Begin, and lock the head's row; return its position, time and tree."""
        # One simple query, and no pipeline: what ends one makes the server forget that the transaction is idle, and a
        # process that stands still here would keep all others out.
        locked = self._connection.execute(_BEGIN, prepare=False)
        locked.nextset()
        return _head_of(locked.fetchone())

    def lock(self) -> tuple[int, int, bytes]:
        """Lock the head's row within a transaction that has begun; return its position, time and tree."""
        return _head_of(self._connection.execute(_LOCK_HEAD, prepare=False).fetchone())

    def end(self, *, is_barrier: bool) -> None:
        """End a transaction that stores nothing; as a barrier, what was visible is then as durable as a commit is."""
        if is_barrier:
            self._connection.execute("SELECT pg_logical_emit_message(true, 'eventstore', '')")
            self._connection.execute("COMMIT")
            if self._is_replicated:
                self._settings = self._connection.execute(_LOADED).fetchone()
        else:
            self._connection.execute("ROLLBACK")

    def barrier(self) -> bool:
        """Commit nothing; return whether all that was visible before is now as durable as a commit is."""
        self._connection.execute("BEGIN")
        self.end(is_barrier=True)
        return not self.is_doubtful and not self._connection.warned

    def store(
        self,
        records: Sequence[Sequence[Any]],
        nodes: Iterable[merkle.Node],
        kinds: Iterable[TypeRow],
        head: tuple[int, int, bytes],
    ) -> None:
        """Store all of it and commit."""
        connection, loaded = self._connection, list[Any]()
        is_copied = len(records) >= COPIED_MIN
        if is_copied:
            self._copy(records)

        def send() -> None:
            if not is_copied:
                connection.cursor().executemany(rows.INSERT, [_as_text(row) for row in records])
            for kind in kinds:
                connection.execute(rows.INSERT_TYPE, row_of_type(kind))
            for node in nodes:
                connection.execute(rows.INSERT_NODE, node)
            connection.execute(rows.UPDATE_HEAD, head)
            connection.execute("SELECT pg_notify(%s, '')", (self._channel,))
            connection.execute("COMMIT")
            if self._is_replicated:
                loaded.append(connection.execute(_LOADED))

        _in_one_trip(connection, send)
        if loaded:
            self._settings = loaded[0].fetchone()

    def _copy(self, records: Sequence[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(rows.COPY) as copy:
            copy.set_types(rows.KINDS)
            for row in records:
                copy.write_row(_as_text(row))


def _head_of(row: tuple[Any, ...] | None) -> tuple[int, int, bytes]:
    if row is None:
        raise CorruptJournal(0, "the head's row is missing")
    position, recorded_at, frontier = row
    return position, recorded_at, frontier


def _in_one_trip(connection: Connection, send: Callable[[], None]) -> None:
    """Send statements together; raise the first one's error.

    An error that leaves psycopg's block is followed by others of the same trip, which it would write to a log.
    """
    first: PostgresError | None = None
    try:
        with connection.pipeline():
            try:
                send()
            except PostgresError as e:
                first = e
    except PostgresError as e:
        first = first or e
    if first is not None:
        connection.forget_prepared()
        raise first


def _as_text(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a record's row with its data as text, as the column has it."""
    return (*row[:5], row[5].decode(), *row[6:])


def is_single(groups: Sequence[Group]) -> bool:
    """Return whether one event is to be appended that rests on nothing but the log: a fence is looked at with locks."""
    if len(groups) != 1 or len(drafts_of(groups[0])) != 1:
        return False
    unchanged = groups[0][0].unchanged
    return unchanged is None or unchanged.fence is None
