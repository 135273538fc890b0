"""The mapping of what Binance's USD-M futures say themselves: the user data stream, and the income history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from gateways.messages.binance import accounts, income, orders
from gateways.messages.binance.settings import BinanceSettings
from gateways.messages.fields import MessageFields
from gateways.messages.mapped import MappedEvent, Unmapped

if TYPE_CHECKING:
    from gateways.messages.mapped import FieldNames

Events: TypeAlias = Callable[[BinanceSettings, MessageFields], tuple[MappedEvent, ...]]

FIELDS: FieldNames = {orders.KIND: orders.FIELDS, accounts.KIND: accounts.FIELDS, income.KIND: income.FIELDS}
LEFT_OUT: FieldNames = {orders.KIND: orders.LEFT_OUT, accounts.KIND: accounts.LEFT_OUT, income.KIND: income.LEFT_OUT}
MESSAGES_LEFT_OUT: Mapping[str, str] = {
    "TRADE_LITE": "ORDER_TRADE_UPDATE says the same, with the commission",
    "ACCOUNT_CONFIG_UPDATE": "leverage is the exchange's",
    "MARGIN_CALL": "positions are valued here",
    "listenKeyExpired": "what the stream needs, no fact of the account",
}
"""The kinds of messages that become nothing, and why."""
_MESSAGES: Mapping[str, Events] = {orders.KIND: orders.order_events, accounts.KIND: accounts.account_events}


class BinanceFutures(BinanceSettings, frozen=True, kw_only=True):
    """Makes events of the messages of Binance's USD-M futures; its settings are those of BinanceSettings.

    A message is one of the user data stream, with or without the envelope of a combined stream, or one entry of the
    income history.
    """

    def events(self, message: Mapping[str, object]) -> tuple[MappedEvent, ...]:
        """Return the events of one message; raise Unmapped if it cannot be mapped."""
        fields = MessageFields(self.source, "message", message)
        if fields.fields.keys() == {"stream", "data"}:
            fields = MessageFields(self.source, "message", fields.get("data"), message)
        if "incomeType" in fields.fields:
            return income.income_events(self, MessageFields(self.source, income.KIND, fields.fields, message))
        kind = fields.text("e")
        if kind in MESSAGES_LEFT_OUT:
            return ()
        if kind not in _MESSAGES:
            raise Unmapped(self.source, kind[:80], "no event is known for this kind of message", message)
        return _MESSAGES[kind](self, MessageFields(self.source, kind, fields.fields, message))
