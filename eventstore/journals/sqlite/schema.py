"""The journal's file: its tables, how it is opened and created, and SQLite's errors translated."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from eventstore.errors import (
    CorruptJournal,
    Overloaded,
    ReadOnly,
    StorageFull,
    StoreError,
    Unavailable,
    UnsupportedFormat,
)
from eventstore.files import make_directory, sync_ancestors, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPLICATION_ID = 0x45565354  # "EVST"
FORMAT = 1
ENDED_FORMAT = 2
"""That of a log that has ended, which differs in nothing else: earlier versions, which would append, refuse it."""
PAGE_BYTES = 2_048
WAIT_SECONDS = 5.0
# A connection that reads a page of records at a time gains nothing from a large cache; the one that writes looks up
# streams and ids.
WRITER_CACHE_KIB, READER_CACHE_KIB = 65_536, 2_048
# A write-ahead log over this size, which a reader kept from being restarted, is truncated.
WAL_BYTES_MAX = 20 << 20

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
  position INTEGER PRIMARY KEY,
  stream TEXT NOT NULL,
  version INTEGER NOT NULL,
  type TEXT NOT NULL,
  schema INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  occurred_at INTEGER NOT NULL,
  id BLOB NOT NULL,
  data TEXT NOT NULL,
  actor TEXT NOT NULL,
  note TEXT NOT NULL,
  correlation_id BLOB,
  causation_id BLOB,
  digest BLOB NOT NULL,
  account TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS event_by_id ON event (id);
CREATE UNIQUE INDEX IF NOT EXISTS event_by_stream ON event (stream, version);
CREATE INDEX IF NOT EXISTS event_by_account ON event (account);
CREATE TABLE IF NOT EXISTS type (
  name TEXT NOT NULL, schema INTEGER NOT NULL, durability TEXT NOT NULL, measures TEXT NOT NULL,
  PRIMARY KEY (name, schema)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node (
  level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  position INTEGER NOT NULL, recorded_at INTEGER NOT NULL, frontier BLOB NOT NULL
) STRICT;
INSERT OR IGNORE INTO head VALUES (1, 0, 0, x'');
"""

# SQLite's locks do not work on these, or not between hosts (sqlite.org/wal.html, "all processes on the same host").
NETWORK_FILE_SYSTEMS = frozenset(
    [
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb3",
        "smbfs",
    ]
)


def connect(path: Path, vfs: str | None = None, *, cache_kib: int = WRITER_CACHE_KIB) -> apsw.Connection:
    """Open a connection to an existing journal's file, with the settings on which its guarantees depend."""
    _check_sidecars(path)
    flags = apsw.SQLITE_OPEN_READWRITE
    connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
    try:
        # Small pages: one append dirties five of them, and each goes whole into the write-ahead log.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        configure(connection, cache_kib)
    except BaseException:
        # The error's traceback would keep the connection open, and so the files of the next opening.
        connection.close()
        raise
    return connection


def _check_sidecars(path: Path) -> None:
    """Raise Unavailable where a name that SQLite opens beside the file is a pipe: opening it would never return."""
    for suffix in ("-journal", "-wal", "-shm"):
        sidecar = path.with_name(path.name + suffix)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISFIFO(sidecar.stat().st_mode):
                msg = f"{sidecar} is a named pipe, where SQLite expects a file of its own: remove it"
                raise Unavailable(msg)


def configure(connection: apsw.Connection, cache_kib: int = READER_CACHE_KIB) -> None:
    """Give a connection the settings that reading and writing share."""
    connection.set_busy_handler(busy_handler(WAIT_SECONDS))
    connection.execute(f"PRAGMA cache_size = -{cache_kib}; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY")
    # A journal has neither. One that is added while the journal is open must not rewrite what is appended.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    # Each statement has one good plan. Without this, SQLite prepares it again whenever a value is bound to it.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


def busy_handler(seconds: float) -> Callable[[int], bool]:
    """Return a handler that tries again for a bounded time, with short pauses: a commit takes a tenth of a ms."""
    deadline = 0.0

    def wait(attempt: int) -> bool:
        nonlocal deadline
        if attempt == 0:
            deadline = time.monotonic() + seconds
        elif time.monotonic() > deadline:
            return False
        time.sleep(min(0.0002 * (attempt + 1), 0.005))
        return True

    return wait


