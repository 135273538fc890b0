"""Checkpoints in two steps, so that no append waits for the bulk of one and the write-ahead log stays short."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import apsw

from eventstore.journals.sqlite import schema
from eventstore.journals.sqlite.wal import wal_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHECKPOINT_PAGES = 8_000
BLOCKED_SECONDS = 0.1


class Checkpoints:
    """What is due, what is done, and the connection that does it; one for each journal that is written.

    A background thread does the bulk, then the next appender the few frames that came meanwhile: SQLite restarts the
    write-ahead log from its beginning only once all of it is checkpointed, which the background thread alone never
    reaches while others keep appending.
    """

    def __init__(self, path: Path, connect: Callable[[], apsw.Connection]) -> None:
        self._path, self._connect = path, connect
        self._connection: apsw.Connection | None = None
        self._tried_at = 0.0
        self.is_due = False
        """Whether the write-ahead log is long enough to be checkpointed."""
        self.is_bulk_done = False
        """Whether the background thread has done its step, so that an appender is to do the rest."""
        self.trouble = ""
        """Why the appender's step failed last, '' when it did not."""

    def grown(self) -> bool:
        """Take note that the log is over CHECKPOINT_PAGES; return whether to wake the background thread."""
        if self.is_bulk_done:
            return False
        now = time.monotonic()
        # Retried at intervals where a reader kept it from being checkpointed to its end.
        if self.is_due and now - self._tried_at <= BLOCKED_SECONDS:
            return False
        self.is_due, self._tried_at = True, now
        return True

    def run(self) -> None:
        """Do the bulk, in the background."""
        if not self.is_due or self.is_bulk_done:
            return
        frames, done = self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
        # While somebody reads an older state the rest cannot be checkpointed: retried later.
        self.is_bulk_done, self._tried_at = done >= frames, time.monotonic()

    def finish(self, writer: apsw.Connection) -> None:
        """Do the rest, just after a commit, by the connection that holds the lock to write."""
        self.is_bulk_done = self.is_due = False
        try:
            writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as e:
            # Nothing is lost: the write-ahead log still has it. Reported, and retried once the log has grown.
            self.trouble = str(e)
        else:
            self.trouble = ""

    def shrink(self) -> None:
        """Truncate a write-ahead log that grew while a reader kept SQLite from restarting it."""
        if (self.is_due and not self.is_bulk_done) or wal_bytes(self._path) <= schema.WAL_BYTES_MAX:
            return
        frames, done = self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
        if done >= frames:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _checkpoint(self, mode: int) -> tuple[int, int]:
        """Checkpoint without waiting for anybody; return how many frames there are and how many are checkpointed."""
        if self._connection is None:
            self._connection = self._connect()
            self._connection.set_busy_handler(None)
        try:
            return self._connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:  # somebody reads, appends or checkpoints just now
            return 1, 0
