"""Timers and cooldowns: how long they run still; gone after a restart."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import TimerCanceled, TimerStarted
from projections.view import Lens, View


class TimersState(msgspec.Struct):
    """One account."""


class TimersView(View[TimersState]):
    """To be written."""

    name: ClassVar[str] = "timers"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (TimerStarted, TimerCanceled)

    @override
    def initial(self) -> TimersState:
        return TimersState()

    @override
    def apply(self, state: TimersState, event: Event, record: Record) -> None:
        return


class Timers:
    """Questions about timers."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
