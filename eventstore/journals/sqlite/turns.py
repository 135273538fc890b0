"""One thread's turn to write, which it may take before it knows what: nobody else appends meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.errors import Overloaded

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable


class Turn:
    """A journal's transaction that is begun ahead: the next commit of the thread that took the turn is part of it.

    The process's other threads wait for the lock, other processes for the file's.
    """

    def __init__(self, lock: threading.RLock, begin: Callable[[], None], rollback: Callable[[], None]) -> None:
        self._lock, self._begin, self._rollback = lock, begin, rollback
        self.is_taken = False
        self.at = 0
        """When what is appended in it is recorded, in UNIX ns; 0 for the clock's time."""

    def take(self) -> bool:
        """Begin the transaction; return False where others did not let it in for as long as an append waits."""
        self._lock.acquire()
        try:
            self._begin()
        except Overloaded:
            self._lock.release()
            return False
        except BaseException:
            self._lock.release()
            raise
        self.is_taken = True
        return True

    def release(self) -> None:
        """Let others write again; what was not committed is not there. Nothing happens where the turn is not taken."""
        if self.is_taken:
            self.is_taken, self.at = False, 0
            self._rollback()
            self._lock.release()
