"""CCXT's orders: each is a report of an order, with the trades that it lists."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.trading import OrderReported, OrderStatus, OrderType
from gateways.messages.ccxt.names import order_in, symbol_of
from gateways.messages.ccxt.trades import KIND as TRADE
from gateways.messages.ccxt.trades import SIDES, held, trade_events
from gateways.messages.exchanges import mapped, newest, optional_number, stated
from gateways.messages.fields import MessageFields
from gateways.messages.mapped import Unmapped
from gateways.messages.notes import events_of_parts, note_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateways.messages.ccxt.settings import CcxtSettings
    from gateways.messages.mapped import MappedEvent

KIND = "Order"
_SEE_TRADES = "its trades state it"
_ATTACHED = "what is attached to an order comes as an order of its own once it is placed"
FIELDS = {
    "id": "OrderReported.broker_order_id with the symbol, and the stream",
    "clientOrderId": "the stream, by the setting client_ids",
    "timestamp": "occurred_at, the newest of the three, except of a closed order that does not say when it was changed",
    "datetime": "occurred_at, where no milliseconds are stated",
    "lastTradeTimestamp": "occurred_at, the newest of the three",
    "lastUpdateTimestamp": "occurred_at, the newest of the three, and OrderReported.updated_at",
    "status": "OrderReported.status, raw_status",
    "symbol": "OrderReported.symbol",
    "type": "OrderReported.order_type",
    "side": "OrderReported.side",
    "price": "OrderReported.limit_price, except of a market order",
    "average": "OrderReported.average_fill_price",
    "amount": "OrderReported.quantity",
    "filled": "OrderReported.filled_quantity",
    "stopPrice": "OrderReported.stop_price",
    "triggerPrice": "OrderReported.stop_price",
    "trades": "each as a Trade",
    "reduceOnly": "OrderReported.reduce_only",
    "info": "OrderReported.position_side, link_group",
}
LEFT_OUT = {
    "remaining": "amount − filled",
    "timeInForce": "a report has no such member",
    "postOnly": "a report has no such member",
    "takeProfitPrice": _ATTACHED,
    "stopLossPrice": _ATTACHED,
    "cost": "average × filled × contractSize",
    "fee": _SEE_TRADES,
    "fees": _SEE_TRADES,
}
_STATUSES = {
    "open": OrderStatus.NEW,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "canceling": OrderStatus.PENDING_CANCEL,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
# By CCXT's two words and by those that exchanges have; the second one is that of an order with a trigger.
_TYPES: Mapping[str, tuple[OrderType, OrderType]] = {
    "market": (OrderType.MARKET, OrderType.STOP),
    "limit": (OrderType.LIMIT, OrderType.STOP_LIMIT),
    "limit_maker": (OrderType.LIMIT, OrderType.LIMIT),
    "stop_market": (OrderType.STOP, OrderType.STOP),
    "stop_loss": (OrderType.STOP, OrderType.STOP),
    "stop_limit": (OrderType.STOP_LIMIT, OrderType.STOP_LIMIT),
    "stop_loss_limit": (OrderType.STOP_LIMIT, OrderType.STOP_LIMIT),
    "take_profit_market": (OrderType.MARKET_IF_TOUCHED, OrderType.MARKET_IF_TOUCHED),
    "take_profit_limit": (OrderType.LIMIT_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED),
    "trailing_stop": (OrderType.TRAILING_STOP, OrderType.TRAILING_STOP),
    "trailing_stop_market": (OrderType.TRAILING_STOP, OrderType.TRAILING_STOP),
}
_CLOSED = {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
_WITHOUT_LIMIT = {OrderType.MARKET, OrderType.STOP, OrderType.MARKET_IF_TOUCHED, OrderType.TRAILING_STOP}
# A sum of floats may be this much short of what was ordered.
_NOISE = Decimal("1e-9")
_NO_LIST = "-1"


def order_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the report, and an execution for each of the trades that it lists: each, whatever is wrong with others."""
    symbol = symbol_of(settings, fields)
    order = order_in(settings, fields, symbol, "id")
    if order is None:
        fields.refuse("id", "identifies no order")
    return events_of_parts((_report(settings, fields, symbol, order), _listed_trades(settings, fields)))


