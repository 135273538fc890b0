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
    base_as_reported,
    filled_if_complete,
    shown_status,
    with_quantities,
    working_status,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore import trading
    from projections.views.executions.order_changes import OrderChange

FILLS_PER_ORDER_MAX = 10_000
EARLIER_MAX = 100

NO_FILLS: dict[str, Fill] = {}

# Bound once: whatever the thread's own context is, a fold computes in this one.
add, subtract, multiply_add = FIXED.add, FIXED.subtract, FIXED.fma

Found = list[OrderAnomalyKind]
Figures = tuple["Decimal", "Decimal"]
"""A quantity and a price."""


def filled(order: Order, state: OrdersState, event: trading.OrderFilled, log_position: int, found: Found) -> Order:
    fill = _counted(state, order.order_id, event, found)
    if fill is None:
        return replace(order, last_position=log_position)
    quantity = fill.quantity
    if not quantity:
        # It was busted before it was recorded, or counts for another order: a report may have counted it.
        return _described(_explained(replace(order, last_position=log_position), event.quantity), event)
    base, status, leaves = order.base, order.status, order.leaves
    cumulative = add(order.cumulative, quantity)
    if order.unexplained:
        order = _explained(order, quantity)
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
        notional=multiply_add(quantity, fill.price, order.notional),
        last_position=log_position,
    )
    if order.undone:
        order = _as_reported(order, log_position)
    return order if order.symbol is not None else _described(order, event)


def _explained(order: Order, quantity: Decimal) -> Order:
    """Return the order with a part of what was reported as filled accounted for."""
    return replace(order, unexplained=max(ZERO, subtract(order.unexplained, quantity)))


def _described(order: Order, event: trading.OrderFilled) -> Order:
    """Return the order with the instrument of its fill, where nothing else has stated it."""
    if order.symbol is not None:
        return order
    return replace(order, symbol=event.symbol, side=event.side, position_side=event.position_side)


def _mark_late_fill(order: Order, cumulative: Decimal, found: Found) -> None:
    if order.quantity is not None and cumulative > order.quantity:
        found.append(OrderAnomalyKind.OVERFILL)
    # A report may close an order before its fills are recorded: fills up to the reported quantity are expected.
    if order.reported_filled is None or cumulative > order.reported_filled:
        found.append(OrderAnomalyKind.FILL_AFTER_CLOSE)


def _counted(state: OrdersState, order_id: str, event: trading.OrderFilled, found: Found) -> Fill | None:
    """Remember a reported trade and return what it fills; None, and marked, if the order has this trade already."""
    trade_id, fill = event.trade_id, Fill(event.quantity, event.price, bool(event.fee))
    fills = state.fills.get(order_id)
    if fills is None:
        state.fills[order_id] = {trade_id: fill}
        return fill
    known = fills.get(trade_id)
    if known is None:
        _remember(fills, trade_id, fill)
        return fill
    if not known.recorded:
        # Its bust or correction was recorded first.
        known = replace(known, has_fee=fill.has_fee, recorded=True, earlier=((fill.quantity, fill.price),))
        fills[trade_id] = known
        return known
    if (fill.quantity, fill.price) not in {(known.quantity, known.price), *known.earlier}:
        found.append(OrderAnomalyKind.CONFLICTING_TRADE)
    elif fill.has_fee and not known.has_fee:
        fills[trade_id] = replace(known, has_fee=True)
    else:
        found.append(OrderAnomalyKind.DUPLICATE_TRADE)
    return None


def _remember(fills: dict[str, Fill], trade_id: str, fill: Fill) -> None:
    fills[trade_id] = fill
    if len(fills) > FILLS_PER_ORDER_MAX:
        del fills[next(iter(fills))]


