"""What is kept beside a log in PostgreSQL: marks and documents in its tables, locks held by a session of the server.

The locks are advisory ones of a connection that does nothing else and beats each second. The server ends it when it
has been silent for three: so a process that is paused, or cut off, loses its locks too (PostgreSQL's documentation,
section 13.3.5, and `idle_session_timeout`). They are not replicated: after a fail-over all are taken again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from eventstore.actors import default_actor
from eventstore.errors import CorruptJournal, ReadOnly, Unavailable
from eventstore.journals.postgres.connection import Access, PostgresError, from_postgres
from eventstore.journals.postgres.hosts import newest
from eventstore.side import HOME
from eventstore.streams import check_name
from eventstore.watermarks import InvalidWatermark, Watermark, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location
    from eventstore.side import ProcessLock

    Values = Sequence[Any] | Mapping[str, Any]

BEAT_SECONDS = 1.0
SILENT_SECONDS = 2.0
"""After what time without a beat this process holds nothing more: sooner than the server ends its session."""
SESSION_SECONDS = 3
PART_BYTES = 262_144
"""From what size on a document that is appended to gets another part."""
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
    "SET owner = excluded.owner, epoch = lease.epoch + 1, taken_at = clock_timestamp() RETURNING epoch"
)
_DURABLE = (
    "SELECT set_config('synchronous_commit', CASE value WHEN 'REPLICATED' THEN 'on' ELSE 'local' END, false) "
    "FROM meta WHERE key = 'durability'"
)
_REGISTER = "INSERT INTO lease (name, owner, epoch) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING"
# A dump that is restored elsewhere differs in it, a standby that becomes the primary does not.
_PLACE = (
    "SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()), "
    "(SELECT oid FROM pg_database WHERE datname = current_database()), "
    "(SELECT oid FROM pg_namespace WHERE nspname = current_schema()))"
)

# A document that grows has parts, so that an append writes no more than one of them again: `NAME`, `NAME/00000002`, …
_ADD = (
    "WITH last AS (SELECT name, octet_length(content) AS size FROM document "
    "WHERE name = %(name)s OR starts_with(name, %(name)s || '/') ORDER BY name DESC LIMIT 1), "
    "part AS (SELECT CASE WHEN size < %(most)s THEN name WHEN name = %(name)s THEN %(name)s || '/00000002' "
    "ELSE %(name)s || '/' || lpad((right(name, 8)::int + 1)::text, 8, '0') END AS name FROM last) "
    "INSERT INTO document SELECT coalesce((SELECT name FROM part), %(name)s), %(content)s "
    "ON CONFLICT (name) DO UPDATE SET content = document.content || excluded.content"
)
_END = (
    "SELECT substring(content FROM greatest(octet_length(content) - %(length)s, 0)::int + 1), "
    "(sum(octet_length(content)) OVER ())::bigint FROM document "
    "WHERE name = %(name)s OR starts_with(name, %(name)s || '/') ORDER BY name DESC LIMIT %(parts)s"
)
KEEP = "INSERT INTO document VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET content = excluded.content"
_DRAW = "INSERT INTO document VALUES (%s, %s) ON CONFLICT DO NOTHING"
_MARKED = (
    " ON CONFLICT (name) DO UPDATE SET log_id = excluded.log_id, "
    "position = excluded.position, digest = excluded.digest, root = excluded.root"
)
MARK = f"INSERT INTO mark VALUES (%s, %s, %s, %s, %s){_MARKED}"  # noqa: S608 - constants
# The row of the lease is locked, so nobody can take the lock in between.
_MARK_HELD = (
    "WITH held AS (SELECT 1 FROM lease WHERE name = %s AND epoch = %s FOR SHARE) "  # noqa: S608 - constants
    f"INSERT INTO mark SELECT %s, %s, %s, %s, %s FROM held{_MARKED} RETURNING 1"
)


class PlaceOfLog(msgspec.Struct, frozen=True):
    """The document that identifies a log: `place` is the schema's, in its database, on its server."""

    home: str
    place: str


