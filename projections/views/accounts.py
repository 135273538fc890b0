"""Accounts: balances as told and as folded, per currency."""

from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import AccountOpened, AccountUpdated, CashMoved
from projections.view import Lens, View


class AccountsState(msgspec.Struct):
    """One account."""


class AccountsView(View[AccountsState]):
    """To be written."""

    name: ClassVar[str] = "accounts"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (AccountOpened, AccountUpdated, CashMoved)

    @override
    def initial(self) -> AccountsState:
        return AccountsState()

    @override
    def apply(self, state: AccountsState, event: Event, record: Record) -> None:
        return


class Accounts:
    """Questions about accounts."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
