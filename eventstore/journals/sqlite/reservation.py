"""Room for the write-ahead log: zeros behind its frames, so that a commit's sync need not make the file longer.

A sync of a file that has grown includes its metadata, which takes as long again as the sync itself. Zeros are no
frames: SQLite takes a log to its last sound frame, and no frame is of page 0.

Nothing that is stored can be written over. What is appended to a file lands behind its end, at whatever moment; and
the lock to write is held, so that no other process makes the log longer or shorter meanwhile. A kill or a power cut
between any two steps leaves more zeros or fewer.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from eventstore.journals.sqlite import schema

if TYPE_CHECKING:
    from eventstore.journals.sqlite.identity import Identity

# A log that is used for less is not worth it: a command that appends one event writes no zeros.
USED_BYTES_MIN = 128 << 10
USED_TIMES = 8
# Appends that come meanwhile wait for a part to be synced.
PART_BYTES_MAX = 1 << 20
# On a fuller disk the tables need the room more.
ROOM_TIMES_MIN = 10
PAUSE_SECONDS = 1.0


class Reservation:
    """When room is due, and how it is made: whenever half of the file is used, eight times what is used.

    So what is reserved follows what is appended, up to the size at which the log is restarted or shrunk. It is made by
    the background thread, a part at a time. How much is decided once: to follow each append would be a sync for each.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._given_up_at = -PAUSE_SECONDS
        self._goal = 0
        self.is_due = False
        """Whether the background thread is to extend the log."""

    def used(self) -> bool:
        """Take note of a commit; return whether to wake the background thread."""
        size, used = self._identity.wal_bytes, self._identity.wal_least
        if used < USED_BYTES_MIN or 2 * used <= size or size >= schema.WAL_BYTES_MAX or self.is_due:
            return False
        self._goal = min(USED_TIMES * used, schema.WAL_BYTES_MAX)
        self.is_due = time.monotonic() - self._given_up_at >= PAUSE_SECONDS
        return self.is_due

    def extend(self, *, is_last_commit_own: bool) -> str:
        """Append a part, by who holds the lock to write; return what is wrong with the log's file, usually ''."""
        identity = self._identity
        if not is_last_commit_own:
            # How much of the file others have used is not known: one that was truncated would look whole. Due again
            # after the next commit.
            self.is_due = False
            return ""
        missing = self._goal - identity.wal_size()
        if missing <= 0:
            self.is_due = False
            return ""
        if not self._has_room():
            self._give_up()
            return ""
        try:
            written = os.write(identity.wal_handle, bytes(min(missing, PART_BYTES_MAX)))
        except OSError as e:
            self._give_up()
            if e.errno in schema.FULL:
                return ""
            raise
        # Somebody who knows of no lock has truncated it just now: what was lost must not look like room.
        end = os.lseek(identity.wal_handle, 0, os.SEEK_CUR) - written
        return identity.truncated_to(end) if end < identity.wal_least else ""

    def sync(self) -> None:
        """Sync what was appended, without the lock: an append syncs it otherwise."""
        try:
            os.fdatasync(self._identity.wal_handle)
        except OSError:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Leave the file as it is, for now."""
        self.is_due, self._given_up_at = False, time.monotonic()

    def _has_room(self) -> bool:
        found = os.fstatvfs(self._identity.wal_handle)
        return found.f_bavail * found.f_frsize >= ROOM_TIMES_MIN * schema.WAL_BYTES_MAX