class PostgresSide:
    """The side of one log, by a connection of its own that is made when it is first needed."""

    mark_seconds, lock_seconds = 0.02, 1.0

    def __init__(self, location: Location, *, read_only: bool) -> None:
        self._location, self._read_only = location, read_only
        self._mutex = threading.RLock()
        self._connection: Connection | None = None
        self._held: dict[str, PostgresLock] = {}
        self._beat_at = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        return self._location.url

    def marks(self, held: ProcessLock | None = None) -> PostgresMarks:
        assert held is None or isinstance(held, PostgresLock), "a lock of this side"
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

    def keep(self, name: str, content: bytes, *, synced: bool = True) -> None:
        self.changed(KEEP, (name, content))

    def add(self, name: str, content: bytes) -> None:
        self.changed(_ADD, {"name": name, "content": content, "most": PART_BYTES})

    def end(self, name: str, length: int) -> tuple[bytes, bool]:
        # All but the newest part are full.
        asked = {"name": name, "length": length, "parts": length // PART_BYTES + 2}
        found = self.asked(_END, asked)
        content = b"".join([part for part, _ in reversed(found)])
        return content[-length:], not found or found[0][1] <= length

    def described(self, name: str) -> str:
        return f"document {name} of {self._location}"

    def documents(self, prefix: str) -> dict[str, bytes]:
        return dict(self.asked("SELECT name, content FROM document WHERE starts_with(name, %s)", (prefix,)))

    def home(self) -> str:
        if (content := self.documents(HOME).get(HOME)) is None:
            self.changed(_DRAW, (HOME, self._drawn()))
            # Of two processes that draw one at the same time, the first one's counts.
            content = self.documents(HOME)[HOME]
        try:
            found = msgspec.json.decode(content, type=PlaceOfLog)
        except msgspec.MsgspecError:
            return ""
        return found.home if found.place == self._place() else ""

    def new_home(self) -> str:
        self.keep(HOME, self._drawn())
        return self.home()

    def _drawn(self) -> bytes:
        return msgspec.json.encode(PlaceOfLog(os.urandom(16).hex(), self._place()))

    def _place(self) -> str:
        return str(self.asked(_PLACE)[0][0])

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

    def abandon(self) -> None:
        """Forget all of it, in a fork's child, without touching what the parent uses."""
        self._stop.set()
        self._held.clear()
        # Kept: a connection that is collected while it is open says so, and this one is the parent's.
        self._inherited, self._connection = self._connection, None
        self._thread, self._mutex = None, threading.RLock()

    # The connection

    def asked(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Return the rows of an answer; raise Unavailable where the server cannot be reached."""
        found: list[tuple[Any, ...]] = self._used(
            lambda connection: connection.execute(sql, values, binary=True).fetchall()
        )
        return found

    def changed(self, sql: str, values: Values) -> None:
        """Change something; raise ReadOnly where the log was opened read-only."""
        self._check_writable()
        self._used(lambda connection: connection.execute(sql, values))

    def changed_to(self, sql: str, values: Values) -> int | None:
        """Change something, as `changed` does; return the number that is the answer, None without one."""
        self._check_writable()
        rows = self.asked(sql, values)
        return int(rows[0][0]) if rows else None

    def _check_writable(self) -> None:
        if self._read_only:
            msg = f"{self._location} was opened read-only: nothing is written beside it"
            raise ReadOnly(msg)

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
            # As durable as the log, whatever the server's default is: a SYNCED log does not wait for a standby.
            connection.execute(_DURABLE)
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
                lock.epoch = self.changed_to(_TAKEN, (name, default_actor())) or 0
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
        self._side, self.name = side, name
        self.epoch = 0
        """How often the lock had been taken when this process took it: no other one has the same."""

    @property
    def is_held(self) -> bool:
        return self._side.holds(self.name, self)

    def take(self) -> bool:
        return self._side.take(self.name, self)

    def release(self) -> None:
        self._side.release(self.name, self)


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

    def __init__(self, side: PostgresSide, held: PostgresLock | None = None) -> None:
        self._side, self._held = side, held

    def write(self, name: str, mark: Watermark, *, synced: bool = True) -> None:
        check_name("watermark", name)
        values = (name, mark.log_id, mark.position, mark.digest, mark.root)
        held = self._held
        if held is None:
            self._side.changed(MARK, values)
        elif self._side.changed_to(_MARK_HELD, (held.name, held.epoch, *values)) is None:
            msg = f"another process has taken {held.name} of {self._side}: nothing was noted"
            raise Unavailable(msg)

    def read(self, name: str) -> Watermark | None:
        found, invalid = self.examine()
        if name in invalid:
            raise CorruptJournal(0, f"the watermark {name} is damaged ({invalid[name]})")
        return found.get(name)

    def stamp(self, name: str) -> object:
        return self._side.asked("SELECT position, digest FROM mark WHERE name = %s", (name,))

    def examine(self) -> tuple[dict[str, Watermark], dict[str, str]]:
        return marks_of(self._side.asked(MARKS))

    def close(self) -> None:
        """Nothing is held: the side has the connection."""
