"""The SQLite file that holds cuts: opened, checked, replaced where it is damaged, its errors translated."""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from typing import TYPE_CHECKING, Any

import apsw
from typing_extensions import override

from eventstore import files
from projections.cuts.keys import Key, signing_key
from projections.cuts.place import Dialect
from projections.cuts.troubles import DamagedError, SnapshotWarning, TroubleKind, UnusableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from eventstore.record import Fence

FORMAT = 3
_FORMAT_UNSIGNED = 1
_APPLICATION = 0x65766373
READ_WAIT_MS, WRITE_WAIT_MS = 500, 1_500
# No row is larger: a corrupt length is refused before memory is allocated for it.
_LENGTH_MAX = 300 << 20

# `lineage` identifies log, revision and schema of a state: another one's rows are never read. A cut that was thinned
# out stays, with `kept` 0, while a later cut needs one of its states as the newest of its partition. The keys of states
# are in an index of their own, and `data` is last: SQLite would read whole states to compare keys beside them, or to
# reach a digest behind them.
_TABLES = {
    "cut": """CREATE TABLE cut (
  log_id BLOB NOT NULL, position INTEGER NOT NULL, digest BLOB NOT NULL, kept INTEGER NOT NULL,
  PRIMARY KEY (log_id, position)
) STRICT, WITHOUT ROWID""",
    "part": """CREATE TABLE part (
  view TEXT NOT NULL, lineage BLOB NOT NULL, position INTEGER NOT NULL, revision INTEGER NOT NULL,
  signer BLOB NOT NULL, signature BLOB NOT NULL,
  PRIMARY KEY (view, lineage, position)
) STRICT, WITHOUT ROWID""",
    "state": """CREATE TABLE state (
  view TEXT NOT NULL, lineage BLOB NOT NULL, partition TEXT NOT NULL, position INTEGER NOT NULL,
  digest BLOB NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (view, lineage, partition, position)
) STRICT""",
}
_UNUSABLE = (apsw.CantOpenError, apsw.IOError, apsw.PermissionsError, apsw.AuthError, apsw.ProtocolError)


