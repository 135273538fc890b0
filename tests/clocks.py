"""A clock for tests in which small numbers are times."""

from __future__ import annotations

from typing_extensions import override

from eventstore import ManualClock
from eventstore.clock import Times, format_time


class EpochClock(ManualClock):
    """A clock of the first seconds of 1970: its stores take ints of then as times, as the clock itself does."""

    def __init__(self, start: int) -> None:
        super().__init__(format_time(start))

    @override
    def set(self, instant: Times) -> None:
        super().set(format_time(instant) if isinstance(instant, int) else instant)
