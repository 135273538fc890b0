"""What each event makes of an account's positions: fills, fees, busts, corrections, adjustments and reports."""

from collections.abc import Iterator
from decimal import Decimal

from msgspec.structs import replace

from eventstore import Record
from eventstore.streams import SEPARATOR
from eventstore.trading import (
    AdjustmentReason,
    FeeCharged,
    OrderFilled,
    PositionAdjusted,
    PositionReported,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import ZERO
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.fees import with_fee
from projections.views.executions.ledger_entry import LedgerEntry
from projections.views.executions.position_state import (
    PositionsState,
    execute,
    mark_anomaly,
    open_holding,
    refold_window,
)
from projections.views.executions.position_totals import Execution, can_split
from projections.views.executions.recent_trades import AboutTrade
from projections.views.executions.reported import report_of

# Looked up once: an access through the enumeration's class costs as much as two multiplications.
_BUY = Side.BUY
_ONE = Decimal(1)
_NO_SYMBOL = SEPARATOR


def fill(state: PositionsState, event: OrderFilled | TradeExecuted, record: Record) -> None:
    log_position = record.position
    name = f"{record.stream}{SEPARATOR}{event.trade_id}"
    key = event.symbol + SEPARATOR + event.position_side
    recent = state.recent
    holding = state.holdings.get(key)
    if holding is None:
        holding = open_holding(state, key, log_position)
    if name in recent.newer or name in recent.older or name in state.windows[key].executions:
        mark_anomaly(state, key, TradeAnomalyKind.DUPLICATE_TRADE, log_position)
        return
    quantity = event.quantity if event.side is _BUY else -event.quantity
    at, fee, currency = record.occurred_at, event.fee, event.fee_currency or ""
    execution = Execution(quantity, event.price, event.trade_id, log_position, at, 1, fee, currency)
    execute(state, key, holding, name, execution)
    recent.put(name, key)


def set_report(state: PositionsState, event: PositionReported, record: Record) -> None:
    key = event.symbol + SEPARATOR + event.position_side
    holding = state.holdings.get(key) or open_holding(state, key, record.position)
    # A report may be recorded after a fill that it does not know of yet: what counts is when each happened.
    last = next((each for each in reversed(state.windows[key].executions.values()) if each.fills), None)
    report = report_of(event, record.occurred_at, None if last is None else last.occurred_at)
    state.holdings[key] = replace(holding, report=report, last_record=record.position)


def charge_fee(state: PositionsState, event: FeeCharged, record: Record) -> None:
    fee = (event.currency or "", event.amount)
    key = "" if event.symbol is None else event.symbol + SEPARATOR + event.position_side
    found = _located(state, event, record.stream)
    if found is not None and key not in state.holdings:
        key = found[0]
    holding = state.holdings.get(key)
    if holding is None and event.symbol is not None:
        holding = open_holding(state, key, record.position)
    execution = None if found is None or found[0] != key else state.windows[key].executions.get(found[1])
    at, log_position = record.occurred_at, record.position
    if execution is not None:
        # A fee that comes later still counts at the time of the trade it was charged for.
        at, log_position = execution.occurred_at, execution.log_position
    if event.amount:
        state.ledger.add_entry(at, log_position, _NO_SYMBOL if holding is None else key, LedgerEntry(fees=(fee,)))
    if holding is None:
        state.fees = with_fee(state.fees, *fee)
        return
    state.holdings[key] = replace(holding, fees=with_fee(holding.fees, *fee), last_record=record.position)


def adjust(state: PositionsState, event: PositionAdjusted, record: Record) -> None:
    log_position = record.position
    key = event.symbol + SEPARATOR + event.position_side
    holding = state.holdings.get(key) or open_holding(state, key, log_position)
    if not event.quantity:
        state.holdings[key] = replace(holding, last_record=log_position)
        return
    split = event.reason is AdjustmentReason.SPLIT
    # A split scales lots, so there must be some, and must keep the side: anything else is not a split.
    if split and not can_split(holding.totals, event.quantity):
        mark_anomaly(state, key, TradeAnomalyKind.IMPOSSIBLE_SPLIT, log_position)
        return
    execution = Execution(event.quantity, event.price, None, log_position, record.occurred_at, split=split)
    execute(state, key, holding, f"#{log_position}", execution)
    if not split and abs(state.holdings[key].totals.unpriced) > abs(holding.totals.unpriced):
        mark_anomaly(state, key, TradeAnomalyKind.UNPRICED, log_position)


def bust(state: PositionsState, event: TradeBusted, record: Record) -> None:
    found = _located(state, event, record.stream)
    key, name = found or (_named(event), record.stream + SEPARATOR + event.trade_id)
    done = name + SEPARATOR + "bust"
    if state.recent.get(done) is not None:
        mark_anomaly(state, key, TradeAnomalyKind.DUPLICATE_BUST, record.position)
        return
    window = state.windows.get(key)
    execution = None if window is None else window.executions.get(name)
    if window is not None and execution is not None:
        # The trade is still in the window: fold the window as if it had never been.
        executions = dict(window.executions)
        del executions[name]
        fees = with_fee(state.holdings[key].fees, execution.currency, -execution.fee)
        refold_window(state, key, executions, fees, record.position)
    elif not key or event.side is None or event.quantity is None or event.price is None:
        mark_anomaly(state, key, TradeAnomalyKind.UNKNOWN_BUST, record.position)
        return
    else:
        # Too old to be taken out: what was closed since then stays closed, and the opposite trade is booked now.
        opposite = -event.quantity if event.side is _BUY else event.quantity
        at, fee, currency = record.occurred_at, -event.fee, event.fee_currency or ""
        holding = state.holdings.get(key) or open_holding(state, key, record.position)
        execution = Execution(opposite, event.price, None, record.position, at, -1, fee, currency)
        execute(state, key, holding, f"#{record.position}", execution)
        mark_anomaly(state, key, TradeAnomalyKind.LATE_BUST, record.position)
    state.recent.put(done, "")


def correct(state: PositionsState, event: TradeCorrected, record: Record) -> None:
    found = _located(state, event, record.stream)
    key, name = found or (_named(event), record.stream + SEPARATOR + event.trade_id)
    window = state.windows.get(key)
    execution = None if window is None else window.executions.get(name)
    if window is None or execution is None:
        kind = _correct_late(state, key, name, event, record)
        mark_anomaly(state, key, kind, record.position)
        return
    buys = execution.quantity > ZERO if event.side is None else event.side is _BUY
    quantity = event.quantity if buys else -event.quantity
    # Replacing the value of a key keeps its place: the corrected trade is folded where the original was.
    executions = {**window.executions, name: replace(execution, quantity=quantity, price=event.price)}
    refold_window(state, key, executions, state.holdings[key].fees, record.position)


def _correct_late(
    state: PositionsState, key: str, name: str, event: TradeCorrected, record: Record
) -> TradeAnomalyKind:
    """Book the opposite of a trade that has left the window, then the corrected trade; return the anomaly to mark."""
    quantity, price = event.previous_quantity, event.previous_price
    busted = state.recent.get(name + SEPARATOR + "bust") is not None
    if busted or not key or event.side is None or quantity is None or price is None:
        return TradeAnomalyKind.UNKNOWN_CORRECTION
    done, figures = name + SEPARATOR + "correction", f"{event.quantity}@{event.price}"
    if state.recent.get(done) == figures:
        return TradeAnomalyKind.DUPLICATE_CORRECTION
    sign = _ONE if event.side is _BUY else -_ONE
    log_position, at = record.position, record.occurred_at
    holding = state.holdings.get(key) or open_holding(state, key, log_position)
    execute(state, key, holding, f"#{log_position}", Execution(-sign * quantity, price, None, log_position, at, -1))
    again = Execution(sign * event.quantity, event.price, event.trade_id, log_position, at, 1)
    execute(state, key, state.holdings[key], name, again)
    state.recent.put(done, figures)
    return TradeAnomalyKind.LATE_CORRECTION


def _located(state: PositionsState, event: AboutTrade, stream: str) -> tuple[str, str] | None:
    """Return the holding's key and the name that a trade is remembered under: in its own stream, else the newest."""
    start = "" if event.symbol is None else event.symbol + SEPARATOR
    for key, name in _candidates(state, event.trade_id, stream):
        if key.startswith(start):
            return key, name
    return None


def _candidates(state: PositionsState, trade_id: str, stream: str) -> Iterator[tuple[str, str]]:
    """Yield the keys and names of trades with this id, most likely first: a broker may report a bust in any stream."""
    name, suffix = stream + SEPARATOR + trade_id, SEPARATOR + trade_id
    known = state.recent.get(name)
    if known is not None:
        yield known, name
    yield from ((key, name) for key, window in state.windows.items() if name in window.executions)
    yield from ((key, other) for other, key in state.recent.ending_with(suffix) if key in state.holdings)
    for key, window in state.windows.items():
        yield from ((key, other) for other in reversed(window.executions) if other.endswith(suffix))


def _named(event: TradeBusted | TradeCorrected) -> str:
    """Return the key of the holding that an event itself names, or "" if it names no symbol."""
    return "" if event.symbol is None else event.symbol + SEPARATOR + event.position_side
