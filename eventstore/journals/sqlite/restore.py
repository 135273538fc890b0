"""Restoring a journal's file from records that have their places already, proved while they are written."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import apsw

from eventstore import files
from eventstore.errors import CorruptJournal, TargetExists
from eventstore.journal import declared
from eventstore.journals.placed import GAP, PlacedRecords
from eventstore.journals.sqlite import rows, schema
from eventstore.journals.type_table import row_of_type
from eventstore.trading.logs import LOG_ENDED
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from eventstore.journal import TypeRow
    from eventstore.record import Record


class Restoration:
    """One new file, under a temporary name until `finish`. Raises TargetExists where there is a journal already.

    Its directory is locked meanwhile, so that nobody begins a log there; what a killed process has left is removed.
    """

    def __init__(
        self, target: Path, log: str, log_id: bytes, *, created_at: int, types: Sequence[TypeRow] = ()
    ) -> None:
        parents = (target.parent, *target.absolute().parent.parents)
        self._made = [place for place in parents if not place.exists()]
        schema.prepare_directory(target.parent)
        self._placed = PlacedRecords(log_id)
        self.tree = self._placed.tree
        self._target, self._log_id = target, log_id
        self._temporary = target.with_name(files.temporary_name(target.name))
        self._held = contextlib.ExitStack()
        self._undo = contextlib.ExitStack()
        self._beside: tuple[Mapping[str, Watermark], Mapping[str, bytes]] = {}, {}
        try:
            self._held.enter_context(schema.exclusive(target.parent))
            self._connection = self._opened()
            self._held.callback(self._connection.close)
            # Nothing relies on the file until it has its name: it is synced once, at its end.
            self._connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}; PRAGMA synchronous = OFF")
            schema.create(self._connection, log, log_id, created_at)
            self.add_types(types)
        except BaseException:
            self.abandon()
            raise

    def _opened(self) -> apsw.Connection:
        target = self._target
        if target.exists():
            msg = f"{target} exists already: a journal is restored where there is none"
            raise TargetExists(msg)
        for left in target.parent.glob(f".{target.name}.*"):
            left.unlink()
        files.create(self._temporary)
        return apsw.Connection(str(self._temporary))

    def add_types(self, types: Sequence[TypeRow]) -> None:
        """Write what is kept of types, whether or not there are records of each."""
        self._connection.executemany(rows.INSERT_TYPE, [row_of_type(kind) for kind in types])

    def keep(self, marks: Mapping[str, Watermark], documents: Mapping[str, bytes]) -> None:
        """Write, at the end, what lies beside the log."""
        self._beside = marks, documents

    def add(self, records: Sequence[Record]) -> None:
        """Write the records that follow; raise CorruptJournal for one that no journal can have recorded here."""
        self._placed.check(records)
        with self._connection:
            try:
                self._connection.executemany(rows.INSERT, [rows.row_of(record) for record in records])
            except apsw.ConstraintError as e:
                raise CorruptJournal(self.tree.size + 1, f"an id or a stream's version is there twice: {e}") from e
            self._connection.executemany("INSERT INTO node VALUES (?, ?, ?)", self._placed.grow(records))

    def finish(self) -> None:
        """Write the head, check the versions, sync, and give the file its name."""
        connection, last = self._connection, self._placed.last
        if last is not None:
            head = (last.position, last.recorded_at, self.tree.to_bytes())
            connection.execute("UPDATE head SET position = ?, recorded_at = ?, frontier = ?", head)
            if last.type == LOG_ENDED:
                # As the transaction that ended the log has set it: an earlier version would append behind its end.
                connection.execute(f"PRAGMA user_version = {schema.ENDED_FORMAT}")
        self._placed.check_gap(connection.execute(GAP).fetchone())
        self._match_types()
        connection.close()
        # Before the file: what is decided by a cursor must not find the log without it. Until the file is there, the
        # marks keep others from beginning a new log.
        self._write_beside()
        files.publish(self._temporary, self._target)
        self._undo.pop_all()
        files.sync_ancestors(self._target.parent)
        if last is not None:
            mark = Watermark(self._log_id.hex(), last.position, last.digest.hex())
            Watermarks(self._target.parent / "watermarks").write("head", mark)
        self._held.close()

    def _write_beside(self) -> None:
        directory, (marks, documents) = self._target.parent, self._beside
        for name, content in documents.items():
            self._undo.callback((directory / name).unlink, missing_ok=True)
            files.replace(directory / name, content)
        watermarks = Watermarks(directory / "watermarks")
        if marks:
            self._undo.callback(_remove_empty, watermarks.directory)
        for name, mark in marks.items():
            self._undo.callback((watermarks.directory / name).unlink, missing_ok=True)
            watermarks.write(name, mark)
        watermarks.close()

    def _match_types(self) -> None:
        """Let the type table have just the records' types: a source may keep others, past a cut, or lack some."""
        connection = self._connection
        occurring = set(connection.execute("SELECT DISTINCT type, schema FROM event NOT INDEXED"))
        kept = set(connection.execute("SELECT name, schema FROM type"))
        connection.executemany("DELETE FROM type WHERE name = ? AND schema = ?", kept - occurring)
        missing = [row_of_type(declared(str(name), int(schema))) for name, schema in occurring - kept]
        connection.executemany(rows.INSERT_TYPE, missing)

    def abandon(self) -> None:
        """Leave nothing behind; after `finish` it does nothing."""
        self._undo.close()
        self._held.close()
        self._temporary.unlink(missing_ok=True)
        for place in self._made:
            # One that is not empty has the restored journal, or something of another process.
            _remove_empty(place)


def _remove_empty(directory: Path) -> None:
    """Remove a directory unless it holds anything."""
    with contextlib.suppress(OSError):
        directory.rmdir()
