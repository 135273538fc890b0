"""The journal in one SQLite file: it orders, stores and syncs, for every thread and process of a host."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import apsw
from typing_extensions import override

from eventstore import files
from eventstore.clock import Clock, SystemClock, wall_ns
from eventstore.errors import Closed, InvalidEvent, OutcomeUnknown, StorageFull, StoreError
from eventstore.journal import declared, drafts_of
from eventstore.journals import forks
from eventstore.journals.keeper import Keeper
from eventstore.journals.sequencing import Sequencer
from eventstore.journals.sqlite import maintenance, rows, schema
from eventstore.journals.sqlite.identity import Identity
from eventstore.journals.sqlite.maintenance import Head
from eventstore.journals.sqlite.reading import SqliteSource
from eventstore.journals.sqlite.wal import wal_bytes
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from eventstore.journal import Group, Outcome
    from eventstore.proofs import merkle

VERSIONS_MAX = 100_000
# SQLite's write-ahead log is moved over in two steps: a thread of its own moves the bulk, then an appender moves
# the little that came meanwhile. Only a log that is moved over to its end starts again from its beginning.
CHECKPOINT_PAGES = 8_000
BLOCKED_SECONDS = 0.1


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
        self._moving = self._moved = self._is_stopped = False
        self._checkpoint_trouble = ""
        self._tried_at = 0.0
        self._checkpointer: apsw.Connection | None = None
        self._identity: Identity | None = None
        schema.check_place(self.path.parent)
        self._watermarks = Watermarks(self.path.parent / "watermarks")
        with self._translated(), schema.alone(self.path.parent):
            marks = self._watermarks.all()
            if not self.path.exists():
                maintenance.check_beginning(marks, self.path)
                files.create(self.path)
            maintenance.check_wal(self.path)
            self._writer = schema.connect(self.path, self._vfs)
            try:
                self._prepare(marks)
                page_bytes = int(self._writer.execute("PRAGMA page_size").get)
                self._identity = Identity(self.path, page_bytes, self._is_own)
            except BaseException:
                # What is refused stays as it is, the write-ahead log too.
                self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                self._writer.close()
                raise
        self._opened_at = self._marked = self._head.position
        self._marked_at = time.monotonic()
        self._writer.set_wal_hook(self._on_wal)
        forks.opened(self)
        self._keeper = Keeper(
            f"keeper of {self.path}", (self._look, self._move_over, self._shrink, self._mark_at_times)
        )

    def _prepare(self, marks: Mapping[str, Watermark]) -> None:
        """Create the tables or check what is there, with the watermarks that were found beside it."""
        with self._translated(self._writer):
            if schema.is_new(self._writer):
                maintenance.check_beginning(marks, self.path)
            found, self.log_id = schema.prepare(self._writer, self.path, self.log, wall_ns(self._clock))
            if found != self.log:
                msg = f"{self.path} is the journal of log {found!r}, not {self.log!r}: open it under its own name"
                raise InvalidEvent(msg)
            self._head = maintenance.check(self._writer, self.log, self.log_id, marks)

    # Writing

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        self.check_open()
        with self._lock:
            try:
                return self._transaction(groups, careful=False)
            except apsw.ConstraintError:
                # One of the ids is known: find out which, and of whom, before anything is placed.
                return self._transaction(groups, careful=True)

    def _transaction(self, groups: Sequence[Group], *, careful: bool) -> list[Outcome]:
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
        assert self._identity is not None
        if fault := self._identity.fault_before(self._frames):
            self._abandon(fault)
            self.check_open()
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

    def _commit(self, groups: Sequence[Group]) -> None:
        try:
            self._writer.execute("COMMIT")
        except apsw.Error as e:
            if schema.is_full(e, self._writer.system_errno):
                # The commit frame is the last to be written: without room for it, nothing counts.
                self._rollback()
                msg = f"no room for {self.path} ({e}): nothing was written; make room and try again"
                raise StorageFull(msg) from e
            self._closed = f"a sync of {self.path} failed ({e}): close the store and open it again"
            raise OutcomeUnknown(_ids_of(groups), str(e)) from e
        # A file that has no name any more is synced as well as any other.
        if fault := self._fault():
            raise OutcomeUnknown(_ids_of(groups), fault)

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
                # The log has what the tables lack: reported, and tried again when it has grown on.
                self._checkpoint_trouble = str(e)
            else:
                self._checkpoint_trouble = ""
        with self._growing:
            self._grown.notify_all()

    def _version(self, stream: str) -> int:
        version = self._versions.get(stream)
        return rows.version(self._writer, stream) if version is None else version

    @property
    @override
    def trouble(self) -> str:
        return self._keeper.trouble or self._checkpoint_trouble

    def close(self) -> None:
        if self._is_stopped:
            return
        self._is_stopped = True
        self._keeper.stop()
        with self._lock:
            if not self._closed:
                self._fault()
            failed, self._closed = self._closed, f"{self.path} is closed: open the store again"
            forks.closed(self)
            # Who only reads knows of no newer head than the watermark that the writers keep.
            if not failed and self._head.position != self._opened_at:
                with contextlib.suppress(OSError):  # an older watermark is true as well
                    self._mark(synced=True)
            self._close_readers()
            if self._checkpointer is not None:
                self._checkpointer.close()
            self._writer.close()
            self._watermarks.close()
            if self._identity is not None:
                self._identity.close()

    def _look(self) -> None:
        """See whether the files are what they were, so that those who only read learn of it too."""
        # Whoever holds the lock appends, and looks for itself.
        if self._lock.acquire(blocking=False):
            try:
                if not self._closed:
                    self._fault()
            finally:
                self._lock.release()

    def _move_over(self) -> None:
        """Move what the write-ahead log has into the tables."""
        if not self._moving or self._moved or self._closed:
            return
        pages, moved = self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
        # Where somebody still reads an older state, all of it cannot be moved: tried again later.
        self._moved, self._tried_at = moved >= pages, time.monotonic()

    def _shrink(self) -> None:
        """Give back the room that the write-ahead log took while somebody kept it from being begun anew."""
        if self._closed or (self._moving and not self._moved) or wal_bytes(self.path) <= schema.WAL_BYTES_MAX:
            return
        pages, moved = self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
        if moved >= pages:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _checkpoint(self, mode: int) -> tuple[int, int]:
        """Checkpoint without waiting for anybody; return the frames that there are and those that are moved over."""
        with self._translated():
            if self._checkpointer is None:
                self._checkpointer = self._connect()
                self._checkpointer.set_busy_handler(None)
            try:
                return self._checkpointer.wal_checkpoint(mode=mode)
            except apsw.BusyError:  # somebody reads, appends or checkpoints just now
                return 1, 0

    def _mark_at_times(self) -> None:
        now = time.monotonic()
        if not self._closed and self._head.position != self._marked and now - self._marked_at >= 1.0:
            self._mark(synced=False)
            self._marked_at = now

    def _mark(self, *, synced: bool) -> None:
        head = self._head
        mark = Watermark(self.log_id.hex(), head.position, head.digest.hex())
        self._watermarks.write("head", mark, synced=synced)
        self._marked = head.position

    def _on_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        assert self._identity is not None
        self._identity.committed(pages)
        if pages > CHECKPOINT_PAGES and not self._moved:
            now = time.monotonic()
            # Tried again now and then where somebody kept all of it from being moved.
            if not self._moving or now - self._tried_at > BLOCKED_SECONDS:
                self._moving, self._tried_at = True, now
                self._keeper.wake()
        return apsw.SQLITE_OK

    # Whether the files are what they were

    def _fault(self) -> str:
        """Return what has become of the files, '' where they are as they were; closed from then on.

        The lock is held. What is found has happened after the last commit that was acknowledged, or during this one.
        """
        assert self._identity is not None
        fault = self._identity.fault(self._frames)
        if fault:
            self._abandon(fault)
        return fault

    def _abandon(self, fault: str) -> None:
        """Close for good, without touching what may be another log's by now."""
        if self._closed:
            return
        assert self._identity is not None
        # SQLite would move the write-ahead log into a file that is not the one it belongs to.
        self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if self._identity.is_only_wal_gone():
            with contextlib.suppress(apsw.Error):
                pages, moved = self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                fault += "; all its records are in the journal" if moved >= pages else "; records may be lost"
        self._closed = self._advice(fault)
        if self._identity.is_in_no_others_place():
            # The journal has left its folder, or lost what was in it: whoever opens that again is to learn so.
            with contextlib.suppress(OSError):
                self._mark(synced=True)

    def _is_own(self) -> bool:
        """Tell whether the journal's file, read anew, is still this log's."""
        try:
            with contextlib.closing(schema.connect(self.path, self._vfs)) as connection:
                found = connection.execute("SELECT value FROM meta WHERE key = 'log_id'").get
        except apsw.BusyError:
            return True
        except (apsw.Error, StoreError):
            return False
        return bool(found == self.log_id)

    def _advice(self, fault: str) -> str:
        return f"{fault}. Close the store, see what is in {self.path.parent}, and open it again"

    def _frames(self) -> int:
        """Return how many frames the write-ahead log has, by its index."""
        return int(self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0])

    @override
    def _connect(self) -> apsw.Connection:
        assert self._identity is not None
        try:
            return super()._connect()
        finally:
            # Opened or not, it may be of whatever has taken the journal's name.
            if fault := self._identity.moved():
                msg = self._advice(fault)
                raise Closed(msg)

    @override
    def inherited(self) -> None:
        super().inherited()
        self._keeper.abandon()

    @override
    def __repr__(self) -> str:
        state = f"closed ({self._closed})" if self._closed else f"at {self._head.position}"
        return f"<SqliteJournal {self.log} in {self.path} {state}>"


def _ids_of(groups: Sequence[Group]) -> list[bytes]:
    return [draft.id for group in groups for draft in drafts_of(group)]
