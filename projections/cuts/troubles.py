"""What can be wrong with the snapshots' file, and the one warning for each trouble, however long it lasts."""

from __future__ import annotations

import enum
import warnings
from typing import TYPE_CHECKING

from eventstore.clock import TIME_MAX, TIME_MIN, format_time

if TYPE_CHECKING:
    from eventstore import Clock


class SnapshotWarning(UserWarning):
    """Snapshots are not written, or one was passed over and the log is folded instead: slower, never wrong."""


class Kind(enum.Enum):
    """What tells one trouble with the file from another, whatever SQLite or the system say each time."""

    LOCKED = enum.auto()
    FULL = enum.auto()
    READ_ONLY = enum.auto()
    UNUSABLE = enum.auto()
    FOREIGN = enum.auto()
    CHANGING = enum.auto()
    BUSY = enum.auto()


class UnusableError(Exception):
    """The snapshots' file cannot be used for now."""

    def __init__(self, kind: Kind, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(reason)


class DamagedError(Exception):
    """What is stored cannot be believed: a state, a cut or the whole file."""


class Troubles:
    """The troubles that last: each is warned of once, and again only after a cut was written in between."""

    def __init__(self) -> None:
        self._since: dict[Kind, str] = {}

    def begin(self, error: UnusableError, clock: Clock, position: int) -> None:
        """Take note of a trouble and warn of it where it is new."""
        if error.kind in self._since:
            return
        time = format_time(min(max(clock.now_ns(), TIME_MIN), TIME_MAX))
        self._since[error.kind] = told = f"{error.reason}: no snapshots since {time}, position {position:,}"
        cure = "the book goes on without them, and the next snapshot that can be written holds everything"
        warnings.warn(f"{told}; {cure}", SnapshotWarning, stacklevel=2)

    def end(self) -> None:
        """Forget all troubles: a cut was written."""
        self._since.clear()

    @property
    def now(self) -> str | None:
        """What keeps snapshots from being used, and since when; None where nothing does."""
        return "; ".join(self._since.values()) or None
