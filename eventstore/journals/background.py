"""A thread that looks after a journal's files, away from those who append."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOK_SECONDS = 1.0


class BackgroundTasks:
    """Runs its tasks each second, and at once when it is woken.

    None of them is needed for a promise, so one that fails is tried again: `trouble` says why, '' when all went well.
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
        """End the thread, after the task that it is at."""
        self.abandon()
        self._thread.join()

    def abandon(self) -> None:
        """Let the thread end, without waiting for it: in a fork's child there is none."""
        self._stop.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            troubles = [trouble for task in self._tasks if (trouble := self._tried(task))]
            self.trouble = "; ".join(troubles)

    def _tried(self, task: Callable[[], None]) -> str:
        """Run a task; return what kept it from its end. Whatever it is, the others and the next second come."""
        try:
            if not self._stop.is_set():
                task()
        except Exception as e:  # noqa: BLE001 - reported, and tried again
            return str(e) or repr(e)
        return ""
