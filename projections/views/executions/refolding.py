"""An account's executions folded again from the log, without the limits of what the state keeps."""

import heapq

from eventstore import Record
from eventstore.trading import ContractDefined, OrderFilled, TradeExecuted
from projections.view import SHARED, BookReader
from projections.views.executions.state import VIEW, ExecutionsState
from projections.views.executions.view import EXECUTION_EVENTS, ExecutionsView


def refolded(
    book: BookReader, account: str, view: ExecutionsView, reports: dict[int, Record] | None = None
) -> ExecutionsState:
    """Return the state that a view makes of an account; `reports` receives the reports of executions by log position.

    Callers have set the context of projections.decimals.FIXED.
    """
    state, shared = view.initial(), book.state(VIEW, SHARED) or view.initial()
    own = book.read(account=account, types=EXECUTION_EVENTS)
    contracts = book.read(account=SHARED, types=(ContractDefined,))
    # What becomes known of a contract merges what was traded under its names, as it did when it was recorded.
    for record in heapq.merge(own, contracts, key=_position):
        event = record.event
        if isinstance(event, ContractDefined) and not view.concerns(state, event):
            continue
        view.apply_beside(shared, state, event, record)
        if reports is not None and isinstance(event, OrderFilled | TradeExecuted):
            reports[record.position] = record
    view.finish(state)
    return state


def _position(record: Record) -> int:
    return record.position
