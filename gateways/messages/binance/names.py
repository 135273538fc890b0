"""What Binance's names of contracts are here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateways.messages.binance.settings import BinanceSettings
    from gateways.messages.fields import MessageFields


def symbol_of(settings: BinanceSettings, fields: MessageFields, name: str) -> str:
    """Return a contract's symbol here; refuse one that the setting `symbols` does not have, if it has any."""
    symbol = fields.text(name)
    fields.stream("position", settings.account, symbol)
    if not settings.symbols:
        return symbol
    known = settings.symbols.get(symbol)
    if known is None:
        fields.refuse(
            name, "has no symbol here: add it to the setting symbols, as symbols_of makes it of CCXT's markets"
        )
    return known
