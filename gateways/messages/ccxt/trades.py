"""CCXT's trades: each is one execution, with the fees that it states."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from eventstore.trading import FeeCharged, Liquidity, OrderFilled, PositionSide, Side, TradeExecuted
from gateways.messages.ccxt.names import order_in, symbol_of
from gateways.messages.exchanges import (
    identity_in,
    mapped,
    mapped_once,
    newest,
    number,
    optional_code,
    optional_number,
    plain,
    side_held,
)
from gateways.messages.fields import MessageFields

if TYPE_CHECKING:
    from gateways.messages.ccxt.settings import CcxtSettings
    from gateways.messages.mapped import MappedEvent

KIND = "Trade"
FIELDS = {
    "id": "OrderFilled.trade_id",
    "order": "OrderFilled, in the order's stream; without it TradeExecuted, in the trade's",
    "timestamp": "occurred_at",
    "datetime": "occurred_at",
    "symbol": "OrderFilled.symbol",
    "side": "OrderFilled.side",
    "takerOrMaker": "OrderFilled.liquidity",
    "price": "OrderFilled.price",
    "amount": "OrderFilled.quantity",
    "fee": "OrderFilled.fee",
    "fee.currency": "OrderFilled.fee_currency",
    "fee.cost": "OrderFilled.fee",
    "fees": "OrderFilled.fee, and a FeeCharged for each further currency",
    "info": "OrderFilled.position_side",
}
LEFT_OUT = {
    "type": "the order's own messages state it",
    "cost": "price × amount × contractSize, or ÷ price: the contract's terms give it",
    "fee.rate": "the cost is what was paid",
}
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_LIQUIDITY = {"maker": Liquidity.ADDED, "taker": Liquidity.REMOVED}
_UNSTATED = ("", Decimal(0))


class StatedFee(NamedTuple):
    """What was paid in one currency, "" if none is named; below zero it is a rebate."""

    currency: str
    amount: Decimal


def trade_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the execution, and a charge for each further currency in which a fee was paid."""
    symbol = symbol_of(settings, fields)
    trade_id = identity_in(symbol, fields.identity("id"))
    order = order_in(settings, fields, symbol, "order")
    own_stream = fields.stream("trade", settings.account, trade_id)
    stream = own_stream if order is None else order[1]
    first, *further = _fees(settings, fields) or [StatedFee(*_UNSTATED)]
    side, at = held(fields) or PositionSide.NET, time_of(fields)
    event = (TradeExecuted if order is None else OrderFilled)(
        trade_id=trade_id,
        symbol=symbol,
        side=fields.choice("side", SIDES),
        quantity=plain(fields.positive("amount")),
        price=number(fields, "price"),
        fee=first.amount,
        fee_currency=first.currency or None,
        position_side=side,
        exchange_trade_id=fields.identity("id"),
        liquidity=fields.optional_choice("takerOrMaker", _LIQUIDITY),
    )
    charges = [
        FeeCharged(
            trade_id=trade_id, amount=fee.amount, currency=fee.currency or None, symbol=symbol, position_side=side
        )
        for fee in further
    ]
    return (
        mapped(fields, stream, event, f"fill:{trade_id}", at),
        *(mapped_once(fields, stream, each, f"fee:{trade_id}:{each.currency}", at) for each in charges),
    )


def time_of(fields: MessageFields) -> int | None:
    """Return when a structure says that it happened: by its milliseconds, else by its text."""
    at = newest(fields, "timestamp")
    return fields.optional_instant("datetime") if at is None else at


def held(fields: MessageFields) -> PositionSide | None:
    """Return which of two positions the exchange's own message is about; None if it does not say."""
    info = fields.get("info")
    return side_held(fields.inner("info")) if isinstance(info, dict) else None


def _fees(settings: CcxtSettings, fields: MessageFields) -> list[StatedFee]:
    """Return the fees by currency. `fee` and `fees` state the same ones, so only one of them is read."""
    reported = [each for each in _listed(fields) if optional_number(each, "cost") is not None]
    if not reported and fields.get("fee") is not None:
        reported = [each for each in (fields.inner("fee"),) if optional_number(each, "cost") is not None]
    sums: dict[str, Decimal] = {}
    for each in reported:
        currency = optional_code(each, "currency", settings.codes) or ""
        sums[currency] = plain(sums.get(currency, Decimal(0)) + number(each, "cost"))
    return [StatedFee(*each) for each in sorted(sums.items()) if each[1]]


def _listed(fields: MessageFields) -> list[MessageFields]:
    listed = fields.get("fees")
    if listed is None:
        return []
    if not isinstance(listed, list | tuple):
        fields.refuse("fees", "is not a list")
    return [MessageFields(fields.source, f"{fields.kind}.fees", each, fields.whole) for each in listed]
