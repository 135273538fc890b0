"""What the gateway says of an account: its balance, and whether it may trade."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from eventstore.trading import AccountUpdated
from gateways.messages.mapped import MappedEvent, Unmapped
from gateways.messages.notes import note_of
from gateways.messages.projectx.codes import DELETED

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateways.messages.fields import MessageFields
    from gateways.messages.projectx.settings import Settings

T = TypeVar("T")
FIELDS = {
    "id": "the stream's account",
    "balance": "AccountUpdated.balance",
    "canTrade": "AccountUpdated.can_trade",
}
LEFT_OUT = {
    "name": "the account's name at the gateway; `accounts` gives the one that it has here",
    "isVisible": "whether the platform shows the account",
    "simulated": "whether orders go to an exchange; AccountOpened.program says what an account is",
}


def account_events(account: MessageFields, settings: Settings, action: object = None) -> tuple[MappedEvent, ...]:
    """Return the event of an account; one that was taken away may not trade.

    A balance that cannot be read keeps no word on whether it may trade back, nor the other way round.
    """
    stream = account.stream("account", settings.account(account.identity("id")), "-")
    balance, no_balance = _readable(lambda: account.optional_decimal("balance"))
    can_trade, no_word = _readable(lambda: account.optional_flag("canTrade"))
    refused = [error for error in (no_balance, no_word) if error is not None]
    update = AccountUpdated(balance=balance, can_trade=False if action == DELETED else can_trade)
    if update == AccountUpdated():
        if refused:
            raise refused[0]
        account.refuse_all("it states neither balance nor canTrade")
    # It has neither a time nor a number: what came last is what holds.
    return MappedEvent(stream, update, None, None), *map(note_of, refused)


def _readable(read: Callable[[], T]) -> tuple[T | None, Unmapped | None]:
    """Return what a field says, or why it cannot be read."""
    try:
        return read(), None
    except Unmapped as error:
        return None, error
