"""Limits: which parameters of which rule are in force, from events."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import LimitBreached, LimitsSet, SessionOpened, SessionReset
from projections.view import Lens, View


class LimitsState(msgspec.Struct):
    """One account."""


class LimitsView(View[LimitsState]):
    """To be written."""

    name: ClassVar[str] = "limits"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (LimitsSet, LimitBreached, SessionOpened, SessionReset)

    @override
    def initial(self) -> LimitsState:
        return LimitsState()

    @override
    def apply(self, state: LimitsState, event: Event, record: Record) -> None:
        return


class Limits:
    """Questions about limits."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
