"""How long the leader of a commit waits for others, so that they share its sync."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sized

SECONDS_MIN, SECONDS_MAX = 0.0003, 0.002
SHARE = 0.25
"""Of the time that the last commit took: where a sync takes longer, waiting for others pays for longer."""


class CommitGathering:
    """Waits for as many requests as shared the last commit.

    Threads that append in a loop come back just after they are woken. A leader that did not wait would sync for half of
    them, and the other half would need the next sync. With one thread nothing is waited for.
    """

    def __init__(self) -> None:
        self.last_size = 0
        """How many requests shared the last commit, or came while it was written."""
        self._seconds = SECONDS_MIN
        # The leader's, while it waits: acquired, and released by who completes the group.
        self._latch: threading.Lock | None = None

    def wait(self, queue: Sized) -> None:
        """Wait until the queue is as long as the last group was, or the time is over."""
        if len(queue) >= self.last_size:
            return
        latch = threading.Lock()
        latch.acquire()
        # Before the queue is looked at once more: a request that comes in between sees the latch, or is seen.
        self._latch = latch
        if len(queue) < self.last_size:
            latch.acquire(timeout=self._seconds)
        self._latch = None

    def came(self, queue: Sized) -> None:
        """Wake the leader if its group is complete. Called by one thread at a time, with its request in the queue."""
        if self._latch is not None and len(queue) >= self.last_size:
            # Forgotten first: after an interruption in between the leader waits out its time, and no latch is released
            # twice.
            latch, self._latch = self._latch, None
            if latch is not None:
                latch.release()

    def committed(self, seconds: float) -> None:
        """Take note of how long a commit took."""
        self._seconds = min(max(SECONDS_MIN, SHARE * seconds), SECONDS_MAX)
