"""One order folded from its own stream, joined with what other streams say of its trades.

An execution counts for the order that it was first reported for, and a bust or correction counts wherever it is
recorded. The executions view publishes what follows from that for the few orders concerned; here it takes its place
among the order's own records.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from eventstore.streams import stream_of, unescaped
from eventstore.trading import ContractDefined, OrderFilled, TradeBusted, TradeCorrected, TradeExecuted
from projections.view import SHARED
from projections.views.executions.order_changes import OrderChange
from projections.views.executions.state import VIEW
from projections.views.orders.fills import Found, changed_elsewhere
from projections.views.orders.order import Order, OrderAnomalyKind
from projections.views.orders.state import OrdersState
from projections.views.orders.transitions import TRANSITIONS, marked, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from eventstore import Event, Record
    from projections.view import BookReader

JOINED_MAX = 10_000

Changes = tuple[OrderChange, ...]

ORDER_TYPES: tuple[type[Event], ...] = tuple(TRANSITIONS)
"""The event classes that make an order."""
_TRADE_TYPES = (OrderFilled, TradeExecuted, TradeBusted, TradeCorrected)
_NO_CHANGES: dict[str, Changes] = {}


class OrderFold:
    """Folds one order's records, and what other streams say of its trades before and between them."""

    def __init__(self, account: str, order_id: str, changes: Changes = ()) -> None:
        self.order: Order | None = None
        self.last_record = 0
        self.anomaly_counts: dict[str, int] = {}
        self._state = OrdersState(anomaly_counts=self.anomaly_counts)
        self._account, self._order_id = account, order_id
        # The next one last, where it is taken from; of several at one position, as they were said.
        self._changes = sorted(_whole(changes), key=lambda change: change.log_position)[::-1]

    def apply(self, record: Record) -> Order | None:
        """Return the order after the next of its own records; None if the record says nothing of it."""
        event = record.event
        transition = TRANSITIONS.get(type(event))
        if transition is None:
            return None
        self.change_until(record.position - 1)
        event, fills_nothing = self._as_said(event, record.position)
        order = self.order or Order(self._account, self._order_id, record.position, 0)
        order = step(self._state, transition, order, event, record)
        if fills_nothing:
            order = marked(self._state, order, record.position, [OrderAnomalyKind.DUPLICATE_TRADE])
        self.order, self.last_record = order, record.position
        return order

    def change_until(self, log_position: int | None = None) -> None:
        """Apply what other streams say up to a record."""
        while self._changes and (log_position is None or self._changes[-1].log_position <= log_position):
            self._change(self._changes.pop())

    def _as_said(self, event: Event, log_position: int) -> tuple[Event, bool]:
        """Return one of its own events with the id under which its trade counts, and whether that fills nothing.

        What is said of this very trade comes before it: it is folded with these figures, never its own. A correction
        has those that the trade has after it, which a later one that was recorded before may have changed.
        """
        said: list[OrderChange] = []
        while self._changes and self._changes[-1].log_position == log_position:
            said.append(self._changes.pop())
        if not said or not isinstance(event, OrderFilled | TradeBusted | TradeCorrected):
            return event, False
        is_fill = isinstance(event, OrderFilled)
        if is_fill:
            for change in said:
                self._change(change)
        last = said[-1]
        if isinstance(event, TradeCorrected):
            return replace(event, trade_id=last.trade_id, quantity=last.quantity, price=last.price), False
        return replace(event, trade_id=last.trade_id), is_fill and not last.quantity

    def _change(self, change: OrderChange) -> None:
        found: Found = []
        order = self.order or Order(self._account, self._order_id, change.log_position, 0)
        order = changed_elsewhere(order, self._state, change, found)
        if self.order is not None:
            self.order = marked(self._state, order, change.log_position, found) if found else order


def _whole(changes: Changes) -> Iterable[OrderChange]:
    """Return changes without those that the same record has followed by another one of the same trade.

    One record may change a trade in steps. What it has in between would fill an order that it does not fill.
    """
    said: dict[tuple[int, str], OrderChange] = {}
    for change in changes:
        key = change.log_position, change.trade_id
        said.pop(key, None)
        said[key] = change
    return said.values()


