"""What a CCXT structure's symbol and ids are called here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.messages.exchanges import identity_in

if TYPE_CHECKING:
    from gateways.messages.ccxt.settings import CcxtSettings
    from gateways.messages.fields import MessageFields


def symbol_of(settings: CcxtSettings, fields: MessageFields) -> str:
    """Return a structure's symbol; refuse one without, or with one that cannot be part of a stream's name."""
    symbol = fields.text("symbol") + settings.suffix
    fields.stream("position", settings.account, symbol)
    return symbol


def order_in(settings: CcxtSettings, fields: MessageFields, symbol: str, name: str) -> tuple[str, str] | None:
    """Return the exchange's id of an order, with its symbol, and the order's stream; None if the field states none."""
    id_ = fields.optional_identity(name)
    if id_ is None:
        return None
    broker_id = identity_in(symbol, id_)
    own_id = fields.optional_identity("clientOrderId") if settings.client_ids else None
    return broker_id, fields.stream("order", settings.account, own_id or broker_id)
