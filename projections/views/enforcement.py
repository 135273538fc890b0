"""Enforcement: what rules asked to be done, and what was done."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import EnforcementRequested, EnforcementTaken
from projections.view import Lens, View


class EnforcementState(msgspec.Struct):
    """One account."""


class EnforcementView(View[EnforcementState]):
    """To be written."""

    name: ClassVar[str] = "enforcement"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (EnforcementRequested, EnforcementTaken)

    @override
    def initial(self) -> EnforcementState:
        return EnforcementState()

    @override
    def apply(self, state: EnforcementState, event: Event, record: Record) -> None:
        return


class Enforcements:
    """Questions about enforcement."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
