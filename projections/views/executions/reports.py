"""What a report of an execution makes of an account: a new trade, or one that is known already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.clock import NANOSECONDS
from eventstore.streams import SEPARATOR
from eventstore.trading import Side
from projections.views.executions.amendments import apply_waiting, complete_by, mark_conflict
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.identity import ReportVerdict, compared, with_streams
from projections.views.executions.items import Item, ItemKind, counted_at, is_ahead
from projections.views.executions.order_trades import has_id, others_of, take_report_from_order, tell_order
from projections.views.executions.settling import place, settle_now
from projections.views.executions.state import ExecutionsState, key_of, mark, named, opened

if TYPE_CHECKING:
    from eventstore import Record
    from eventstore.trading import OrderFilled, TradeExecuted

_BUY, _TRADE = Side.BUY, ItemKind.TRADE


def report(state: ExecutionsState, shared: ExecutionsState, event: OrderFilled | TradeExecuted, record: Record) -> Item:
    """Fold a report of an execution; return the trade that it is of, as it was before this report if it is known."""
    trade = _fold(state, shared, event, record)
    if record.occurred_at > record.recorded_at and is_ahead(record):
        mark(state, key_of(trade), TradeAnomalyKind.AHEAD, record.position)
    return trade


def _fold(state: ExecutionsState, shared: ExecutionsState, event: OrderFilled | TradeExecuted, record: Record) -> Item:
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
    fees = ((event.fee_currency or "", fee),) if fee else ()
    at, recorded_at = record.occurred_at, record.recorded_at
    if at > recorded_at:
        at = counted_at(record)
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
        fees,
        0 if window is None else window.terms,
        recent.count + 1,
        not 0 <= recorded_at - at < NANOSECONDS,
        fees,
        event.trading_day,
        False if window is None else window.inverse,
        "" if window is None else window.coin,
    )
    if known:
        verdict, trade = compared(item, known)
        if trade is not None:
            _report_again(state, shared, (verdict, trade, item), record)
            return trade
        if window is None:
            key = opened(state, shared, symbol, event.position_side, record.position)
            window = state.windows[key]
            item = replace(item, terms=window.terms, inverse=window.inverse, coin=window.coin)
        item = _apart(state, item, known)
    placed = place(state, key, item, recorded_at)
    recent.add(trade_id, placed, known)
    if state.waiting and trade_id in state.waiting:
        apply_waiting(state, shared, placed, record)
    return placed


def _apart(state: ExecutionsState, item: Item, known: tuple[Item, ...]) -> Item:
    """Return a new trade, apart from another one of its id that its order has; say so to the order."""
    stream = item.streams[0]
    if not has_id(state, stream, item.trade_id or "", known):
        return item
    item = replace(item, is_apart=True)
    tell_order(state, stream, item, item.log_position)
    return item


def _report_again(
    state: ExecutionsState, shared: ExecutionsState, found: tuple[ReportVerdict, Item, Item], record: Record
) -> None:
    """Fold a report of a trade that is known; `found` has the verdict, the trade and the report."""
    verdict, trade, again = found
    key = key_of(trade)
    settle_now(state, key, record.recorded_at)
    trade = _tell_order(state, trade, again)
    if verdict is ReportVerdict.CONFLICTING:
        # Whatever it filled, it is of the order that reports it.
        mark_conflict(state, key, replace(trade, streams=with_streams(trade, again)), record.position)
        return
    if verdict is ReportVerdict.REPEATED and record.stream in trade.streams:
        mark(state, key, TradeAnomalyKind.DUPLICATE_TRADE, record.position)
    complete_by(state, trade, again, record)
    if trade.trade_id in state.waiting:
        # It may have happened earlier than it seemed: what was recorded before it may be about it.
        apply_waiting(state, shared, state.recent.current(trade), record)


def _tell_order(state: ExecutionsState, trade: Item, again: Item) -> Item:
    """Say what an order's own stream does not: that its trade is another order's, or has changed since.

    Return the trade: the order may have another one of its id.
    """
    stream, order, trade_id = again.streams[0], trade.order_stream, trade.trade_id or ""
    if stream == order:
        return trade
    if order is not None:
        take_report_from_order(state, trade, again)
        return trade
    if has_id(state, stream, trade_id, others_of(state, trade)):
        trade = replace(trade, is_apart=True)
    if trade.is_apart or (trade.quantity, trade.price) != (again.quantity, again.price):
        tell_order(state, stream, trade, again.log_position)
    return trade
