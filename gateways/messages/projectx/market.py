"""Market data: quotes and prints, which are never stored, and definitions of contracts, which are."""

from __future__ import annotations

import decimal
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.streams import stream_of
from eventstore.trading import Asset, ContractDefined, QuoteReceived
from gateways.messages.mapped import MappedEvent
from gateways.messages.projectx.settings import SOURCE
from projections.decimals import FIXED

if TYPE_CHECKING:
    from gateways.messages.fields import MessageFields
    from gateways.messages.projectx.settings import Settings

QUOTE_FIELDS = {
    "symbol": "QuoteReceived.symbol, where the hub's first argument, the contract's id, is missing",
    "lastPrice": "QuoteReceived.last",
    "bestBid": "QuoteReceived.bid",
    "bestAsk": "QuoteReceived.ask",
    "lastUpdated": "occurred_at, where timestamp is missing",
    "timestamp": "occurred_at",
}
QUOTE_LEFT_OUT = {
    "symbolName": "a name for people",
    "change": "follows from the prices",
    "changePercent": "follows from the prices",
    "open": "of the session; no figure of an account rests on it",
    "high": "of the session; no figure of an account rests on it",
    "low": "of the session; no figure of an account rests on it",
    "volume": "of the session; no figure of an account rests on it",
}
PRINT_FIELDS = {
    "symbolId": "QuoteReceived.symbol, where the hub's first argument, the contract's id, is missing",
    "price": "QuoteReceived.last",
    "timestamp": "occurred_at",
    "volume": "QuoteReceived.last_size",
}
PRINT_LEFT_OUT = {"type": "which side was the aggressor; no figure of an account rests on it"}
CONTRACT_FIELDS = {
    "id": "ContractDefined.broker_ids",
    "name": "ContractDefined.symbol and root",
    "description": "ContractDefined.name",
    "tickSize": "ContractDefined.tick_size; multiplier = tickValue ÷ tickSize",
    "tickValue": "ContractDefined.tick_value; multiplier = tickValue ÷ tickSize",
}
CONTRACT_LEFT_OUT = {
    "activeContract": "whether it is the front month today",
    "symbolId": "names the product, of which there are several contracts",
}
DEPTH_LEFT_OUT = dict.fromkeys(
    ("timestamp", "type", "price", "volume", "currentVolume"),
    "the order book is not recorded: no figure of an account rests on it",
)
# F for January to Z for December (CME Group, "Futures month codes").
_ROOT = re.compile(r"(?P<root>[A-Z0-9]{1,6})[FGHJKMNQUVXZ]\d{1,2}", re.ASCII)


def quote_events(quote: MessageFields, contract_id: str | None, settings: Settings) -> tuple[MappedEvent, ...]:
    """Return a quote; a price that it leaves out stands as it was."""
    symbol = settings.symbol(contract_id or quote.identity("symbol"))
    at = quote.optional_instant("timestamp") or quote.instant("lastUpdated")
    last, bid, ask = (quote.optional_decimal(name) for name in ("lastPrice", "bestBid", "bestAsk"))
    event = QuoteReceived(symbol=symbol, last=last, bid=bid, ask=ask, source=SOURCE)
    return (MappedEvent(quote.stream("quote", "-", symbol), event, None, at),)


def print_events(trade: MessageFields, contract_id: str | None, settings: Settings) -> tuple[MappedEvent, ...]:
    """Return a trade of the market as a last price."""
    symbol = settings.symbol(contract_id or trade.identity("symbolId"))
    size = trade.optional_decimal("volume")
    if size is not None and size < 0:
        trade.refuse("volume", "is below zero")
    event = QuoteReceived(symbol=symbol, last=trade.decimal("price"), last_size=size, source=SOURCE)
    return (MappedEvent(trade.stream("quote", "-", symbol), event, None, trade.instant("timestamp")),)


def contract_events(contract: MessageFields, settings: Settings) -> tuple[MappedEvent, ...]:
    """Return the definition of a contract: a future, worth tickValue ÷ tickSize a point."""
    id_, name = contract.identity("id"), contract.optional_text("name")
    tick_size, tick_value = contract.positive("tickSize"), contract.positive("tickValue")
    symbol = settings.contracts.get(id_) or name or id_
    found = _ROOT.fullmatch(name or "")
    event = ContractDefined(
        symbol=symbol,
        multiplier=_quotient(tick_value, tick_size),
        tick_size=tick_size,
        tick_value=tick_value,
        currency=settings.currency,
        root=found["root"] if found else None,
        name=contract.optional_text("description"),
        broker_ids=tuple(sorted({id_, name or id_} - {symbol})),
        asset=Asset.FUTURE,
    )
    contract.stream("contract", "-", symbol)
    return (MappedEvent(stream_of("contract", "-", symbol), event, "projectx contract", None),)


def _quotient(tick_value: Decimal, tick_size: Decimal) -> Decimal | None:
    """Return what a point is worth; None if that has no end: then the two ticks say it."""
    with decimal.localcontext(FIXED):
        multiplier = tick_value / tick_size
        # Written without an exponent, as people write it.
        return Decimal(f"{multiplier.normalize():f}") if multiplier * tick_size == tick_value else None
