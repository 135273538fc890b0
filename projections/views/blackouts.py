"""Blackouts: when nobody, or an account, may take new exposure."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import BlackoutCanceled, BlackoutScheduled
from projections.view import Lens, View


class BlackoutsState(msgspec.Struct):
    """One account."""


class BlackoutsView(View[BlackoutsState]):
    """To be written."""

    name: ClassVar[str] = "blackouts"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (BlackoutScheduled, BlackoutCanceled)

    @override
    def initial(self) -> BlackoutsState:
        return BlackoutsState()

    @override
    def apply(self, state: BlackoutsState, event: Event, record: Record) -> None:
        return


class Blackouts:
    """Questions about blackouts."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
