"""Trades that turn out to be another one, once another name of its contract is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from projections.views.executions.amendments import change, complete_by, mark_conflict
from projections.views.executions.booking import book_back
from projections.views.executions.order_trades import take_from_order, tell_order
from projections.views.executions.settling import take_out
from projections.views.executions.state import (
    Amendment,
    AmendmentKind,
    ExecutionsState,
    key_of,
    replace_trade,
)

if TYPE_CHECKING:
    from eventstore import Record
    from projections.views.executions.items import Item

_BUST, _CORRECTION = AmendmentKind.BUST, AmendmentKind.CORRECTION


def drop_twin(state: ExecutionsState, known: Item, twin: Item, record: Record, *, is_conflict: bool) -> None:
    """Take out a trade that turns out to be another one; a bust or correction of it is of that one."""
    key, log_position, recorded_at = key_of(known), record.position, record.recorded_at
    twin_key = key_of(twin)
    if twin.fee_conflict:
        holding = state.holdings[twin_key]
        state.holdings[twin_key] = replace(holding, uncertain_fees=holding.uncertain_fees - 1)
    index = state.windows[twin_key].find(twin)
    if index is not None:
        take_out(state, twin_key, index, recorded_at)
    else:
        book_back(state, twin_key, twin, record)
    state.recent.remove(twin)
    if is_conflict:
        mark_conflict(state, key, known, twin.log_position)
    else:
        complete_by(state, known, twin, record)
    _inherit_conflicts(state, known, twin)
    _tell_order(state, known, twin, log_position)
    for each in twin.history[1:]:
        now = state.recent.current(known)
        kind = _CORRECTION if each.quantity else _BUST
        later = Amendment(
            kind, log_position, each.since[0], recorded_at, record.stream, known.trade_id or "", known.symbol,
            known.side, quantity=abs(each.quantity) or None, price=each.price if each.quantity else None,
        )  # fmt: skip
        change(state, now, later)


def _tell_order(state: ExecutionsState, known: Item, twin: Item, log_position: int) -> None:
    """Say to a twin's order that its trade is another one: of another order, or the same one twice, or one without."""
    now, order = state.recent.current(known), twin.order_stream
    if order is None:
        return
    if order != now.order_stream or (known.order_stream == order and twin.is_apart):
        take_from_order(state, order, twin, log_position)
    elif known.order_stream is None:
        fresh = replace(now, is_apart=twin.is_apart)
        replace_trade(state, key_of(now), now, fresh)
        tell_order(state, order, fresh, log_position)


def _inherit_conflicts(state: ExecutionsState, known: Item, twin: Item) -> None:
    """Let what is uncertain of a trade that is another one be uncertain of that one."""
    for key in {key_of(known), key_of(twin)}:
        holding = state.holdings[key]
        if twin.log_position in holding.conflicts:
            left = tuple([each for each in holding.conflicts if each != twin.log_position])
            state.holdings[key] = replace(holding, conflicts=left)
    for log_position in twin.conflicts:
        mark_conflict(state, key_of(known), state.recent.current(known), log_position)
