"""What each event makes of an order: pure transitions, with FIX 4.4's precedence of order states."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from eventstore import trading
from eventstore.trading import OrderStatus
from projections.decimals import FIXED, ZERO
from projections.views.orders.values import CLOSED, ENDED, Fill, Order, OrderAnomaly, OrderAnomalyKind, OrdersState

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore import Event

FILLS_PER_ORDER_MAX = 10_000
ANOMALIES_PER_ORDER_MAX = 1_000

PENDING_NEW, NEW, PARTIALLY_FILLED = OrderStatus.PENDING_NEW, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED
FILLED, CANCELED, SUSPENDED = OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.SUSPENDED
PENDING_CANCEL, PENDING_REPLACE, UNKNOWN = OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE, OrderStatus.UNKNOWN

BUSTED = Fill(ZERO, ZERO)
NOTHING: dict[str, Fill] = {}

# Bound once: whatever the thread's own context is, a fold computes in this one.
add, subtract, multiply_add = FIXED.add, FIXED.subtract, FIXED.fma

Found = list[OrderAnomalyKind]
Transition = Callable[[Order, OrdersState, Any, int, Found], Order]


def step(state: OrdersState, transition: Transition, order: Order, event: Event, position: int) -> Order:
    """Return the order after the event of the record at `position`; `transition` is TRANSITIONS' for its class.

    The state's fills and counts, which only the fold itself reads, are changed in place.
    """
    found: Found = []
    order = transition(order, state, event, position, found)
    if not (order.submitted or order.reported):
        found.append(OrderAnomalyKind.UNKNOWN_ORDER)
    return _marked(state, order, position, found) if found else order


def _marked(state: OrdersState, order: Order, position: int, found: Found) -> Order:
    counts = state.anomaly_counts
    for kind in found:
        counts[kind.value] = counts.get(kind.value, 0) + 1
    anomalies = order.anomalies + tuple([OrderAnomaly(kind, position) for kind in found])
    return replace(order, anomalies=anomalies[:ANOMALIES_PER_ORDER_MAX])


def _shown(order: Order, base: OrderStatus, pending_cancels: int, pending_replaces: int) -> OrderStatus:
    """Return the status to show: FIX's precedence is Pending Cancel, Pending Replace, then what the fills say."""
    if not (order.submitted or order.reported or base in CLOSED):
        return UNKNOWN
    if (pending_cancels or pending_replaces) and base not in ENDED:
        return PENDING_CANCEL if pending_cancels else PENDING_REPLACE
    return base


def _working(quantity: Decimal | None, cumulative: Decimal) -> OrderStatus:
    """Return what an order that works at the venue is, by its quantities."""
    if quantity is not None and cumulative >= quantity:
        return FILLED
    return PARTIALLY_FILLED if cumulative else NEW


def _activated(base: OrderStatus, quantity: Decimal | None, cumulative: Decimal) -> OrderStatus:
    """Return the base of an order that the venue just said it works on; of fills a report may know more than we."""
    working = _working(quantity, cumulative)
    return base if base is PARTIALLY_FILLED and working is NEW else working


def _or_filled(base: OrderStatus, quantity: Decimal | None, cumulative: Decimal) -> OrderStatus:
    """Return the base, unless by the quantities all is filled."""
    return FILLED if base not in ENDED and quantity is not None and cumulative >= quantity else base


def _with_quantities(order: Order, position: int, base: OrderStatus, quantity: Decimal | None) -> Order:
    """Return the order with another base or quantity, and all that follows from them."""
    leaves = ZERO if base in CLOSED else None if quantity is None else subtract(quantity, order.cumulative)
    status = _shown(order, base, order.pending_cancels, order.pending_replaces)
    return replace(order, status=status, base=base, quantity=quantity, leaves=leaves, last_position=position)


def _with_pending(order: Order, position: int, cancels: int, replaces: int) -> Order:
    status = _shown(order, order.base, cancels, replaces)
    return replace(order, status=status, pending_cancels=cancels, pending_replaces=replaces, last_position=position)


def _closed(order: Order, position: int, base: OrderStatus) -> Order:
    """Return the order closed: whatever was pending is settled by that."""
    return replace(
        order, status=base, base=base, leaves=ZERO, pending_cancels=0, pending_replaces=0, last_position=position
    )


