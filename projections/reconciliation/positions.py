"""How a broker's report of a position differs from what was known at its place in the log."""

from __future__ import annotations

import heapq
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from eventstore import Instant, Record
from eventstore.trading import (
    AdjustmentReason,
    ContractDefined,
    OrderFilled,
    PositionAdjusted,
    PositionReported,
    PositionSide,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import ZERO
from projections.reconciliation.difference import EVIDENCE_MAX, Difference, DifferenceKind, difference_of
from projections.view import SHARED
from projections.views.contracts.directory import Directory, Meaning
from projections.views.executions.position_totals import PositionTotals
from projections.views.executions.prices import price_of
from projections.views.executions.state import ExecutionsState, holding_key
from projections.views.executions.view import ExecutionsView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore import Event
    from projections.book import Book

_TYPES = (OrderFilled, TradeExecuted, TradeBusted, TradeCorrected, PositionAdjusted, PositionReported)
# A share of the price, for symbols without a known tick.
_TOLERANCE = Decimal("0.0001")


class ReportedPosition(msgspec.Struct):
    """The newest report of a contract and side, with the figures of that time and what came after it."""

    record: Record
    event: PositionReported
    symbol: str
    """The contract's, whatever name it was reported under."""
    figures: PositionTotals
    at: Instant
    """When an adjustment by it happens: at the report, after all that was known then, but not after it was recorded."""
    evidence: list[int]
    newer: Decimal | None
    """The quantity that happened after the report and was recorded before it, None if nothing did."""
    adjusted: Decimal | None = None
    """The quantity booked as RECONCILED since: the answer to this report."""
    late: Decimal = ZERO
    """The quantity recorded since that occurred before the report."""
    replaced: Decimal | None = None
    """The present quantity if the position was opened again after `at`: then an adjustment counts at the end."""
    explained: bool = False
    """Whether fills since have led to what it reports: it may have known of them, as the position's view takes it."""

    @property
    def there(self) -> Decimal:
        """The broker's quantity: venues that keep both sides report a short one as positive or as negative."""
        event = self.event
        return -abs(event.quantity) if event.position_side is PositionSide.SHORT else event.quantity

    @property
    def here(self) -> Decimal:
        """Our quantity when the report was made, with what was booked for it since.

        A fill that is recorded after that is taken out of the adjustment, and changes nothing; one that is not, because
        the adjustment is fixed, counts twice, and then the report is stale.
        """
        then = self.figures.quantity - (self.newer or ZERO)
        return then if self.adjusted is None else then + self.adjusted + self.late


class _PositionHistory:
    """One account's positions, folded again from the log, with their figures at the time of each report.

    Names count from the start for the contract that they are known to mean by now.
    """

    def __init__(self, book: Book) -> None:
        self.reports: dict[str, ReportedPosition] = {}
        self._view = ExecutionsView()
        self._state = self._view.initial()
        shared: ExecutionsState | None = book.state(ExecutionsView.name, SHARED)
        self._shared = self._view.initial() if shared is None else _with_names(shared.directory)
        self._quantities: dict[str, Decimal] = {}
        self._evidence: dict[str, list[int]] = {}

    def read(self, record: Record) -> None:
        event = record.event
        if isinstance(event, ContractDefined):
            self._define(event, record)
            return
        self._view.apply_beside(self._shared, self._state, event, record)
        self._view.finish(self._state)
        if isinstance(event, PositionReported):
            self._report(event, record)
            return
        for key in self._keys_of(event):
            holding = self._state.holdings.get(key)
            before = self._quantities.get(key, ZERO)
            after = ZERO if holding is None else holding.totals.quantity
            if before != after:
                self._quantities[key] = after
                self._changed(key, before, after - before, record)

    def _define(self, event: ContractDefined, record: Record) -> None:
        """Take a contract's terms: the first ones also count for what was traded before."""
        if self._view.concerns(self._state, event):
            self._view.apply_beside(self._shared, self._state, event, record)
            self._view.finish(self._state)
            self._quantities |= {key: holding.totals.quantity for key, holding in self._state.holdings.items()}

    def finish(self) -> list[ReportedPosition]:
        """Return the newest reports, by symbol and side."""
        for key, report in self.reports.items():
            # What happened before the window counts at the end: there the position may be another one.
            if report.at < self._state.windows[key].fixed[0]:
                report.replaced = self._state.holdings[key].totals.quantity
            now = self._state.holdings[key].report
            report.explained = report.adjusted is None and not now.differs
        return [self.reports[key] for key in sorted(self.reports)]

    def _report(self, event: PositionReported, record: Record) -> None:
        key = holding_key(self._state, event.symbol, event.position_side)
        holding, last_at = self._state.holdings[key], self._state.windows[key].last_at
        if holding.last_record != record.position:
            # The position's view leaves it out: it was made before the newest one, or is that one once more.
            return
        newer = holding.totals.quantity - holding.report.here if holding.report.superseded else None
        at = min(max(record.occurred_at, last_at) if newer is None else record.occurred_at, record.recorded_at)
        evidence = self._evidence.get(key, [])[-EVIDENCE_MAX:]
        self.reports[key] = ReportedPosition(record, event, holding.symbol, holding.totals, at, evidence, newer)

    def _keys_of(self, event: Event) -> list[str]:
        # A bust or a correction may lack the symbol and the side: its trade may be in any position.
        if isinstance(event, TradeBusted | TradeCorrected):
            return list(self._state.holdings)
        symbol, side = getattr(event, "symbol", ""), getattr(event, "position_side", PositionSide.NET)
        return [holding_key(self._state, symbol, side)]

    def _changed(self, key: str, before: Decimal, by: Decimal, record: Record) -> None:
        evidence = self._evidence.setdefault(key, [])
        if not before:
            evidence.clear()
        evidence.append(record.position)
        if len(evidence) > 2 * EVIDENCE_MAX:
            del evidence[:EVIDENCE_MAX]
        report, event = self.reports.get(key), record.event
        if report is None:
            return
        if isinstance(event, PositionAdjusted) and event.reason is AdjustmentReason.RECONCILED:
            report.adjusted = (report.adjusted or ZERO) + by
            report.at = max(report.at, min(record.occurred_at, record.recorded_at))
        elif self._happened_at(key, record) <= report.record.occurred_at:
            report.late += by
        else:
            return
        report.evidence = [*report.evidence, record.position][-EVIDENCE_MAX:]

    def _happened_at(self, key: str, record: Record) -> Instant:
        """Return when a change of a position happened: no bust or correction was made before its trade."""
        event, items = record.event, self._state.windows[key].items
        if not isinstance(event, TradeBusted | TradeCorrected):
            return record.occurred_at
        return max([record.occurred_at, *[each.at for each in items if each.trade_id == event.trade_id]])


def _with_names(directory: Directory) -> ExecutionsState:
    """Return a state whose directory has each name mean from the start what it came to mean first."""
    names = {name: _meanings(name, known) for name, known in list(directory.names.items())}
    return ExecutionsState(directory=replace(directory, names=names))


def _meanings(name: str, known: Sequence[Meaning]) -> tuple[Meaning, ...]:
    """Return what a name means, without the times at which it had no contract yet: the next one takes its positions."""
    found: list[Meaning] = []
    since: int | None = 0
    for number, meaning in enumerate(known, 1):
        first = meaning.since if since is None else since
        if meaning.symbol == name and number < len(known):
            since = first
        else:
            found.append(Meaning(first, meaning.symbol))
            since = None
    return tuple(found)


def reported_positions(book: Book, account: str) -> list[ReportedPosition]:
    """Return the newest report of each of an account's positions; every record of the positions is read."""
    history = _PositionHistory(book)
    contracts = book.read(account=SHARED, types=(ContractDefined,))
    for each in heapq.merge(book.read(account=account, types=_TYPES), contracts, key=_log_position):
        history.read(each)
    return history.finish()


def _log_position(record: Record) -> int:
    return record.position


def position_difference(book: Book, report: ReportedPosition, tolerance: Decimal | None = None) -> Difference | None:
    """Return how a report differs; None where it agrees, or where what was recorded late explains it."""
    event, here, there = report.event, report.here, report.there
    label = report.symbol if event.position_side is PositionSide.NET else f"{report.symbol} {event.position_side}"
    common: dict[str, Any] = {"symbol": report.symbol, "side": event.position_side, "price": event.average_price}
    common["evidence"] = tuple(report.evidence)
    if there == here:
        ours, reported = _differing_average(book, report, tolerance), event.average_price
        if ours is None or reported is None:
            return None
        sentence = f"{label}: the broker reports an average price of {reported:f}, the fills give {ours:f}"
        return difference_of(report.record, DifferenceKind.AVERAGE_PRICE, sentence, here=ours, there=reported, **common)
    if report.adjusted is None and there == here + report.late:
        return None
    sentence = f"{label}: the broker reports {there:f}, the fills gave {here:f}"
    if report.late:
        sentence += f"; {report.late:f} from before the report was recorded after it"
    elif report.explained:
        sentence += f"; fills since have led to {there:f}"
    common |= {"here": here, "there": there, "stale": bool(report.late) or report.explained}
    return difference_of(report.record, _kind(here, there), sentence, **common)


def _kind(here: Decimal, there: Decimal) -> DifferenceKind:
    if not here:
        return DifferenceKind.UNKNOWN_HERE
    if not there:
        return DifferenceKind.MISSING_AT_BROKER
    return DifferenceKind.QUANTITY if (here > ZERO) is (there > ZERO) else DifferenceKind.SIDE


def _differing_average(book: Book, report: ReportedPosition, tolerance: Decimal | None) -> Decimal | None:
    """Return our average price, FIFO or average cost, where the nearer one is not within the tolerance."""
    figures, reported = report.figures, report.event.average_price
    priced, has_changed = figures.quantity - figures.unpriced, report.late or report.newer is not None
    if reported is None or not priced or figures.unpriced or report.adjusted is not None or has_changed:
        return None
    costs = figures.cost, figures.average_cost_total
    averages = [price_of(cost / priced, inverse=figures.inverse) for cost in costs]
    ours = min(averages, key=lambda average: abs(average - reported))
    if tolerance is None:
        contract = book.contracts.find(report.symbol)
        tick = None if contract is None else contract.tick_size
        tolerance = abs(reported) * _TOLERANCE if tick is None else tick
    return ours if abs(ours - reported) > tolerance else None
