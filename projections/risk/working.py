"""Which orders still work: until when by their terms, and a bracket's children only once their parent has filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from msgspec.structs import replace

from eventstore.clock import NANOSECONDS
from eventstore.trading import OrderType
from projections.decimals import ZERO
from projections.risk.days import calendar_day_if_missing
from projections.risk.holdings import UNGROUPED, OpenOrder, agreeing_reports
from projections.views.confirming import GRACE_NS
from projections.views.orders.order import LIVE
from projections.views.orders.view import is_executable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from decimal import Decimal

    from eventstore.trading import PositionSide, Side
    from projections.book import Book
    from projections.views.contracts.view import Contract
    from projections.views.orders.order import Order

_MARKET = OrderType.MARKET
_DAY_NS = 24 * 3_600 * NANOSECONDS


class Ends(NamedTuple):
    """When the trading day of an instant ends, None if unknown, and when a contract's last day does."""

    of_day: Callable[[int], int | None]
    of_contract: Callable[[date], int]


def day_end(book: Book, account: str, at: int) -> int | None:
    """Return when the trading day of an instant ends, as recorded or by the calendar; None if neither says."""
    session = book.sessions.current(account, at)
    if session is not None:
        return session.resets_at or book.sessions.next_reset(account, at)
    planned = calendar_day_if_missing(book, account, at)
    return None if planned is None else planned.resets_at


def contract_end(book: Book, account: str, expiry: date) -> int:
    """Return when the trading day of a contract's expiry ends by the account's calendar, else the date in UTC."""
    midnight = (expiry.toordinal() - _EPOCH_ORDINAL) * _DAY_NS
    calendar = book.sessions.calendar(account)
    if calendar is not None and calendar.is_trading_day(expiry):
        return calendar.day(expiry).resets_at
    return midnight + _DAY_NS


_EPOCH_ORDINAL = 719_163
"""The ordinal of 1970-01-01."""


class Counted(NamedTuple):
    """An order and what it counts as, where no other record changes that, nor the time until its end."""

    order: Order
    counts_as: OpenOrder

    def holds(self, order: Order, at: int) -> bool:
        """Return whether it is what an order counts as at an instant."""
        ends_at = self.counts_as.ends_at
        return self.order is order and (ends_at is None or at < ends_at)


class _Others(NamedTuple):
    """When each report of a position was made that agrees with the fills, and the orders beside one, by their ids."""

    agreed: Mapping[tuple[str, PositionSide], int]
    by_id: dict[str, Order]


def standing_orders_of(
    book: Book, account: str, at: int, ends: Ends, counted: Mapping[str, Counted]
) -> tuple[tuple[OpenOrder, ...], dict[str, Counted]]:
    """Return the orders that may still change a position, and those whose time is over: of these nothing is left.

    `counted` has by order id what orders counted as before, while no contract was defined since; the second value is
    the same for the next time.
    """
    orders, kept = [], {}
    for order in book.orders.candidates(account):
        known = counted.get(order.order_id)
        if known is not None and known.holds(order, at):
            kept[order.order_id] = known
            orders.append(order)
        elif is_executable(order):
            orders.append(order)
    if len(kept) == len(orders):
        return tuple([known.counts_as for known in kept.values()]), kept
    agreed = agreeing_reports(book, account) if any(order.unexplained for order in orders) else {}
    others = _Others(agreed, {order.order_id: order for order in orders})
    found = []
    for order in orders:
        known = kept.get(order.order_id)
        open_order = known.counts_as if known is not None else _open_order(book, order, at, ends, others)
        found.append(open_order)
        if known is None and _is_by_itself(order, open_order, at):
            kept[order.order_id] = Counted(order, open_order)
    return tuple(found), kept


def _is_by_itself(order: Order, counts_as: OpenOrder, at: int) -> bool:
    """Return whether only the order's own records, and its contract's end, change what it counts as."""
    if order.parent_order_id is not None or order.day_at is not None or order.expires_at is not None:
        return False
    is_before_end = counts_as.ends_at is None or at < counts_as.ends_at
    return is_before_end and counts_as.contradicts_from is None and not order.unexplained


def _open_order(book: Book, order: Order, at: int, ends: Ends, others: _Others) -> OpenOrder:
    contract = None if order.symbol is None else book.contracts.find(order.symbol)
    symbol = order.symbol if contract is None else contract.symbol
    contradicts_from = _contradicts_from(order)
    if contradicts_from is not None and contradicts_from <= at and order.unexplained and symbol is not None:
        reported_at = others.agreed.get((symbol, order.position_side))
        if reported_at is not None and reported_at >= (order.reported_at or 0):
            # The broker's position has come to agree with the fills: they account for what it reported.
            order = replace(order, unexplained=ZERO)
            contradicts_from = _contradicts_from(order)
    ends_at = _ends_at(order, contract, ends)
    leaves = order.unexplained if ends_at is not None and ends_at <= at else _leaves(book, order, others.by_id)
    return OpenOrder(
        order.order_id,
        symbol,
        order.position_side,
        order.side,
        leaves,
        order.reduce_only,
        order.link_group or UNGROUPED,
        order.order_type is _MARKET,
        ends_at,
        contradicts_from,
    )


def _contradicts_from(order: Order) -> int | None:
    if order.differs_since is None or not order.differs:
        return None
    return 0 if order.differs_twice else order.differs_since + GRACE_NS


def _ends_at(order: Order, contract: Contract | None, ends: Ends) -> int | None:
    """Return when an order stops working by its own terms or with its contract, None if it does not.

    The broker's word counts: one that it reports as working after that still works.
    """
    instants = [order.expires_at, None if order.day_at is None else ends.of_day(order.day_at)]
    if contract is not None and contract.expiry is not None:
        instants.append(ends.of_contract(contract.expiry))
    known = [instant for instant in instants if instant is not None]
    if not known:
        return None
    first = min(known)
    is_working = order.base in LIVE and order.reported_at is not None and order.reported_at >= first
    return None if is_working else first


def _leaves(book: Book, order: Order, known: dict[str, Order]) -> Decimal | None:
    """Return what an order may still execute: the child of a bracket no more than its parent has filled."""
    parent_id = order.parent_order_id
    if parent_id is None or parent_id == order.order_id:
        return order.executable
    parent = known.get(parent_id) or book.orders.resident(order.account, parent_id)
    quantity = order.executable
    if quantity is None or not is_opposite(parent, order.symbol, order.side):
        return quantity
    return max(min(quantity, filled_of(parent) - order.cumulative), order.unexplained, ZERO)


def is_opposite(parent: Order | None, symbol: str | None, side: Side | None) -> TypeGuard[Order]:
    """Return whether an order's parent is known and of the other side: then the order closes what the parent fills.

    One on its parent's own side adds to that, and counts as a whole from the beginning.
    """
    return parent is not None and parent.side not in {None, side} and parent.symbol == symbol


def filled_of(parent: Order) -> Decimal:
    """Return what a parent has filled, fills that are only reported included."""
    return parent.cumulative + parent.unexplained
