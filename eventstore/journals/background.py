"""A background thread for a journal's maintenance, so that no append waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOK_SECONDS = 1.0


class BackgroundTasks:
    """Runs its tasks once a second, and at once when it is woken.

    No promise depends on them, so a task that fails is retried; `trouble` says why it failed, '' when none did.
    """

    def __init__(self, name: str, tasks: Sequence[Callable[[], None]]) -> None:
        self._tasks = tasks
        self._stop = threading.Event()
        self._wake = threading.Event()
        self.trouble = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """End the thread after its current task."""
        self.abandon()
        self._thread.join()

    def abandon(self) -> None:
        """Tell the thread to end, without waiting for it: a fork's child has no such thread."""
        self._stop.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            troubles = [trouble for task in self._tasks if (trouble := self._tried(task))]
            self.trouble = "; ".join(troubles)

    def _tried(self, task: Callable[[], None]) -> str:
        """Run a task; return why it failed, '' if it did not. The other tasks and the next second run in any case."""
        try:
            if not self._stop.is_set():
                task()
        except Exception as e:  # noqa: BLE001 - reported, and tried again
            return str(e) or repr(e)
        return ""
