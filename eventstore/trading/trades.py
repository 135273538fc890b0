"""Trades without an order of ours, and what becomes of a trade later: the trade's own stream repeats its figures."""

from datetime import date
from decimal import Decimal

from eventstore.events import Currency, Event, Positive, event
from eventstore.trading.enums import Liquidity, PositionSide, Side
from eventstore.trading.trade_ids import unidentified


@event(categories=("trade", "order", "position"), measures=("quantity", "price", "fee"), problem_of=unidentified)
class TradeExecuted(Event, frozen=True, kw_only=True):
    """A trade that belongs to no order in this log: stream `trade/ACCOUNT/TRADE_ID`.

    `broker_order_id` is the order's id at the broker or venue, where its report states one.
    """

    trade_id: str
    symbol: str
    side: Side
    quantity: Positive
    price: Decimal
    fee: Decimal = Decimal(0)
    fee_currency: Currency | None = None
    position_side: PositionSide = PositionSide.NET
    exchange_trade_id: str | None = None
    liquidity: Liquidity | None = None
    reported_pnl: Decimal | None = None
    trading_day: date | None = None
    broker_order_id: str | None = None


@event(categories=("trade", "order", "position", "fee"), measures=("amount",))
class FeeCharged(Event, frozen=True, kw_only=True):
    """A fee that came after its trade; below zero is a rebate."""

    trade_id: str
    amount: Decimal
    currency: Currency | None = None
    symbol: str | None = None
    position_side: PositionSide = PositionSide.NET


@event(categories=("trade", "order", "position"), measures=("quantity", "price"))
class TradeBusted(Event, frozen=True, kw_only=True):
    """The venue undid a trade. The figures are the trade's own, so that even an old one can be booked back."""

    trade_id: str
    symbol: str | None = None
    side: Side | None = None
    quantity: Positive | None = None
    price: Decimal | None = None
    fee: Decimal = Decimal(0)
    fee_currency: Currency | None = None
    position_side: PositionSide = PositionSide.NET
    reason: str = ""


@event(categories=("trade", "order", "position"), measures=("quantity", "price"))
class TradeCorrected(Event, frozen=True, kw_only=True):
    """The venue changed a trade: `quantity` and `price` are the new ones, `previous_…` the trade's own before.

    `correction_id` is the venue's id of the correction, by which a later correction or bust may name the trade.
    """

    trade_id: str
    quantity: Positive
    price: Decimal
    symbol: str | None = None
    side: Side | None = None
    previous_quantity: Positive | None = None
    previous_price: Decimal | None = None
    position_side: PositionSide = PositionSide.NET
    reason: str = ""
    correction_id: str | None = None
