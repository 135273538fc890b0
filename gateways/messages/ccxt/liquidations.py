"""CCXT's liquidations: a note about the position, because the executions come as the account's trades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.messages.ccxt.names import symbol_of
from gateways.messages.ccxt.trades import time_of
from gateways.messages.exchanges import noted, optional_number

if TYPE_CHECKING:
    from gateways.messages.ccxt.settings import CcxtSettings
    from gateways.messages.fields import MessageFields
    from gateways.messages.mapped import MappedEvent

KIND = "Liquidation"
FIELDS = {
    "symbol": "NoteAdded.target: the position",
    "timestamp": "occurred_at",
    "datetime": "occurred_at",
    "price": "NoteAdded.text",
    "contracts": "NoteAdded.text",
    "side": "NoteAdded.text",
    "baseValue": "NoteAdded.text",
    "quoteValue": "NoteAdded.text",
}
LEFT_OUT = {"contractSize": "the market states it", "info": "the exchange's own form of the same"}
_FIGURES = ("contracts", "price", "baseValue", "quoteValue")


def liquidation_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the note. It has no id, so that nothing shows which trades it is about: it books nothing itself."""
    symbol = symbol_of(settings, fields)
    figures = {name: optional_number(fields, name) for name in _FIGURES}
    reported = ", ".join(f"{name} {value:f}" for name, value in figures.items() if value is not None)
    side = fields.optional_text("side")
    text = f"liquidation of {symbol}{'' if side is None else f', side {side}'}{', ' if reported else ''}{reported}"
    target = fields.stream("position", settings.account, symbol)
    return (noted(fields, target, text, "liquidation", time_of(fields)),)