def is_new(connection: apsw.Connection) -> bool:
    """Return whether a file has no tables yet."""
    return not connection.execute("SELECT count(*) FROM sqlite_schema").get


def prepare(connection: apsw.Connection, path: Path, log: str, created_at: int) -> tuple[str, bytes]:
    """Create the tables in a new file or check those of an old one; return the log's name and id."""
    is_new = check_format(connection, path)
    if _journal_mode(connection) != "wal":
        msg = f"{path} cannot be kept in WAL mode on this file system: move it to a local disk"
        raise Unavailable(msg)
    connection.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
    if is_new:
        sync_ancestors(path.parent)
        create(connection, log, os.urandom(16), created_at)
        sync_directory(path.parent)
    else:
        _sync_recovered_wal(path)
    return identify(connection, path)


def check_format(connection: apsw.Connection, path: Path) -> bool:
    """Raise UnsupportedFormat for a file that is not a journal of this format; return whether it is still empty."""
    application_id = connection.execute("PRAGMA application_id").get
    format_number = connection.execute("PRAGMA user_version").get
    if application_id == APPLICATION_ID and format_number > ENDED_FORMAT:
        msg = (
            f"{path} is a journal of format {format_number}, this version reads up to {ENDED_FORMAT}: update eventstore"
        )
        raise UnsupportedFormat(msg)
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if tables and application_id != APPLICATION_ID:
        msg = f"{path} is a SQLite file but not a journal: give another directory"
        raise UnsupportedFormat(msg)
    if application_id and not tables:
        raise CorruptJournal(0, f"{path} is marked as a journal and has no tables: they were dropped")
    return not application_id or not tables


def identify(connection: apsw.Connection, path: Path) -> tuple[str, bytes]:
    """Return the name and the id of the log that a file holds; raise CorruptJournal where it does not say."""
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    name, log_id = meta.get("log"), meta.get("log_id")
    if not isinstance(name, str) or not isinstance(log_id, bytes) or len(log_id) != 16:  # noqa: PLR2004 - a UUID's size
        raise CorruptJournal(0, f"{path} does not say which log it is")
    return name, log_id


def created_at(connection: apsw.Connection) -> int:
    """Return when the log was created; raise CorruptJournal where the file does not say."""
    found = connection.execute("SELECT value FROM meta WHERE key = 'created_at'").get
    if type(found) is not int:
        raise CorruptJournal(0, "the meta table's created_at is missing or malformed")
    return found


