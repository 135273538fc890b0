"""Following the server's notifications, in a thread of its own: readers wake when another process has appended."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from eventstore.errors import StoreError
from eventstore.journals.postgres.connection import PostgresError

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.journals.postgres.connection import Connection

LOOK_SECONDS = 0.5
"""How often it looks whether it is to end."""


class NotificationThread:
    """Calls `notify` at each notification of a channel, until it is stopped.

    Nothing rests on it: who waits polls too. So a connection that is lost is made again, and what is wrong meanwhile
    is met, and said, by those who read.
    """

    def __init__(self, connect: Callable[[], Connection], channel: str, notify: Callable[[], None]) -> None:
        self._connect, self._channel, self._notify = connect, channel, notify
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"listener on {channel}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except (PostgresError, StoreError):
                self._stop.wait(LOOK_SECONDS)

    def _listen(self) -> None:
        connection = self._connect()
        try:
            connection.execute(f'LISTEN "{self._channel}"')
            # What was committed while nobody listened.
            self._notify()
            while not self._stop.is_set():
                for _ in connection.notifies(timeout=LOOK_SECONDS, stop_after=1):
                    self._notify()
        finally:
            connection.close()
