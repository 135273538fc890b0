"""What is said to orders of their trades, and under which id, where their own streams do not say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.streams import SEPARATOR, unescaped
from projections.decimals import ZERO
from projections.views.executions.order_changes import OrderChange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from projections.views.executions.items import Item
    from projections.views.executions.state import Amendment, ExecutionsState

ORDER_CHANGES_MAX = 20_000
"""How many changes of orders' trades are kept of an account, those of the orders that changed last."""
_ORDER = "order/"


def id_in_order(trade: Item) -> str:
    """Return the id under which a trade counts for its order: its own, or one apart from those of the same id."""
    trade_id = trade.trade_id or ""
    return _apart(trade_id, trade.log_position) if trade.is_apart else trade_id


def _apart(trade_id: str, log_position: int) -> str:
    return f"{trade_id}{SEPARATOR}{log_position}"


def tell_order(state: ExecutionsState, stream: str | None, trade: Item, log_position: int) -> None:
    """Say which figures a trade of an order has from a record on."""
    _tell(state, stream, id_in_order(trade), log_position, (abs(trade.quantity), trade.price or ZERO))


def take_from_order(state: ExecutionsState, stream: str | None, trade: Item, log_position: int) -> None:
    """Say that a trade does not count for an order, or not any more."""
    _tell(state, stream, id_in_order(trade), log_position, (ZERO, trade.price or ZERO))


def take_report_from_order(state: ExecutionsState, trade: Item, again: Item) -> None:
    """Say that a report in an order's stream is of a trade that counts for another order."""
    stream, trade_id = again.streams[0], trade.trade_id or ""
    if has_id(state, stream, trade_id, others_of(state, trade), is_repeated=stream in trade.streams):
        trade_id = _apart(trade_id, again.log_position)
    _tell(state, stream, trade_id, again.log_position, (ZERO, trade.price or ZERO))


def redirect(state: ExecutionsState, trade: Item | None, amendment: Amendment) -> None:
    """Say which trade a bust or correction in an order's stream is of, if it is not the order's one of its id."""
    stream, trade_id, log_position = amendment.stream, amendment.trade_id, amendment.log_position
    if trade is None:
        is_other = has_id(state, stream, trade_id, state.recent.find(trade_id), is_repeated=True)
    elif stream == trade.order_stream:
        if trade.is_apart:
            tell_order(state, stream, trade, log_position)
        return
    else:
        # The order's one may be reported later: what is said of this trade is not said of it.
        is_other = stream not in trade.streams or has_id(
            state, stream, trade_id, others_of(state, trade), is_repeated=True
        )
    if is_other:
        leave_out(state, amendment)


def leave_out(state: ExecutionsState, amendment: Amendment) -> None:
    """Say that a bust or correction in an order's stream changes nothing of the order's trade."""
    trade_id, log_position = amendment.trade_id, amendment.log_position
    _tell(state, amendment.stream, _apart(trade_id, log_position), log_position, (ZERO, ZERO))


def others_of(state: ExecutionsState, trade: Item) -> list[Item]:
    """Return the other known trades of a trade's id."""
    return [each for each in state.recent.find(trade.trade_id or "") if each.number != trade.number]


def has_id(
    state: ExecutionsState, stream: str, trade_id: str, others: Sequence[Item], *, is_repeated: bool = False
) -> bool:
    """Return whether an order's stream has the id of other trades; `is_repeated`: it has that of the same one, too."""
    if not stream.startswith(_ORDER):
        return False
    if any(stream in each.streams for each in others):
        return True
    said = () if is_repeated else state.order_changes.get(_order_id(stream), ())
    return any(change.trade_id == trade_id for change in said)


def _order_id(stream: str) -> str:
    return unescaped(stream.split("/", 2)[2])


def _tell(
    state: ExecutionsState, stream: str | None, trade_id: str, log_position: int, figures: tuple[Decimal, Decimal]
) -> None:
    """Say of an order's trade what the order's own stream does not say; a stream of no order changes nothing."""
    if stream is None or not stream.startswith(_ORDER):
        return
    order_id, all_changes = _order_id(stream), state.order_changes
    # The order that changed last comes last.
    changes = (*all_changes.pop(order_id, ()), OrderChange(log_position, trade_id, *figures))
    count = state.order_changes_count + 1
    while count > ORDER_CHANGES_MAX and all_changes:
        count -= len(all_changes.pop(next(iter(all_changes))))
    all_changes[order_id] = changes[-ORDER_CHANGES_MAX:]
    state.order_changes_count = min(count, ORDER_CHANGES_MAX)
