"""The state of an account's positions: holdings, the executions since each was last flat, and the ledger.

What each execution realizes is added to the ledger of its day, so that the days always add up to the holding's totals.
Callers have set the context projections.decimals.FIXED.
"""

from collections.abc import Iterable
from decimal import Decimal
from itertools import islice

import msgspec
from msgspec.structs import replace

from eventstore.streams import SEPARATOR
from eventstore.trading import PositionSide
from projections.decimals import ZERO
from projections.views.contracts.view import SYMBOLS_MAX, TooManySymbols
from projections.views.executions.anomalies import TradeAnomaly, TradeAnomalyKind, with_anomaly
from projections.views.executions.fees import Fees, with_fee
from projections.views.executions.ledger_entry import NO_ENTRY, LedgerEntry
from projections.views.executions.pnl_path import PnlLedger
from projections.views.executions.position_totals import FLAT, LOTS_MAX, Execution, PositionTotals, applied, traded
from projections.views.executions.recent_trades import TwoGenerationCache
from projections.views.executions.reported import NO_REPORT, PositionReport, superseded

VIEW = "positions"
WINDOW_MAX = 10_000
# Looked up once: an access through the enumeration's class costs as much as two multiplications.
_NET, _SHORT = PositionSide.NET, PositionSide.SHORT