def fold_order(records: Iterable[Record]) -> Iterator[tuple[Record, Order]]:
    """Yield one order's records, each with the order after it, whether or not a view would have evicted it."""
    fold: OrderFold | None = None
    for record in records:
        fold = fold or OrderFold(record.account, unescaped(record.entity))
        order = fold.apply(record)
        if order is not None:
            yield record, order


def changes_of_orders(book: BookReader, account: str) -> Mapping[str, Changes]:
    """Return what other streams say of an account's orders, by order id; raise PartitionParked."""
    state = book.state(VIEW, account)
    changes: Mapping[str, Changes] = _NO_CHANGES if state is None else state.order_changes
    return changes


def history_of(
    book: BookReader, account: str, order_id: str, types: tuple[type[Event], ...] = ORDER_TYPES
) -> Iterator[tuple[Record, Order]]:
    """Yield an order's records of some types, and those of other streams that change its trades, oldest first.

    Each comes with the order after it. Finding records of other streams reads the account's trades.
    """
    changes = changes_of_orders(book, account).get(order_id)
    stream = stream_of("order", account, order_id)
    own = book.read(stream=stream, types=types)
    if changes is None:
        yield from fold_order(own)
        return
    records = list(own)
    others = {change.log_position for change in changes} - {record.position for record in records}
    if others:
        traded = book.read(account=account, types=_TRADE_TYPES)
        # A name of a contract that is learned later can show that two trades are one.
        read = chain(traded, book.read(account=SHARED, types=(ContractDefined,)))
        records += [record for record in read if record.position in others]
        records.sort(key=lambda record: record.position)
    fold = OrderFold(account, order_id, changes)
    for record in records:
        if record.position in others:
            fold.change_until(record.position)
            order = fold.order
        else:
            order = fold.apply(record)
        if order is not None:
            yield record, order


class JoinedOrder(NamedTuple):
    """An order joined with `changes`; valid while these are the same object, and the order's last record the same."""

    changes: Changes
    last_record: int
    order: Order | None
    anomalies: dict[str, int]
    """How many more anomalies of each kind it has than without the changes."""


def joined(book: BookReader, state: OrdersState, account: str, order_id: str, changes: Changes) -> JoinedOrder:
    """Return an order joined with what other streams say of its trades: remembered, or folded from its own stream."""
    resident = state.open.get(order_id) or state.closed.get(order_id) or state.unknown.get(order_id)
    # An evicted order has no record after its eviction, or is among the late ones.
    last_record = state.late.get(order_id, 0) if resident is None else resident.last_position
    # Beside the state's members, like the cache of evicted orders: it lives and dies with its state.
    known: dict[str, JoinedOrder] = vars(state).setdefault("joined", {})
    found = known.get(order_id)
    if found is not None and found.changes is changes and found.last_record == last_record:
        return found
    folded_to = book.position
    fold, plain = OrderFold(account, order_id, changes), OrderFold(account, order_id)
    for record in book.read(stream=stream_of("order", account, order_id), types=ORDER_TYPES):
        fold.apply(record)
        plain.apply(record)
    fold.change_until()
    counts, without = fold.anomaly_counts, plain.anomaly_counts
    more = {kind: counts.get(kind, 0) - without.get(kind, 0) for kind in counts.keys() | without.keys()}
    found = JoinedOrder(changes, last_record, fold.order, {kind: count for kind, count in more.items() if count})
    # The state is folded before the book's own position advances: the log as read may end before the last record.
    if fold.last_record >= last_record and (last_record or state.log_position <= folded_to):
        if len(known) >= JOINED_MAX:
            known.clear()
        known[order_id] = found
    return found


def forget_joined(state: OrdersState, order_id: str) -> None:
    """Forget what an order was joined to: it has another record."""
    known = vars(state).get("joined")
    if known:
        known.pop(order_id, None)
