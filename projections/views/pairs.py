"""What strategies keep of their own: pairs and portfolios."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import PairStateSaved, PortfolioSaved
from projections.view import Lens, View


class PairsState(msgspec.Struct):
    """One account."""


class PairsView(View[PairsState]):
    """To be written."""

    name: ClassVar[str] = "pairs"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (PairStateSaved, PortfolioSaved)

    @override
    def initial(self) -> PairsState:
        return PairsState()

    @override
    def apply(self, state: PairsState, event: Event, record: Record) -> None:
        return


class Pairs:
    """Questions about pairs."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
