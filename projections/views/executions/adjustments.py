"""What changes a position beside its trades: adjustments, and what brokers report of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.items import Item, ItemKind, counted_at, is_ahead
from projections.views.executions.reported import is_repeated, report_of
from projections.views.executions.settling import change_items, place, settle_now
from projections.views.executions.state import ExecutionsState, mark, opened
from projections.views.executions.window import BEFORE_ALL

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore import Record
    from eventstore.trading import PositionAdjusted, PositionReported

_RECONCILED = ItemKind.RECONCILED


def adjust(state: ExecutionsState, shared: ExecutionsState, event: PositionAdjusted, record: Record) -> None:
    """Fold an adjustment; one of no quantity, with a price, prices the earlier ones that had none."""
    log_position, recorded_at = record.position, record.recorded_at
    key = opened(state, shared, event.symbol, event.position_side, log_position)
    kind = ItemKind(event.reason.value)
    if event.quantity:
        window, symbol, at = state.windows[key], state.holdings[key].symbol, counted_at(record)
        if kind is _RECONCILED:
            # It stands for whatever happened before it: ahead of time it would take in fills to come.
            at = min(at, recorded_at)
            if at > window.last_at:
                confirm(state, key)
        item = Item(
            kind, log_position, at, event.quantity, event.price, symbol, event.position_side, terms=window.terms,
            inverse=window.inverse,
        )  # fmt: skip
        place(state, key, item, recorded_at)
        if is_ahead(record):
            mark(state, key, TradeAnomalyKind.AHEAD, log_position)
    elif event.price is not None:
        _price(state, key, kind, event.price, recorded_at)
    state.holdings[key] = replace(state.holdings[key], last_record=log_position)


def confirm(state: ExecutionsState, key: str) -> None:
    """Take the quantity of a position for certain, which something at the instant of a reconciliation left open."""
    holding = state.holdings[key]
    if any(each.kind is TradeAnomalyKind.AT_RECONCILIATION for each in holding.anomalies):
        kept = [each for each in holding.anomalies if each.kind is not TradeAnomalyKind.AT_RECONCILIATION]
        state.holdings[key] = replace(holding, anomalies=tuple(kept))


def _price(state: ExecutionsState, key: str, kind: ItemKind, price: Decimal, recorded_at: int) -> None:
    """Give a price to the adjustments of a reason that were recorded without one."""
    window = change_items(state, key, recorded_at)
    window.items = [
        replace(each, price=price) if each.kind is kind and each.price is None and each.quantity else each
        for each in window.items
    ]
    settle_now(state, key, recorded_at)


def set_report(state: ExecutionsState, shared: ExecutionsState, event: PositionReported, record: Record) -> None:
    """Remember a broker's report of a position, unless it is older than the one that is known."""
    key = opened(state, shared, event.symbol, event.position_side, record.position)
    known = state.holdings[key].report.at
    # A time that the log has not reached yet is from a clock that runs ahead: it must not outlast all later reports.
    if known is not None and record.occurred_at < known <= record.recorded_at:
        return
    if is_repeated(event, record.occurred_at, record.recorded_at, state.holdings[key].report):
        return
    settle_now(state, key, record.recorded_at)
    window = state.windows[key]
    times, held = (record.occurred_at, record.recorded_at), state.holdings[key].totals.quantity
    position = held, reversed(window.items)
    report = report_of(event, times, position, state.holdings[key].report, amended_at=state.amended_at)
    at, fixed = record.occurred_at, window.fixed
    if at < fixed[0] or (fixed > BEFORE_ALL and at < state.amended_at):
        # What was held then is not known any more: it was flat since, and something of before may have been busted.
        report = replace(report, superseded=True, here=report.quantity, differs_twice=False)
    if report.quantity == state.holdings[key].totals.quantity and record.occurred_at > state.windows[key].last_at:
        confirm(state, key)
    state.holdings[key] = replace(state.holdings[key], report=report, last_record=record.position)