class CutFile:
    """One connection to the file, opened on first use and reopened when another file has taken its place.

    Use it inside `translated`, which raises nothing but UnusableError and DamagedError.
    """

    is_with_log = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: apsw.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._is_checked = False

    @override
    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_current(self) -> bool:
        """Whether the path still names the file that this is connected to."""
        return self._connection is not None and self._identify() == self._identity

    @contextlib.contextmanager
    def reading(self) -> Iterator[FileRows | None]:
        """Hold a read transaction; None where there is no file, or an empty one."""
        if self._identify() is None or not self._is_ready(connection := self._connected()):
            yield None
            return
        connection.set_busy_timeout(READ_WAIT_MS)
        with self._transaction(connection, "BEGIN"):
            yield FileRows(connection)

    @contextlib.contextmanager
    def writing(self, *_: Fence) -> Iterator[FileRows]:
        """Hold a write transaction; creates the file and its tables if necessary."""
        if self._identify() is None:
            files.create(self.path)
        connection = self._connected()
        if connection.readonly("main") and _writable(self.path):
            # The file was read-only when this connection was opened, and is not any more.
            self.close()
            connection = self._connected()
        # Drop cached pages: the file may have been overwritten by other means than SQLite.
        connection.release_memory()
        connection.set_busy_timeout(WRITE_WAIT_MS)
        if connection.execute("PRAGMA journal_mode").get != "wal":
            connection.execute("PRAGMA journal_mode = WAL")
        # Immediate: a transaction that begins by reading cannot write once another process has written.
        with self._transaction(connection, "BEGIN IMMEDIATE"):
            self._check_pages(connection)
            self._prepare(connection)
            yield FileRows(connection)

    @contextlib.contextmanager
    def _transaction(self, connection: apsw.Connection, begin: str) -> Iterator[None]:
        if connection.in_transaction:
            # An interruption left it open.
            connection.execute("ROLLBACK")
        try:
            connection.execute(begin)
            yield
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(apsw.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Translate what SQLite and the operating system raise into UnusableError or DamagedError."""
        try:
            yield
        except (apsw.BusyError, apsw.LockedError) as e:
            raise UnusableError(TroubleKind.LOCKED, f"{self.path} is locked by another process ({e})") from e
        except apsw.FullError as e:
            raise UnusableError(TroubleKind.FULL, f"no space left for snapshots in {self.path} ({e})") from e
        except apsw.ReadOnlyError as e:
            if _writable(self.path) and _writable(self.path.parent):
                # The header demands a newer version for writing, and no version has ever written such a header here.
                raise DamagedError(str(e)) from e
            raise UnusableError(TroubleKind.READ_ONLY, f"{self.path} is read-only ({e})") from e
        except (*_UNUSABLE, OSError) as e:
            # Somebody may have removed the -wal or -shm file: a new connection creates them again.
            self.close()
            raise UnusableError(TroubleKind.UNUSABLE, f"{self.path} cannot hold snapshots ({e})") from e
        except (apsw.Error, ValueError, OverflowError, MemoryError) as e:
            raise DamagedError(str(e) or type(e).__name__) from e

    def set_aside(self, why: object) -> None:
        """Rename the file to `.damaged`, with a warning: a cache may go, but not what somebody may want to examine."""
        was = self._identity
        self.close()
        if was is not None and self._identify() != was:
            # Another process has done so already, or somebody has put another file there.
            return
        aside = self.path.with_name(self.path.name + ".damaged")
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(aside)
        warnings.warn(f"{self.path} is damaged ({why}); renamed to {aside}", SnapshotWarning, stacklevel=2)

    def close(self) -> None:
        connection, self._connection, self._identity, self._is_checked = self._connection, None, None, False
        if connection is not None:
            # Errors of a damaged or locked file do not matter any more: this was its last use.
            with contextlib.suppress(apsw.Error):
                connection.close()

    def _identify(self) -> tuple[int, int] | None:
        """Return the file's device and inode, None where there is no file."""
        try:
            info = self.path.stat()
        except FileNotFoundError:
            parent = self.path.parent
            if not (parent.is_dir() and _writable(parent)):
                reason = f"{self.path} cannot hold snapshots: {parent} is not a writable directory"
                raise UnusableError(TroubleKind.UNUSABLE, reason) from None
            return None
        except ValueError as e:
            raise UnusableError(TroubleKind.UNUSABLE, f"{self.path} cannot hold snapshots ({e})") from e
        if not stat.S_ISREG(info.st_mode):
            raise UnusableError(TroubleKind.UNUSABLE, f"{self.path} cannot hold snapshots: it is not a regular file")
        return info.st_dev, info.st_ino

    def _connected(self) -> apsw.Connection:
        found = self._identify()
        if self._connection is not None and found == self._identity:
            return self._connection
        self.close()
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(READ_WAIT_MS)
            connection.limit(apsw.SQLITE_LIMIT_LENGTH, _LENGTH_MAX)
            connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
            connection.execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA synchronous = NORMAL")
            self._check_schema(connection)
        except BaseException:
            with contextlib.suppress(apsw.Error):
                connection.close()
            raise
        self._connection, self._identity = connection, found
        return connection

    def _check_pages(self, connection: apsw.Connection) -> None:
        """Raise DamagedError for a file whose pages contradict one another, once for each connection.

        Damage may be where nothing was read yet. A cut written next to it would look complete to its writer, and the
        next process to open the file would find it malformed.
        """
        if not self._is_checked:
            found: Any = connection.execute("PRAGMA integrity_check(1)").get
            if found != "ok":
                raise DamagedError(str(found))
            self._is_checked = True

    def _check_schema(self, connection: apsw.Connection) -> None:
        """Refuse another program's database, and one of snapshots with other tables than it should have."""
        schema = _schema(connection)
        ours = connection.execute("PRAGMA application_id").get == _APPLICATION or set(_TABLES) <= set(schema)
        if schema and not ours:
            names = ", ".join(sorted(map(str, schema)))
            reason = f"{self.path} cannot hold snapshots: it is another program's database, with {names}"
            raise UnusableError(TroubleKind.FOREIGN, reason)
        if _format(connection) == FORMAT and schema != _TABLES:
            msg = "its tables do not have the schema of snapshots"
            raise DamagedError(msg)

    @staticmethod
    def _is_ready(connection: apsw.Connection) -> bool:
        number = _format(connection)
        if number == FORMAT:
            return True
        if not _schema(connection):
            return False
        unsigned = ", whose cuts are not signed" if number == _FORMAT_UNSIGNED else ""
        msg = f"it has format {number}{unsigned}; this version reads format {FORMAT}"
        raise OtherFormatError(msg)

    @staticmethod
    def _prepare(connection: apsw.Connection) -> None:
        if _format(connection) == FORMAT:
            return
        # Another format's tables are dropped: what they have is only a cache.
        for name in _TABLES:
            connection.execute(f"DROP TABLE IF EXISTS {name}")
        for sql in _TABLES.values():
            connection.execute(sql)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {FORMAT}")


class FileRows:
    """The rows of one transaction."""

    dialect = Dialect("instr")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        found: Iterator[tuple[Any, ...]] = self._connection.execute(sql, values)
        return found

    def execute_many(self, sql: str, values: Iterable[Mapping[str, Any]]) -> None:
        self._connection.executemany(sql, values)

    def bytes_used(self, _log_id: bytes) -> int:
        pages: Any = self._connection.execute("PRAGMA page_count").get
        free: Any = self._connection.execute("PRAGMA freelist_count").get
        size: Any = self._connection.execute("PRAGMA page_size").get
        return int(pages - free) * int(size)

    @staticmethod
    def key() -> Key:
        return signing_key()


class OtherFormatError(DamagedError):
    """The file has another version's format: it is not damaged, and the next cut replaces it."""


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _format(connection: apsw.Connection) -> int:
    number: Any = connection.execute("PRAGMA user_version").get
    return int(number)


def _schema(connection: apsw.Connection) -> dict[str, Any]:
    # ANALYZE may have added the planner's statistics. A primary key's index has no text.
    sql = "SELECT name, sql FROM sqlite_schema WHERE substr(name, 1, 11) <> 'sqlite_stat' AND sql IS NOT NULL"
    rows: list[Any] = connection.execute(sql).fetchall()
    return dict(rows)