def _submitted(order: Order, _state: OrdersState, event: trading.OrderSubmitted, position: int, found: Found) -> Order:
    """Return the order with a submission that comes after other news of it: what is known already is newer."""
    if order.submitted:
        found.append(OrderAnomalyKind.SUBMITTED_TWICE)
        return replace(order, last_position=position)
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
        parent_order_id=event.parent_order_id,
        reduce_only=event.reduce_only,
    )
    return _with_quantities(order, position, _or_filled(base, quantity, order.cumulative), quantity)


def _accepted(order: Order, _state: OrdersState, event: trading.OrderAccepted, position: int, found: Found) -> Order:
    base, status = order.base, order.status
    if base in CLOSED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
    else:
        base = _activated(base, order.quantity, order.cumulative)
        status = base if status is PENDING_NEW else _shown(order, base, order.pending_cancels, order.pending_replaces)
    broker_order_id = event.broker_order_id or order.broker_order_id
    return replace(order, status=status, base=base, broker_order_id=broker_order_id, last_position=position)


def _rejected(order: Order, _state: OrdersState, _event: trading.OrderRejected, position: int, found: Found) -> Order:
    return _over(order, position, OrderStatus.REJECTED, found)


def _expired(order: Order, _state: OrdersState, _event: trading.OrderExpired, position: int, found: Found) -> Order:
    return _over(order, position, OrderStatus.EXPIRED, found)


def _canceled(order: Order, _state: OrdersState, event: trading.OrderCanceled, position: int, found: Found) -> Order:
    told, leaves = event.quantity, order.leaves
    if told is not None and leaves is not None and told != leaves and order.base not in CLOSED:
        found.append(OrderAnomalyKind.REMAINDER)
    return _over(order, position, CANCELED, found)


def _over(order: Order, position: int, base: OrderStatus, found: Found) -> Order:
    """Return the order closed, unless it was: FIX's Filled takes precedence over Canceled, and the first end stays."""
    if order.base in CLOSED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
        base = order.base
    return _closed(order, position, base)


def _triggered(order: Order, _state: OrdersState, _event: trading.OrderTriggered, position: int, found: Found) -> Order:
    order = replace(order, triggered=True)
    if order.base in CLOSED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
        return replace(order, last_position=position)
    return _with_quantities(order, position, _activated(order.base, order.quantity, order.cumulative), order.quantity)


def _filled(order: Order, state: OrdersState, event: trading.OrderFilled, position: int, found: Found) -> Order:
    trade_id, filled, price = event.trade_id, event.quantity, event.price
    if not _is_first(state, order.order_id, trade_id, Fill(filled, price)):
        found.append(OrderAnomalyKind.DUPLICATE_TRADE)
        return replace(order, last_position=position)
    base, status, leaves = order.base, order.status, order.leaves
    cumulative = add(order.cumulative, filled)
    if base in CLOSED:
        _mark_late_fill(order, cumulative, found)
    else:
        if leaves is None:
            base = PARTIALLY_FILLED
        else:
            leaves = subtract(leaves, filled)
            base = PARTIALLY_FILLED if leaves > ZERO else FILLED
            if leaves < ZERO:
                found.append(OrderAnomalyKind.OVERFILL)
                leaves = ZERO
        status = _shown(order, base, order.pending_cancels, order.pending_replaces)
    order = replace(
        order,
        status=status,
        base=base,
        cumulative=cumulative,
        leaves=leaves,
        notional=multiply_add(filled, price, order.notional),
        last_position=position,
    )
    if order.symbol is None:
        return replace(order, symbol=event.symbol, side=event.side, position_side=event.position_side)
    return order


def _mark_late_fill(order: Order, cumulative: Decimal, found: Found) -> None:
    if order.quantity is not None and cumulative > order.quantity:
        found.append(OrderAnomalyKind.OVERFILL)
    # A report may close an order before its fills are told: those make up its shortfall, and surprise nobody.
    if order.reported_filled is None or cumulative > order.reported_filled:
        found.append(OrderAnomalyKind.FILL_AFTER_CLOSE)


def _is_first(state: OrdersState, order_id: str, trade_id: str, fill: Fill) -> bool:
    """Keep a trade's figures, unless it is there already."""
    fills = state.fills.get(order_id)
    if fills is None:
        state.fills[order_id] = {trade_id: fill}
    elif trade_id in fills:
        return False
    else:
        _keep(fills, trade_id, fill)
    return True


