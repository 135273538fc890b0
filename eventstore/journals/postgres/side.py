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

from eventstore.actors import default_actor
from eventstore.errors import CorruptJournal, ReadOnly, Unavailable
from eventstore.journals.postgres.connection import Access, PostgresError, from_postgres
from eventstore.journals.postgres.hosts import newest
from eventstore.streams import check_name
from eventstore.watermarks import InvalidWatermark, Watermark, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location

BEAT_SECONDS = 1.0
SILENT_SECONDS = 2.0
"""After what time without a beat this process holds nothing more: sooner than the server ends its session."""
SESSION_SECONDS = 3
MARKS = "SELECT name, log_id, position, digest, root FROM mark ORDER BY name"

_KEY = "hashtextextended(current_schema() || '/' || %s, 7)"
_IS_LOCKED = (
    f"WITH k AS (SELECT {_KEY} AS key) SELECT EXISTS (SELECT 1 FROM pg_locks l, k WHERE l.locktype = 'advisory' "  # noqa: S608 - constants
    "AND l.granted AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND l.classid = ((k.key >> 32) & 4294967295)::oid AND l.objid = (k.key & 4294967295)::oid)"
)
_TAKEN = (
    "INSERT INTO lease (name, owner) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE "
    "SET owner = excluded.owner, epoch = lease.epoch + 1, taken_at = clock_timestamp()"
)


KEEP = "INSERT INTO document VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET content = excluded.content"
MARK = (
    "INSERT INTO mark VALUES (%s, %s, %s, %s, %s) ON CONFLICT (name) DO UPDATE SET log_id = excluded.log_id, "
    "position = excluded.position, digest = excluded.digest, root = excluded.root"
)


class PostgresSide:
    """The side of one log, by a connection of its own that is made when it is first needed."""

    def __init__(self, location: Location, *, read_only: bool) -> None:
        self._location, self._read_only = location, read_only
        self._mutex = threading.RLock()
        self._connection: Connection | None = None
        self._held: dict[str, PostgresLock] = {}
        self._beat_at = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def marks(self) -> PostgresMarks:
        return PostgresMarks(self)

    def lock(self, name: str) -> PostgresLock:
        return PostgresLock(self, name)

    def is_locked(self, name: str) -> bool:
        return bool(self.asked(_IS_LOCKED, (name,))[0][0])

    def locks(self, prefix: str) -> list[str]:
        found = self.asked("SELECT name FROM lease WHERE starts_with(name, %s) ORDER BY name", (prefix,))
        return [name for (name,) in found]

    def keep(self, name: str, content: bytes) -> None:
        self.changed(KEEP, (name, content))

    def documents(self, prefix: str) -> dict[str, bytes]:
        return dict(self.asked("SELECT name, content FROM document WHERE starts_with(name, %s)", (prefix,)))

    def close(self) -> None:
        """Release all locks."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._mutex:
            self._drop()

    def abandon(self) -> None:
        """Forget all of it, in a fork's child, without touching what the parent uses."""
        self._stop.set()
        self._held.clear()
        # Kept: a connection that is collected while it is open says so, and this one is the parent's.
        self._inherited, self._connection = self._connection, None
        self._thread, self._mutex = None, threading.RLock()

    # The connection

    def asked(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of an answer; raise Unavailable where the server cannot be reached."""
        found: list[tuple[Any, ...]] = self._used(
            lambda connection: connection.execute(sql, values, binary=True).fetchall()
        )
        return found

    def changed(self, sql: str, values: Sequence[Any]) -> None:
        """Change something; raise ReadOnly where the log was opened read-only."""
        if self._read_only:
            msg = f"{self._location} was opened read-only: nothing is written beside it"
            raise ReadOnly(msg)
        self._used(lambda connection: connection.execute(sql, values))

    def _used(self, use: Callable[[Connection], Any]) -> Any:  # noqa: ANN401 - as the use returns it
        with self._mutex:
            try:
                return use(self._connected())
            except PostgresError as e:
                self._drop()
                raise from_postgres(e, self._location) from e
            except BaseException:
                self._drop()
                raise

    def _connected(self) -> Connection:
        if self._stop.is_set():
            msg = f"{self._location} is closed: open the store again"
            raise Unavailable(msg)
        if self._connection is None:
            connection = newest(self._location, Access.READ_ANYWHERE if self._read_only else Access.WRITE)
            connection.patience = SILENT_SECONDS
            connection.execute("SELECT set_config('idle_session_timeout', %s, false)", (f"{SESSION_SECONDS}s",))
            self._connection, self._beat_at = connection, time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name=f"beat of {self._location.log}", daemon=True)
                self._thread.start()
        return self._connection

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            with self._mutex:
                if self._connection is None:
                    continue
                try:
                    self._connection.execute("SELECT 1")
                    self._beat_at = time.monotonic()
                except PostgresError:
                    # The locks are gone; a process that asks for one takes it again, and meets what is wrong.
                    self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is not None:
            connection.close()

    # Locks

    def holds(self, name: str, lock: PostgresLock) -> bool:
        """Return whether a lock is held, by a session that the server has not ended."""
        return self._held.get(name) is lock and time.monotonic() - self._beat_at < SILENT_SECONDS

    def take(self, name: str, lock: PostgresLock) -> bool:
        """Take a lock unless another one of its name is held, in this process or any other; note who did."""
        with self._mutex:
            if self.holds(name, lock):
                return True
            if self._held and time.monotonic() - self._beat_at >= SILENT_SECONDS:
                # Silent for too long, as after a pause: the session may be over.
                self._drop()
            if name in self._held:
                return False
            taken = self.asked(f"SELECT pg_try_advisory_lock({_KEY})", (name,))[0][0]
            if taken:
                self._held[name] = lock
                self.changed(_TAKEN, (name, default_actor()))
                self._beat_at = time.monotonic()
            return bool(taken)

    def release(self, name: str, lock: PostgresLock) -> None:
        with self._mutex:
            if self._held.get(name) is lock:
                del self._held[name]
                with contextlib.suppress(Unavailable):  # the session has ended, and its locks with it
                    self.asked(f"SELECT pg_advisory_unlock({_KEY})", (name,))


class PostgresLock:
    """One lock of a side. The server would grant a session's lock to it again, so the side remembers whose it is."""

    def __init__(self, side: PostgresSide, name: str) -> None:
        self._side, self._name = side, name

    @property
    def is_held(self) -> bool:
        return self._side.holds(self._name, self)

    def take(self) -> bool:
        return self._side.take(self._name, self)

    def release(self) -> None:
        self._side.release(self._name, self)


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


class PostgresMarks:
    """A log's marks in its table `mark`."""

    def __init__(self, side: PostgresSide) -> None:
        self._side = side

    def write(self, name: str, mark: Watermark, *, synced: bool = True) -> None:
        check_name("watermark", name)
        self._side.changed(MARK, (name, mark.log_id, mark.position, mark.digest, mark.root))

    def read(self, name: str) -> Watermark | None:
        found, invalid = self.examine()
        if name in invalid:
            raise CorruptJournal(0, f"the watermark {name} is damaged ({invalid[name]})")
        return found.get(name)

    def examine(self) -> tuple[dict[str, Watermark], dict[str, str]]:
        return marks_of(self._side.asked(MARKS))

    def close(self) -> None:
        """Nothing is held: the side has the connection."""
