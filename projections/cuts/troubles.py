"""Problems with the snapshots' file, and one warning for each, however long it lasts."""

from __future__ import annotations

import enum
import warnings
from typing import TYPE_CHECKING

from eventstore.clock import TIME_MAX, TIME_MIN, format_time

if TYPE_CHECKING:
    from eventstore import Clock


class SnapshotWarning(UserWarning):
    """Snapshots cannot be written, or one was ignored and the log folded instead: slower, never wrong."""


class TroubleKind(enum.Enum):
    """The kind of a problem, by which it is recognised as the same whatever text SQLite gives each time."""

    LOCKED = enum.auto()
    FULL = enum.auto()
    READ_ONLY = enum.auto()
    UNUSABLE = enum.auto()
    FOREIGN = enum.auto()
    CHANGING = enum.auto()
    BUSY = enum.auto()


class UnusableError(Exception):
    """The snapshots' file cannot be used for now."""

    def __init__(self, kind: TroubleKind, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(reason)


class DamagedError(Exception):
    """What is stored is not valid: a state, a cut or the whole file."""


class Troubles:
    """Problems that last: each is warned about once, and again only after a cut was written in between."""

    def __init__(self) -> None:
        self._since: dict[TroubleKind, str] = {}

    def begin(self, error: UnusableError, clock: Clock, log_position: int) -> None:
        """Record a problem, and warn about it if it is new."""
        if error.kind in self._since:
            return
        time = format_time(min(max(clock.now_ns(), TIME_MIN), TIME_MAX))
        self._since[error.kind] = text = f"{error.reason}: no snapshots since {time}, log position {log_position:,}"
        effect = "the book works without them, and the next snapshot that can be written has everything"
        warnings.warn(f"{text}; {effect}", SnapshotWarning, stacklevel=2)

    def end(self) -> None:
        """Forget all problems: a cut was written."""
        self._since.clear()

    @property
    def now(self) -> str | None:
        """Why snapshots cannot be used, and since when; None while they can."""
        return "; ".join(self._since.values()) or None
