"""What an event changes of an order that is recorded after later ones: nothing that these have stated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRejected,
    OrderStatus,
    OrderTriggered,
)
from projections.views.orders.order import CLOSED, ENDED
from projections.views.orders.reports import compared, is_outdated, without_state
from projections.views.orders.statuses import NEW, PARTIALLY_FILLED, closed, reopened, with_pending, with_quantities

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore import Event, Record
    from eventstore.trading import OrderReported
    from projections.views.orders.order import Order

_WORKING = frozenset({NEW, PARTIALLY_FILLED})
_STANDING = _WORKING | {OrderStatus.SUSPENDED}
_ENDS = (OrderCanceled, OrderExpired, OrderRejected)
_ACTIVATING = (OrderAccepted, OrderTriggered)
_ANSWERS = (OrderReplaced, OrderReplaceRejected, OrderCancelRejected)


def after_report(
    order: Order, event: OrderReported, record: Record, transition: Callable[[Order, OrderReported], Order]
) -> Order:
    """Return the order after a report, by its transition, as far as newer ones leave it to that."""
    before, at, is_late = order, record.occurred_at, is_outdated(order, event, record)
    news = without_state(order, event, at) if is_late else event
    if is_late and _reinstates(order, event):
        order = reopened(order, record.position)
    order = compared(before, transition(order, news), event, record, is_late=is_late)
    if news.status is not OrderStatus.UNKNOWN:
        order = replace(order, status_at=at, reported_status=news.status)
    if news.quantity is not None and not order.submitted:
        order = replace(order, replaced_at=max(order.replaced_at or 0, at))
    return order


def after_event(order: Order, event: Event, record: Record, transition: Callable[[Order, Event], Order]) -> Order:
    """Return the order after any other event, by its transition, as far as newer reports leave it to that."""
    before = order
    # An acceptance from before the newest report does not say that what a bust took back works again.
    is_old = order.undone and record.occurred_at < (order.reported_at or 0) and isinstance(event, _ACTIVATING)
    if is_old:
        order = replace(order, undone=False)
    if isinstance(event, OrderReplaced):
        event, order = _as_far_as_newest(order, event, record)
    order = transition(order, event)
    if is_old:
        order = replace(order, undone=True)
    return _still_as_reported(before, order, event, record)


def _reinstates(order: Order, event: OrderReported) -> bool:
    """Return whether an outdated report shows that the venue let an order work again after a bust.

    It knows of the bust, for it states what is filled without it, and nothing newer says that the order is closed: what
    is filled without the bust was also filled before the trade.
    """
    is_open = order.undone and order.reported_status not in CLOSED
    return is_open and event.status in _WORKING and event.filled_quantity == order.cumulative


def _as_far_as_newest(order: Order, event: OrderReplaced, record: Record) -> tuple[OrderReplaced, Order]:
    """Return a replacement without its terms if newer ones are known, and the order with the time of the newest."""
    at, newest = record.occurred_at, order.replaced_at or 0
    # A time that the log has not reached yet is from a clock that runs ahead: it must not outlast all later ones.
    if at < newest <= record.recorded_at:
        return replace(event, quantity=None, limit_price=None, stop_price=None, broker_order_id=None), order
    return event, replace(order, replaced_at=at)


def _still_as_reported(before: Order, order: Order, event: Event, record: Record) -> Order:
    """Return an order as its newest report has it, if what happened before that report would have it otherwise.

    A suspended order does not work again by an older fill, an older answer does not end a request that is pending, and
    an older end does not close what works.
    """
    reported_at, log_position = before.reported_at, record.position
    if reported_at is None or not record.occurred_at < reported_at <= record.recorded_at:
        return order
    ended = before.reported_status
    if isinstance(event, _ENDS) and ended in _STANDING and before.base not in CLOSED:
        # It works, or works again: what ended before that is over.
        return replace(before, last_position=log_position)
    if ended in ENDED and isinstance(event, OrderReplaced) and order.base in _WORKING:
        # With fewer to fill, all seemed filled, and the report of its end was not believed.
        assert ended is not None
        return closed(order, log_position, ended)
    if before.base is OrderStatus.SUSPENDED and order.base in _WORKING:
        order = with_quantities(order, log_position, OrderStatus.SUSPENDED, order.quantity)
    if not isinstance(event, _ANSWERS) or order.base in ENDED:
        return order
    return with_pending(order, log_position, before.pending_cancels, before.pending_replaces)
