"""Whether an account was in use when it was reopened: what two views noted of that record, joined on reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.view import PartitionParked
from projections.views.executions.state import VIEW, ExecutionsState
from projections.views.orders.view import Orders, OrdersView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.view import BookReader
    from projections.views.orders.state import OrdersState


def in_use_at(book: BookReader, account: str, reopened: Sequence[int]) -> set[int]:
    """Return those log positions of reopenings at which a position was open or an order working.

    All of them while that cannot be known, because a view of the account failed.
    """
    if not reopened:
        return set()
    try:
        executions: ExecutionsState | None = book.state(VIEW, account)
        orders: OrdersState | None = book.state(OrdersView.name, account)
    except PartitionParked:
        return set(reopened)
    found = set() if executions is None else set(executions.reopened_open)
    for log_position, order_ids in () if orders is None else orders.reopened_working:
        if log_position in reopened and any(_worked_at(book, account, each, log_position) for each in order_ids):
            found.add(log_position)
    return found & set(reopened)


def _worked_at(book: BookReader, account: str, order_id: str, log_position: int) -> bool:
    """Return whether an order was working at a log position, which its own stream alone does not tell.

    A trade that another stream reports may have filled it before that.
    """
    order = Orders(book).get(account, order_id)
    return order is not None and (order.is_open or order.last_position > log_position)
