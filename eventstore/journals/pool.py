"""A pool of connections that read: each is one thread's at a time, and there are never more than a bound."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Generic, TypeVar

from eventstore.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

READERS_MAX = 16
"""The most connections that one journal reads with."""
TAKE_SECONDS = 5.0
"""How long a thread waits for a connection while others have all of them."""

C = TypeVar("C")


class Pool(Generic[C]):
    """Connections that are made when none is free; `what` names the journal in an error."""

    def __init__(
        self, connect: Callable[[], C], close: Callable[[C], None], check_open: Callable[[], None], what: str
    ) -> None:
        self.free: list[C] = []
        """Those that no thread has."""
        self._connect, self._close, self._check_open, self._what = connect, close, check_open, what
        self.all: weakref.WeakSet[C] = weakref.WeakSet()
        """All open ones, weakly: one that an interruption left without an owner stops counting once collected."""
        self.waiting = 0
        """How many threads wait for one."""
        self._returned = threading.Condition()

    def take(self) -> C:
        """Return a connection; raise Overloaded after a bounded wait."""
        try:
            return self.free.pop()
        except IndexError:
            return self._another()

    def give_back(self, connection: C) -> None:
        self.free.append(connection)
        self._wake()

    def drop(self, connection: C) -> None:
        """Close a connection that is not to be used again."""
        self.all.discard(connection)
        self._close(connection)
        self._wake()

    def close(self) -> None:
        """Close those that no thread has; what is given back afterwards is dropped by its user."""
        while self.free:
            self.drop(self.free.pop())
        with self._returned:
            self._returned.notify_all()

    def _wake(self) -> None:
        if self.waiting:
            with self._returned:
                self._returned.notify()

    def _another(self) -> C:
        deadline = time.monotonic() + TAKE_SECONDS
        with self._returned:
            self.waiting += 1
            try:
                while len(self.all) >= READERS_MAX:
                    # Checked after `_waiting` was raised: from then on a connection that is returned notifies.
                    if self.free:
                        return self.free.pop()
                    left = deadline - time.monotonic()
                    if left <= 0:
                        msg = f"{READERS_MAX} threads have read {self._what} for {TAKE_SECONDS} s: try again"
                        raise Overloaded(msg)
                    self._returned.wait(left)
                    self._check_open()
                connection = self._connect()
                self.all.add(connection)
                return connection
            finally:
                self.waiting -= 1
