"""Messages of Binance's futures in their own form."""

from gateways.messages.binance.mapping import FIELDS, LEFT_OUT, MESSAGES_LEFT_OUT, BinanceFutures
from gateways.messages.binance.settings import BinanceSettings, symbols_of
from gateways.messages.binance.words import INCOME, INCOME_LEFT_OUT

__all__ = [
    "FIELDS",
    "INCOME",
    "INCOME_LEFT_OUT",
    "LEFT_OUT",
    "MESSAGES_LEFT_OUT",
    "BinanceFutures",
    "BinanceSettings",
    "symbols_of",
]
