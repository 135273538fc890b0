"""What each event makes of an order: pure transitions. Statuses follow FIX 4.4's matrices of order state changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from eventstore import trading
from eventstore.trading import OrderStatus
from projections.decimals import ZERO
from projections.views.orders.fills import Found, busted, corrected, filled
from projections.views.orders.order import (
    CLOSED,
    ENDED,
    Order,
    OrderAnomaly,
    OrderAnomalyKind,
    day_at,
    expires_at,
)
from projections.views.orders.reports import reported
from projections.views.orders.state import OrdersState
from projections.views.orders.statuses import (
    FILLED,
    UNKNOWN,
    activated,
    answered,
    closed,
    filled_if_complete,
    reopened,
    shown_status,
    subtract,
    with_pending,
    with_quantities,
    working_status,
    works_again,
)
from projections.views.orders.superseding import after_event, after_report

if TYPE_CHECKING:
    from eventstore import Event, Record

ANOMALIES_PER_ORDER_MAX = 1_000

PENDING_NEW, CANCELED, SUSPENDED = OrderStatus.PENDING_NEW, OrderStatus.CANCELED, OrderStatus.SUSPENDED

Transition = Callable[[Order, OrdersState, Any, int, Found], Order]


def step(state: OrdersState, transition: Transition, order: Order, event: Event, record: Record) -> Order:
    """Return the order after a record's event; `transition` is TRANSITIONS' entry for its class.

    Changes the state's fills and anomaly counts in place: only the fold itself reads them.
    """
    found: Found = []
    log_position, before = record.position, order
    if isinstance(event, trading.OrderReported):
        order = after_report(order, event, record, lambda now, news: transition(now, state, news, log_position, found))
    else:
        if order.reported_at is None and event.__class__ is not trading.OrderReplaced:
            # The usual case: nothing that was reported can be newer.
            order = transition(order, state, event, log_position, found)
        else:
            order = after_event(
                order, event, record, lambda now, news: transition(now, state, news, log_position, found)
            )
        if before.differs_since is not None and order.cumulative != before.cumulative:
            order = replace(order, differs_since=record.recorded_at, differs_twice=False)
        elif isinstance(event, trading.OrderSubmitted) and not before.submitted:
            order = replace(order, day_at=day_at(event, record.occurred_at))
    if not (order.submitted or order.reported):
        found.append(OrderAnomalyKind.UNKNOWN_ORDER)
    return marked(state, order, log_position, found) if found else order


def marked(state: OrdersState, order: Order, log_position: int, found: Found) -> Order:
    """Return the order with the anomalies that one record caused, and count them."""
    counts = state.anomaly_counts
    for kind in found:
        counts[kind.value] = counts.get(kind.value, 0) + 1
    anomalies = order.anomalies + tuple([OrderAnomaly(kind, log_position) for kind in found])
    return replace(order, anomalies=anomalies[:ANOMALIES_PER_ORDER_MAX])


def _submitted(
    order: Order, _state: OrdersState, event: trading.OrderSubmitted, log_position: int, found: Found
) -> Order:
    """Return the order with a submission recorded after other events of it: what those stated is newer and stays."""
    if order.submitted:
        found.append(OrderAnomalyKind.SUBMITTED_TWICE)
        return replace(order, last_position=log_position)
    quantity = event.quantity if order.quantity is None else order.quantity
    if order.cumulative > quantity:
        found.append(OrderAnomalyKind.OVERFILL)
    base = PENDING_NEW if order.base is UNKNOWN else order.base
    order = replace(
        order,
        submitted=True,
        symbol=event.symbol,
        side=event.side,
        order_type=event.order_type or order.order_type,
        limit_price=event.limit_price if order.limit_price is None else order.limit_price,
        stop_price=event.stop_price if order.stop_price is None else order.stop_price,
        position_side=event.position_side,
        time_in_force=event.time_in_force,
        exchange=event.exchange,
        strategy=event.strategy,
        reference=event.reference,
        parent_order_id=event.parent_order_id or order.parent_order_id,
        reduce_only=event.reduce_only or order.reduce_only,
        link_group=event.link_group or order.link_group,
        expires_at=expires_at(event),
    )
    return with_quantities(order, log_position, filled_if_complete(base, quantity, order.cumulative), quantity)


def _accepted(
    order: Order, _state: OrdersState, event: trading.OrderAccepted, log_position: int, found: Found
) -> Order:
    if works_again(order):
        order = reopened(order, log_position)
    base, status = order.base, order.status
    if base in CLOSED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
    else:
        base = activated(base, order.quantity, order.cumulative)
        # An order just submitted, the usual case, has no pending requests that could take precedence.
        status = (
            base if status is PENDING_NEW else shown_status(order, base, order.pending_cancels, order.pending_replaces)
        )
    broker_order_id = event.broker_order_id or order.broker_order_id
    return replace(order, status=status, base=base, broker_order_id=broker_order_id, last_position=log_position)


def _rejected(
    order: Order, _state: OrdersState, _event: trading.OrderRejected, log_position: int, found: Found
) -> Order:
    return _ended(order, log_position, OrderStatus.REJECTED, found)


def _expired(order: Order, _state: OrdersState, _event: trading.OrderExpired, log_position: int, found: Found) -> Order:
    return _ended(order, log_position, OrderStatus.EXPIRED, found)


def _canceled(
    order: Order, _state: OrdersState, event: trading.OrderCanceled, log_position: int, found: Found
) -> Order:
    quantity, leaves = event.quantity, order.leaves
    if quantity is not None and leaves is not None and quantity != leaves and order.base not in CLOSED:
        found.append(OrderAnomalyKind.REMAINDER)
    return _ended(order, log_position, CANCELED, found)


def _ended(order: Order, log_position: int, base: OrderStatus, found: Found) -> Order:
    """Return the order closed. One closed before keeps its status: in FIX, Filled takes precedence over Canceled."""
    if order.base in CLOSED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
        base = order.base
    return closed(order, log_position, base)


def _triggered(
    order: Order, _state: OrdersState, _event: trading.OrderTriggered, log_position: int, found: Found
) -> Order:
    order = replace(order, triggered=True)
    if works_again(order):
        return reopened(order, log_position)
    if order.base in CLOSED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
        return replace(order, last_position=log_position)
    return with_quantities(order, log_position, activated(order.base, order.quantity, order.cumulative), order.quantity)


def _replace_requested(
    order: Order, _state: OrdersState, event: trading.OrderReplaceRequested, log_position: int, _found: Found
) -> Order:
    # A filled order may be replaced by a larger one (FIX matrix C.1.c); a canceled one stays canceled.
    if order.base in ENDED:
        return replace(order, last_position=log_position)
    if event.quantity is not None:
        # The venue may take it at any time, and which of several it takes is not known.
        known = order.requested_quantity
        order = replace(order, requested_quantity=event.quantity if known is None else max(known, event.quantity))
    return with_pending(order, log_position, order.pending_cancels, order.pending_replaces + 1)


def _replace_rejected(
    order: Order, _state: OrdersState, _event: trading.OrderReplaceRejected, log_position: int, _found: Found
) -> Order:
    order = answered(order)
    return with_pending(order, log_position, order.pending_cancels, max(0, order.pending_replaces - 1))


def _replaced(
    order: Order, _state: OrdersState, event: trading.OrderReplaced, log_position: int, found: Found
) -> Order:
    base, quantity = order.base, order.quantity
    if event.quantity is not None:
        # A quantity below what is filled is raised to it (FIX matrix C.3.c).
        quantity = max(event.quantity, order.cumulative)
    if base is FILLED:
        # A larger quantity reopens a filled order. A replacement that was requested before the last fill may still be
        # confirmed after it; one that was never requested is an anomaly.
        if quantity is not None and order.quantity is not None and quantity > order.quantity:
            base = working_status(quantity, order.cumulative)
            order = replace(order, undone=False)
        elif not order.pending_replaces:
            found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
    elif base in ENDED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
    elif base is SUSPENDED:
        # A replacement alone does not resume a suspended order.
        base = filled_if_complete(base, quantity, order.cumulative)
    else:
        base = activated(base, quantity, order.cumulative)
    order = replace(
        answered(order),
        limit_price=order.limit_price if event.limit_price is None else event.limit_price,
        stop_price=order.stop_price if event.stop_price is None else event.stop_price,
        broker_order_id=event.broker_order_id or order.broker_order_id,
        pending_replaces=max(0, order.pending_replaces - 1),
        reported_quantity=order.reported_quantity if event.quantity is None else None,
    )
    return with_quantities(order, log_position, base, quantity)


def _reduced(order: Order, _state: OrdersState, event: trading.OrderReduced, log_position: int, found: Found) -> Order:
    if order.base in CLOSED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
        return replace(order, last_position=log_position)
    if order.quantity is None or order.leaves is None:
        return replace(order, last_position=log_position)
    order = replace(order, reported_quantity=None)
    assert order.quantity is not None
    assert order.leaves is not None
    if event.by < order.leaves:
        return with_quantities(order, log_position, order.base, subtract(order.quantity, event.by))
    if event.by > order.leaves:
        found.append(OrderAnomalyKind.OVER_REDUCED)
    # Nothing is left: like a replacement down to the filled quantity (FIX matrix C.3.b), it counts as filled.
    if order.cumulative:
        return with_quantities(order, log_position, FILLED, order.cumulative)
    return replace(closed(order, log_position, CANCELED), quantity=ZERO)


def _cancel_requested(
    order: Order, _state: OrdersState, _event: trading.OrderCancelRequested, log_position: int, _found: Found
) -> Order:
    # The request and the end of the order crossed: nothing is pending, and this is not an anomaly.
    if order.base in CLOSED:
        return replace(order, last_position=log_position)
    return with_pending(order, log_position, order.pending_cancels + 1, order.pending_replaces)


def _cancel_rejected(
    order: Order, _state: OrdersState, _event: trading.OrderCancelRejected, log_position: int, _found: Found
) -> Order:
    return with_pending(order, log_position, max(0, order.pending_cancels - 1), order.pending_replaces)


TRANSITIONS: dict[type[Event], Transition] = {
    trading.OrderSubmitted: _submitted,
    trading.OrderAccepted: _accepted,
    trading.OrderRejected: _rejected,
    trading.OrderTriggered: _triggered,
    trading.OrderFilled: filled,
    trading.OrderReplaceRequested: _replace_requested,
    trading.OrderReplaced: _replaced,
    trading.OrderReplaceRejected: _replace_rejected,
    trading.OrderReduced: _reduced,
    trading.OrderCancelRequested: _cancel_requested,
    trading.OrderCanceled: _canceled,
    trading.OrderCancelRejected: _cancel_rejected,
    trading.OrderExpired: _expired,
    trading.OrderReported: reported,
    trading.TradeBusted: busted,
    trading.TradeCorrected: corrected,
}
"""The event classes that the view folds; any other leaves an order unchanged."""
