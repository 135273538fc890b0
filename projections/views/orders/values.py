"""The values of the orders view: an order, its fills, and what was surprising about it."""

import enum
from decimal import Decimal

import msgspec

from eventstore.trading import OrderStatus, OrderSubmitted, OrderType, PositionSide, Side, TimeInForce
from projections.decimals import FIXED, ZERO

ENDED = frozenset({OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED})
"""No event but a report takes these back; a filled order can be made larger, or its trade busted."""
CLOSED = ENDED | {OrderStatus.FILLED}
LIVE = frozenset(OrderStatus) - CLOSED - {OrderStatus.UNKNOWN}
"""What is neither over nor UNKNOWN."""


class OrderAnomalyKind(enum.StrEnum):
    """Why a fact surprised. It counted nevertheless, as far as it could."""

    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    """An event for an order that was neither submitted nor reported."""
    OVERFILL = "OVERFILL"
    """More was filled than ordered."""
    FILL_AFTER_CLOSE = "FILL_AFTER_CLOSE"
    """A fill, which no report had told of before, after the order was filled, canceled, rejected or expired."""
    REMAINDER = "REMAINDER"
    """The venue cancelled another quantity than was left."""
    OVER_REDUCED = "OVER_REDUCED"
    """The order was reduced by more than was left: it is reduced to what was filled."""
    SUBMITTED_TWICE = "SUBMITTED_TWICE"
    """The same order id was submitted again: the first submission stands."""
    EVENT_AFTER_CLOSE = "EVENT_AFTER_CLOSE"
    """The venue did to a closed order what it does to open ones, or a report contradicts how it closed."""
    DUPLICATE_TRADE = "DUPLICATE_TRADE"
    """A trade id filled or busted twice: the first time counts."""
    UNKNOWN_TRADE = "UNKNOWN_TRADE"
    """A bust or correction of a trade that is not known, and whose figures are missing or more than was filled."""


class OrderAnomaly(msgspec.Struct, frozen=True, gc=False):
    """A surprise, with the log position of the record that brought it."""

    kind: OrderAnomalyKind
    position: int


class Fill(msgspec.Struct, frozen=True, gc=False):
    """What one trade gave an order (FIX 32, 31); a quantity of zero is a busted one, kept so that it counts once."""

    quantity: Decimal
    price: Decimal


class Order(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An order as its events tell it; a value that never changes. The numbers after the members are FIX tags.

    `quantity` (38), `cumulative` (14) and `leaves` (151) are contracts or shares, prices are in the instrument's own
    units. What nobody has told is None: of an order of unknown quantity, `leaves` too. A closed order leaves 0.
    `anomalies` holds the first 1,000; positions are places in the log.
    """

    account: str
    order_id: str  # 11
    first_position: int
    last_position: int
    status: OrderStatus = OrderStatus.UNKNOWN  # 39
    cumulative: Decimal = ZERO
    leaves: Decimal | None = None
    quantity: Decimal | None = None
    symbol: str | None = None  # 55
    side: Side | None = None  # 54
    order_type: OrderType | None = None  # 40
    limit_price: Decimal | None = None  # 44
    stop_price: Decimal | None = None  # 99
    broker_order_id: str | None = None  # 37
    anomalies: tuple[OrderAnomaly, ...] = ()
    position_side: PositionSide = PositionSide.NET
    time_in_force: TimeInForce | None = None  # 59
    exchange: str | None = None  # 207
    strategy: str | None = None
    reference: str | None = None
    parent_order_id: str | None = None
    triggered: bool = False
    reported_filled: Decimal | None = None
    """The filled quantity of the latest report; it stands beside `cumulative` and never changes it."""
    notional: Decimal = ZERO
    """The sum of quantity × price over the fills that count."""
    base: OrderStatus = OrderStatus.UNKNOWN
    """What the status is but for pending requests, and for nobody having told of the order."""
    pending_cancels: int = 0
    pending_replaces: int = 0
    submitted: bool = False
    reported: bool = False
    reduce_only: bool = False

    @property
    def average_price(self) -> Decimal | None:
        """The mean price of what was filled (6), to 34 digits; None when nothing is."""
        return FIXED.divide(self.notional, self.cumulative) if self.cumulative else None

    @property
    def is_open(self) -> bool:
        """Whether more of it may still be executed; an UNKNOWN one's fate nobody knows, so it is not open."""
        status = self.status
        return status in LIVE and (status is not OrderStatus.PENDING_CANCEL or self.leaves != ZERO)

    @property
    def shortfall(self) -> Decimal | None:
        """What the latest report says was filled and no fill has told of; None when none ever said."""
        return None if self.reported_filled is None else FIXED.subtract(self.reported_filled, self.cumulative)


class OrdersState(msgspec.Struct, dict=True):
    """One account's orders by order id. Residents are the open, the unknown and the last closed ones.

    `fills` and `broker_ids` go with their order when it is evicted; `anomaly_counts` by AnomalyKind keep counting.
    `late` holds evicted orders that were touched again, each with the position of the latest record that did. What is
    cached of the evicted ones hangs beside the members, so that it lives and dies with its state and is in no snapshot.
    """

    open: dict[str, Order] = {}
    """Every resident neither closed nor UNKNOWN, longest resident first."""
    unknown: dict[str, Order] = {}
    """Those of status UNKNOWN, apart, so that the oldest is found when they are too many."""
    closed: dict[str, Order] = {}
    """The last closed, first closed first."""
    fills: dict[str, dict[str, Fill]] = {}
    broker_ids: dict[str, str] = {}
    anomaly_counts: dict[str, int] = {}
    late: dict[str, int] = {}
    position: int = 0
    """The last record's: one at or before it is a repeated delivery."""


def first_submitted(account: str, order_id: str, event: OrderSubmitted, position: int) -> Order:
    """Return an order that begins, as it should, with its submission."""
    quantity = event.quantity
    return Order(
        account,
        order_id,
        position,
        position,
        OrderStatus.PENDING_NEW,
        ZERO,
        quantity,
        quantity,
        event.symbol,
        event.side,
        event.order_type,
        event.limit_price,
        event.stop_price,
        None,
        (),
        event.position_side,
        event.time_in_force,
        event.exchange,
        event.strategy,
        event.reference,
        event.parent_order_id,
        base=OrderStatus.PENDING_NEW,
        submitted=True,
        reduce_only=event.reduce_only,
    )
