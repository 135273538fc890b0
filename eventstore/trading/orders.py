"""What happens to an order: stream `order/ACCOUNT/ORDER_ID`, one event for each execution report (FIX 35=8, 35=9)."""

from datetime import date
from decimal import Decimal

from eventstore.events import QUEUED, Currency, Event, Instant, Positive, event
from eventstore.trading.enums import (
    Liquidity,
    OrderStatus,
    OrderType,
    PositionEffect,
    PositionSide,
    Side,
    TimeInForce,
)
from eventstore.trading.trade_ids import unidentified


@event(categories=("order",), measures=("quantity", "limit_price", "stop_price"))
class OrderSubmitted(Event, frozen=True, kw_only=True):
    """An order was sent. `quantity` in contracts or shares, prices in the instrument's own units."""

    symbol: str
    side: Side
    quantity: Positive
    order_type: OrderType | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    exchange: str | None = None
    time_in_force: TimeInForce | None = None
    expires_at: Instant | None = None
    reduce_only: bool = False
    post_only: bool = False
    position_side: PositionSide = PositionSide.NET
    position_effect: PositionEffect | None = None
    parent_order_id: str | None = None
    link_group: str | None = None
    strategy: str | None = None
    reference: str | None = None


@event(categories=("order",))
class OrderAccepted(Event, frozen=True, kw_only=True):
    """The venue took the order."""

    broker_order_id: str | None = None


@event(categories=("order",))
class OrderRejected(Event, frozen=True, kw_only=True):
    """The venue, or a check before it, refused the order."""

    reason: str = ""


@event(categories=("order",))
class OrderTriggered(Event, frozen=True, kw_only=True):
    """A stop or if-touched order became active."""


@event(categories=("order", "trade", "position"), measures=("quantity", "price", "fee"), problem_of=unidentified)
class OrderFilled(Event, frozen=True, kw_only=True):
    """A part of an order, or all of it, was executed. `fee` is what was paid: below zero is a rebate."""

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


@event(categories=("order",), measures=("quantity", "limit_price", "stop_price"))
class OrderReplaceRequested(Event, frozen=True, kw_only=True):
    """A change of the order was asked for."""

    quantity: Positive | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@event(categories=("order",), measures=("quantity", "limit_price", "stop_price"))
class OrderReplaced(Event, frozen=True, kw_only=True):
    """The order was changed; `quantity` is the new total, what is filled included (FIX 38). None: as before."""

    quantity: Positive | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    broker_order_id: str | None = None


@event(categories=("order",))
class OrderReplaceRejected(Event, frozen=True, kw_only=True):
    """The change was refused; the order stands as it was."""

    reason: str = ""


@event(categories=("order",), measures=("by",))
class OrderReduced(Event, frozen=True, kw_only=True):
    """The order's quantity was cut by `by` without a request of ours and without a fill."""

    by: Positive


@event(categories=("order",))
class OrderCancelRequested(Event, frozen=True, kw_only=True):
    """Cancelling the order was asked for."""

    reason: str = ""


@event(categories=("order",), measures=("quantity",))
class OrderCanceled(Event, frozen=True, kw_only=True):
    """The rest of the order was cancelled; `quantity` is that rest where the venue states it."""

    reason: str = ""
    quantity: Positive | None = None


@event(categories=("order",))
class OrderCancelRejected(Event, frozen=True, kw_only=True):
    """Cancelling was refused; the order stands as it was."""

    reason: str = ""


@event(categories=("order",))
class OrderExpired(Event, frozen=True, kw_only=True):
    """The order's time ran out."""

    reason: str = ""


@event(categories=("order",), durability=QUEUED, measures=("quantity", "filled_quantity", "average_fill_price"))
class OrderReported(Event, frozen=True, kw_only=True):
    """What a broker's snapshot says of an order. It sets the status; it never makes a fill.

    `parent_order_id` is the order whose fill makes this one work, `link_group` the name that orders share of which a
    fill ends the others; None for these, `position_side` and `reduce_only` means that the report does not say it.
    """

    status: OrderStatus = OrderStatus.UNKNOWN
    raw_status: str | None = None
    broker_order_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_type: OrderType | None = None
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    average_fill_price: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    updated_at: Instant | None = None
    position_side: PositionSide | None = None
    reduce_only: bool | None = None
    parent_order_id: str | None = None
    link_group: str | None = None
