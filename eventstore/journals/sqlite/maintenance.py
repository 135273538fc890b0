"""Maintenance of the journal's file: what is checked on opening, and backups."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING, NamedTuple

import apsw
from typing_extensions import override

from eventstore import files
from eventstore.errors import CorruptJournal, StoreError, TargetExists
from eventstore.journals.heads import Head, check_marks, check_tail
from eventstore.journals.sqlite import read_only_files, rows, schema
from eventstore.journals.sqlite.definitions import check_definitions, check_settings
from eventstore.journals.sqlite.wal import LOOK_AGAIN_SECONDS, wal_bytes
from eventstore.journals.sqlite.wal_damage import Damage, damage
from eventstore.proofs import merkle
from eventstore.trading.logs import LOG_ENDED
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class DamagedWal(NamedTuple):
    """What is damaged in a write-ahead log, and the last position that is read without what it has lost."""

    damage: Damage
    head: int | None

    @override
    def __str__(self) -> str:
        frame, frames = self.damage
        place = f"at frame {frame:,} of {frames:,}" if frame else f"in its header, before {frames:,} frames"
        after = f"after position {self.head:,}" if self.head else "of the whole log"
        return f"the write-ahead log is damaged {place}: acknowledged records {after} may be lost"


def damaged_wal(path: Path) -> DamagedWal | None:
    """Return what is damaged in the write-ahead log of a journal, None where nothing is known; nothing is changed.

    Not through the connections that stay open: what SQLite ignores when it recovers the log is written over by the next
    commit.
    """
    first = _inspect_wal(path)
    if first is None:
        return None
    # A process that is appending right now has written some frames in part: they differ at the second look.
    time.sleep(LOOK_AGAIN_SECONDS)
    return first if _inspect_wal(path) == first else None


def _inspect_wal(path: Path) -> DamagedWal | None:
    if not wal_bytes(path):
        return None
    files_ = read_only_files.files_of(path)
    try:
        recovered = read_only_files.recovered(files_)
        found = damage(files_.wal, recovered.frames, recovered.page_bytes)
    except (apsw.Error, OSError):
        # What keeps the files from being read is reported when they are opened.
        return None
    return None if found is None else DamagedWal(found, recovered.head)


def check_wal(path: Path) -> None:
    """Raise CorruptJournal for a write-ahead log that lost what was acknowledged, before it is opened to be written."""
    found = damaged_wal(path)
    if found is not None:
        cure = f"copy {path.parent} to keep what is left (it opens with read_only), then restore a backup or the mirror"
        raise CorruptJournal((found.head or 0) + 1, f"{found}. Nothing was changed: {cure}")


def is_of_log(path: Path, vfs: str | None, log_id: bytes) -> bool:
    """Return whether a journal's file, read again, is still a log's."""
    try:
        with contextlib.closing(schema.connect(path, vfs)) as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = 'log_id'").get
    except apsw.BusyError:
        return True
    except (apsw.Error, StoreError):
        return False
    return bool(found == log_id)


def read_head(connection: apsw.Connection) -> Head:
    """Return the head's row with the digest of the record there; raise CorruptJournal where they do not meet."""
    # Compared there: a type that is not text is the record's fault, which is found with its digest.
    sql = (
        "SELECT h.position, h.recorded_at, e.digest, h.frontier, e.type IS ? FROM head h "
        "LEFT JOIN event e USING (position)"
    )
    return Head.of(connection.execute(sql, (LOG_ENDED,)).fetchone())


def check(connection: apsw.Connection, log: str, log_id: bytes, marks: Mapping[str, Watermark]) -> Head:
    """Check definitions, head, tree, last 256 digests and watermarks; return the head or raise CorruptJournal."""
    # One read transaction, so that others who append meanwhile do not make the parts disagree.
    connection.execute("BEGIN")
    try:
        return _checked(connection, log, log_id, marks)
    finally:
        connection.execute("ROLLBACK")


def _checked(connection: apsw.Connection, log: str, log_id: bytes, marks: Mapping[str, Watermark]) -> Head:
    check_settings(connection)
    check_definitions(connection)
    head = read_head(connection)
    check_tail(
        head,
        connection.execute("SELECT coalesce(max(position), 0) FROM event").get,
        log_id,
        lambda query: rows.page(connection, log, query),
        lambda level, number: nodes(connection, level, number, number),
    )
    check_marks(head, log_id, marks, lambda position: rows.digest_at(connection, position))
    return head


def nodes(connection: apsw.Connection, level: int, first: int, last: int) -> list[merkle.Node]:
    """Return the stored nodes of a level whose number is from `first` to `last`."""
    sql = "SELECT level, number, hash FROM node WHERE level = ? AND number BETWEEN ? AND ? ORDER BY number"
    found = [merkle.Node(*row) for row in connection.execute(sql, (level, first, last))]
    if damaged := [node.number for node in found if type(node.hash) is not bytes]:
        at = (damaged[0] << level) + 1
        raise CorruptJournal(at, f"the tree's node {damaged[0]} of level {level} is malformed: it was changed")
    return found


def check_no_log_was_lost(marks: Mapping[str, Watermark], path: Path) -> None:
    """Raise CorruptJournal if a new log would begin beside the watermarks of one that had records."""
    for name, mark in marks.items():
        if mark.position:
            seen = f"there is no journal {path}, and the watermark {name} beside it saw position {mark.position}"
            cure = "bring the journal back; to begin a new log, move the folder of the watermarks away"
            raise CorruptJournal(1, f"{seen}: acknowledged records are lost ({cure})")


def backup(reader: apsw.Connection, target: Path, log_id: bytes) -> None:
    """Copy the file as of one instant to a new place, with its watermark, synced.

    What the place refuses is said of it, and not of the journal: raises TargetExists, StorageFull, ReadOnly and
    Unavailable.
    """
    try:
        if os.path.lexists(target):
            msg = f"{target} exists already: name a new place for the copy"
            raise TargetExists(msg)
        files.make_directory(target.parent)
        files.sync_ancestors(target.parent)
        with files.temporary(target) as temporary:
            head = _copied(reader, temporary, target)
            files.publish(temporary, target)
        if head.position:
            mark = Watermark(log_id.hex(), head.position, head.digest.hex())
            Watermarks(target.parent / "watermarks").write("head", mark)
    except OSError as e:
        raise schema.from_copy(e.errno or 0, e.strerror or str(e), target.parent) from e


def _copied(reader: apsw.Connection, temporary: Path, target: Path) -> Head:
    copy = None
    try:
        copy = apsw.Connection(str(temporary))
        with copy.backup("main", reader, "main") as step:
            # All pages at once, under one read lock: what is committed meanwhile stays out.
            step.step(-1)
        copy.execute("PRAGMA journal_mode = DELETE")
        return read_head(copy)
    except (apsw.FullError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.IOError) as e:
        number = 0 if copy is None else copy.system_errno
        if isinstance(e, apsw.IOError) and not number:
            raise  # not of the copy: the journal could not be read
        raise schema.from_copy(errno.ENOSPC if isinstance(e, apsw.FullError) else number, str(e), target.parent) from e
    finally:
        if copy is not None:
            copy.close()