def _keep(fills: dict[str, Fill], trade_id: str, fill: Fill) -> None:
    fills[trade_id] = fill
    if len(fills) > FILLS_PER_ORDER_MAX:
        del fills[next(iter(fills))]


def _busted(order: Order, state: OrdersState, event: trading.TradeBusted, position: int, found: Found) -> Order:
    was = state.fills.get(order.order_id, NOTHING).get(event.trade_id)
    if was is not None and not was.quantity:
        found.append(OrderAnomalyKind.DUPLICATE_TRADE)
        return replace(order, last_position=position)
    if was is None and event.quantity is not None and event.price is not None:
        was = Fill(event.quantity, event.price)
    return _refilled(replace(order, last_position=position), state, event.trade_id, (was, BUSTED), found)


def _corrected(order: Order, state: OrdersState, event: trading.TradeCorrected, position: int, found: Found) -> Order:
    was = state.fills.get(order.order_id, NOTHING).get(event.trade_id)
    if was is None and event.previous_quantity is not None and event.previous_price is not None:
        was = Fill(event.previous_quantity, event.previous_price)
    now = Fill(event.quantity, event.price)
    return _refilled(replace(order, last_position=position), state, event.trade_id, (was, now), found)


def _refilled(order: Order, state: OrdersState, trade_id: str, change: tuple[Fill | None, Fill], found: Found) -> Order:
    """Return the order with the later figures of one trade in the place of its earlier ones."""
    was, now = change
    if was is None or was.quantity > order.cumulative:
        found.append(OrderAnomalyKind.UNKNOWN_TRADE)
        return order
    _keep(state.fills.setdefault(order.order_id, {}), trade_id, now)
    cumulative = add(subtract(order.cumulative, was.quantity), now.quantity)
    notional = multiply_add(was.quantity.copy_negate(), was.price, order.notional)
    notional = multiply_add(now.quantity, now.price, notional) if cumulative else ZERO
    quantity, base = order.quantity, _or_filled(order.base, order.quantity, cumulative)
    if quantity is not None and cumulative > quantity and cumulative > order.cumulative:
        found.append(OrderAnomalyKind.OVERFILL)
    # A filled order lives again when a trade of it shrinks, but not one that is closed by other means too.
    shrunk = cumulative < order.cumulative and quantity is not None and cumulative < quantity
    if base is PARTIALLY_FILLED or (base is FILLED and shrunk):
        base = _working(quantity, cumulative)
    order = replace(order, cumulative=cumulative, notional=notional)
    return _with_quantities(order, order.last_position, base, quantity)


def _replace_requested(
    order: Order, _state: OrdersState, _event: trading.OrderReplaceRequested, position: int, _found: Found
) -> Order:
    # A filled order may be replaced by a larger one (FIX matrix C.1.c); what is canceled stays so.
    if order.base in ENDED:
        return replace(order, last_position=position)
    return _with_pending(order, position, order.pending_cancels, order.pending_replaces + 1)


def _replace_rejected(
    order: Order, _state: OrdersState, _event: trading.OrderReplaceRejected, position: int, _found: Found
) -> Order:
    return _with_pending(order, position, order.pending_cancels, max(0, order.pending_replaces - 1))


def _replaced(order: Order, _state: OrdersState, event: trading.OrderReplaced, position: int, found: Found) -> Order:
    base, quantity = order.base, order.quantity
    if event.quantity is not None:
        # One below what is filled is amended to it (FIX matrix C.3.c).
        quantity = max(event.quantity, order.cumulative)
    if base is FILLED:
        if quantity is not None and order.quantity is not None and quantity > order.quantity:
            base = _working(quantity, order.cumulative)
        elif not order.pending_replaces:
            found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
    elif base in ENDED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
    elif base is SUSPENDED:
        base = _or_filled(base, quantity, order.cumulative)
    else:
        base = _activated(base, quantity, order.cumulative)
    order = replace(
        order,
        limit_price=order.limit_price if event.limit_price is None else event.limit_price,
        stop_price=order.stop_price if event.stop_price is None else event.stop_price,
        broker_order_id=event.broker_order_id or order.broker_order_id,
        pending_replaces=max(0, order.pending_replaces - 1),
    )
    return _with_quantities(order, position, base, quantity)


