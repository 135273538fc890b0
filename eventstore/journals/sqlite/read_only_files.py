"""Opening a journal's file without writing anything beside it, with or without a process that appends."""

from __future__ import annotations

import contextlib
import os
import urllib.parse
from pathlib import Path
from typing import NamedTuple

import apsw
from typing_extensions import override

from eventstore.errors import Unavailable, UnsupportedFormat
from eventstore.journals.sqlite import schema

# Bytes 18 and 19 of a SQLite file are its write and read version: 1 for a rollback journal, 2 for WAL.
_HEADER_BYTES = 100
_VERSIONS = slice(18, 20)
_ROLLBACK = b"\x01\x01"
_WRITING = (
    apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_DELETEONCLOSE | apsw.SQLITE_OPEN_EXCLUSIVE
)
_OWNED = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class Files(NamedTuple):
    """Where a journal's file is, and where SQLite keeps what belongs to it: beside the file that a link leads to."""

    database: Path
    wal: Path
    shared_memory: Path


class State(NamedTuple):
    """What reveals a change of the files while no process should write to them; None for a missing file."""

    database: tuple[int, ...] | None
    wal: tuple[int, ...] | None
    shared_memory: bool


class Recovered(NamedTuple):
    """What SQLite takes a write-ahead log for: how many frames it accepts, and the head that they lead to."""

    frames: int
    page_bytes: int
    head: int | None


class ReadOnlyVfs(apsw.VFS):
    """SQLite's own file access, except that it opens everything for reading, creates nothing and deletes nothing."""

    def __init__(self, name: str, file: type[apsw.VFSFile]) -> None:
        super().__init__(name, "unix")
        self.name = name
        self._file = file

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        if name is None:
            raise apsw.CantOpenError("a connection that only reads has no temporary files")  # noqa: EM101, TRY003 - SQLite's
        if flags[0] & apsw.SQLITE_OPEN_WAL and not os.path.lexists(str(name)):
            # SQLite creates a write-ahead log that is missing; an empty one says the same.
            name = os.devnull
        flags[0] = flags[0] & ~_WRITING | apsw.SQLITE_OPEN_READONLY
        if flags[0] & _OWNED:
            # For the superuser, SQLite gives these files the owner of the database's.
            flags[0] = flags[0] & ~_OWNED | apsw.SQLITE_OPEN_SUPER_JOURNAL
        return self._file("unix", name, flags)

    @override
    def xDelete(self, filename: str, syncdir: bool) -> None:
        raise apsw.ReadOnlyError(f"{filename} is not deleted by a connection that only reads")  # noqa: EM102, TRY003 - SQLite's


class _RecoveringVfs(ReadOnlyVfs):
    """Lets SQLite count a write-ahead log's frames, which it does not for a log that is opened read-only."""

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        is_wal = flags[0] & apsw.SQLITE_OPEN_WAL
        file = super().xOpen(name, flags)
        if is_wal:
            flags[1] = flags[1] & ~apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_READWRITE
        return file


class _UnlockedFile(apsw.VFSFile):
    """A file without locks: SQLite reads a write-ahead log without shared memory only for who holds them all."""

    @override
    def xLock(self, level: int) -> None:
        pass

    @override
    def xUnlock(self, level: int) -> None:
        pass

    @override
    def xCheckReservedLock(self) -> bool:
        return False


# Registered with SQLite for as long as they are referred to.
LOCKED = ReadOnlyVfs("eventstore-read-only", apsw.VFSFile)
UNLOCKED = ReadOnlyVfs("eventstore-read-only-unlocked", _UnlockedFile)
RECOVERING = _RecoveringVfs("eventstore-recovering", _UnlockedFile)


def files_of(path: Path) -> Files:
    """Return a journal's files, by names without links, which apsw takes for errors."""
    return Files(Path(os.path.realpath(path)), *schema.sidecars(path))


def state_of(files: Files) -> State:
    """Return what the files of a journal are like now."""
    return State(_identity(files.database), _identity(files.wal), os.path.lexists(files.shared_memory))


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def is_without_writer(files: Files) -> bool:
    """Return whether no process on this host writes to a journal, so that no locks need to be taken.

    A writer in WAL mode holds the shared memory's file; with a rollback journal SQLite's locks need no file. Raises
    UnsupportedFormat, and Unavailable where it cannot be known.
    """
    for needed in files:
        if not os.path.lexists(needed):
            continue
        if needed.exists() and not needed.is_file():
            # A pipe would be waited for.
            msg = f"{needed} is not a regular file: this is not a log, or not all of one"
            raise Unavailable(msg)
        if not os.access(needed, os.R_OK):
            msg = f"{needed} cannot be read: get the right to read it, or ask its owner for a backup"
            raise Unavailable(msg)
    versions = _versions(files.database)
    if os.path.lexists(files.shared_memory):
        return False
    return os.path.lexists(files.wal) or versions != _ROLLBACK


def _versions(path: Path) -> bytes:
    # Through SQLite, which shares its files: another handle of this process, once closed, would drop its locks.
    file = apsw.VFSFile("unix", str(path), [apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_MAIN_DB, 0])
    try:
        if file.xFileSize() < _HEADER_BYTES:
            msg = f"{path} is not a journal (it has no header): give another directory, or restore a backup"
            raise UnsupportedFormat(msg)
        return file.xRead(_HEADER_BYTES, 0)[_VERSIONS]
    finally:
        file.xClose()


def connect(files: Files, *, locking: bool) -> apsw.Connection:
    """Open a connection that only reads: with SQLite's locks beside those who write, without locks if there is none."""
    return _connected(files, LOCKED if locking else UNLOCKED)


def recovered(files: Files) -> Recovered:
    """Let SQLite recover a write-ahead log in its own memory: nothing is locked, and nothing is written."""
    with contextlib.closing(_connected(files, RECOVERING)) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'head'").get
        head = connection.execute("SELECT position FROM head").get if tables else None
        frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        page_bytes = int(connection.execute("PRAGMA page_size").get)
        return Recovered(max(frames, 0), page_bytes, head if type(head) is int else None)


def _connected(files: Files, vfs: ReadOnlyVfs) -> apsw.Connection:
    # Quoted, since a path may hold what means something else in a URI.
    uri = f"file:{urllib.parse.quote(os.fsencode(files.database))}?readonly_shm=1"
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs=vfs.name)
    try:
        # Closing would move the write-ahead log over.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if vfs is not LOCKED:
            # Before anything else: other settings read the file.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        schema.configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection
