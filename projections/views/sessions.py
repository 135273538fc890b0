"""Sessions: the trading day an account is in, and those before."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import SessionClosed, SessionOpened, SessionReset
from projections.view import Lens, View


class SessionsState(msgspec.Struct):
    """One account."""


class SessionsView(View[SessionsState]):
    """To be written."""

    name: ClassVar[str] = "sessions"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (SessionOpened, SessionReset, SessionClosed)

    @override
    def initial(self) -> SessionsState:
        return SessionsState()

    @override
    def apply(self, state: SessionsState, event: Event, record: Record) -> None:
        return


class Sessions:
    """Questions about sessions."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
