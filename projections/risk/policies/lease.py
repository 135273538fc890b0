"""The lease of policies: of several processes that run a log's policies, one records what only one should say."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from eventstore import Unavailable
from eventstore.clock import NANOSECONDS

if TYPE_CHECKING:
    from eventstore import EventStore

FILE = "policies.lock"
RETRY_NS = NANOSECONDS


class Lease:
    """Held by one process at a time, from when its policies start until they stop or the process ends.

    A process that does not hold it tries again, at most once a second. A log in memory has one process. For each set of
    accounts that policies run for there is a lock of the same kind, which only shows that some process runs them.
    """

    def __init__(self, store: EventStore, file: str = FILE) -> None:
        self._clock, self._file = store.clock, file
        self._lock = None if store.side is None else store.side.lock(file)
        self._tried_at: int | None = None
        self._is_held = self._lock is None

    def is_held(self) -> bool:
        """Return whether this process holds it, after having tried to take it."""
        now = self._clock.monotonic_ns()
        # A server's lock may be lost, as by a process that was paused for too long.
        self._is_held = self._is_held and (self._lock is None or self._lock.is_held)
        if self._is_held or self._lock is None or (self._tried_at is not None and now - self._tried_at < RETRY_NS):
            return self._is_held
        try:
            self._is_held = self._lock.take()
        except OSError as e:
            # Nobody may hold it then: a policy that needs it stops, and checks reject new exposure until this is fixed.
            msg = f"{self._file} cannot be locked ({e}): make the log's directory writable; it is tried again"
            raise Unavailable(msg) from e
        self._tried_at = now
        return self._is_held

    @property
    def is_taken(self) -> bool:
        """Whether this process held it when it last tried."""
        return self._is_held

    def begin(self) -> None:
        """Take it if it can be taken; a policy that needs it stops later where it cannot, and says why."""
        with contextlib.suppress(Unavailable):
            self.is_held()

    def release(self) -> None:
        """Let another process take it."""
        if self._lock is not None:
            self._lock.release()
            self._is_held, self._tried_at = False, None
