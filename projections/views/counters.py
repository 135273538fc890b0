"""Trade counters: orders, fills and round trips in rolling windows and by trading day."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import OrderFilled, OrderSubmitted, SessionOpened, SessionReset, TradeExecuted
from projections.view import Lens, View


class CountersState(msgspec.Struct):
    """One account."""


class CountersView(View[CountersState]):
    """To be written."""

    name: ClassVar[str] = "counters"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (
        OrderSubmitted,
        OrderFilled,
        TradeExecuted,
        SessionOpened,
        SessionReset,
    )

    @override
    def initial(self) -> CountersState:
        return CountersState()

    @override
    def apply(self, state: CountersState, event: Event, record: Record) -> None:
        return


class Counters:
    """Questions about counters."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
