"""The lock of the one process that ships a log, and what the process that holds it has reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.errors import CorruptJournal, Unavailable
from eventstore.influx import status

if TYPE_CHECKING:
    from eventstore.side import LogSide, Marks


class ShippingLock:
    """The lock as a shipper sees it, which waits for it and may lose it: nothing but its marks raises Unavailable."""

    def __init__(self, side: LogSide) -> None:
        self._side, self._lock = side, side.lock(status.LOCK_FILE)
        self.unreachable = ""
        """Why it could not be asked for the last time; '' where it could."""

    @property
    def is_held(self) -> bool:
        """Whether this process holds it: a lock that is kept on a server may be lost."""
        return self._lock.is_held

    def marks(self) -> Marks:
        """Return the log's marks, to be written only while the lock is held."""
        return self._side.marks(self._lock)

    def take(self) -> bool:
        """Take it unless another process holds it, or what keeps it cannot be reached."""
        try:
            taken = self._lock.take()
        except Unavailable as e:
            self.unreachable = str(e)
            return False
        self.unreachable = ""
        return taken

    def release(self) -> None:
        self._lock.release()

    def holder(self) -> status.ShipperStatus | None:
        """Return the status of the process that holds it; None where no process does, or that is unknown."""
        try:
            return status.read_status(self._side)
        except Unavailable:
            return None

    def shipped(self) -> int:
        """Return the position of the other process's cursor, 0 if there is none or it cannot be read."""
        try:
            found = status.read_cursor(self._side)
        except (CorruptJournal, Unavailable):  # the shipping process reports it
            return 0
        return 0 if found is None else found.position
