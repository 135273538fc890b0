"""A cut that is written in a thread of its own, so that opening a book does not wait for it."""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import TYPE_CHECKING

from eventstore.errors import Closed, Unavailable
from projections.cuts.troubles import SnapshotWarning

if TYPE_CHECKING:
    from collections.abc import Callable


class BackgroundCut:
    """Calls a function that writes a cut, once. The process does not exit before it is done."""

    def __init__(self, log: str) -> None:
        self._log = log
        self._thread: threading.Thread | None = None

    def start(self, write: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=_run, args=(write,), name=f"first cut of {self._log}")
        self._thread.start()

    def wait(self, lock: threading.RLock) -> bool:
        """Wait until the cut is written, or could not be; return False at once in a thread that holds the book's lock.

        The writing thread needs that lock, so waiting for it would be a deadlock.
        """
        if lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
            return False
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        return True


def _run(write: Callable[[], object]) -> None:
    # A store that was closed in the meantime needs no cut. Where warnings are errors, the book names the problem.
    with contextlib.suppress(SnapshotWarning, Closed):
        try:
            write()
        except Unavailable as e:
            if isinstance(e.__cause__, Closed):
                return
            warnings.warn(f"no snapshot was written: {e}", SnapshotWarning, stacklevel=2)