def busted(order: Order, state: OrdersState, event: trading.TradeBusted, log_position: int, found: Found) -> Order:
    order = replace(order, last_position=log_position)
    known = state.fills.get(order.order_id, NO_FILLS).get(event.trade_id)
    if known is not None and not known.quantity:
        found.append(OrderAnomalyKind.DUPLICATE_TRADE)
        return order
    stated = None if event.quantity is None or event.price is None else (event.quantity, event.price)
    return _changed(order, state, event.trade_id, (stated, (ZERO, ZERO)), found)


def corrected(
    order: Order, state: OrdersState, event: trading.TradeCorrected, log_position: int, found: Found
) -> Order:
    order = replace(order, last_position=log_position)
    known = state.fills.get(order.order_id, NO_FILLS).get(event.trade_id)
    if known is not None and not known.quantity:
        # What is busted has no figures to correct: the venue reports another trade instead.
        found.append(OrderAnomalyKind.UNKNOWN_TRADE)
        return order
    quantity, price = event.previous_quantity, event.previous_price
    stated = None if quantity is None or price is None else (quantity, price)
    return _changed(order, state, event.trade_id, (stated, (event.quantity, event.price)), found)


def changed_elsewhere(order: Order, state: OrdersState, change: OrderChange, found: Found) -> Order:
    """Return the order after what another stream says of one of its trades."""
    fills = state.fills.setdefault(order.order_id, {})
    known, after = fills.get(change.trade_id), (change.quantity, change.price)
    if known is None or not known.recorded:
        _remember(fills, change.trade_id, Fill(*after, recorded=False))
        return order
    order = replace(order, last_position=change.log_position)
    return _refilled(order, fills, change.trade_id, (known, after), found)


def _changed(
    order: Order, state: OrdersState, trade_id: str, change: tuple[Figures | None, Figures], found: Found
) -> Order:
    """Return the order with one trade's figures, which the change may state, replaced by later ones."""
    stated, after = change
    fills = state.fills.setdefault(order.order_id, {})
    known = fills.get(trade_id)
    if known is None and len(fills) >= FILLS_PER_ORDER_MAX:
        # A trade that is no longer remembered can be changed where its figures are repeated.
        if stated is None or stated[0] > order.cumulative:
            found.append(OrderAnomalyKind.UNKNOWN_TRADE)
            return order
        known = Fill(*stated)
    if known is None or not known.recorded:
        found.append(OrderAnomalyKind.UNKNOWN_TRADE)
        _remember(fills, trade_id, Fill(*after, recorded=False))
        return order
    return _refilled(order, fills, trade_id, (known, after), found)


def _refilled(order: Order, fills: dict[str, Fill], trade_id: str, change: tuple[Fill, Figures], found: Found) -> Order:
    """Return the order with what one trade filled replaced by other figures."""
    before, (filled_now, price) = change
    earlier = (*before.earlier, (before.quantity, before.price))[-EARLIER_MAX:]
    _remember(fills, trade_id, replace(before, quantity=filled_now, price=price, earlier=earlier))
    cumulative = add(subtract(order.cumulative, before.quantity), filled_now)
    notional = multiply_add(before.quantity.copy_negate(), before.price, order.notional)
    # Without a fill left the notional is zero exactly, whatever was rounded on the way.
    notional = multiply_add(filled_now, price, notional) if cumulative else ZERO
    quantity, base = order.quantity, filled_if_complete(order.base, order.quantity, cumulative)
    if quantity is not None and cumulative > quantity and cumulative > order.cumulative:
        found.append(OrderAnomalyKind.OVERFILL)
    if base is PARTIALLY_FILLED:
        base = working_status(quantity, cumulative)
    shrunk = cumulative < order.cumulative and (quantity is None or cumulative < quantity)
    undone = base is FILLED and (order.undone or shrunk)
    return _as_reported(
        replace(order, base=base, cumulative=cumulative, notional=notional, undone=undone), order.last_position
    )


def _as_reported(order: Order, log_position: int) -> Order:
    """Return the order with the status that its newest report states, if its fills are what that states again."""
    base = base_as_reported(order)
    undone = order.undone and base is FILLED
    return with_quantities(replace(order, undone=undone), log_position, base, order.quantity)
