"""What fills, busts and corrections make of an order; each trade id counts once per order.

A bust of a working order leaves more to be filled. A filled order stays filled, and leaves nothing: the venue does not
reinstate it unless it says so. In FIX 4.4 that is said by OrdStatus (39) and LeavesQty (151): a Trade Cancel (150=H) or
Trade Correct (150=G) that states a working order, as in matrix J.1.a, is a bust and a report here, and so is a
restatement (150=D); CME's Trade Cancel states 39=H and no LeavesQty, so it is a bust alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from projections.decimals import FIXED, ZERO
from projections.views.orders.order import CLOSED, Order, OrderAnomalyKind
from projections.views.orders.state import Fill, OrdersState
from projections.views.orders.statuses import (
    FILLED,
    PARTIALLY_FILLED,
    filled_if_complete,
    shown_status,
    with_quantities,
    working_status,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore import trading

FILLS_PER_ORDER_MAX = 10_000

BUSTED = Fill(ZERO, ZERO)
NO_FILLS: dict[str, Fill] = {}

# Bound once: whatever the thread's own context is, a fold computes in this one.
add, subtract, multiply_add = FIXED.add, FIXED.subtract, FIXED.fma

Found = list[OrderAnomalyKind]


def filled(order: Order, state: OrdersState, event: trading.OrderFilled, log_position: int, found: Found) -> Order:
    trade_id, quantity, price = event.trade_id, event.quantity, event.price
    if not _is_first(state, order.order_id, trade_id, Fill(quantity, price)):
        found.append(OrderAnomalyKind.DUPLICATE_TRADE)
        return replace(order, last_position=log_position)
    base, status, leaves = order.base, order.status, order.leaves
    cumulative = add(order.cumulative, quantity)
    # A fill is a fact whatever the order's state: it counts on a closed order too, but does not reopen it.
    if base in CLOSED:
        _mark_late_fill(order, cumulative, found)
    else:
        if leaves is None:
            base = PARTIALLY_FILLED
        else:
            leaves = subtract(leaves, quantity)
            base = PARTIALLY_FILLED if leaves > ZERO else FILLED
            if leaves < ZERO:
                found.append(OrderAnomalyKind.OVERFILL)
                leaves = ZERO
        status = shown_status(order, base, order.pending_cancels, order.pending_replaces)
    order = replace(
        order,
        status=status,
        base=base,
        cumulative=cumulative,
        leaves=leaves,
        notional=multiply_add(quantity, price, order.notional),
        last_position=log_position,
    )
    if order.symbol is None:
        return replace(order, symbol=event.symbol, side=event.side, position_side=event.position_side)
    return order


def _mark_late_fill(order: Order, cumulative: Decimal, found: Found) -> None:
    if order.quantity is not None and cumulative > order.quantity:
        found.append(OrderAnomalyKind.OVERFILL)
    # A report may close an order before its fills are recorded: fills up to the reported quantity are expected.
    if order.reported_filled is None or cumulative > order.reported_filled:
        found.append(OrderAnomalyKind.FILL_AFTER_CLOSE)


def _is_first(state: OrdersState, order_id: str, trade_id: str, fill: Fill) -> bool:
    """Remember a trade's quantity and price; return False if the order has this trade already."""
    fills = state.fills.get(order_id)
    if fills is None:
        state.fills[order_id] = {trade_id: fill}
    elif trade_id in fills:
        return False
    else:
        _remember(fills, trade_id, fill)
    return True


def _remember(fills: dict[str, Fill], trade_id: str, fill: Fill) -> None:
    fills[trade_id] = fill
    if len(fills) > FILLS_PER_ORDER_MAX:
        del fills[next(iter(fills))]


def busted(order: Order, state: OrdersState, event: trading.TradeBusted, log_position: int, found: Found) -> Order:
    before = state.fills.get(order.order_id, NO_FILLS).get(event.trade_id)
    if before is not None and not before.quantity:
        found.append(OrderAnomalyKind.DUPLICATE_TRADE)
        return replace(order, last_position=log_position)
    # A trade that is no longer remembered can be taken out where the bust repeats its figures.
    if before is None and event.quantity is not None and event.price is not None:
        before = Fill(event.quantity, event.price)
    return _refilled(replace(order, last_position=log_position), state, event.trade_id, (before, BUSTED), found)


def corrected(
    order: Order, state: OrdersState, event: trading.TradeCorrected, log_position: int, found: Found
) -> Order:
    before = state.fills.get(order.order_id, NO_FILLS).get(event.trade_id)
    if before is None and event.previous_quantity is not None and event.previous_price is not None:
        before = Fill(event.previous_quantity, event.previous_price)
    after = Fill(event.quantity, event.price)
    return _refilled(replace(order, last_position=log_position), state, event.trade_id, (before, after), found)


def _refilled(order: Order, state: OrdersState, trade_id: str, change: tuple[Fill | None, Fill], found: Found) -> Order:
    """Return the order with one trade's earlier figures replaced by its later ones."""
    before, after = change
    if before is None or before.quantity > order.cumulative:
        found.append(OrderAnomalyKind.UNKNOWN_TRADE)
        return order
    _remember(state.fills.setdefault(order.order_id, {}), trade_id, after)
    cumulative = add(subtract(order.cumulative, before.quantity), after.quantity)
    notional = multiply_add(before.quantity.copy_negate(), before.price, order.notional)
    # Without a fill left the notional is zero exactly, whatever was rounded on the way.
    notional = multiply_add(after.quantity, after.price, notional) if cumulative else ZERO
    quantity, base = order.quantity, filled_if_complete(order.base, order.quantity, cumulative)
    if quantity is not None and cumulative > quantity and cumulative > order.cumulative:
        found.append(OrderAnomalyKind.OVERFILL)
    if base is PARTIALLY_FILLED:
        base = working_status(quantity, cumulative)
    shrunk = cumulative < order.cumulative and quantity is not None and cumulative < quantity
    undone = base is FILLED and (order.undone or shrunk)
    order = replace(order, cumulative=cumulative, notional=notional, undone=undone)
    return with_quantities(order, order.last_position, base, quantity)
