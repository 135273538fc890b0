"""One appending transaction: in one statement where nobody else has written, else while the head's row is locked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore.errors import CorruptJournal
from eventstore.journal import drafts_of
from eventstore.journals.postgres import rows, tables
from eventstore.journals.postgres.connection import Copy, CopyWriter, PostgresError, with_values
from eventstore.journals.sequencing import PASSED_ON_MIN, PRESUMED_MIN
from eventstore.journals.type_table import row_of_type
from eventstore.trading.logs import LOG_ENDED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from eventstore.journal import Group, TypeRow
    from eventstore.journals.postgres.connection import Connection
    from eventstore.proofs import merkle

COPIED_MIN = 8
"""From how many records on they are copied and not inserted one by one: that takes a trip more, and less for each."""
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
_HEAD_MOVES = "UPDATE head SET position = %s, recorded_at = %s, frontier = %s WHERE one = 1 AND position = %s"
_ADDED = (
    f"RETURNING 1), e AS (INSERT INTO event ({rows.NAMES}) SELECT {_PLACES} FROM h) "  # noqa: S608 - constants
    "SELECT pg_notify(%s, '') FROM h"
)
_ONE = f"WITH h AS ({_HEAD_MOVES} {_ADDED}"
_IS_NEW = "AND NOT EXISTS (SELECT 1 FROM event WHERE stream = %s)"
_ONE_OF_A_NEW_STREAM = f"WITH h AS ({_HEAD_MOVES} {_IS_NEW} {_ADDED}"
_HEAD_MOVES_ON = f"WITH h AS ({rows.UPDATE_HEAD} RETURNING 1) SELECT pg_notify(%s, '') FROM h"  # noqa: S608 - constants
_LOADED = "SELECT current_setting('synchronous_standby_names'), pg_conf_load_time()"


class Begun(NamedTuple):
    """What a transaction knows once it has locked the head's row: that row, and what it has asked for besides.

    `last` is the digest of the last record, None without one, and whether that record ends the log. `versions` are of
    streams, 0 for one that is not there.
    """

    position: int
    recorded_at: int
    frontier: bytes
    last: tuple[bytes | None, bool] | None = None
    versions: dict[str, int] = {}  # noqa: RUF012 - nobody changes it


class Transaction:
    """The statements of one transaction on a connection, in autocommit mode outside of it."""

    def __init__(self, connection: Connection, log_id: bytes, *, is_replicated: bool) -> None:
        self._connection, self._channel = connection, tables.channel_of(log_id)
        self._is_replicated = is_replicated
        self._settings: tuple[object, ...] | None = None
        self._copying = contextlib.ExitStack()
        self._copy: Copy | None = None
        self._copied = 0
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

    def append_one(self, row: Sequence[Any], position: int, frontier: bytes, *, is_locked: bool = False) -> bool:
        """Append one record if the head is still at a position, and its stream is new if the record's version is 1.

        Returns whether it did. `is_locked`: the transaction has begun, and the head is locked; it ends here.
        """
        stream, position_after, version, recorded_at = row[1], *row[10:13]
        new = (stream,) if version == 1 and not is_locked else ()
        sql = _ONE_OF_A_NEW_STREAM if new else _ONE
        values = (position_after, recorded_at, frontier, position, *new, *_as_text(row), self._channel)
        if not self._is_replicated and not is_locked:
            return self._connection.execute(sql, values).fetchone() is not None
        cursors: list[Any] = []

        def send() -> None:
            if not is_locked:
                self._connection.execute("BEGIN")
            cursors.append(self._connection.execute(sql, values))
            self._connection.execute("COMMIT")
            if self._is_replicated:
                cursors.append(self._connection.execute(_LOADED))

        _in_one_trip(self._connection, send)
        if self._is_replicated:
            self._settings = cursors[1].fetchone()
        return cursors[0].fetchone() is not None

    def begin(self, streams: Collection[str] = (), *, with_last: bool = False) -> Begun:
        """Begin, and lock the head's row; return it, the versions of some streams, and the last record if asked for."""
        # What comes after the lock sees what was committed while it was waited for: each statement looks for itself.
        sql = [_BEGIN]
        if with_last:
            sql.append(with_values(self._connection, rows.LAST, LOG_ENDED))
        if streams:
            sql.append(with_values(self._connection, rows.VERSIONS, list(streams)))
        # One simple query, and no pipeline: what ends one makes the server forget that the transaction is idle, and a
        # process that stands still here would keep all others out.
        found = self._connection.execute("; ".join(sql), prepare=False)
        found.nextset()
        head = _head_of(found.fetchone())
        last, versions = None, {}
        if with_last:
            found.nextset()
            last = found.fetchone() or (None, False)
        if streams:
            found.nextset()
            versions = dict(found.fetchall())
        return Begun(*head, last, versions)

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

    def copy(self, records: Sequence[Sequence[Any]]) -> None:
        """Send records, as far as that has not been done; the server takes them while others are placed.

        Nothing else can be asked until all are stored.
        """
        try:
            if self._copy is None:
                cursor = self._copying.enter_context(self._connection.cursor())
                # Each block at once: the server takes it while the next one is made.
                writer = CopyWriter(cursor, flush_threshold=0)
                self._copy = self._copying.enter_context(cursor.copy(rows.COPY_AS_TEXT, writer=writer))
            for row in records[self._copied :]:
                self._copy.write_row(_as_text(row))
        except PostgresError:
            # It may be the server's answer to what was sent before; ended, the connection can be used again.
            self._copying.close()
            raise
        self._copied = len(records)

    def send(self, records: Sequence[Sequence[Any]]) -> None:
        """Send all records that are to be stored, if they are copied: the server takes them meanwhile."""
        if self._copy is not None or len(records) >= COPIED_MIN:
            self.copy(records)

    def store(
        self,
        records: Sequence[Sequence[Any]],
        nodes: Iterable[merkle.Node],
        kinds: Iterable[TypeRow],
        head: tuple[int, int, bytes],
    ) -> None:
        """Store all of it, the records as far as they were not sent, and commit."""
        connection, loaded, is_copied = self._connection, list[Any](), self._copy is not None
        self._copying.close()

        def send() -> None:
            if not is_copied:
                connection.cursor().executemany(rows.INSERT, [_as_text(row) for row in records])
            for kind in kinds:
                connection.execute(rows.INSERT_TYPE, row_of_type(kind))
            for node in nodes:
                connection.execute(rows.INSERT_NODE, node)
            connection.execute(_HEAD_MOVES_ON, (*head, self._channel))
            connection.execute("COMMIT")
            if self._is_replicated:
                loaded.append(connection.execute(_LOADED))

        _in_one_trip(connection, send)
        if loaded:
            self._settings = loaded[0].fetchone()


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


def are_many(group: Group) -> bool:
    """Return whether a group's records are worth copying while they are placed."""
    return sum(len(batch.drafts) for batch in group) > PASSED_ON_MIN


def asked_streams(groups: Sequence[Group], *, check_ids: bool) -> set[str]:
    """Return the streams whose versions are to be looked up, where they are not known.

    One that is expected to be new is not in a group of many: the sequencer presumes that it is.
    """
    return {
        batch.stream
        for group in groups
        for batch in group
        if check_ids or batch.expected != 0 or len(group) < PRESUMED_MIN
    }
