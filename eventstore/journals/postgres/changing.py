"""Changes of several things beside a log in PostgreSQL, in one transaction that rests on the epochs of locks."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from eventstore.errors import Fenced, Unavailable
from eventstore.journals.postgres.connection import LockNotAvailable, PostgresError, from_postgres, is_lost
from eventstore.journals.postgres.stalled import StalledSessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location
    from eventstore.record import Fence


def key_of(name: str) -> str:
    """Return what gives the number of the advisory lock of a name, which is an expression in SQL."""
    return f"hashtextextended(current_schema() || '/' || {name}, 7)"


KEY = key_of("%s")
"""The number of the advisory lock of a name, in the log of this connection."""
HELD = (
    "held AS MATERIALIZED (SELECT (classid::bigint << 32) | objid::bigint AS key, pid FROM pg_locks "
    "WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
"""The advisory locks of this database that a session holds, each with its number and the session's process."""
_ALONE = f"SELECT pg_advisory_xact_lock({KEY})"
# Shared, so that several changes of one owner do not wait for each other; who takes the lock waits for all of them.
_IS_CURRENT = "SELECT 1 FROM lease WHERE name = %s AND epoch = %s FOR SHARE"


class ChangeTransactions:
    """Transactions beside one log, one at a time, by a connection of their own that is made when it is first needed."""

    def __init__(self, location: Location, connect: Callable[[], Connection], patience: float) -> None:
        """`patience`: how long one statement may take, and the commit."""
        self._location, self._connect, self._patience = location, connect, patience
        self._using = threading.RLock()
        self._connection: Connection | None = None
        self._stalled = StalledSessions()

    @contextlib.contextmanager
    def transaction(self, *fences: Fence, alone: str = "") -> Iterator[Connection]:
        """Change several things in one step, which rests on fences: their locks are taken by nobody until it ends.

        `alone`: of the transactions that name the same, one at a time; no fence is held while this waits for another.
        Raises Fenced where a lock was taken before, ReadOnly, Overloaded, StorageFull and Unavailable; then nothing is
        changed, or it is unknown whether.
        """
        with self._using:
            try:
                with contextlib.ExitStack() as stack:
                    connection = self._begun(stack)
                    if alone:
                        connection.execute(_ALONE, (alone,))
                    _check_current(connection, fences)
                    yield connection
                check_confirmed(connection)
            except LockNotAvailable as e:
                # Rolled back: the session that has what was waited for in vain is ended if its client stands still.
                self._end_stalled()
                raise from_postgres(e, self._location) from e
            except PostgresError as e:
                self.close()
                raise from_postgres(e, self._location) from e
            except Fenced:
                raise
            except BaseException:
                self.close()
                raise

    def _end_stalled(self) -> None:
        if self._connection is not None:
            try:
                self._stalled.end(self._connection)
            except PostgresError:
                self.close()

    def _begun(self, stack: contextlib.ExitStack) -> Connection:
        """Begin a transaction, on a new connection where the server has ended the old one meanwhile."""
        old = self._connection
        connection = self._connection = old or self._connected()
        try:
            stack.enter_context(connection.transaction())
        except PostgresError as e:
            if old is None or not is_lost(e, old):
                raise
            self.close()
            connection = self._connection = self._connected()
            stack.enter_context(connection.transaction())
        connection.warned.clear()
        return connection

    def _connected(self) -> Connection:
        connection = self._connect()
        connection.patience = self._patience
        connection.execute("SELECT set_config('lock_timeout', '3s', false)")
        # A process that is paused in a transaction must not keep the fences' rows: who takes its shares waits for them.
        connection.execute("SELECT set_config('idle_in_transaction_session_timeout', '3s', false)")
        return connection

    def close(self) -> None:
        """Close the connection; the next transaction makes another."""
        with self._using:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def abandon(self) -> None:
        """Forget the connection, in a fork's child, without touching it: it is the parent's."""
        # Kept: a connection that is collected while it is open says so.
        self._inherited, self._connection = self._connection, None
        self._using = threading.RLock()


def is_current(connection: Connection, fence: Fence) -> bool:
    """Return whether a lock has been taken by nobody since, and keep it so until the transaction ends."""
    return connection.execute(_IS_CURRENT, (fence.lock, fence.epoch)).fetchone() is not None


def _check_current(connection: Connection, fences: Iterable[Fence]) -> None:
    for fence in fences:
        if not is_current(connection, fence):
            raise Fenced(fence.lock, fence.epoch)


def check_confirmed(connection: Connection) -> None:
    """Raise Unavailable where a commit's wait for a standby was canceled."""
    if connection.warned:
        msg = f"{'; '.join(connection.warned)}: no standby may have what was committed beside the log"
        raise Unavailable(msg)
