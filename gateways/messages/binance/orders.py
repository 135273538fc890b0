"""Binance's ORDER_TRADE_UPDATE: a report of an order, and the execution that it is about, if it is about one.

Binance API documentation, USD-M Futures, "Event: Order Update".
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.trading import (
    Liquidity,
    NoteAdded,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
)
from gateways.messages.binance.names import symbol_of
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
    stated,
)
from gateways.messages.notes import events_of_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateways.messages.binance.settings import BinanceSettings
    from gateways.messages.fields import MessageFields
    from gateways.messages.mapped import MappedEvent

KIND = "ORDER_TRADE_UPDATE"
_TRIGGERS = "a report has no such member"
FIELDS = {
    "T": "occurred_at",
    "o.s": "OrderReported.symbol, OrderFilled.symbol",
    "o.S": "OrderReported.side, OrderFilled.side",
    "o.c": "the stream, by the setting client_ids; NoteAdded, where its prefix says that the exchange placed it",
    "o.i": "OrderReported.broker_order_id with the symbol, and the stream",
    "o.o": "OrderReported.order_type, where ot is missing",
    "o.ot": "OrderReported.order_type",
    "o.q": "OrderReported.quantity",
    "o.p": "OrderReported.limit_price",
    "o.sp": "OrderReported.stop_price",
    "o.ap": "OrderReported.average_fill_price",
    "o.x": "OrderFilled, where it is TRADE or CALCULATED",
    "o.X": "OrderReported.status, raw_status",
    "o.l": "OrderFilled.quantity",
    "o.L": "OrderFilled.price",
    "o.z": "OrderReported.filled_quantity",
    "o.n": "OrderFilled.fee",
    "o.N": "OrderFilled.fee_currency",
    "o.t": "OrderFilled.trade_id",
    "o.T": "occurred_at of the OrderFilled",
    "o.m": "OrderFilled.liquidity",
    "o.R": "OrderReported.reduce_only",
    "o.ps": "OrderReported.position_side, OrderFilled.position_side",
    "o.rp": "OrderFilled.reported_pnl",
    "o.cp": "OrderReported.reduce_only",
}
LEFT_OUT = {
    "e": "the kind of message",
    "E": "when it was sent: T is when it happened",
    "o.f": _TRIGGERS,
    "o.wt": _TRIGGERS,
    "o.AP": _TRIGGERS,
    "o.cr": _TRIGGERS,
}
STATUSES = {
    "NEW": OrderStatus.NEW,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "PENDING_CANCEL": OrderStatus.PENDING_CANCEL,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}
_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP": OrderType.STOP_LIMIT,
    "STOP_MARKET": OrderType.STOP,
    "TAKE_PROFIT": OrderType.LIMIT_IF_TOUCHED,
    "TAKE_PROFIT_MARKET": OrderType.MARKET_IF_TOUCHED,
    "TRAILING_STOP_MARKET": OrderType.TRAILING_STOP,
}
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_EXECUTIONS = {"TRADE": True, "CALCULATED": True}
# The longest prefix first: each begins with nothing that another one is.
_FORCED = {
    "adl_autoclose": "auto-deleveraging",
    "settlement_autoclose-": "settlement",
    "autoclose-": "liquidation",
}


def order_events(settings: BinanceSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the report, the execution, and a note of an order that the exchange has placed itself.

    Each counts, whatever is wrong with the others.
    """
    order = fields.inner("o")
    symbol = symbol_of(settings, order, "s")
    broker_id = identity_in(symbol, order.identity("i"))
    own_id = order.optional_identity("c") if settings.client_ids else None
    stream = order.stream("order", settings.account, own_id or broker_id)
    at = newest(fields, "T")
    return events_of_parts(
        (
            _report(order, stream, (symbol, broker_id), at),
            _execution(settings, order, (symbol, stream), at),
            _forced(settings, order, stream, at),
        )
    )


def _report(order: MessageFields, stream: str, names: tuple[str, str], at: int | None) -> Iterator[MappedEvent]:
    symbol, broker_id = names
    yield mapped(order, stream, _report_of(order, symbol, broker_id), f"report:{broker_id}", at)


def _report_of(order: MessageFields, symbol: str, broker_id: str) -> OrderReported:
    word = "ot" if order.get("ot") is not None else "o"
    closes = order.optional_flag("cp")
    return OrderReported(
        status=order.optional_choice("X", STATUSES) or OrderStatus.UNKNOWN,
        raw_status=order.optional_text("X"),
        broker_order_id=broker_id,
        symbol=symbol,
        side=order.optional_choice("S", _SIDES),
        order_type=order.optional_choice(word, _TYPES),
        quantity=stated(order, "q"),
        filled_quantity=optional_number(order, "z"),
        average_fill_price=stated(order, "ap"),
        limit_price=stated(order, "p"),
        stop_price=stated(order, "sp"),
        position_side=side_held(order),
        reduce_only=True if closes else order.optional_flag("R"),
    )


def _execution(
    settings: BinanceSettings, order: MessageFields, place: tuple[str, str], sent_at: int | None
) -> Iterator[MappedEvent]:
    """Yield the execution; none without an id, which `t` = 0 is: the report says how much was filled."""
    id_ = order.optional_identity("t")
    if id_ is None or not order.optional_choice("x", _EXECUTIONS) or not optional_number(order, "l"):
        return
    (symbol, stream), trade_id = place, identity_in(place[0], id_)
    maker, fee = order.optional_flag("m"), optional_number(order, "n")
    event = OrderFilled(
        trade_id=trade_id,
        symbol=symbol,
        side=order.choice("S", _SIDES),
        quantity=plain(order.positive("l")),
        price=number(order, "L"),
        fee=fee or Decimal(0),
        fee_currency=optional_code(order, "N", settings.codes) if fee else None,
        position_side=side_held(order) or PositionSide.NET,
        exchange_trade_id=id_,
        liquidity=None if maker is None else Liquidity.ADDED if maker else Liquidity.REMOVED,
        reported_pnl=optional_number(order, "rp"),
    )
    at = newest(order, "T")
    yield mapped(order, stream, event, f"fill:{trade_id}", sent_at if at is None else at)


def _forced(settings: BinanceSettings, order: MessageFields, stream: str, at: int | None) -> Iterator[MappedEvent]:
    """Yield a note, once, of an order that nobody here has placed."""
    client_id = order.optional_text("c") or ""
    why = next((why for prefix, why in _FORCED.items() if client_id.startswith(prefix)), None)
    if why is None:
        return
    event = NoteAdded(target=stream, text=f"placed by the exchange: {why}", tags=(why,))
    place = order.stream("note", settings.account, f"{why}-{order.identity('i')}")
    yield mapped_once(order, place, event, f"forced:{stream}", at)
