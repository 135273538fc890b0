"""The enforcement view: a pure fold of an account's requests, their claims and their answers."""

from typing import ClassVar

from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import (
    ClockJumped,
    EnforcementClaimed,
    EnforcementEscalated,
    EnforcementRequested,
    EnforcementTaken,
)
from projections.view import View
from projections.views.enforcement import transitions
from projections.views.enforcement.request import Enforcement
from projections.views.enforcement.state import EnforcementState

ANSWERED_MAX = 1_000


class EnforcementView(View[EnforcementState]):
    """Requests, pending until they are answered. `archive` receives what the state drops.

    A claim holds until its lease ends by both times of a later record; whose claim is recorded first has the request.
    """

    name: ClassVar[str] = "enforcement"
    revision: ClassVar[int] = 2
    types: ClassVar[tuple[type[Event], ...] | None] = (
        EnforcementRequested,
        EnforcementTaken,
        EnforcementClaimed,
        EnforcementEscalated,
        ClockJumped,
    )

    def __init__(self, archive: list[Enforcement] | None = None) -> None:
        self._archive = archive

    @override
    def initial(self) -> EnforcementState:
        return EnforcementState()

    @override
    def apply(self, state: EnforcementState, event: Event, record: Record) -> None:
        match event:
            case EnforcementRequested():
                transitions.request(state, event, record)
            case EnforcementTaken():
                transitions.take(state, event, record)
            case EnforcementClaimed():
                transitions.claim(state, event, record)
            case EnforcementEscalated():
                transitions.escalate(state, event, record)
            case ClockJumped():
                transitions.move_leases(state, event)
            case _:
                return
        while len(state.answered) > ANSWERED_MAX:
            self._forget(state)

    def _forget(self, state: EnforcementState) -> None:
        oldest = next(iter(state.answered.values()))
        state.forgotten_until = max(oldest.requested_at, state.forgotten_until or 0)
        del state.answered[oldest.request_id]
        if self._archive is not None:
            self._archive.append(oldest)
