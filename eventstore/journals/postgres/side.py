"""What is kept beside a log in PostgreSQL: marks and documents in its tables, locks held by a session of the server.

The locks are advisory ones of a connection that does nothing else and beats each second. The server ends it when it
has been silent for three: so a process that is paused, or cut off, loses its locks too (PostgreSQL's documentation,
section 13.3.5, and `idle_session_timeout`). They are not replicated: after a fail-over all are taken again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore.actors import default_actor
from eventstore.errors import Overloaded, ReadOnly, Unavailable
from eventstore.journals.postgres import members, tables
from eventstore.journals.postgres.changing import HELD, KEY, ChangeTransactions, check_confirmed, key_of
from eventstore.journals.postgres.connection import Access, LockNotAvailable, PostgresError, from_postgres
from eventstore.journals.postgres.documents import Documents
from eventstore.journals.postgres.hosts import newest
from eventstore.journals.postgres.marking import PostgresMarks
from eventstore.journals.postgres.stalled import StalledSessions
from eventstore.record import Fence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.documents import Values
    from eventstore.journals.postgres.location import Location
    from eventstore.side import ProcessLock, SeenMember

BEAT_SECONDS = 1.0
SILENT_SECONDS = 2.0
"""After what time without a beat this process holds nothing more: sooner than the server ends its session."""
SESSION_SECONDS = 3
LOCK_SECONDS = 0.7
"""How long one statement waits for others: with what is left of a beat, less than this process may be silent."""

_IS_LOCKED = f"WITH {HELD} SELECT EXISTS (SELECT 1 FROM held WHERE key = {KEY})"  # noqa: S608 - constants
_HELD_NAMES = (
    f"WITH {HELD} SELECT name FROM lease WHERE starts_with(name, %s) "  # noqa: S608 - constants
    f"AND {key_of('name')} IN (SELECT key FROM held) ORDER BY name"
)
_TAKE = f"SELECT name, pg_try_advisory_lock({key_of('name')}) FROM unnest(%s::text[]) AS t (name)"  # noqa: S608 - constants
_GIVE_UP = f"SELECT pg_advisory_unlock({key_of('name')}) FROM unnest(%s::text[]) AS t (name)"  # noqa: S608 - constants
_TAKEN = (
    "INSERT INTO lease (name, owner) SELECT name, %s FROM unnest(%s::text[]) AS t (name) ORDER BY name "
    "ON CONFLICT (name) DO UPDATE "
    "SET owner = excluded.owner, epoch = lease.epoch + 1, taken_at = clock_timestamp() RETURNING name, epoch"
)
_SETTINGS = {
    # Else a commit whose wait was canceled would succeed without the warning that says so.
    "client_min_messages": "warning",
    # A statement that waits for a lock fails before this end gives it up: one that is given up would take the lock
    # later, for nobody. A process that was killed while it waits is noticed.
    "lock_timeout": f"{LOCK_SECONDS * 1_000:g}ms",
    "client_connection_check_interval": "500ms",
}
CHANGE_SECONDS = 30.0
"""How long one statement of a change of several things may take, and its commit."""
_REGISTER = "INSERT INTO lease (name, owner, epoch) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING"


class PostgresSide:
    """The side of one log, by a connection of its own that is made when it is first needed."""

    mark_seconds, lock_seconds = 0.02, 1.0

    def __init__(self, location: Location, *, read_only: bool) -> None:
        self._documents = Documents(self)
        self._location, self._read_only = location, read_only
        self._mutex = threading.RLock()
        self._connection: Connection | None = None
        self._held: dict[str, PostgresLock] = {}
        self._stalled = StalledSessions()
        self._changes = ChangeTransactions(location, self._to_change, CHANGE_SECONDS)
        self._apart: dict[str, ChangeTransactions] = {}
        self._beat_at = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        return self._location.url

    def apart(self, name: str, *, patience: float) -> ChangeTransactions:
        """Return transactions by another connection, under a name; it is closed with this side's own."""
        with self._mutex:
            if name not in self._apart:
                self._apart[name] = ChangeTransactions(self._location, self._to_change, patience)
            return self._apart[name]

    def marks(self, held: ProcessLock | None = None) -> PostgresMarks:
        return PostgresMarks(self, held)

    def lock(self, name: str) -> PostgresLock:
        return PostgresLock(self, name)

    def is_locked(self, name: str) -> bool:
        return bool(self.asked(_IS_LOCKED, (name,))[0][0])

    def locks(self, prefix: str) -> list[str]:
        found = self.asked("SELECT name FROM lease WHERE starts_with(name, %s) ORDER BY name", (prefix,))
        return [name for (name,) in found]

    def register(self, name: str) -> None:
        self.changed(_REGISTER, (name, default_actor()))

    def held_locks(self, prefix: str) -> list[str]:
        return [name for (name,) in self.asked(_HELD_NAMES, (prefix,))]

    def join(self, group: str, id: str, who: str, url: str) -> None:
        members.join(self, group, id, who, url)

    def beat(self, group: str, id: str, position: int) -> bool:
        return members.beat(self, group, id, position)

    def members(self, group: str) -> list[SeenMember]:
        return members.members(self, group)

    def groups(self) -> list[str]:
        return members.groups(self)

    def leave(self, group: str, id: str) -> None:
        members.leave(self, group, id)

    def evict(self, group: str, id: str) -> bool:
        return members.evict(self, group, id)

    def keep(self, name: str, content: bytes, *, synced: bool = True) -> None:
        self._documents.keep(name, content)

    def add(self, name: str, content: bytes) -> None:
        self._documents.add(name, content)

    def end(self, name: str, length: int) -> tuple[bytes, bool]:
        return self._documents.end(name, length)

    def described(self, name: str) -> str:
        return f"document {name} of {self._location}"

    def documents(self, prefix: str) -> dict[str, bytes]:
        return self._documents.named(prefix)

    def home(self) -> str:
        return self._documents.home()

    def new_home(self) -> str:
        return self._documents.new_home()

    @override
    def __str__(self) -> str:
        return str(self._location)

    def close(self) -> None:
        """Release all locks."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._mutex:
            self._drop()
        for changes in (self._changes, *self._apart.values()):
            changes.close()

    def abandon(self) -> None:
        """Forget all of it, in a fork's child, without touching what the parent uses."""
        self._stop.set()
        for changes in (self._changes, *self._apart.values()):
            changes.abandon()
        self._held.clear()
        # Kept: a connection that is collected while it is open says so, and this one is the parent's.
        self._inherited = self._connection
        self._connection, self._thread, self._mutex = None, None, threading.RLock()

    # The connection

    def asked(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Return the rows of an answer; raise Unavailable where the server cannot be reached."""
        found: list[tuple[Any, ...]] = self._used(
            lambda connection: connection.execute(sql, values, binary=True).fetchall()
        )
        return found

    def changed(self, sql: str, values: Values) -> None:
        """Change something; raise ReadOnly where the log was opened read-only, Overloaded where others lock it."""
        self._check_writable()
        self._used(lambda connection: connection.execute(sql, values))

    def changed_to(self, sql: str, values: Values) -> int | None:
        """Change something, as `changed` does; return the number that is the answer, None without one."""
        self._check_writable()
        rows = self.asked(sql, values)
        return int(rows[0][0]) if rows else None

    def _used(self, use: Callable[[Connection], Any]) -> Any:  # noqa: ANN401 - as the use returns it
        with self._mutex:
            try:
                connection, began = self._connected(), time.monotonic()
                found = self._answer(connection, use)
            except PostgresError as e:
                self._drop()
                raise from_postgres(e, self._location) from e
            except Overloaded:
                raise
            except BaseException:
                self._drop()
                raise
            # An answer shows, as a beat does, that the session lived when it was asked.
            self._beat_at = max(self._beat_at, began)
            return found

    def _answer(self, connection: Connection, use: Callable[[Connection], Any]) -> Any:  # noqa: ANN401 - as above
        try:
            return use(connection)
        except LockNotAvailable as e:
            # The session is as good as before: what it holds is not lost for what another process has locked.
            self._stalled.end(connection)
            raise from_postgres(e, self._location) from e

    def _connected(self) -> Connection:
        self._check_open()
        if self._connection is None:
            connection = self._newest()
            connection.patience = SILENT_SECONDS
            connection.execute("SELECT set_config('idle_session_timeout', %s, false)", (f"{SESSION_SECONDS}s",))
            self._connection, self._beat_at = connection, time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name=f"beat of {self._location.log}", daemon=True)
                self._thread.start()
        return self._connection

    def _newest(self) -> Connection:
        """Connect; what is committed there is as durable as the log is."""
        self._check_open()
        if self._read_only:
            return newest(self._location, Access.READ_ANYWHERE)
        connection = newest(self._location, Access.WRITE)
        try:
            tables.check_durable(connection, self._location, tables.identify(connection, self._location).durability)
            for name, value in _SETTINGS.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        except BaseException:
            connection.close()
            raise
        return connection

    def _to_change(self) -> Connection:
        self._check_writable()
        return self._newest()

    def transaction(self, *fences: Fence, alone: str = "") -> AbstractContextManager[Connection]:
        """Change several things beside the log in one step, as `ChangeTransactions.transaction` does."""
        return self._changes.transaction(*fences, alone=alone)

    def _check_open(self) -> None:
        if self._stop.is_set():
            msg = f"{self._location} is closed: open the store again"
            raise Unavailable(msg)

    def _check_writable(self) -> None:
        if self._read_only:
            msg = f"{self._location} was opened read-only: nothing is written beside it"
            raise ReadOnly(msg)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            with self._mutex:
                if self._connection is None:
                    continue
                try:
                    # The time before it was asked: this process may be paused once the server has answered.
                    began = time.monotonic()
                    self._connection.execute("SELECT 1")
                    self._beat_at = began
                except PostgresError:
                    # The locks are gone; a process that asks for one takes it again, and meets what is wrong.
                    self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is not None:
            connection.close()

    # Locks

    def holds(self, lock: PostgresLock) -> bool:
        """Return whether a lock is held, by a session that the server has not ended."""
        return self._held.get(lock.name) is lock and time.monotonic() - self._beat_at < SILENT_SECONDS

    def take_all(self, locks: Sequence[PostgresLock]) -> list[PostgresLock]:
        """Take those of some locks that nobody holds, in this process or any other; return those that are held now.

        Raises Overloaded, with none taken, where a process that had one is in a transaction still: to be tried again.
        """
        with self._mutex:
            if self._held and time.monotonic() - self._beat_at >= SILENT_SECONDS:
                # Silent for too long, as after a pause: the session may be over.
                self._drop()
            wanted = {lock.name: lock for lock in locks if lock.name not in self._held}
            if wanted:
                self._take(wanted)
            return [lock for lock in locks if self.holds(lock)]

    def _take(self, wanted: dict[str, PostgresLock]) -> None:
        self._check_writable()
        began = time.monotonic()
        taken = [name for name, is_taken in self.asked(_TAKE, (sorted(wanted),)) if is_taken]
        if taken:
            try:
                # An epoch that a fail-over takes back would be given twice: its commit waits as an append does.
                epochs = self._used(lambda connection: _committed(connection, _TAKEN, (default_actor(), taken)))
            except Overloaded:
                # A process that had one of them before is in a transaction that rests on it.
                self.asked(_GIVE_UP, (taken,))
                raise
            for name, epoch in epochs:
                self._held[name] = wanted[name]
                wanted[name].epoch = epoch
            self._beat_at = began

    def release_all(self, locks: Sequence[PostgresLock]) -> None:
        with self._mutex:
            held = [lock.name for lock in locks if self._held.get(lock.name) is lock]
            for name in held:
                del self._held[name]
            if held:
                with contextlib.suppress(Unavailable):  # the session has ended, and its locks with it
                    self.asked(_GIVE_UP, (held,))


class PostgresLock:
    """One lock of a side. The server would grant a session's lock to it again, so the side remembers whose it is."""

    def __init__(self, side: PostgresSide, name: str) -> None:
        self._side, self.name = side, name
        self.epoch = 0
        """How often the lock had been taken when this process took it: no other one has the same."""

    @property
    def is_held(self) -> bool:
        return self._side.holds(self)

    @property
    def fence(self) -> Fence:
        return Fence(self.name, self.epoch)

    def take(self) -> bool:
        return self._side.take_all([self]) != []

    def release(self) -> None:
        self._side.release_all([self])


def _committed(connection: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a change that is committed; raise Unavailable where its wait for a standby was canceled."""
    connection.warned.clear()
    found = connection.execute(sql, values).fetchall()
    check_confirmed(connection)
    return found