def _report(
    settings: CcxtSettings, fields: MessageFields, symbol: str, order: tuple[str, str]
) -> Iterator[MappedEvent]:
    broker_id, stream = order
    trigger = stated(fields, "triggerPrice") or stated(fields, "stopPrice")
    order_type = _type_of(fields, trigger)
    status = _status_of(fields)
    event = OrderReported(
        status=status,
        raw_status=fields.optional_text("status"),
        broker_order_id=broker_id,
        symbol=symbol,
        side=fields.optional_choice("side", SIDES),
        order_type=order_type,
        quantity=stated(fields, "amount"),
        filled_quantity=optional_number(fields, "filled"),
        average_fill_price=stated(fields, "average"),
        limit_price=None if order_type in _WITHOUT_LIMIT else stated(fields, "price"),
        stop_price=trigger,
        updated_at=newest(fields, "lastUpdateTimestamp"),
        position_side=held(fields),
        reduce_only=fields.optional_flag("reduceOnly"),
        link_group=_list_of(settings, fields),
    )
    yield mapped(fields, stream, event, f"report:{broker_id}", _reported_at(fields, status))


def _status_of(fields: MessageFields) -> OrderStatus:
    status = fields.optional_choice("status", _STATUSES) or OrderStatus.UNKNOWN
    filled, amount = optional_number(fields, "filled"), stated(fields, "amount")
    if status is OrderStatus.NEW and filled:
        return OrderStatus.PARTIALLY_FILLED
    if status is not OrderStatus.FILLED or filled is None or amount is None:
        return status
    # A conditional order is closed by its trigger, and nothing of it was filled.
    is_filled = filled >= amount * (1 - _NOISE)
    return OrderStatus.FILLED if is_filled else OrderStatus.CANCELED


def _reported_at(fields: MessageFields, status: OrderStatus) -> int | None:
    """Return when an order was in this state; None for now.

    Some exchanges do not say when an order was changed. What is not closed is then of the time that is stated, and so
    never newer than what says more; what is closed stays closed, and so is the newest state of all.
    """
    if status in _CLOSED and newest(fields, "lastUpdateTimestamp") is None:
        return newest(fields, "lastTradeTimestamp") if status is OrderStatus.FILLED else None
    at = newest(fields, "timestamp", "lastTradeTimestamp", "lastUpdateTimestamp")
    return fields.optional_instant("datetime") if at is None else at


def _type_of(fields: MessageFields, trigger: Decimal | None) -> OrderType | None:
    word = (fields.optional_text("type") or "").lower().replace("-", "_").replace(" ", "_")
    if word in {"stop", "take_profit"}:
        has_limit = stated(fields, "price") is not None
        word = f"{word}_{'limit' if has_limit else 'market'}"
    plainly, triggered = _TYPES.get(word, (None, None))
    return plainly if trigger is None else triggered


def _list_of(settings: CcxtSettings, fields: MessageFields) -> str | None:
    """Return the name of the list whose orders cancel each other; Binance also has lists that work otherwise."""
    info = fields.get("info")
    if not isinstance(info, dict):
        return None
    own = fields.inner("info")
    listed = own.optional_identity("orderListId")
    is_oco = settings.oco_lists or own.get("contingencyType") == "OCO"
    return f"oco:{listed}" if is_oco and listed not in {None, _NO_LIST} else None


def _listed_trades(settings: CcxtSettings, fields: MessageFields) -> Iterator[MappedEvent]:
    """Yield the executions that an order lists, and a note for each that cannot be mapped.

    One without an id comes with the account's trades. The report says how much was filled, so that it is missed.
    """
    listed = fields.get("trades")
    for each in listed if isinstance(listed, list | tuple) else ():
        try:
            yield from _listed_trade(settings, fields, each)
        except Unmapped as error:
            if not isinstance(each, Mapping) or each.get("id"):
                yield note_of(error)


def _listed_trade(settings: CcxtSettings, fields: MessageFields, each: object) -> Iterator[MappedEvent]:
    trade = MessageFields(fields.source, f"{fields.kind}.{TRADE}", each, fields.whole)
    own = {name: fields.get(name) for name in ("symbol", "side") if trade.get(name) is None}
    order = {} if trade.get("order") is not None else {"order": fields.get("id")}
    whole = MessageFields(fields.source, trade.kind, {**trade.fields, **own, **order}, fields.whole)
    yield from trade_events(settings, whole)
