"""What a broker's report makes of an order: its status, and where the report differs from the order's own events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.trading import OrderStatus
from projections.decimals import ZERO
from projections.views.confirming import is_second
from projections.views.orders.order import CLOSED, ENDED, OrderAnomalyKind
from projections.views.orders.statuses import (
    FILLED,
    NEW,
    PENDING_CANCEL,
    PENDING_REPLACE,
    UNKNOWN,
    filled_if_complete,
    subtract,
    with_quantities,
    working_status,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore import Record, trading
    from eventstore.trading import PositionSide
    from projections.views.orders.fills import Found
    from projections.views.orders.order import Order
    from projections.views.orders.state import OrdersState

PENDING_NEW = OrderStatus.PENDING_NEW
PENDING = frozenset({PENDING_NEW, PENDING_CANCEL, PENDING_REPLACE})
_CHANGING = ("broker_order_id", "quantity", "limit_price", "stop_price")


def reported(order: Order, _state: OrdersState, event: trading.OrderReported, log_position: int, found: Found) -> Order:
    """Return the order with a report's status, and whatever nothing else has stated.

    An order that was never submitted here is what its newest report says: the broker's interface may have changed it.
    """
    quantity = order.quantity
    if (quantity is None or not order.submitted) and event.quantity is not None and event.quantity > 0:
        quantity = event.quantity
        if order.cumulative > quantity != order.quantity:
            found.append(OrderAnomalyKind.OVERFILL)
    base = _reported_base(order, quantity, event.status)
    # A report of status UNKNOWN says nothing about pending requests either; any other status replaces them.
    known = event.status is not UNKNOWN
    if known and order.base in CLOSED and order.base is not event.status:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
    order = replace(
        order,
        reported=True,
        symbol=event.symbol if order.symbol is None else order.symbol,
        side=event.side if order.side is None else order.side,
        order_type=event.order_type if order.order_type is None else order.order_type,
        limit_price=_price(order, order.limit_price, event.limit_price),
        stop_price=_price(order, order.stop_price, event.stop_price),
        broker_order_id=event.broker_order_id or order.broker_order_id,
        position_side=_side_of_position(order, event),
        reduce_only=order.reduce_only or event.reduce_only is True,
        parent_order_id=order.parent_order_id or event.parent_order_id,
        link_group=order.link_group or event.link_group,
        reported_filled=order.reported_filled if event.filled_quantity is None else event.filled_quantity,
        pending_cancels=int(event.status is PENDING_CANCEL) if known else order.pending_cancels,
        pending_replaces=int(event.status is PENDING_REPLACE) if known else order.pending_replaces,
        undone=order.undone and base is FILLED and event.status is not FILLED,
    )
    return with_quantities(order, log_position, base, quantity)


def _price(order: Order, known: Decimal | None, stated: Decimal | None) -> Decimal | None:
    """Return a price of an order after a report: what it was submitted with stands."""
    return known if stated is None or (order.submitted and known is not None) else stated


def is_outdated(order: Order, event: trading.OrderReported, record: Record) -> bool:
    """Return whether a report was made before the newest one that is known: it is recorded late.

    Of two made at the same instant, one that says that the order is closed is the later one. A time that the log has
    not reached yet is from a clock that runs ahead: it must not outlast all later reports.
    """
    newest, at = order.reported_at, record.occurred_at
    if newest is None or not at <= newest <= record.recorded_at:
        return False
    return at < newest or (order.base in CLOSED and event.status not in CLOSED)


def without_state(order: Order, event: trading.OrderReported, at: int) -> trading.OrderReported:
    """Return an outdated report, made at an instant, without what is known newer; it adds what nothing has stated."""
    newer = {name: None for name in _CHANGING if getattr(order, name) is not None}
    filled = event.filled_quantity if order.reported_filled is None else None
    status = event.status if _has_newest_status(order, event, at) else UNKNOWN
    return replace(event, status=status, filled_quantity=filled, **newer)


def _has_newest_status(order: Order, event: trading.OrderReported, at: int) -> bool:
    """Return whether the newer reports stated no status, and nothing else did."""
    if order.status_at is None:
        return order.base not in CLOSED
    return at > order.status_at or (at == order.status_at and event.status in CLOSED and order.base not in CLOSED)


def _side_of_position(order: Order, event: trading.OrderReported) -> PositionSide:
    """Return the side of a position that an order is about; what it was submitted for stands."""
    return order.position_side if order.submitted or event.position_side is None else event.position_side


def _reported_base(order: Order, quantity: Decimal | None, status: OrderStatus) -> OrderStatus:
    """Return the base after a report: the reported status, unless the recorded fills contradict it."""
    base = order.base
    if status is UNKNOWN:
        return filled_if_complete(base, quantity, order.cumulative)
    # A pending request does not say that what a bust took back is filled again; a larger total says that it works.
    is_larger = quantity is not None and order.quantity is not None and quantity > order.quantity
    if order.undone and base is FILLED and status in PENDING and not is_larger:
        return FILLED
    if status in ENDED and not order.cumulative:
        # Also of an order that was reduced to nothing: none of it was filled.
        return status
    working = working_status(quantity, order.cumulative)
    # Reports lag behind fills: a report of NEW does not take a fill back.
    if working is FILLED or (order.cumulative and (status is NEW or status is PENDING_NEW)):
        return working
    if status is PENDING_CANCEL or status is PENDING_REPLACE:
        return working if base in CLOSED or base is UNKNOWN else base
    return status


def compared(before: Order, order: Order, event: trading.OrderReported, record: Record, *, is_late: bool) -> Order:
    """Return a reported order with what the report says beyond the order's own events.

    An outdated one (`is_late`) may add to that what the newest does not state, and takes nothing back.
    """
    at, filled = record.occurred_at, event.filled_quantity
    if event.status is FILLED and not filled:
        filled = event.quantity or order.quantity
    unexplained = before.unexplained if filled is None else max(ZERO, subtract(filled, order.cumulative))
    total = event.quantity if event.quantity is not None and event.quantity > ZERO else None
    other = before.reported_quantity if total is None else None if total == order.quantity else total
    requested = order.requested_quantity
    if is_late:
        # What was filled when the newest was made is known: by a bust or correction that can be less than before.
        is_known = before.reported_filled is not None
        unexplained = before.unexplained if is_known else max(unexplained, before.unexplained)
        other = before.reported_quantity
    elif event.status in CLOSED or (total is not None and total == requested):
        requested = None
    order = replace(
        order,
        unexplained=unexplained,
        reported_quantity=other,
        requested_quantity=requested,
        reported_at=before.reported_at if is_late else at,
    )
    if not order.differs:
        return replace(order, differs_since=None, differs_twice=False)
    is_same = before.differs and _missing(before) == _missing(order)
    if not is_same or before.differs_since is None:
        return replace(order, differs_since=record.recorded_at, differs_twice=False)
    twice = before.differs_twice or is_second(at, record.recorded_at, before.reported_at)
    return replace(order, differs_since=before.differs_since, differs_twice=twice)


def _missing(order: Order) -> tuple[Decimal, Decimal | None]:
    return order.unexplained, order.reported_quantity
