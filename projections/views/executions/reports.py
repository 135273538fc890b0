"""What a report of an execution makes of an account: a new trade, or one that is known already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.clock import NANOSECONDS
from eventstore.streams import SEPARATOR
from eventstore.trading import Side
from projections.decimals import ZERO
from projections.views.executions.amendments import apply_waiting, complete, mark_conflict
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.identity import ReportVerdict, compared, completed
from projections.views.executions.items import Item, ItemKind
from projections.views.executions.order_changes import OrderChange
from projections.views.executions.settling import place, settle_now
from projections.views.executions.state import ExecutionsState, key_of, mark, named, opened, tell_order

if TYPE_CHECKING:
    from eventstore import Record
    from eventstore.trading import OrderFilled, TradeExecuted

_BUY, _TRADE = Side.BUY, ItemKind.TRADE


def report(state: ExecutionsState, shared: ExecutionsState, event: OrderFilled | TradeExecuted, record: Record) -> None:
    """Fold a report of an execution."""
    trade_id, recent, symbol, fee = event.trade_id, state.recent, event.symbol, event.fee
    key = symbol + SEPARATOR + event.position_side
    window = state.windows.get(key)
    known = recent.find(trade_id)
    if window is None:
        symbol = named(state, shared, symbol, record.position)
        if not known:
            key = opened(state, shared, symbol, event.position_side, record.position)
            window = state.windows[key]
        # Otherwise it may be of a trade that is held on another side: only a new trade opens a position.
    at = record.occurred_at
    item = Item(
        _TRADE,
        record.position,
        at,
        event.quantity if event.side is _BUY else -event.quantity,
        event.price,
        symbol,
        event.position_side,
        trade_id,
        (record.stream,),
        ((event.fee_currency or "", fee),) if fee else (),
        0 if window is None else window.terms,
        recent.count + 1,
        not 0 <= record.recorded_at - at < NANOSECONDS,
        bool(fee),
        event.trading_day,
    )
    if known:
        verdict, trade = compared(item, known)
        if trade is not None:
            _report_again(state, verdict, trade, item, record)
            if state.waiting and trade_id in state.waiting and verdict is not ReportVerdict.CONFLICTING:
                # It may have happened earlier than it seemed: what was recorded before it may be about it.
                now = next(each for each in recent.find(trade_id) if each.number == trade.number)
                apply_waiting(state, shared, now, record)
            return
        if window is None:
            key = opened(state, shared, symbol, event.position_side, record.position)
            item = replace(item, terms=state.windows[key].terms)
    placed = place(state, key, item, record.recorded_at)
    recent.add(trade_id, placed, known)
    if state.waiting and trade_id in state.waiting:
        apply_waiting(state, shared, placed, record)


def _report_again(state: ExecutionsState, verdict: ReportVerdict, trade: Item, again: Item, record: Record) -> None:
    """Fold a report of a trade that is known."""
    key = key_of(trade)
    settle_now(state, key, record.recorded_at)
    _tell_order(state, trade, again)
    if verdict is ReportVerdict.CONFLICTING:
        mark_conflict(state, key, trade, record.position)
        return
    if verdict is ReportVerdict.REPEATED and record.stream in trade.streams:
        mark(state, key, TradeAnomalyKind.DUPLICATE_TRADE, record.position)
    complete(state, key, trade, completed(trade, again), record)


def _tell_order(state: ExecutionsState, trade: Item, again: Item) -> None:
    """Say what an order's own stream does not: that its trade is another order's, or has changed since."""
    stream, order = again.streams[0], trade.order_stream
    if stream == order:
        return
    same = (trade.quantity, trade.price) == (again.quantity, again.price)
    if order is not None or not same:
        quantity = abs(trade.quantity) if order is None else ZERO
        change = OrderChange(again.log_position, trade.trade_id or "", quantity, trade.price or ZERO)
        tell_order(state, stream, change)
