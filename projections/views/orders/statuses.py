"""FIX 4.4's precedence of order states: which status an order has after its quantities or pending requests change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.trading import OrderStatus
from projections.decimals import FIXED, ZERO
from projections.views.orders.order import CLOSED, ENDED, Order

if TYPE_CHECKING:
    from decimal import Decimal

NEW, PARTIALLY_FILLED, FILLED = OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED
PENDING_CANCEL, PENDING_REPLACE, UNKNOWN = OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE, OrderStatus.UNKNOWN

# Bound once: whatever the thread's own context is, a fold computes in this one.
subtract = FIXED.subtract


def shown_status(order: Order, base: OrderStatus, pending_cancels: int, pending_replaces: int) -> OrderStatus:
    """Return the status to show: in FIX's precedence Pending Cancel, Pending Replace, then what the fills imply."""
    # A fill or a cancel request alone does not establish what the venue holds.
    if not (order.submitted or order.reported or base in CLOSED):
        return UNKNOWN
    # A pending request does not reopen an ended order, but FILLED may be pending: a replacement can make it larger.
    if (pending_cancels or pending_replaces) and base not in ENDED:
        return PENDING_CANCEL if pending_cancels else PENDING_REPLACE
    return base


def working_status(quantity: Decimal | None, cumulative: Decimal) -> OrderStatus:
    """Return the status of an order that the venue works on, by its quantities."""
    if quantity is not None and cumulative >= quantity:
        return FILLED
    return PARTIALLY_FILLED if cumulative else NEW


def activated(base: OrderStatus, quantity: Decimal | None, cumulative: Decimal) -> OrderStatus:
    """Return the base of an order that the venue has just confirmed as working."""
    working = working_status(quantity, cumulative)
    # A report may know of fills that have not been recorded here: PARTIALLY_FILLED does not fall back to NEW.
    return base if base is PARTIALLY_FILLED and working is NEW else working


def works_again(order: Order) -> bool:
    """Return whether an acceptance makes the order work again: it was filled, and a bust took back a part of it."""
    return order.undone and order.base is FILLED and working_status(order.quantity, order.cumulative) is not FILLED


def reopened(order: Order, log_position: int) -> Order:
    """Return the order working on what is not filled, as the venue has said that it does."""
    base = working_status(order.quantity, order.cumulative)
    return with_quantities(replace(order, undone=False), log_position, base, order.quantity)


def base_as_reported(order: Order) -> OrderStatus:
    """Return the base of an order whose fills are what its newest report states again, after a bust took some back.

    Until they were, more was filled than the report knew, and its status could not be believed.
    """
    status = order.reported_status
    if not order.undone or status is None or status is FILLED or order.reported_filled != order.cumulative:
        return order.base
    return status if status in ENDED else working_status(order.quantity, order.cumulative)


def filled_if_complete(base: OrderStatus, quantity: Decimal | None, cumulative: Decimal) -> OrderStatus:
    """Return FILLED where the quantities say that all is filled, else the base; an ended order stays ended."""
    return FILLED if base not in ENDED and quantity is not None and cumulative >= quantity else base


def with_quantities(order: Order, log_position: int, base: OrderStatus, quantity: Decimal | None) -> Order:
    """Return the order with another base or quantity, and the status and leaves that follow from them."""
    leaves = ZERO if base in CLOSED else None if quantity is None else subtract(quantity, order.cumulative)
    status = shown_status(order, base, order.pending_cancels, order.pending_replaces)
    return replace(order, status=status, base=base, quantity=quantity, leaves=leaves, last_position=log_position)


def with_pending(order: Order, log_position: int, cancels: int, replaces: int) -> Order:
    """Return the order with these numbers of unanswered cancel and replace requests."""
    status = shown_status(order, order.base, cancels, replaces)
    return replace(order, status=status, pending_cancels=cancels, pending_replaces=replaces, last_position=log_position)


def closed(order: Order, log_position: int, base: OrderStatus) -> Order:
    """Return the order closed, which also ends every pending request."""
    return replace(
        order,
        status=base,
        base=base,
        leaves=ZERO,
        pending_cancels=0,
        pending_replaces=0,
        requested_quantity=None,
        last_position=log_position,
    )


def answered(order: Order) -> Order:
    """Return the order with one replace request answered: what is asked for counts until all are."""
    return order if order.pending_replaces > 1 else replace(order, requested_quantity=None)
