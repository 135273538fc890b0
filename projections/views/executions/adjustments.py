"""What changes a position beside its trades: adjustments, and what brokers report of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from projections.views.executions.items import Item, ItemKind
from projections.views.executions.reported import report_of
from projections.views.executions.settling import change_items, place, settle_now
from projections.views.executions.state import ExecutionsState, opened

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
        terms, symbol = state.windows[key].terms, state.holdings[key].symbol
        at = record.occurred_at
        if kind is _RECONCILED and at > recorded_at:
            # It stands for whatever happened before it: from a clock that runs ahead it would take in fills to come.
            at = recorded_at
        item = Item(
            kind, log_position, at, event.quantity, event.price, symbol, event.position_side, terms=terms,
        )  # fmt: skip
        place(state, key, item, recorded_at)
    elif event.price is not None:
        _price(state, key, kind, event.price, recorded_at)
    state.holdings[key] = replace(state.holdings[key], last_record=log_position)


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
    settle_now(state, key, record.recorded_at)
    # A report may be recorded after a fill that it does not know of yet: what counts is when each happened.
    trades = (each for each in reversed(state.windows[key].items) if each.kind is ItemKind.TRADE)
    last = next(trades, None)
    report = report_of(event, record.occurred_at, None if last is None else last.at)
    state.holdings[key] = replace(state.holdings[key], report=report, last_record=record.position)
