"""What a pending enforcement request asks for: an order that carries it out passes every lockout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import StoreError
from eventstore.ids import as_id
from eventstore.trading import (
    EnforcementAction,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    Side,
)
from projections.decimals import ZERO
from projections.risk.enforcement.wanted import excess_of, in_scope, part_to_close
from projections.risk.holdings import FLAT, opens
from projections.view import SHARED
from projections.views.contracts.view import ContractsView
from projections.views.enforcement import EnforcementView
from projections.views.executions.state import VIEW as EXECUTIONS

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.book import Book
    from projections.risk.contexts import CheckContext
    from projections.views.contracts.view import ContractsState
    from projections.views.enforcement import Enforcement, EnforcementState
    from projections.views.executions.state import ExecutionsState

_CLOSING = frozenset({
    EnforcementAction.FLATTEN, EnforcementAction.FLATTEN_SYMBOL, EnforcementAction.REDUCE_TO
})  # fmt: skip


def carries_out(context: CheckContext) -> bool:
    """Return whether a pending request caused an order and asks for it: this symbol and side, and as much at least."""
    cause = as_id(context.order.caused_by)
    if cause is None:
        return False
    request = _pending(context, cause)
    return request is not None and ZERO < context.leaves <= _asked(context, request)


def _pending(context: CheckContext, cause: bytes) -> Enforcement | None:
    """Return the pending request that a record asks for; an earlier attempt stands for the newest of its goal."""
    book, account = context.book, context.account
    pending = book.enforcement.pending(account, context.at)
    request = next((each for each in pending if each.id == cause), None)
    if request is not None or not pending:
        return request
    state: EnforcementState | None = book.state(EnforcementView.name, account)
    earlier = None if state is None else state.find_record(cause)
    if earlier is None:
        return None
    return next((each for each in pending if (each.goal, each.first_id) == (earlier.goal, earlier.first_id)), None)


def _asked(context: CheckContext, request: Enforcement) -> Decimal:
    """Return how much of the order's symbol a request asks to close on the order's side; zero if nothing."""
    if request.action not in _CLOSING:
        return ZERO
    if not in_scope(context.cache, request, context.symbol):
        return ZERO
    most = _reducible(context, request)
    if request.action is not EnforcementAction.REDUCE_TO or request.quantity is None:
        return most
    # Over all sides of a position, and all symbols: as what counts as reached.
    excess = excess_of(context.cache, request, context.at)
    return part_to_close(context.cache, request, context.symbol, excess, most)


def _reducible(context: CheckContext, request: Enforcement) -> Decimal:
    """Return how much may be closed; where a view has stopped, by what it had folded until then."""
    try:
        return context.reducible
    except StoreError:
        return max(_last_known(context) - _being_closed(context, request), ZERO)


def _last_known(context: CheckContext) -> Decimal:
    """Return how much the order's side can close of the position as far as it was folded, working orders apart."""
    book = context.book
    state: ExecutionsState | None = book.state(EXECUTIONS, context.account, even_parked=True)
    contracts: ContractsState | None = book.state(ContractsView.name, SHARED, even_parked=True)
    held = FLAT.held
    if opens(context.position_side, context.side):
        return held
    for each in () if state is None else list(state.holdings.values()):
        contract = None if contracts is None else contracts.find(each.symbol)
        symbol = each.symbol if contract is None else contract.symbol
        if (symbol, each.side) == (context.symbol, context.position_side):
            held += each.totals.quantity
    return -held if context.side is Side.BUY else held


def _being_closed(context: CheckContext, request: Enforcement) -> Decimal:
    """Return what orders that were sent for the same goal may have closed since, read from the log itself.

    Views that have stopped do not show them, and without this each would pass again.
    """
    book, account = context.book, context.account
    state: EnforcementState | None = book.state(EnforcementView.name, account)
    attempts = [] if state is None else [each for each in state.all() if each.first_id == request.first_id]
    causes, since = {each.id for each in attempts}, min(each.position for each in attempts)
    parked = book.parked.get((EXECUTIONS, account))
    # Fills before that are a part of the position as far as it was folded.
    folded_to = book.position if parked is None else parked.position - 1
    total = ZERO
    for sent in book.reader.read(after=since, until=book.position, account=account, types=(OrderSubmitted,)):
        order = sent.event
        if isinstance(order, OrderSubmitted) and sent.causation_id in causes and _is_alike(context, order):
            total += _unfolded(book, sent.stream, order.quantity, folded_to)
    return total


def _is_alike(context: CheckContext, order: OrderSubmitted) -> bool:
    names = {context.symbol, context.order.symbol}
    return order.symbol in names and (order.side, order.position_side) == (context.side, context.position_side)


def _unfolded(book: Book, stream: str, quantity: Decimal, folded_to: int) -> Decimal:
    """Return what an order may execute, or has executed, beyond the fills up to a log position."""
    later = ZERO
    for record in book.read(stream=stream):
        event = record.event
        if isinstance(event, OrderFilled) and record.position <= folded_to:
            quantity -= event.quantity
        elif isinstance(event, OrderFilled):
            later += event.quantity
        elif isinstance(event, OrderCanceled | OrderExpired | OrderRejected):
            return later
    return max(quantity, ZERO)
