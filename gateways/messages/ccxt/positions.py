"""CCXT's positions: each is a report of a position, and what it is valued at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import PositionReported, PositionSide, QuoteReceived
from gateways.messages.ccxt.names import symbol_of
from gateways.messages.ccxt.trades import held
from gateways.messages.exchanges import mapped, newest, number, stated
from gateways.messages.mapped import MappedEvent
from gateways.messages.notes import events_of_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateways.messages.ccxt.settings import CcxtSettings
    from gateways.messages.fields import MessageFields

KIND = "Position"
_FROM_PRICES = "computed here from the fills and the newest price"
_MARGIN = "margin is the exchange's: the account's own messages state what is used"
FIELDS = {
    "symbol": "PositionReported.symbol",
    "timestamp": "occurred_at, the newer of the two",
    "datetime": "occurred_at, where no milliseconds are stated",
    "lastUpdateTimestamp": "occurred_at, the newer of the two",
    "contracts": "PositionReported.quantity",
    "side": "PositionReported.quantity, below zero if short, and position_side if hedged",
    "hedged": "PositionReported.position_side",
    "entryPrice": "PositionReported.average_price",
    "markPrice": "QuoteReceived.mark, where a time is stated",
    "lastPrice": "QuoteReceived.last, where a time is stated",
    "info": "PositionReported.position_side",
}
LEFT_OUT = {
    "id": "the account, the symbol and the side identify a position",
    "contractSize": "the market states it",
    "notional": _FROM_PRICES,
    "unrealizedPnl": _FROM_PRICES,
    "realizedPnl": _FROM_PRICES,
    "percentage": _FROM_PRICES,
    "leverage": _MARGIN,
    "collateral": _MARGIN,
    "liquidationPrice": _MARGIN,
    "marginMode": _MARGIN,
    "maintenanceMargin": _MARGIN,
    "maintenanceMarginPercentage": _MARGIN,
    "initialMargin": _MARGIN,
    "initialMarginPercentage": _MARGIN,
    "marginRatio": _MARGIN,
    "stopLossPrice": "it comes as an order of its own",
    "takeProfitPrice": "it comes as an order of its own",
}
_SIDES = {"long": PositionSide.LONG, "short": PositionSide.SHORT}


def position_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the report, and the quote in it, whatever is wrong with that."""
    symbol = symbol_of(settings, fields)
    contracts = abs(number(fields, "contracts"))
    direction = fields.optional_choice("side", _SIDES)
    if direction is None and contracts:
        fields.refuse("side", "is unknown: expected long or short")
    side = held(fields)
    if side is None:
        side = _side_of(fields, direction)
    event = PositionReported(
        symbol=symbol,
        quantity=-contracts if direction is PositionSide.SHORT else contracts,
        average_price=stated(fields, "entryPrice") if contracts else None,
        position_side=side,
    )
    at = newest(fields, "timestamp", "lastUpdateTimestamp")
    at = fields.optional_instant("datetime") if at is None else at
    # Without a time it may be the same position again after another one: each delivery is a report of its own.
    identity = None if at is None else f"position:{symbol}:{side}"
    stream = fields.stream("position", settings.account, symbol)
    report = mapped(fields, stream, event, identity, at)
    return events_of_parts(((report,), _quotes(settings, fields, symbol, at)))


def _side_of(fields: MessageFields, direction: PositionSide | None) -> PositionSide:
    if not fields.optional_flag("hedged"):
        return PositionSide.NET
    if direction is None:
        fields.refuse("side", "is unknown: expected long or short of an account that holds both")
    return direction


def _quotes(settings: CcxtSettings, fields: MessageFields, symbol: str, at: int | None) -> Iterator[MappedEvent]:
    mark, last = stated(fields, "markPrice"), stated(fields, "lastPrice")
    if at is None or (mark is None and last is None):
        return
    quote = QuoteReceived(symbol=symbol, mark=mark, last=last, source=settings.source)
    yield MappedEvent(fields.stream("quote", "-", symbol), quote, None, at)
