"""The index of a write-ahead log, which all connections of a process share: who only reads makes way for who appends.

SQLite opens it once in a process, the way the first connection asks for. Where that one only reads, every later one is
refused what it would write, for as long as any of them is open.
"""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from typing import TYPE_CHECKING, Protocol

import apsw

from eventstore.errors import Unavailable
from eventstore.journals.sqlite import schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TRY_AGAIN_SECONDS = 0.002


class IndexReader(Protocol):
    """A journal that only reads."""

    path: Path

    def make_way(self) -> bool:
        """Close the connections that no thread uses; return whether none is open. Later ones open the index again."""


_readers: list[weakref.ref[IndexReader]] = []
# Those of a fork's parent are not to be touched.
os.register_at_fork(after_in_child=_readers.clear)


def reads(reader: IndexReader) -> None:
    """Take note of a journal before its first connection."""
    _readers.append(weakref.ref(reader, _forget))


def _forget(reader: weakref.ref[IndexReader]) -> None:
    with contextlib.suppress(ValueError):
        _readers.remove(reader)


def connect(path: Path, vfs: str | None) -> apsw.Connection:
    """Return a connection that may write, whichever stores of this process read the same file.

    Raises Unavailable where one of them reads for as long as an append waits.
    """
    deadline = time.monotonic() + schema.WAIT_SECONDS
    while True:
        connection = _connected(path, vfs)
        readers = _readers_of(path)
        if not readers or _may_write(connection):
            return connection
        connection.close()
        _let_go(readers, path, deadline)


def _let_go(readers: Sequence[IndexReader], path: Path, deadline: float) -> None:
    # All of them at once: one that reads on opens the index for the others again.
    while time.monotonic() < deadline:
        if all([reader.make_way() for reader in readers]):  # noqa: C419 - each is asked
            return
        time.sleep(TRY_AGAIN_SECONDS)
    msg = f"{path} is being read by a read-only store of this process: try again, or close that one"
    raise Unavailable(msg)


def _connected(path: Path, vfs: str | None) -> apsw.Connection:
    """Open a connection that has the index open: a connection that only reads and comes later shares it as it is."""
    connection = schema.connect(path, vfs)
    try:
        connection.execute("PRAGMA schema_version").fetchall()
    except BaseException as e:
        number = connection.system_errno
        # A journal that is refused stays as it is, its write-ahead log included.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.close()
        if isinstance(e, apsw.Error):
            raise schema.from_sqlite(e, path, number) from e
        raise
    return connection


def _readers_of(path: Path) -> list[IndexReader]:
    real = os.path.realpath(path)
    readers = [reference() for reference in _readers.copy()]
    return [reader for reader in readers if reader is not None and os.path.realpath(reader.path) == real]


def _may_write(connection: apsw.Connection) -> bool:
    connection.set_busy_handler(None)
    try:
        connection.execute("BEGIN IMMEDIATE; ROLLBACK").fetchall()
    except apsw.BusyError:
        # Somebody else writes: it is asked for after the index.
        return True
    except apsw.ReadOnlyError:
        return False
    finally:
        connection.set_busy_handler(schema.busy_handler(schema.WAIT_SECONDS))
    return True
