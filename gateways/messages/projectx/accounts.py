"""What the gateway says of an account: its balance, and whether it may trade."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import AccountUpdated
from gateways.messages.mapped import MappedEvent
from gateways.messages.projectx.codes import DELETED

if TYPE_CHECKING:
    from gateways.messages.fields import MessageFields
    from gateways.messages.projectx.settings import Settings

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
    """Return the event of an account; one that was taken away may not trade."""
    stream = account.stream("account", settings.account(account.identity("id")), "-")
    can_trade = False if action == DELETED else account.optional_flag("canTrade")
    update = AccountUpdated(balance=account.optional_decimal("balance"), can_trade=can_trade)
    # It has neither a time nor a number: what came last is what holds.
    return () if update == AccountUpdated() else (MappedEvent(stream, update, None, None),)
