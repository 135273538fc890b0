"""The journal in one SQLite file: it orders, stores and syncs, for every thread and process of a host."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import apsw
from typing_extensions import override

from eventstore import files
from eventstore.clock import Clock, SystemClock
from eventstore.errors import (
    InvalidEvent,
    OutcomeUnknown,
    StorageFull,
    StoreError,
)
from eventstore.journal import declared, drafts_of
from eventstore.journals import forks
from eventstore.journals.sequencing import Sequencer
from eventstore.journals.sqlite import maintenance, rows, schema
from eventstore.journals.sqlite.maintenance import Head
from eventstore.journals.sqlite.reading import SqliteSource
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from eventstore import merkle
    from eventstore.record import Batch, Record

VERSIONS_MAX = 100_000
# SQLite's write-ahead log is moved over in two steps: a thread of its own moves the bulk, then an appender moves
# the little that came meanwhile. Only a log that is moved over to its end starts again from its beginning.
CHECKPOINT_PAGES = 8_000


class SqliteJournal(SqliteSource):
    """One log in one file. One connection writes, behind a lock; others read, a page at a time.

    Raises ReadOnly, Unavailable, StorageFull, UnsupportedFormat or CorruptJournal on opening. `vfs` names an apsw
    VFS, for tests that make the disk fail.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, log: str = "main", clock: Clock | None = None, vfs: str | None = None
    ) -> None:
        super().__init__(path, log=log, vfs=vfs)
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._versions: dict[str, int] = {}
        self._types: set[tuple[str, int]] = set()
        self._data_version = -1
        self._moving = self._moved = False
        self._stop = threading.Event()
        self._kick = threading.Event()
        self.trouble = ""
        schema.check_place(self.path.parent)
        self._watermarks = Watermarks(self.path.parent / "watermarks")
        with self._translated(), schema.alone(self.path.parent):
            marks = self._watermarks.all()
            if not self.path.exists():
                maintenance.check_beginning(marks, self.path)
                files.create(self.path)
            self._writer = self._connect()
            try:
                self._prepare(marks)
            except BaseException:
                self._writer.close()
                raise
        self._opened_at = self._marked = self._head.position
        self._writer.set_wal_hook(self._on_wal)
        forks.opened(self)
        self._keeper = threading.Thread(target=self._keep, name=f"keeper of {self.path}", daemon=True)
        self._keeper.start()

    def _prepare(self, marks: Mapping[str, Watermark]) -> None:
        """Create the tables or check what is there, with the watermarks that were found beside it."""
        with self._translated(self._writer):
            if schema.is_new(self._writer):
                maintenance.check_beginning(marks, self.path)
            found, self.log_id = schema.prepare(self._writer, self.path, self.log, self._clock.now_ns())
            if found != self.log:
                msg = f"{self.path} is the journal of log {found!r}, not {self.log!r}: open it under its own name"
                raise InvalidEvent(msg)
            self._head = maintenance.check(self._writer, self.log, self.log_id, marks)

    # Writing

    def commit(self, groups: Sequence[Sequence[Batch]]) -> list[Sequence[Record] | StoreError]:
        self.check_open()
        with self._lock:
            try:
                return self._transaction(groups, careful=False)
            except apsw.ConstraintError:
                # One of the ids is known: find out which, and of whom, before anything is placed.
                return self._transaction(groups, careful=True)

    def append(self, batches: Sequence[Batch]) -> Sequence[Record]:
        outcome = self.commit([batches])[0]
        if isinstance(outcome, StoreError):
            raise outcome
        return outcome

    def _transaction(self, groups: Sequence[Sequence[Batch]], *, careful: bool) -> list[Sequence[Record] | StoreError]:
        self.check_open()
        self._begin()
        try:
            head = self._refresh()
            work = Sequencer(
                log=self.log,
                log_id=self.log_id,
                position=head.position,
                recorded_at=head.recorded_at,
                now_ns=self._clock.now_ns(),
                version=self._version,
                find=lambda ids: rows.find(self._writer, self.log, ids),
                careful=careful,
            )
            outcomes = [work.place(group) for group in groups]
            if not work.records:
                self._writer.execute("ROLLBACK")
                return outcomes
            frontier = self._store(work, head)
        except apsw.ConstraintError:
            self._rollback()
            raise
        except apsw.Error as e:
            full = self._writer.system_errno
            self._rollback()
            raise schema.from_sqlite(e, self.path, full) from e
        except BaseException:
            self._rollback()
            raise
        try:
            self._commit(groups)
            last = work.records[-1]
            self._publish(Head(last.position, last.recorded_at, last.digest, frontier), work)
        except BaseException:
            # Whether it was committed or not, nothing that is remembered counts any more.
            self._data_version = -1
            self._rollback()
            raise
        return outcomes

    def _begin(self) -> None:
        self._rollback()  # of what an interruption has left open
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except apsw.Error as e:
            raise schema.from_sqlite(e, self.path, self._writer.system_errno) from e

    def _refresh(self) -> Head:
        """Return the head inside the transaction; what is remembered counts only while nobody else has written."""
        data_version = self._writer.execute("PRAGMA data_version").get
        if data_version != self._data_version:
            self._versions.clear()
            self._types.clear()
            self._head = maintenance.read_head(self._writer)
            self._data_version = data_version
        return self._head

    def _store(self, work: Sequencer, head: Head) -> merkle.Frontier:
        writer, records = self._writer, work.records
        writer.executemany(rows.INSERT, [rows.row_of(record) for record in records])
        frontier = head.frontier.copy()
        completed = frontier.grow([record.digest for record in records])
        if completed:
            writer.executemany("INSERT INTO node VALUES (?, ?, ?)", completed)
        work.types = {(record.type, record.schema) for record in records} - self._types
        for kind in work.types:
            self._store_type(*kind)
        head_row = (work.position, work.recorded_at, frontier.to_bytes())
        writer.execute("UPDATE head SET position = ?, recorded_at = ?, frontier = ?", head_row)
        return frontier

    def _store_type(self, name: str, schema: int) -> None:
        """Keep what any process needs to know of a type that has no class for it."""
        self._writer.execute(rows.INSERT_TYPE, rows.row_of_type(declared(name, schema)))

    def _commit(self, groups: Sequence[Sequence[Batch]]) -> None:
        try:
            self._writer.execute("COMMIT")
        except apsw.Error as e:
            if schema.is_full(e, self._writer.system_errno):
                # The commit frame is the last to be written: without room for it, nothing counts.
                self._rollback()
                msg = f"no room for {self.path} ({e}): nothing was written; make room and try again"
                raise StorageFull(msg) from e
            self._closed = f"a sync of {self.path} failed ({e}): close the store and open it again"
            ids = [draft.id for group in groups for draft in drafts_of(group)]
            raise OutcomeUnknown(ids, str(e)) from e

    def _rollback(self) -> None:
        if self._writer.in_transaction:
            with contextlib.suppress(apsw.Error):  # the error that led here is the one to tell
                self._writer.execute("ROLLBACK")

    def _publish(self, head: Head, work: Sequencer) -> None:
        self._head = head
        if len(self._versions) + len(work.versions) > VERSIONS_MAX:
            self._versions.clear()
        self._versions.update(work.versions)
        self._types |= work.types
        if self._moved:
            self._moved = self._moving = False
            try:
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.Error as e:
                # The log has what the tables lack: told, and tried again when it has grown on.
                self.trouble = str(e)
        with self._growing:
            self._grown.notify_all()

    def _version(self, stream: str) -> int:
        version = self._versions.get(stream)
        return rows.version(self._writer, stream) if version is None else version

    def close(self) -> None:
        if self._closed and self._stop.is_set():
            return
        self._stop.set()
        self._kick.set()
        self._keeper.join()
        with self._lock:
            failed, self._closed = self._closed, f"{self.path} is closed: open the store again"
            forks.closed(self)
            # Who only reads knows of no newer head than the watermark that the writers keep.
            if not failed and self._head.position != self._opened_at:
                with contextlib.suppress(OSError):  # an older watermark is true as well
                    self._mark(synced=True)
            self._close_readers()
            self._writer.close()

    def _keep(self) -> None:
        """Move the write-ahead log over and write the head's watermark, away from those who append."""
        looked = time.monotonic()
        while not self._stop.is_set():
            self._kick.wait(1.0)
            self._kick.clear()
            now = time.monotonic()
            try:
                if self._moving and not self._moved:
                    with self._reader() as connection:
                        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                    self._moved = True
                if self._head.position != self._marked and now - looked >= 1.0:
                    self._mark(synced=False)
                    looked = now
            except (StoreError, OSError) as e:
                # Neither is needed for a promise, and a full disk may have room again: told, and tried again.
                self.trouble = str(e)
            else:
                self.trouble = ""

    def _mark(self, *, synced: bool) -> None:
        head = self._head
        mark = Watermark(self.log_id.hex(), head.position, head.digest.hex())
        self._watermarks.write("head", mark, synced=synced)
        self._marked = head.position

    def _on_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages > CHECKPOINT_PAGES and not self._moving:
            self._moving = True
            self._kick.set()
        return apsw.SQLITE_OK

    @override
    def inherited(self) -> None:
        super().inherited()
        self._stop.set()

    @override
    def __repr__(self) -> str:
        state = f"closed ({self._closed})" if self._closed else f"at {self._head.position}"
        return f"<SqliteJournal {self.log} in {self.path} {state}>"
