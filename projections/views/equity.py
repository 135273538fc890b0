"""Equity: the high water and the drawdown floor, as marked."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import EquityMarked
from projections.view import Lens, View


class EquityState(msgspec.Struct):
    """One account."""


class EquityView(View[EquityState]):
    """To be written."""

    name: ClassVar[str] = "equity"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (EquityMarked,)

    @override
    def initial(self) -> EquityState:
        return EquityState()

    @override
    def apply(self, state: EquityState, event: Event, record: Record) -> None:
        return


class Equities:
    """Questions about equity."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
