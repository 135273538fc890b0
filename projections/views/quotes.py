"""Quotes: the last, bid and ask of each symbol, with their age; never stored."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import QuoteReceived
from projections.view import SHARED, Lens, View


class QuotesState(msgspec.Struct):
    """One account."""


class QuotesView(View[QuotesState]):
    """To be written."""

    name: ClassVar[str] = "quotes"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (QuoteReceived,)
    shared: ClassVar[bool] = True

    @override
    def initial(self) -> QuotesState:
        return QuotesState()

    @override
    def partition(self, record: Record) -> str:
        return SHARED

    @override
    def apply(self, state: QuotesState, event: Event, record: Record) -> None:
        return


class Quotes:
    """Questions about quotes."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