class Window(msgspec.Struct):
    """The executions since a position was last flat, and its totals just before them.

    A bust or a correction of one of them is folded exactly, by applying the others again from `base`. The executions
    that led back to flat stay until the position is opened again: they are the most likely to be busted or corrected.
    """

    base: PositionTotals = FLAT
    executions: dict[str, Execution] = {}

    def keep(self, before: PositionTotals, after: PositionTotals, name: str, execution: Execution) -> None:
        """Add the execution that led from `before` to `after`; one that opened, or reversed, begins a new window."""
        lots = after.lots
        # A single lot from this very record: nothing of what was open before is left.
        if len(lots) == 1 and lots[0].position == execution.log_position:
            self.base = before
            self.executions = {name: execution}
            return
        self.executions[name] = execution
        if len(self.executions) > WINDOW_MAX:
            older = list(islice(self.executions, WINDOW_MAX // 2))
            for each in older:
                self.base = applied(self.base, self.executions.pop(each))

    def folded(self, executions: Iterable[tuple[str, Execution]]) -> tuple[PositionTotals, dict[str, LedgerEntry]]:
        """Return the totals after these executions instead of the window's own, and the ledger entry of each."""
        totals = self.base
        entries = {}
        for name, execution in executions:
            after = applied(totals, execution)
            fees = ((execution.currency, execution.fee),) if execution.fee else ()
            entries[name] = entry_of(totals, after, execution, fees)
            totals = after
        return totals, entries


class Holding(msgspec.Struct, frozen=True, gc=False):
    """What is folded of one symbol and side; `first_record` and `last_record` are log positions."""

    symbol: str
    side: PositionSide
    totals: PositionTotals
    fees: Fees
    report: PositionReport
    anomalies: tuple[TradeAnomaly, ...]
    first_record: int
    last_record: int


class PositionsState(msgspec.Struct):
    """One account. Holdings and windows by symbol, NUL and side; recent trades by stream, NUL and trade id.

    `fees` and `anomalies` are of trades that belong to no holding; in the ledger, such fees have no symbol or side.
    """

    holdings: dict[str, Holding] = {}
    windows: dict[str, Window] = {}
    recent: TwoGenerationCache[str] = msgspec.field(default_factory=TwoGenerationCache)
    fees: Fees = ()
    anomalies: tuple[TradeAnomaly, ...] = ()
    ledger: PnlLedger = msgspec.field(default_factory=PnlLedger)


def execute(state: PositionsState, key: str, holding: Holding, name: str, execution: Execution) -> None:
    """Apply an execution to its holding, its window and the ledger; `name` is the key it is remembered under."""
    before = holding.totals
    # Whatever can fail comes first: a partition that failed must be able to fold the same record again.
    price = execution.price
    if price is None or execution.split:
        after = applied(before, execution)
    else:
        after = traded(before, execution.quantity, price, execution.trade_id, execution.log_position)
    fees, fee = holding.fees, execution.fee
    anomalies = holding.anomalies
    if holding.side is not _NET and _overclosed(holding.side, after.quantity, execution.quantity):
        anomalies = with_anomaly(anomalies, TradeAnomalyKind.OVERCLOSED, execution.log_position)
    if len(before.lots) >= LOTS_MAX and abs(after.quantity) > abs(before.quantity):
        anomalies = with_anomaly(anomalies, TradeAnomalyKind.LOTS_MERGED, execution.log_position)
    if fee:
        fees = with_fee(fees, execution.currency, fee)
        entry = entry_of(before, after, execution, ((execution.currency, fee),))
        state.ledger.add_entry(execution.occurred_at, execution.log_position, key, entry)
    elif execution.fills or price is not None:
        entry = entry_of(before, after, execution, ())
        state.ledger.add_entry(execution.occurred_at, execution.log_position, key, entry)
    state.windows[key].keep(before, after, name, execution)
    state.holdings[key] = Holding(
        holding.symbol,
        holding.side,
        after,
        fees,
        superseded(holding.report, after.quantity, by_fill=bool(execution.fills)),
        anomalies,
        holding.first_record,
        execution.log_position,
    )


def entry_of(before: PositionTotals, after: PositionTotals, execution: Execution, fees: Fees) -> LedgerEntry:
    """Return the ledger entry of an execution that led from `before` to `after`."""
    fills, volume = execution.fills, execution.quantity
    if not fills:
        volume = ZERO
    # Volume is unsigned, and negative for the opposite of a trade that is taken back.
    elif (volume > ZERO) is (fills < 0):
        volume = -volume
    if after.realized_points is before.realized_points:
        # Half of all fills realize nothing: the totals then share the very same number.
        return LedgerEntry(ZERO, ZERO, fees, fills, volume)
    average = after.realized_points_average_cost - before.realized_points_average_cost
    return LedgerEntry(after.realized_points - before.realized_points, average, fees, fills, volume)


def _overclosed(side: PositionSide, after: Decimal, executed: Decimal) -> bool:
    """Return whether an execution took a LONG or SHORT side through flat."""
    if side is _SHORT:
        return after > ZERO and executed > ZERO
    return after < ZERO and executed < ZERO


def refold_window(
    state: PositionsState, key: str, executions: dict[str, Execution], fees: Fees, log_position: int
) -> None:
    """Replace a window's executions, and correct the ledger on the day of each execution whose entry changed."""
    window = state.windows[key]
    _, before = window.folded(window.executions.items())
    totals, after = window.folded(executions.items())
    ledger = state.ledger
    for name, execution in window.executions.items():
        # A busted one is in the window but not among its replacements: its whole entry is taken back.
        difference = after.get(name, NO_ENTRY).minus(before[name])
        if difference != NO_ENTRY:
            ledger.add_entry(execution.occurred_at, execution.log_position, key, difference)
    window.executions = executions
    holding = state.holdings[key]
    report = superseded(holding.report, totals.quantity, by_fill=False)
    state.holdings[key] = replace(holding, totals=totals, fees=fees, report=report, last_record=log_position)


def open_holding(state: PositionsState, key: str, log_position: int) -> Holding:
    """Return a new, flat holding, added to the state with its window."""
    symbol, _, side = key.rpartition(SEPARATOR)
    if len(state.holdings) >= SYMBOLS_MAX:
        raise TooManySymbols(VIEW, symbol)
    holding = Holding(symbol, PositionSide(side), FLAT, (), NO_REPORT, (), log_position, log_position)
    state.windows[key] = Window()
    state.holdings[key] = holding
    return holding


def mark_anomaly(state: PositionsState, key: str, kind: TradeAnomalyKind, log_position: int) -> None:
    holding = state.holdings.get(key)
    if holding is None:
        state.anomalies = with_anomaly(state.anomalies, kind, log_position)
    else:
        state.holdings[key] = replace(holding, anomalies=with_anomaly(holding.anomalies, kind, log_position))
