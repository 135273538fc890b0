"""One order as its events describe it, its anomalies, and which order states are closed, live or unknown."""

import enum
from decimal import Decimal

import msgspec

from eventstore.trading import OrderStatus, OrderSubmitted, OrderType, PositionSide, Side, TimeInForce
from projections.decimals import FIXED, ZERO

ENDED = frozenset({OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED})
"""Only a report takes these back. FILLED is not among them: the venue can replace the order by a larger one, or let it
work again after a bust."""
CLOSED = ENDED | {OrderStatus.FILLED}
LIVE = frozenset(OrderStatus) - CLOSED - {OrderStatus.UNKNOWN}
"""Neither closed nor UNKNOWN."""


class OrderAnomalyKind(enum.StrEnum):
    """Why an event was anomalous. It was folded nevertheless, as far as it could be."""

    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    """An event for an order that was neither submitted nor reported."""
    OVERFILL = "OVERFILL"
    """More was filled than ordered."""
    FILL_AFTER_CLOSE = "FILL_AFTER_CLOSE"
    """A fill, not covered by an earlier report, after the order was filled, canceled, rejected or expired."""
    REMAINDER = "REMAINDER"
    """The venue canceled a quantity that differs from what was left."""
    OVER_REDUCED = "OVER_REDUCED"
    """The order was reduced by more than was left: it is reduced to its filled quantity."""
    SUBMITTED_TWICE = "SUBMITTED_TWICE"
    """The same order id was submitted again: the first submission stands."""
    EVENT_AFTER_CLOSE = "EVENT_AFTER_CLOSE"
    """An event that only an open order can have, on a closed one; or a report that contradicts how it closed."""
    DUPLICATE_TRADE = "DUPLICATE_TRADE"
    """A trade id was filled or busted twice, here or, before, in another stream or order: the first time counts."""
    CONFLICTING_TRADE = "CONFLICTING_TRADE"
    """A trade id was filled again with another quantity or price: the first counts, until the venue corrects it."""
    UNKNOWN_TRADE = "UNKNOWN_TRADE"
    """A bust or correction of a trade that is not recorded, and counts once it is; or a correction of a busted one."""


class OrderAnomaly(msgspec.Struct, frozen=True, gc=False):
    """An anomaly and the log position of the record that caused it."""

    kind: OrderAnomalyKind
    position: int


class Order(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An order as its events describe it; an immutable value. The numbers after the members are FIX tags.

    `quantity` (38), `cumulative` (14) and `leaves` (151) are contracts or shares; prices are in the instrument's own
    units. What no event has stated is None; without a quantity, `leaves` is None too. A closed order leaves 0.
    `anomalies` holds the first 1,000. `first_position` and `last_position` are log positions.
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
    """The filled quantity of the latest report; kept beside `cumulative`, which it never changes."""
    notional: Decimal = ZERO
    """The sum of quantity × price over the fills that count."""
    base: OrderStatus = OrderStatus.UNKNOWN
    """The status apart from pending requests, and apart from UNKNOWN for an order neither submitted nor reported."""
    pending_cancels: int = 0
    pending_replaces: int = 0
    submitted: bool = False
    reported: bool = False
    reduce_only: bool = False
    undone: bool = False
    """Whether a bust or correction took back a part of the filled order: it works again only if the venue says so."""

    @property
    def average_price(self) -> Decimal | None:
        """The mean price of the fills (6), to 34 digits; None without fills."""
        return FIXED.divide(self.notional, self.cumulative) if self.cumulative else None

    @property
    def is_open(self) -> bool:
        """Whether more of it may still be executed; False for UNKNOWN, whose state at the venue is not known."""
        status = self.status
        return status in LIVE and (status is not OrderStatus.PENDING_CANCEL or self.leaves != ZERO)

    @property
    def shortfall(self) -> Decimal | None:
        """The filled quantity of the latest report that no fill accounts for; None if no report ever stated one."""
        return None if self.reported_filled is None else FIXED.subtract(self.reported_filled, self.cumulative)


def submitted_order(account: str, order_id: str, event: OrderSubmitted, log_position: int) -> Order:
    """Return an order whose first event is its submission, which is the usual case."""
    quantity = event.quantity
    return Order(
        account,
        order_id,
        log_position,
        log_position,
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
