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
from eventstore.errors import Closed, InvalidEvent, OutcomeUnknown, StorageFull
from eventstore.journal import declared, drafts_of
from eventstore.journals import forks
from eventstore.journals.background import BackgroundTasks
from eventstore.journals.heads import Head
from eventstore.journals.repetitions import REPORTS, REPORTS_MAX, Tails
from eventstore.journals.sequencing import Sequencer
from eventstore.journals.sqlite import checkpointing, maintenance, rows, schema, shared_index
from eventstore.journals.sqlite.checkpointing import Checkpoints
from eventstore.journals.sqlite.identity import Identity
from eventstore.journals.sqlite.reading import SqliteSource
from eventstore.journals.sqlite.reservation import Reservation
from eventstore.journals.sqlite.turns import Turn
from eventstore.journals.type_table import row_of_type
from eventstore.trading.logs import LOG_ENDED
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from eventstore.journal import Group, Outcome
    from eventstore.proofs import merkle
    from eventstore.record import Record

VERSIONS_MAX = 100_000


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
        self.turn = Turn(self._lock, self._begin, self._rollback)
        self._versions: dict[str, int] = {}
        self._types: set[tuple[str, int]] = set()
        self._tails = Tails(self._recent_reports)
        self._data_version = -1
        self._is_stopped = False
        self._checkpoints = Checkpoints(self.path, self._connect)
        self._identity: Identity | None = None
        schema.prepare_directory(self.path.parent)
        self._watermarks = Watermarks(self.path.parent / "watermarks")
        with self._translated(), schema.exclusive(self.path.parent):
            marks = self._watermarks.all()
            if not self.path.exists():
                maintenance.check_no_log_was_lost(marks, self.path)
                files.create(self.path)
            maintenance.check_wal(self.path)
            self._writer = shared_index.connect(self.path, self._vfs)
            try:
                self._prepare(marks)
                # Each statement of a connection makes a cursor of its own, which takes as long as a short statement.
                self._cursor = self._writer.cursor()
                page_bytes = int(self._writer.execute("PRAGMA page_size").get)
                self._identity = Identity(
                    self.path, page_bytes, lambda: maintenance.is_of_log(self.path, self._vfs, self.log_id)
                )
                self._reservation = Reservation(self._identity)
            except BaseException:
                # A journal that is refused stays as it is, its write-ahead log included.
                self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                self._writer.close()
                raise
        self._opened_at = self._watermark_position = self._head.position
        self._watermark_at = time.monotonic()
        self._writer.set_wal_hook(self._on_wal)
        forks.opened(self)
        self._background = BackgroundTasks(
            f"background of {self.path}",
            (self._check_files, self._reserve, self._checkpoint, self._write_watermark_if_due),
        )

    def _prepare(self, marks: Mapping[str, Watermark]) -> None:
        """Create the tables, or check those that exist, against the watermarks that were found."""
        with self._translated(self._writer):
            if schema.is_new(self._writer):
                maintenance.check_no_log_was_lost(marks, self.path)
            found, self.log_id = schema.prepare(self._writer, self.path, self.log, wall_ns(self._clock))
            if found != self.log:
                msg = f"{self.path} is the journal of log {found!r}, not {self.log!r}: open it under its own name"
                raise InvalidEvent(msg)
            self._head = maintenance.check(self._writer, self.log, self.log_id, marks)

    @override
    def head(self) -> int:
        # As `_reader` does it, without its context managers: each lookup that decides about exposure asks for the head.
        if self._closed:
            raise Closed(self._closed)
        reader = self._readers.take()
        try:
            return reader.head()
        except apsw.Error as e:
            raise schema.from_sqlite(e, self.path, reader.connection.system_errno) from e
        finally:
            self._give_back(reader)

    # Writing

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        self.check_open()
        with self._lock:
            try:
                return self._transaction(groups, check_ids=False)
            except apsw.ConstraintError:
                # The index on ids has refused one. Look all of them up and place again: a repeated group then returns
                # its first records, and only a contradiction fails. New ids never pay for the lookup.
                return self._transaction(groups, check_ids=True)

    def _transaction(self, groups: Sequence[Group], *, check_ids: bool) -> list[Outcome]:
        self.check_open()
        self._begin()
        try:
            head = self._refresh()
            work = Sequencer(
                log=self.log,
                log_id=self.log_id,
                position=head.position,
                recorded_at=head.recorded_at,
                now_ns=self.turn.at or self._clock.now_ns(),
                version=lambda stream: rows.version(self._cursor, stream),
                find=lambda ids: rows.find(self._writer, self.log, ids),
                newest=lambda account: rows.newest_position(self._writer, account),
                tails=self._tails,
                check_ids=check_ids,
                remembered=self._versions,
                has_ended=head.has_ended,
            )
            outcomes = [work.place(group) for group in groups]
            if not work.records:
                self._writer.execute("ROLLBACK")
                work.end()
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
            self._publish(Head(last.position, last.recorded_at, last.digest, frontier, last.type == LOG_ENDED), work)
            work.end()
        except BaseException:
            # Interrupted at COMMIT or just after it: whether it was committed is unknown, so the cached head, versions
            # and types must be read again.
            self._data_version = -1
            self._rollback()
            raise
        return outcomes

    def _begin(self) -> None:
        if self.turn.is_taken and self._writer.in_transaction:
            return
        self._rollback()  # a transaction that an interruption left open
        assert self._identity is not None
        if fault := self._identity.fault_before(self._frames):
            self._abandon(fault)
            self.check_open()
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except apsw.Error as e:
            raise schema.from_sqlite(e, self.path, self._writer.system_errno) from e

    def _refresh(self) -> Head:
        """Return the head as of this transaction.

        `data_version` changes when any connection has committed, and ours is taken note of. While it stands still the
        head cached after our own last COMMIT is the file's, which saves an append four reads; the caches change only
        after a COMMIT, so a rolled-back transaction leaves them right.
        """
        data_version = self._writer.data_version()
        if data_version != self._data_version:
            self._versions.clear()
            self._types.clear()
            self._head = maintenance.read_head(self._writer)
            self._data_version = data_version
        return self._head

    def _store(self, work: Sequencer, head: Head) -> merkle.Frontier:
        writer = self._cursor
        writer.executemany(rows.INSERT, work.rows)
        frontier = head.frontier.copy()
        completed = frontier.grow([record.digest for record in work.records])
        if completed:
            writer.executemany("INSERT INTO node VALUES (?, ?, ?)", completed)
        for kind in work.types - self._types:
            writer.execute(rows.INSERT_TYPE, row_of_type(declared(*kind)))  # for processes that have no class for it
        head_row = (work.position, work.recorded_at, frontier.to_bytes())
        writer.execute("UPDATE head SET position = ?, recorded_at = ?, frontier = ?", head_row)
        if work.records[-1].type == LOG_ENDED:
            # Part of the same transaction: an earlier version, which would append behind it, refuses the file.
            writer.execute(f"PRAGMA user_version = {schema.ENDED_FORMAT}")
        return frontier

    def _commit(self, groups: Sequence[Group]) -> None:
        try:
            self._cursor.execute("COMMIT")
        except apsw.Error as e:
            if schema.is_full(e, self._writer.system_errno):
                # The commit frame is the last to be written: without room for it, nothing counts.
                self._rollback()
                msg = f"no room for {self.path} ({e}): nothing was written; make room and try again"
                raise StorageFull(msg) from e
            self._closed = f"a sync of {self.path} failed ({e}): close the store and open it again"
            raise OutcomeUnknown(_ids_of(groups), str(e)) from e
        # A sync succeeds on a deleted or replaced file too, so success alone acknowledges nothing.
        if fault := self._fault():
            raise OutcomeUnknown(_ids_of(groups), fault)

    def _rollback(self) -> None:
        if self._writer.in_transaction:
            with contextlib.suppress(apsw.Error):  # the error that led here is the one to report
                self._writer.execute("ROLLBACK")

    def _publish(self, head: Head, work: Sequencer) -> None:
        """Update what is cached, after COMMIT; run the appender's part of a checkpoint; wake those who wait."""
        self._head = head
        if len(self._versions) + len(work.versions) > VERSIONS_MAX:
            self._versions.clear()
        self._versions.update(work.versions)
        self._types |= work.types
        # Once what is cached is of this COMMIT. What others commit after it counts when the next transaction begins.
        self._data_version = self._writer.data_version()
        if self._checkpoints.is_bulk_done:
            self._checkpoints.finish(self._writer)
        with self._growing:
            self._grown.notify_all()

    def _recent_reports(self, stream: str, version: int) -> list[Record]:
        return rows.newest(self._writer, self.log, stream, version, types=REPORTS, limit=REPORTS_MAX)

    @property
    @override
    def trouble(self) -> str:
        return self._background.trouble or self._checkpoints.trouble

    def close(self) -> None:
        if self._is_stopped:
            return
        self._is_stopped = True
        self._background.stop()
        with self._lock:
            if not self._closed:
                self._fault()
            failed, self._closed = self._closed, f"{self.path} is closed: open the store again"
            forks.closed(self)
            # A later reader can notice a lost tail only by the watermark, so it is brought up to the head.
            if not failed and self._head.position != self._opened_at:
                with contextlib.suppress(OSError):  # an older watermark is still true
                    self._write_watermark(synced=True)
            self._readers.close()
            self._checkpoints.close()
            self._writer.close()
            self._watermarks.close()
            if self._identity is not None:
                self._identity.close()

    def _check_files(self) -> None:
        """Check that the files are still the ones that were opened, so that an idle store notices too."""
        # The thread that holds the lock is appending, and checks the files itself.
        if self._lock.acquire(blocking=False):
            try:
                if not self._closed:
                    self._fault()
            finally:
                self._lock.release()

    def _reserve(self) -> None:
        """Extend the write-ahead log by zeros that the next frames are written over."""
        while self._reservation.is_due and not self._is_stopped:
            with self._lock:
                if self._closed:
                    return
                self._begin()
                try:
                    is_own = self._writer.data_version() == self._data_version
                    fault = self._reservation.extend(is_last_commit_own=is_own)
                finally:
                    self._rollback()
                if fault:
                    self._abandon(fault)
                    return
            self._reservation.sync()

    def _checkpoint(self) -> None:
        with self._translated():
            for step in (self._checkpoints.run, self._checkpoints.shrink):
                if not self._closed:
                    step()

    def _write_watermark_if_due(self) -> None:
        now = time.monotonic()
        if not self._closed and self._head.position != self._watermark_position and now - self._watermark_at >= 1.0:
            self._write_watermark(synced=False)
            self._watermark_at = now

    def _write_watermark(self, *, synced: bool) -> None:
        head = self._head
        mark = Watermark(self.log_id.hex(), head.position, head.digest.hex())
        self._watermarks.write("head", mark, synced=synced)
        self._watermark_position = head.position

    def _on_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        assert self._identity is not None
        self._identity.committed(pages)
        is_grown = pages > checkpointing.CHECKPOINT_PAGES and self._checkpoints.grown()
        if self._reservation.used() or is_grown:
            self._background.wake()
        return apsw.SQLITE_OK

    # Checking that the files are still the ones that were opened

    def _fault(self) -> str:
        """Return what is wrong with the files, '' for nothing; any fault closes the journal.

        The lock is held. A fault happened after the last acknowledged commit, or during this one.
        """
        assert self._identity is not None
        fault = self._identity.fault(self._frames)
        if fault:
            self._abandon(fault)
        return fault

    def _abandon(self, fault: str) -> None:
        """Close for good, without writing to files that may belong to another log by now."""
        if self._closed:
            return
        assert self._identity is not None
        # On close SQLite would checkpoint the write-ahead log into whatever file has the journal's name now.
        self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if self._identity.is_only_wal_gone():
            with contextlib.suppress(apsw.Error):
                pages, moved = self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                fault += "; all its records are in the journal" if moved >= pages else "; records may be lost"
        self._closed = self._advice(fault)
        if self._identity.is_in_no_others_place():
            # The journal was moved or truncated: the watermark lets the next opening of that folder notice it.
            with contextlib.suppress(OSError):
                self._write_watermark(synced=True)

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
            # Opened or not, the connection may be to another file that has the journal's name now.
            if fault := self._identity.moved():
                msg = self._advice(fault)
                raise Closed(msg)

    @override
    def inherited(self) -> None:
        super().inherited()
        self._background.abandon()

    @override
    def __repr__(self) -> str:
        state = f"closed ({self._closed})" if self._closed else f"at {self._head.position}"
        return f"<SqliteJournal {self.log} in {self.path} {state}>"


def _ids_of(groups: Sequence[Group]) -> list[bytes]:
    return [draft.id for group in groups for draft in drafts_of(group)]