def _sync_recovered_wal(path: Path) -> None:
    """Sync what a killed process has written to the write-ahead log and not synced.

    The next opening finds those records and may acknowledge them: as duplicates, in a watermark, to InfluxDB. The
    tables have been read before this is called, so nothing is found later. Closing a descriptor of
    this file drops no lock: SQLite's are on the journal and its shared memory.
    """
    with contextlib.suppress(FileNotFoundError):
        handle = os.open(path.with_name(path.name + "-wal"), os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not os.fstat(handle).st_size:  # closed normally: everything is in the tables
                return
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_directory(path.parent)


def _journal_mode(connection: apsw.Connection) -> object:
    """Set and return the journal mode. SQLite does not call the busy handler for this, so it is tried again here."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return connection.execute("PRAGMA journal_mode = WAL").get
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


def create(connection: apsw.Connection, log: str, log_id: bytes, created_at: int) -> None:
    """Create the tables of a log in an empty file."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(SCHEMA)
        meta = {"log": log, "log_id": log_id, "created_at": created_at}
        # Of several processes that create the file at once, the first one's id stands.
        connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", meta.items())
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def empty(log: str, log_id: bytes) -> apsw.Connection:
    """Return a connection to a log without records, in memory."""
    connection = apsw.Connection(":memory:")
    create(connection, log, log_id, 0)
    return connection


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Let one process at a time prepare a journal: two that set a new file's journal mode block each other.

    Raises Overloaded after a bounded wait. The lock goes with the process that holds it.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as e:
                if time.monotonic() > deadline:
                    msg = f"{directory} has been opened by another process for {WAIT_SECONDS} s: try again"
                    raise Overloaded(msg) from e
                time.sleep(0.002)
        yield
    finally:
        os.close(handle)


def prepare_directory(directory: Path) -> None:
    """Create a journal's directory; raise ReadOnly or Unavailable for one that cannot hold a journal."""
    try:
        there = next(place for place in (directory, *directory.absolute().parents) if place.exists())
        if not _is_writable(there):
            msg = f"{there} is not writable: give the store a directory of its own that is, or open it "
            msg += "read-only to read what is there (read_only=True)"
            raise ReadOnly(msg)
        make_directory(directory)
    except OSError as e:
        raise from_os(e, directory) from e
    kind = file_system(directory)
    if kind in NETWORK_FILE_SYSTEMS:
        msg = f"{directory} is on a network file system ({kind}), where SQLite's locks do not hold: use a local disk"
        raise Unavailable(msg)


def is_writable(path: Path) -> bool:
    """Return whether a journal's file, what SQLite keeps beside it, and their directory may be written to."""
    wal, shared_memory = sidecars(path)
    places = (path.parent, path, wal.parent, wal, shared_memory)
    return all(_is_writable(place) for place in places if place.exists())


def sidecars(path: Path) -> tuple[Path, Path]:
    """Return where SQLite keeps the write-ahead log and its shared memory: beside the file that a link leads to."""
    real = os.path.realpath(path)
    return Path(f"{real}-wal"), Path(f"{real}-shm")


def _is_writable(place: Path) -> bool:
    # The superuser may write to anything; a file without any write permission is respected all the same.
    return bool(place.stat().st_mode & 0o222) and os.access(place, os.W_OK)


def file_system(directory: Path) -> str:
    """Return the type of the file system that a directory is on, '' where the system does not tell."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    real = directory.resolve()
    best, kind = "", ""
    for line in filter(None, mounts.read_bytes().split(b"\n")):
        point, found = mount_of(line)
        if len(point) >= len(best) and real.is_relative_to(point):
            best, kind = point, found
    return kind


def mount_of(line: bytes) -> tuple[str, str]:
    """Return the directory and the type of a mounted file system: blanks in the name are written in octal."""
    _, point, kind, *_ = line.split(b" ")
    name = re.sub(rb"\\([0-7]{3})", lambda sign: bytes([int(sign[1], 8)]), point)
    return os.fsdecode(name), kind.decode("ascii", "replace")


_SYNCS = {apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_full(error: apsw.Error, system_errno: int) -> bool:
    """Return whether an error says that there is no room left."""
    if isinstance(error, apsw.IOError):
        # A sync that finds the disk full comes after the writes: what they wrote may be there all the same.
        return system_errno in FULL and getattr(error, "extendedresult", 0) not in _SYNCS
    return isinstance(error, apsw.FullError)


def from_os(error: OSError, path: Path) -> StoreError:
    """Return an error of the operating system as one of this project's."""
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return ReadOnly(f"{path} is not writable ({error.strerror}): give the store a directory of its own that is")
    if error.errno in FULL:
        return StorageFull(f"no room for {path} ({error.strerror}): make room and try again")
    return Unavailable(f"{path}: {error.strerror}: give the store another directory")


def from_copy(number: int, why: str, target: Path) -> StoreError:
    """Return why a copy could not be written as one of this project's errors, which names the copy and not the log."""
    # SQLite's message may be that of the other connection, and says "not an error" then: errno goes first.
    why = "disk full" if number == errno.ENOSPC else os.strerror(number) if number else why
    if number in FULL:
        return StorageFull(f"no room for the copy in {target} ({why}): make room there, or name another place for it")
    if number in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return ReadOnly(f"{target} is not writable ({why}): name another place for the copy")
    return Unavailable(f"the copy cannot be written to {target} ({why}): name another place for it")


def from_sqlite(error: apsw.Error, path: Path, system_errno: int = 0) -> StoreError:
    """Return an error of SQLite, met on opening or reading, as one of this project's."""
    if is_full(error, system_errno):
        return StorageFull(f"no room for {path} ({error}): nothing was written; make room and try again")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return Overloaded(
            f"{path} stayed locked by another process for {WAIT_SECONDS} s: nothing was written; try again, or end "
            "the process that holds it"
        )
    if isinstance(error, apsw.CorruptError) or re.search("no such|unsupported file format", str(error)):
        return CorruptJournal(0, f"{path} is damaged ({error})")
    if isinstance(error, apsw.NotADBError):
        return UnsupportedFormat(f"{path} is not a journal ({error}): give another directory, or restore a backup")
    if isinstance(error, apsw.ReadOnlyError):
        return ReadOnly(f"{path} is not writable ({error}): give the store a directory of its own that is")
    return Unavailable(f"{path}: {error}")
