"""What fees, busts and corrections make of their trade."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.trading import FeeCharged, Side, TradeBusted, TradeCorrected
from projections.decimals import ZERO
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.booking import book, count_change, ended_trip, scaled, trip_of
from projections.views.executions.fees import Fees, negated, with_fees
from projections.views.executions.identity import about, fitting, has_had
from projections.views.executions.items import CHANGES_MAX, Figures, Item, in_position, place_of
from projections.views.executions.ledger_entry import LedgerEntry, ledger_key, negative
from projections.views.executions.order_changes import OrderChange
from projections.views.executions.settling import absorb, change_items, place, settle_now, take_out
from projections.views.executions.state import (
    CONFLICTS_MAX,
    Amendment,
    AmendmentKind,
    ExecutionsState,
    key_of,
    mark,
    replace_trade,
    tell_order,
)
from projections.views.executions.unknown_trades import change_unknown, charge_unknown, taken_back

if TYPE_CHECKING:
    from eventstore import Record

_FEE, _BUST, _CORRECTION = AmendmentKind.FEE, AmendmentKind.BUST, AmendmentKind.CORRECTION
_BUY = Side.BUY


def amend(
    state: ExecutionsState, shared: ExecutionsState, event: FeeCharged | TradeBusted | TradeCorrected, record: Record
) -> None:
    """Fold a fee, a bust or a correction."""
    _apply(state, shared, _amendment_of(event, record), record)


def apply_waiting(state: ExecutionsState, shared: ExecutionsState, trade: Item, record: Record) -> None:
    """Apply what was recorded before the trade that it is about, by another process."""
    trade_id = trade.trade_id or ""
    kept: list[Amendment] = []
    changed = False
    for each in state.waiting.pop(trade_id, ()):
        # Only what happened after the trade, and is about this one, not about another of the same id.
        found = about(state, each) if each.at >= trade.at else None
        if found is None or found.number != trade.number or not taken_back(state, each, record.recorded_at):
            kept.append(each)
            continue
        _apply(state, shared, replace(each, key="", parts=0, recorded_at=record.recorded_at), record)
        changed |= each.kind is not _FEE
    if kept:
        state.waiting[trade_id] = tuple(kept)
    if changed:
        now = next((item for item in state.recent.find(trade_id) if item.number == trade.number), trade)
        tell_order(
            state, now.order_stream, OrderChange(record.position, trade_id, abs(now.quantity), now.price or ZERO)
        )


def _amendment_of(event: FeeCharged | TradeBusted | TradeCorrected, record: Record) -> Amendment:
    at, stream = record.occurred_at, record.stream
    common = (record.position, at, record.recorded_at, stream, event.trade_id, event.symbol, event.position_side)
    match event:
        case FeeCharged():
            fees: Fees = ((event.currency or "", event.amount),) if event.amount else ()
            return Amendment(_FEE, *common, fees=fees)
        case TradeBusted():
            fees = ((event.fee_currency or "", event.fee),) if event.fee else ()
            return Amendment(_BUST, *common, _sign(event.side), event.quantity, event.price, fees=fees)
        case TradeCorrected():
            previous = None
            if event.previous_quantity is not None and event.previous_price is not None:
                previous = Figures((at, record.position), event.previous_quantity, event.previous_price)
            return Amendment(_CORRECTION, *common, _sign(event.side), event.quantity, event.price, previous)


def _sign(side: Side | None) -> int | None:
    return None if side is None else 1 if side is _BUY else -1


def _apply(state: ExecutionsState, shared: ExecutionsState, amendment: Amendment, record: Record) -> None:
    trade = about(state, amendment)
    if trade is None:
        if amendment.kind is _FEE:
            charge_unknown(state, shared, amendment)
        else:
            change_unknown(state, shared, amendment)
    elif amendment.kind is not _FEE:
        candidates = fitting(state.recent.find(amendment.trade_id), amendment, state.symbols)
        change(state, trade, amendment)
        numbers = [each.number for each in candidates if not each.busted or each.number == trade.number]
        if len(numbers) > 1:
            # It may be of each of them: the newest is meant, and none is certain.
            for each in state.recent.find(amendment.trade_id):
                if each.number in numbers:
                    mark_conflict(state, key_of(each), each, amendment.log_position)
    elif not trade.busted:
        fresh = replace(trade, fees=with_fees(trade.fees, amendment.fees))
        complete(state, key_of(trade), trade, fresh, record)


def complete(state: ExecutionsState, key: str, trade: Item, fresh: Item, record: Record) -> None:
    """Replace a trade by itself with what was missing of it: a fee, or the time that it happened."""
    settle_now(state, key, record.recorded_at)
    more, terms = with_fees(fresh.fees, negated(trade.fees)), ledger_key(key, trade.terms)
    index = state.windows[key].find(trade)
    if index is not None and fresh.at != trade.at:
        # It moves to where it happened, with its fees and its counts.
        take_out(state, key, index, record.recorded_at)
        state.recent.put(place(state, key, replace(fresh, place=None, scale=None, gap=0), record.recorded_at))
    else:
        if fresh.at != trade.at:
            fresh = replace(fresh, place=place_of(trade))
            _move_counts(state, terms, trade, fresh, record.recorded_at)
        elif more:
            state.ledger.correct(trade.at, trade.log_position, terms, LedgerEntry(fees=more))
        replace_trade(state, key, trade, fresh)
        if more:
            holding = state.holdings[key]
            state.holdings[key] = replace(holding, fees=with_fees(holding.fees, more))
            _charge_trip(state, key, trade, more, record.recorded_at)
    if record.position > state.holdings[key].last_record:
        state.holdings[key] = replace(state.holdings[key], last_record=record.position)


def mark_conflict(state: ExecutionsState, key: str, trade: Item, log_position: int) -> None:
    """Mark a trade that a record reports with other figures: its position is uncertain until it is amended."""
    replace_trade(state, key, trade, replace(trade, conflicts=(*trade.conflicts, log_position)[-CHANGES_MAX:]))
    holding = state.holdings[key]
    if trade.log_position not in holding.conflicts:
        state.holdings[key] = replace(holding, conflicts=(*holding.conflicts, trade.log_position)[-CONFLICTS_MAX:])
    mark(state, key, TradeAnomalyKind.CONFLICTING, log_position)


def _move_counts(state: ExecutionsState, key: str, trade: Item, fresh: Item, recorded_at: int) -> None:
    """Count a trade before the window, and its fees, on the day that it happened; what it realized stays."""
    fills, volume = int(not trade.busted), abs(trade.quantity)
    entry = LedgerEntry(fees=trade.fees, fills=fills, volume=volume, executions=1)
    state.ledger.correct(trade.at, trade.log_position, key, negative(entry))
    state.ledger.correct(fresh.at, fresh.log_position, key, replace(entry, fees=fresh.fees))
    state.seconds.add(trade.at, recorded_at, -1)
    state.seconds.add(fresh.at, recorded_at)


def _charge_trip(state: ExecutionsState, key: str, trade: Item, fees: Fees, recorded_at: int) -> None:
    """Add fees to the round trip of a trade."""
    window, found = state.windows[key], ended_trip(state, key, trade)
    if window.find(trade) is not None:
        # The items of the window have the fees already.
        change_items(state, key, recorded_at)
        settle_now(state, key, recorded_at)
    elif found is not None:
        changed = replace(state.trips[found], fees=with_fees(state.trips[found].fees, fees))
        state.trips = (*state.trips[:found], changed, *state.trips[found + 1 :])
    elif window.base_trip.number and trip_of(state, key, trade) == window.base_trip.number:
        window.base_trip = replace(window.base_trip, fees=with_fees(window.base_trip.fees, fees))
        change_items(state, key, recorded_at)
        settle_now(state, key, recorded_at)


def change(state: ExecutionsState, trade: Item, amendment: Amendment) -> None:
    """Bust or correct a trade by what an amendment states; this ends any conflict about its figures.

    A bust that repeats other figures than the trade's may be of a part of it, or of another trade: that is a conflict.
    """
    key, log_position, bust = key_of(trade), amendment.log_position, amendment.is_bust
    settle_now(state, key, amendment.recorded_at)
    is_conflict = bust and not has_had(trade, amendment)
    if trade.busted:
        kind = TradeAnomalyKind.DUPLICATE_BUST if bust else TradeAnomalyKind.UNKNOWN_CORRECTION
        mark(state, key, kind, log_position)
        if trade.conflicts and bust and not is_conflict:
            replace_trade(state, key, trade, replace(trade, conflicts=()))
            _end_conflict(state, key, trade)
        return
    sign = amendment.signed or (1 if trade.quantity > ZERO else -1)
    size = ZERO if bust else abs(trade.quantity) if amendment.quantity is None else amendment.quantity
    price = trade.price if bust or amendment.price is None else amendment.price
    after = Figures((amendment.at, log_position), sign * size, price)
    fresh = replace(trade, quantity=after.quantity, price=price, history=_kept((*trade.figures, after)), conflicts=())
    if bust:
        fresh = replace(fresh, fees=())
    _end_conflict(state, key, trade)
    holding = state.holdings[key]
    state.holdings[key] = replace(holding, last_record=max(holding.last_record, log_position))
    if amendment.stream != trade.order_stream:
        change = OrderChange(log_position, amendment.trade_id, size, price or ZERO)
        tell_order(state, trade.order_stream, change)
    if (trade.quantity, trade.price) == (fresh.quantity, fresh.price):
        mark(state, key, TradeAnomalyKind.DUPLICATE_CORRECTION, log_position)
        replace_trade(state, key, trade, fresh)
    elif state.windows[key].find(trade) is not None:
        _change_in_window(state, key, trade, fresh, amendment)
    else:
        _change_before_window(state, key, trade, fresh, amendment)
    if is_conflict:
        now = next((each for each in state.recent.find(amendment.trade_id) if each.number == trade.number), fresh)
        mark_conflict(state, key, now, log_position)


def _end_conflict(state: ExecutionsState, key: str, trade: Item) -> None:
    holding = state.holdings[key]
    conflicts = tuple([each for each in holding.conflicts if each != trade.log_position])
    state.holdings[key] = replace(holding, conflicts=conflicts)


def _kept(history: tuple[Figures, ...]) -> tuple[Figures, ...]:
    return history if len(history) <= CHANGES_MAX else (history[0], *history[2:])


def _change_in_window(state: ExecutionsState, key: str, trade: Item, fresh: Item, amendment: Amendment) -> None:
    window = change_items(state, key, amendment.recorded_at)
    index, standing = window.find(trade), window.reconciliation_of(amendment.at, amendment.log_position)
    replace_trade(state, key, trade, fresh)
    if standing is not None and index is not None:
        absorb(window, standing, index, in_position(fresh).quantity - in_position(trade).quantity)
    fees = with_fees(fresh.fees, negated(trade.fees))
    count_change(state, key, trade, trade, fresh, fees=fees)
    settle_now(state, key, amendment.recorded_at)


def _change_before_window(state: ExecutionsState, key: str, trade: Item, fresh: Item, amendment: Amendment) -> None:
    """Book what changes of a trade that is fixed, at prices of its own, on the amendment's day."""
    state.recent.put(fresh)
    window, where = state.windows[key], place_of(trade)
    # Figures are on the base of the trade's own time: splits have multiplied it since.
    before = scaled(window, trade, where)
    after = scaled(window, fresh, where) if fresh.quantity else Figures(before.since, ZERO, before.price)
    refund = negated(trade.fees) if amendment.is_bust else ()
    book(state, key, amendment, (before, after), trade=trade, fees=refund, terms=trade.terms)
    count_change(state, key, amendment, trade, fresh, key_of_day=ledger_key(key, trade.terms))
