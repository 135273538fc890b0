"""One order as its events describe it, its anomalies, and which order states are closed, live or unknown."""

import enum
from decimal import Decimal
from typing import ClassVar

import msgspec

from eventstore import Instant
from eventstore.readable import Readable
from eventstore.trading import OrderStatus, OrderSubmitted, OrderType, PositionSide, Side, TimeInForce
from projections.decimals import FIXED, ZERO

ENDED = frozenset({OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED})
"""Only a report takes these back. FILLED is not among them: the venue can replace the order by a larger one, or let it
work again after a bust."""
CLOSED = ENDED | {OrderStatus.FILLED}
LIVE = frozenset(OrderStatus) - CLOSED - {OrderStatus.UNKNOWN}
"""Neither closed nor UNKNOWN."""
FOR_THE_DAY = frozenset({
    TimeInForce.DAY, TimeInForce.AT_THE_OPENING, TimeInForce.AT_THE_CLOSE, TimeInForce.IMMEDIATE_OR_CANCEL,
    TimeInForce.FILL_OR_KILL,
})  # fmt: skip
"""What ends with its trading day, at the latest."""


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


class Order(Readable, msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An order as its events describe it; an immutable value. The numbers after the members are FIX tags.

    `quantity` (38), `cumulative` (14) and `leaves` (151) are contracts or shares; prices are in the instrument's own
    units. What no event has stated is None; without a quantity, `leaves` is None too. A closed order leaves 0.
    `anomalies` holds the first 1,000. `first_position` and `last_position` are log positions.
    """

    shown_too: ClassVar[tuple[str, ...]] = ("average_price", "shortfall")

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
    link_group: str | None = None
    day_at: Instant | None = None
    """When it was submitted, if it ends with its trading day."""
    expires_at: Instant | None = None  # 126
    requested_quantity: Decimal | None = None
    """The largest total that an unanswered replace request asks for."""
    reported_quantity: Decimal | None = None
    """The latest report's total, if it is not `quantity` and nothing has replaced it since."""
    unexplained: Decimal = ZERO
    """What the latest report says was filled beyond the fills recorded, those since included."""
    reported_status: OrderStatus | None = None
    """What the newest report that states a status says, whether or not the fills recorded allow it."""
    replaced_at: Instant | None = None
    """When the newest replacement was made; without a submission, or the newest report that states the quantity."""
    reported_at: Instant | None = None
    """When the newest report was made."""
    status_at: Instant | None = None
    """When the newest of the reports was made whose status is known here: a venue may have other words."""
    differs_since: Instant | None = None
    """When the first of the reports was recorded that differ in the same way, or the last fill after them."""
    differs_twice: bool = False
    """Whether a second report, made later, differed in the same way, with no fill in between."""

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
    def executable(self) -> Decimal | None:
        """The most by which it may still change a position, None if unknown.

        That is what is left of the largest total that it has, that was requested or that the broker reports, and what
        was reported as filled without the fill.
        """
        if self.base in CLOSED:
            # A filled order may be replaced by a larger one.
            requested = self.requested_quantity
            left = ZERO if requested is None else FIXED.subtract(requested, self.cumulative)
            return max(left, self.unexplained, ZERO)
        totals = [
            total for total in (self.quantity, self.requested_quantity, self.reported_quantity) if total is not None
        ]
        if not totals:
            return None
        return max(FIXED.subtract(max(totals), self.cumulative), self.unexplained, ZERO)

    @property
    def differs(self) -> bool:
        """Whether the latest report states another total, or more fills, than the order's own events."""
        is_other = self.reported_quantity is not None and self.base not in CLOSED
        return is_other or self.unexplained > ZERO

    @property
    def shortfall(self) -> Decimal | None:
        """The filled quantity of the latest report that no fill accounts for; None if no report ever stated one."""
        return None if self.reported_filled is None else FIXED.subtract(self.reported_filled, self.cumulative)


def submitted_order(account: str, order_id: str, event: OrderSubmitted, log_position: int, at: int) -> Order:
    """Return an order whose first event is its submission, at an instant, which is the usual case."""
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
        link_group=event.link_group,
        day_at=day_at(event, at),
        expires_at=expires_at(event),
    )


def day_at(event: OrderSubmitted, at: int) -> int | None:
    """Return when an order was submitted if it ends with its trading day."""
    return at if event.time_in_force in FOR_THE_DAY else None


def expires_at(event: OrderSubmitted) -> int | None:
    """Return when an order expires by its own terms; one that is good till cancelled does not."""
    is_dated = event.time_in_force is None or event.time_in_force is TimeInForce.GOOD_TILL_DATE
    return event.expires_at if is_dated else None