def _reduced(order: Order, _state: OrdersState, event: trading.OrderReduced, position: int, found: Found) -> Order:
    if order.base in CLOSED:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
        return replace(order, last_position=position)
    if order.quantity is None or order.leaves is None:
        return replace(order, last_position=position)
    if event.by < order.leaves:
        return _with_quantities(order, position, order.base, subtract(order.quantity, event.by))
    if event.by > order.leaves:
        found.append(OrderAnomalyKind.OVER_REDUCED)
    # Nothing is left: as when a replacement asks for no more than is filled (FIX matrix C.3.b), it counts as filled.
    if order.cumulative:
        return _with_quantities(order, position, FILLED, order.cumulative)
    return replace(_closed(order, position, CANCELED), quantity=ZERO)


def _cancel_requested(
    order: Order, _state: OrdersState, _event: trading.OrderCancelRequested, position: int, _found: Found
) -> Order:
    if order.base in CLOSED:
        return replace(order, last_position=position)
    return _with_pending(order, position, order.pending_cancels + 1, order.pending_replaces)


def _cancel_rejected(
    order: Order, _state: OrdersState, _event: trading.OrderCancelRejected, position: int, _found: Found
) -> Order:
    return _with_pending(order, position, max(0, order.pending_cancels - 1), order.pending_replaces)


def _reported(order: Order, _state: OrdersState, event: trading.OrderReported, position: int, found: Found) -> Order:
    quantity = order.quantity
    if quantity is None and event.quantity is not None and event.quantity > 0:
        quantity = event.quantity
        if order.cumulative > quantity:
            found.append(OrderAnomalyKind.OVERFILL)
    base = _reported_base(order, quantity, event.status)
    # A snapshot that says UNKNOWN tells nothing about requests either; any other word settles them.
    told = event.status is not UNKNOWN
    if told and order.base in CLOSED and order.base is not event.status:
        found.append(OrderAnomalyKind.EVENT_AFTER_CLOSE)
    order = replace(
        order,
        reported=True,
        symbol=event.symbol if order.symbol is None else order.symbol,
        side=event.side if order.side is None else order.side,
        order_type=event.order_type if order.order_type is None else order.order_type,
        limit_price=event.limit_price if order.limit_price is None else order.limit_price,
        stop_price=event.stop_price if order.stop_price is None else order.stop_price,
        broker_order_id=event.broker_order_id or order.broker_order_id,
        reported_filled=order.reported_filled if event.filled_quantity is None else event.filled_quantity,
        pending_cancels=int(event.status is PENDING_CANCEL) if told else order.pending_cancels,
        pending_replaces=int(event.status is PENDING_REPLACE) if told else order.pending_replaces,
    )
    return _with_quantities(order, position, base, quantity)


def _reported_base(order: Order, quantity: Decimal | None, status: OrderStatus) -> OrderStatus:
    """Return the base that a report leaves: its own word, unless our fills know better."""
    base = order.base
    if status is UNKNOWN:
        return _or_filled(base, quantity, order.cumulative)
    working = _working(quantity, order.cumulative)
    if working is FILLED or (order.cumulative and (status is NEW or status is PENDING_NEW)):
        return working
    if status is PENDING_CANCEL or status is PENDING_REPLACE:
        return working if base in CLOSED or base is UNKNOWN else base
    return status


TRANSITIONS: dict[type[Event], Transition] = {
    trading.OrderSubmitted: _submitted,
    trading.OrderAccepted: _accepted,
    trading.OrderRejected: _rejected,
    trading.OrderTriggered: _triggered,
    trading.OrderFilled: _filled,
    trading.OrderReplaceRequested: _replace_requested,
    trading.OrderReplaced: _replaced,
    trading.OrderReplaceRejected: _replace_rejected,
    trading.OrderReduced: _reduced,
    trading.OrderCancelRequested: _cancel_requested,
    trading.OrderCanceled: _canceled,
    trading.OrderCancelRejected: _cancel_rejected,
    trading.OrderExpired: _expired,
    trading.OrderReported: _reported,
    trading.TradeBusted: _busted,
    trading.TradeCorrected: _corrected,
}
"""What the view folds, and how; an event of any other class leaves an order as it was."""
