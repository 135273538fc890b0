"""What a fee, a bust or a correction states of its trade, and which of the known trades fit that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import FeeCharged, Side, TradeBusted, TradeCorrected
from projections.views.executions.correction_ids import by_trade_id, corrected_trade_id
from projections.views.executions.identity import fitting
from projections.views.executions.items import Figures, Item, counted_at, is_ahead
from projections.views.executions.state import Amendment, AmendmentKind, ExecutionsState

if TYPE_CHECKING:
    from eventstore import Record
    from projections.views.executions.fees import Fees

_FEE, _BUST, _CORRECTION = AmendmentKind.FEE, AmendmentKind.BUST, AmendmentKind.CORRECTION
_BUY = Side.BUY


def amended_trades(
    state: ExecutionsState,
    shared: ExecutionsState,
    event: FeeCharged | TradeBusted | TradeCorrected,
    record: Record,
) -> list[Item]:
    """Return the known trades that a fee, a bust or a correction may be about: of several, the newest is changed."""
    amendment, names = amendment_of(state, event, record), state.symbols
    if event.symbol is not None:
        names = names | {event.symbol: shared.directory.symbol_at(event.symbol, record.position)}
    return fitting(state.recent.find(amendment.trade_id), amendment, names)


def amendment_of(state: ExecutionsState, event: FeeCharged | TradeBusted | TradeCorrected, record: Record) -> Amendment:
    """Return what an event states, under its trade's own id: it may name the trade by an earlier correction."""
    amendment = _stated(event, record)
    if state.corrections and amendment.trade_id in state.corrections:
        return by_trade_id(amendment, corrected_trade_id(state, amendment.trade_id))
    return amendment


def _stated(event: FeeCharged | TradeBusted | TradeCorrected, record: Record) -> Amendment:
    at, ahead, stream = counted_at(record), is_ahead(record), record.stream
    common = (record.position, at, record.recorded_at, stream, event.trade_id, event.symbol, event.position_side)
    match event:
        case FeeCharged():
            fees: Fees = ((event.currency or "", event.amount),) if event.amount else ()
            return Amendment(_FEE, *common, fees=fees, is_ahead=ahead)
        case TradeBusted():
            fees = ((event.fee_currency or "", event.fee),) if event.fee else ()
            figures = _sign(event.side), event.quantity, event.price
            return Amendment(_BUST, *common, *figures, fees=fees, is_ahead=ahead)
        case TradeCorrected():
            previous = None
            if event.previous_quantity is not None and event.previous_price is not None:
                previous = Figures((at, record.position), event.previous_quantity, event.previous_price)
            figures = _sign(event.side), event.quantity, event.price
            return Amendment(_CORRECTION, *common, *figures, previous, is_ahead=ahead)


def _sign(side: Side | None) -> int | None:
    return None if side is None else 1 if side is _BUY else -1
