"""Trades of an account: executions by the gateway's id, and those that were taken back."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.trading import OrderFilled, TradeBusted, TradeExecuted
from gateways.messages.mapped import MappedEvent
from gateways.messages.projectx.codes import SIDES

if TYPE_CHECKING:
    from gateways.messages.fields import MessageFields
    from gateways.messages.projectx.settings import Settings

FIELDS = {
    "id": "OrderFilled.trade_id",
    "accountId": "the stream's account",
    "contractId": "OrderFilled.symbol",
    "creationTimestamp": "occurred_at",
    "price": "OrderFilled.price",
    "profitAndLoss": "OrderFilled.reported_pnl; null on what opens a position",
    "fees": "OrderFilled.fee",
    "side": "OrderFilled.side",
    "size": "OrderFilled.quantity",
    "voided": "TradeBusted, beside the OrderFilled",
    "orderId": "the order's stream; TradeExecuted without one",
}
LEFT_OUT: dict[str, str] = {}


def trade_events(trade: MessageFields, settings: Settings) -> tuple[MappedEvent, ...]:
    """Return the events of an execution. One that is void happened, and was taken back: both are recorded."""
    account, trade_id = settings.account(trade.identity("accountId")), trade.identity("id")
    order_id, is_void = trade.optional_identity("orderId"), trade.optional_flag("voided")
    own = trade.stream("trade", account, trade_id)
    if is_void and not (trade.get("size") and trade.get("price")):
        # What it was is not said any more; that it was taken back counts.
        bust = TradeBusted(trade_id=trade_id, reason="voided")
        return (MappedEvent(own, bust, f"projectx {trade_id} voided", trade.optional_instant("creationTimestamp")),)
    at, fee = trade.instant("creationTimestamp"), trade.optional_decimal("fees") or Decimal(0)
    symbol, side = settings.symbol(trade.identity("contractId")), trade.choice("side", SIDES)
    quantity, price = trade.positive("size"), trade.decimal("price")
    kind = TradeExecuted if order_id is None else OrderFilled
    execution = kind(
        trade_id=trade_id,
        symbol=symbol,
        side=side,
        quantity=quantity,
        price=price,
        fee=fee,
        fee_currency=settings.currency if fee else None,
        reported_pnl=trade.optional_decimal("profitAndLoss"),
    )
    stream = own if order_id is None else trade.stream("order", account, order_id)
    executed = MappedEvent(stream, execution, f"projectx {trade_id}", at)
    if not is_void:
        return (executed,)
    bust = TradeBusted(trade_id=trade_id, symbol=symbol, side=side, quantity=quantity, price=price, reason="voided")
    return (executed, MappedEvent(own, bust, f"projectx {trade_id} voided", at))
