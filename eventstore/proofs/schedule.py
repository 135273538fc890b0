"""Checkpoints on a schedule: a thread of the process that has the log open signs one every so often, and at the end."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.errors import Closed, StoreError, Unavailable
from eventstore.proofs.keys import check_library
from eventstore.proofs.signing import Signing

if TYPE_CHECKING:
    from typing import Self

    from eventstore.clock import Clock
    from eventstore.journal import Maintenance
    from eventstore.proofs.settings import CheckpointSettings
    from eventstore.proofs.signing import CheckpointResult, Progress
    from eventstore.side import LogSide


class CheckpointSchedule:
    """Signs when it is started, every `every_seconds`, and at `close`. An append never waits for it."""

    def __init__(self, signing: Signing, settings: CheckpointSettings) -> None:
        self._signing, self._settings = signing, settings
        self._trouble = ""
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Sign at once and every `every_seconds` from now on, in a thread."""
        if self._settings.every_seconds:
            self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            self._thread.start()
        return self

    @property
    def trouble(self) -> str:
        """Why the newest attempt to sign failed, or which witness did not take it; '' where all is in order."""
        return self._trouble

    def sign(self, *, restored: bool = False, progress: Progress | None = None) -> CheckpointResult:
        """Sign now, in the caller's thread; raise what keeps it from being signed."""
        try:
            result = self._signing.sign(restored=restored, progress=progress)
        except (StoreError, ImportError) as e:
            self._trouble = str(e)
            raise
        failed = [f"{line.witness}: {line.reason}" for line in result.outcomes if line.reason]
        at = f"the checkpoint of size {result.checkpoint.size:,} is unwitnessed: "
        self._trouble = at + "; ".join(failed) if failed else ""
        return result

    def stop(self) -> None:
        """End the thread, once what it is signing is signed."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """End the thread, and sign the end of the log if that was asked for; raise what keeps it from being signed."""
        self.stop()
        if self._settings.at_close:
            self.sign()

    def _run(self) -> None:
        while not self._closing.is_set():
            # Kept as the trouble that `doctor` reports; the next attempt may succeed.
            with contextlib.suppress(StoreError, ImportError):
                self.sign(progress=self._interrupt)
            self._closing.wait(self._settings.every_seconds)

    def _interrupt(self, _done: int, _of: int) -> None:
        """End the reading back of a long log if the store is closed meanwhile, and its end is not to be signed."""
        if self._closing.is_set() and not self._settings.at_close:
            msg = "the store was closed while the log was read back: nothing was signed"
            raise Closed(msg)

    @override
    def __repr__(self) -> str:
        return (
            f"<CheckpointSchedule every {self._settings.every_seconds:g} s{': ' * bool(self._trouble)}{self._trouble}>"
        )


def schedule_of(
    journal: Maintenance, side: LogSide | None, clock: Clock, settings: CheckpointSettings
) -> CheckpointSchedule:
    """Return what signs a log, not started yet; raise Unavailable for one in memory, ImportError without the extra."""
    check_library()
    if side is None:
        msg = "a log in memory has no checkpoints: open a directory, or a log in PostgreSQL"
        raise Unavailable(msg)
    return CheckpointSchedule(Signing(journal, side, clock, settings), settings)
