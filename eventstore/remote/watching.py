"""Waiting for a served log to grow: one thread asks the service, for all who wait."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from eventstore.errors import Closed, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    HeadPast = Callable[[int, float], int]
    """Returns the head once it is past a position, or after so many seconds."""

POLL_SECONDS = 1.0
"""How long one request waits at the service, which it may have to finish before it stops."""
IDLE_SECONDS = 3.0
"""After so long without one who waits, the thread ends."""


class Watch:
    """Knows the head of a served log, as soon as it grows, while somebody waits for it."""

    def __init__(self, head_past: HeadPast, name: str) -> None:
        self._head_past, self._name = head_past, name
        self._changed = threading.Condition()
        self._head = -1
        self._waiting = 0
        self._used_at = 0.0
        self._thread: threading.Thread | None = None
        self._error: StoreError | None = None
        self._closed = False

    def wait(self, position: int, timeout: float) -> bool:
        """Wait until the head is past a position, and return whether it is; raise what kept the thread from knowing."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._waiting += 1
            self._error = None
            try:
                while not self._knows(position) and (left := deadline - time.monotonic()) > 0:
                    self._begin()
                    self._changed.wait(left)
                return self._knows(position)
            finally:
                self._waiting -= 1
                self._used_at = time.monotonic()

    def _knows(self, position: int) -> bool:
        """Return whether the head is past a position; raise what keeps that from being known. The lock is held."""
        if self._closed:
            msg = "this connection to a service is closed: connect again"
            raise Closed(msg)
        if self._head <= position and self._error is not None:
            raise self._error
        return self._head > position

    def _begin(self) -> None:
        """Start the thread unless it runs; the lock is held."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                is_idle = not self._waiting and time.monotonic() - self._used_at > IDLE_SECONDS
                if self._closed or is_idle:
                    self._thread = None
                    return
                known = self._head
            try:
                # At first it is only asked where the log is.
                head = self._head_past(max(known, 0), 0.0 if known < 0 else POLL_SECONDS)
            except StoreError as error:
                self._end(error)
                return
            with self._changed:
                if head > self._head:
                    self._head = head
                    self._changed.notify_all()

    def _end(self, error: StoreError) -> None:
        with self._changed:
            self._error, self._thread = error, None
            self._changed.notify_all()

    def close(self) -> None:
        """Wake all who wait, with Closed."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        # It may wait for an answer, whose end nobody needs.
        if thread is not None and thread is not threading.current_thread():
            thread.join(POLL_SECONDS / 10)
