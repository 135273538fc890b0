"""Interruptions (Ctrl-C) that wait until a record is folded: half a record would be in some views and not in others."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Interruptions:
    """Within `caught`, an interruption waits while `wait` is True, and is raised by `come` or, else, at once.

    Only in the main thread, and where nobody else handles the signal: others are left to do what they do.
    """

    def __init__(self) -> None:
        self.wait = False
        self._came = False

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signal within this context."""
        is_own = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        self.wait = self._came = False
        if not is_own:
            yield
            return
        signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def come(self) -> None:
        """Let an interruption come now: raise KeyboardInterrupt if one waits."""
        self.wait = False
        if self._came:
            self._came = False
            raise KeyboardInterrupt

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if not self.wait:
            raise KeyboardInterrupt
        self._came = True
