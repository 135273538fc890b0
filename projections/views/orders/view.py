"""The orders view: folds every order's events, and answers queries about orders, however old."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore import InvalidEvent
from eventstore.errors import shown
from eventstore.streams import stream_of, unescaped
from eventstore.trading import AccountReopened, OrderAccepted, OrderReplaced, OrderReported, OrderStatus, OrderSubmitted
from projections.decimals import ZERO
from projections.tiers import Stats, Tiers, TierSettings, part_of
from projections.view import SHARED, View, check_covered
from projections.views.contracts.names import same_contract
from projections.views.contracts.view import ContractsView
from projections.views.executions.state import VIEW
from projections.views.orders.joining import (
    ORDER_TYPES,
    changes_of_orders,
    fold_order,
    forget_joined,
    history_of,
    joined,
)
from projections.views.orders.order import CLOSED, LIVE, Order, OrderAnomaly, OrderAnomalyKind, submitted_order
from projections.views.orders.state import Fill, OrdersState
from projections.views.orders.transitions import TRANSITIONS, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from eventstore import Event, Record
    from projections.tiers import Part
    from projections.view import BookReader
    from projections.views.orders.joining import Changes

__all__ = ["Fill", "Order", "OrderAnomaly", "OrderAnomalyKind", "Orders", "OrdersState", "OrdersView"]

CLOSED_MAX = 1_000
UNKNOWN_MAX = 10_000
LATE_MAX = 1_000
REOPENED_MAX = 10
REOPENED_ORDERS_MAX = 100


class OrdersView(View[OrdersState]):
    """Folds the streams `order/ACCOUNT/ORDER_ID` into FIX order states, marking every anomaly.

    Bounds per account: the last `closed_max` closed orders (an eighth more before some are evicted), 10,000 UNKNOWN
    orders and 1,000 late ids; per order 10,000 fills. An evicted order is folded from its own stream when it is
    looked up, unless the tiers, a cache beside the fold, still hold it. A record that was folded already changes
    nothing. The state lacks what other streams say of an order's trades: `Orders` joins it.
    """

    name: ClassVar[str] = "orders"
    revision: ClassVar[int] = 9
    types: ClassVar[tuple[type[Event], ...] | None] = (*ORDER_TYPES, AccountReopened)
    can_wait: ClassVar[bool] = True

    def __init__(
        self, closed_max: int = CLOSED_MAX, unknown_max: int = UNKNOWN_MAX, tiers: Tiers[Order] | None = None
    ) -> None:
        self._closed_max = closed_max
        self._unknown_max = unknown_max
        self._tiers = tiers

    @override
    def initial(self) -> OrdersState:
        return OrdersState()

    @override
    def apply(self, state: OrdersState, event: Event, record: Record) -> None:
        category, account, order_id = record.stream.split("/", 2)
        log_position, kind = record.position, type(event)
        if category != "order" or kind not in TRANSITIONS or log_position <= state.log_position:
            if kind is AccountReopened and state.open and log_position > state.log_position:
                working = tuple(islice(state.open, REOPENED_ORDERS_MAX))
                state.reopened_working = (*state.reopened_working[1 - REOPENED_MAX :], (log_position, working))
                state.log_position = log_position
            return
        state.log_position = log_position
        if "%" in order_id:
            order_id = unescaped(order_id)
        if record.version == 1:
            if isinstance(event, OrderSubmitted):
                state.open[order_id] = submitted_order(account, order_id, event, log_position, record.occurred_at)
                return
            before = Order(account, order_id, log_position, 0)
        elif found := state.open.get(order_id) or state.closed.get(order_id) or state.unknown.get(order_id):
            before = found
        else:
            # Evicted: what it is now takes its whole stream, which is read when somebody asks.
            _remember_late(state, order_id, log_position)
            return
        self._place(state, before, step(state, TRANSITIONS[kind], before, event, record))

    def _place(self, state: OrdersState, before: Order, after: Order) -> None:
        """Publish an order in the group of residents that its status belongs to, and evict the oldest."""
        order_id, status, broker_id = after.order_id, after.status, after.broker_order_id
        if broker_id is not None and broker_id != before.broker_order_id:
            _forget_broker_id(state, before)
            state.broker_ids[broker_id] = order_id
        group = state.open if status in LIVE else _group(state, status)
        if group is state.open and before.status in LIVE:
            group[order_id] = after
            return
        previous = _group(state, before.status)
        # Readers hold no lock: the order enters its new group before it leaves the old one.
        group[order_id] = after
        if after.reported or state.doubtful:
            _place_doubtful(state, after, is_open=group is state.open)
        if previous is not group:
            previous.pop(order_id, None)
        # Finding a dict's first key skips over all that were deleted before it, so many are evicted at once.
        spare = self._closed_max // 8
        if len(state.closed) > self._closed_max + spare:
            self._evict(state, state.closed, 1 + spare)
        if len(state.unknown) > self._unknown_max:
            self._evict(state, state.unknown, 1)

    def _evict(self, state: OrdersState, group: dict[str, Order], count: int) -> None:
        evicted = dict(islice(group.items(), count))
        part = self._tiers.part_of(state) if self._tiers is not None else part_of(state)
        # The cache takes them before they leave the state, so that a reader finds them in one or the other.
        if part is not None:
            part.keep(evicted.values())
        for order_id, order in evicted.items():
            state.fills.pop(order_id, None)
            del group[order_id]
            _forget_broker_id(state, order)


def is_executable(order: Order) -> bool:
    """Return whether an order may still change a position.

    It was sent or reported: a fill alone does not say that more of it is working.
    """
    return (order.submitted or order.reported) and order.executable != ZERO


def _group(state: OrdersState, status: OrderStatus) -> dict[str, Order]:
    if status in CLOSED:
        return state.closed
    return state.open if status in LIVE else state.unknown


def _place_doubtful(state: OrdersState, order: Order, *, is_open: bool) -> None:
    """Note an order that is not open, and may change a position by what was reported of it."""
    doubtful = state.doubtful
    if is_open or not order.reported or order.executable == ZERO:
        doubtful.pop(order.order_id, None)
        return
    doubtful[order.order_id] = order
    if len(doubtful) > UNKNOWN_MAX:
        del doubtful[next(iter(doubtful))]


def _forget_broker_id(state: OrdersState, order: Order) -> None:
    broker_id = order.broker_order_id
    if broker_id is not None and state.broker_ids.get(broker_id) == order.order_id:
        del state.broker_ids[broker_id]


def _remember_late(state: OrdersState, order_id: str, log_position: int) -> None:
    """Note that an evicted order received another event: what is cached of it is out of date from here on."""
    state.late.pop(order_id, None)
    state.late[order_id] = log_position
    # What it is now is folded from its stream.
    state.doubtful.pop(order_id, None)
    part = part_of(state)
    if part is not None:
        part.forget(order_id)
    forget_joined(state, order_id)
    if len(state.late) > LATE_MAX:
        del state.late[next(iter(state.late))]


def tiers_of(settings: object = None) -> Tiers[Order]:
    """Return tiers for the orders of one book."""
    if settings is not None and not isinstance(settings, TierSettings):
        msg = f"tiers must be a TierSettings, not {shown(settings)}"
        raise InvalidEvent(msg)
    return Tiers(Order, lambda order: order.order_id, settings)


class Orders:
    """Queries about orders. Every Order is a value: it does not change under the caller while folding continues.

    Each raises PartitionParked if the account's fold has stopped.
    """

    def __init__(self, book: BookReader, tiers: Tiers[Order] | None = None) -> None:
        self._book, self._tiers = book, tiers
        # Counts lookups without a lock: no other thread can interrupt this one call. Reading the count advances it,
        # so a second counter holds how often it was read.
        self._live, self._looks = count().__next__, count().__next__
        # Late orders, each with the log position of its latest record when it was folded.
        self._late: dict[tuple[str, str], tuple[int, Order]] = {}

    def reading(self, book: BookReader) -> Orders:
        """Return the same queries of another reader of the same fold."""
        return Orders(book, self._tiers)

    @property
    def tiers(self) -> Stats:
        """Where lookups found orders since the book was opened, and what is cached beside the view's state."""
        live = self._live() - self._looks()
        return Stats(live=live) if self._tiers is None else self._tiers.stats(live)

    def get(self, account: str, order_id: str) -> Order | None:
        """Return an order (FIX 11) as it is now, however old, or None if there is no such order."""
        state = self._book.state(OrdersView.name, account)
        if state is not None:
            executions = self._book.state(VIEW, account)
            if executions is not None and (changes := executions.order_changes.get(order_id)) is not None:
                self._live()
                return joined(self._book, state, account, order_id, changes).order
            order = state.open.get(order_id) or state.closed.get(order_id) or state.unknown.get(order_id)
            if order is not None:
                self._live()
                return order  # type: ignore[no-any-return]
            if self._tiers is not None:
                return self._from_tiers(state, account, order_id, self._tiers.part_of(state))
        return self._folded(account, order_id)

    def open(self, account: str | None = None, symbol: str | None = None) -> tuple[Order, ...]:
        """Return the orders that may still be executed, of one account or all; of one contract, by any of its names."""
        accounts = self._book.partitions(OrdersView.name) if account is None else (account,)
        found = tuple(order for name in accounts for order in self._open(name) if order.is_open)
        if symbol is None or not found:
            return found
        is_same = same_contract(self._book.state(ContractsView.name, SHARED), symbol)
        return tuple(order for order in found if is_same(order.symbol))

    def executable(self, account: str) -> tuple[Order, ...]:
        """Return the orders that may still change a position (`Order.executable`), those in doubt included."""
        return tuple(order for order in self.candidates(account) if is_executable(order))

    def candidates(self, account: str) -> Iterable[Order]:
        """Return the orders among which those are that may still change a position (`is_executable`)."""
        state = self._book.state(OrdersView.name, account)
        if state is None:
            check_covered(self._book, account)
            return ()
        if not state.doubtful and not state.late:
            return self._open(account)
        found = {order.order_id: order for order in list(state.doubtful.values())}
        found |= {order.order_id: order for order in self._open(account)}
        changes = changes_of_orders(self._book, account)
        if changes:
            found |= {each.order_id: each for each in self._joined(state, account, list(found.values()), changes)}
        return found.values()

    def resident(self, account: str, order_id: str) -> Order | None:
        """Return an order if that takes a lookup only: not one that would be folded from its stream."""
        state: OrdersState | None = self._book.state(OrdersView.name, account)
        if state is None:
            return None
        if order_id in changes_of_orders(self._book, account):
            return self.get(account, order_id)
        return state.open.get(order_id) or state.closed.get(order_id) or state.unknown.get(order_id)

    def by_broker_id(self, account: str, broker_id: str) -> Order | None:
        """Return the order with this broker id (FIX 37), or None.

        A resident order's current id is a lookup; any other id is searched for in the account's records.
        """
        state = self._book.state(OrdersView.name, account)
        order_id = None if state is None else state.broker_ids.get(broker_id)
        if order_id is None:
            for record in self._book.read(account=account, types=(OrderAccepted, OrderReplaced, OrderReported)):
                if record.category == "order" and record.event.broker_order_id == broker_id:  # type: ignore[attr-defined]
                    order_id = unescaped(record.entity)
        return None if order_id is None else self.get(account, order_id)

    def anomalies(self, account: str) -> dict[OrderAnomalyKind, int]:
        """Return how often each kind of anomaly was found in an account, evicted orders included."""
        state = self._book.state(OrdersView.name, account)
        if state is None:
            check_covered(self._book, account)
            return {}
        counts = dict(state.anomaly_counts)
        for order_id, changes in list(changes_of_orders(self._book, account).items()):
            for kind, more in joined(self._book, state, account, order_id, changes).anomalies.items():
                counts[kind] = counts.get(kind, 0) + more
        return {OrderAnomalyKind(kind): count for kind, count in counts.items() if count > 0}

    def history(self, account: str, order_id: str) -> Iterator[tuple[Record, Order]]:
        """Yield an order's records, and those of other streams that change its trades, each with the order after it."""
        return history_of(self._book, account, order_id)

    def _from_tiers(self, state: OrdersState, account: str, order_id: str, part: Part[Order]) -> Order | None:
        order = part.get(order_id)
        if order is not None:
            return order
        folded_to = self._book.position
        order = state.open.get(order_id) or state.closed.get(order_id) or state.unknown.get(order_id)
        if order is not None:
            # It moved from one group to another between the lookups.
            self._live()
            return order
        order = self._folded(account, order_id)
        # Until the account's fold goes beyond where the book was, the order is as it was read; after that, the fold
        # itself removes from the cache whatever changes.
        part.put(order_id, order, lambda: state.log_position <= folded_to)
        return order

    def _folded(self, account: str, order_id: str) -> Order | None:
        order = None
        records = self._book.read(stream=stream_of("order", account, order_id), types=ORDER_TYPES)
        for _, order in fold_order(records):  # noqa: B007 - the last one is returned
            pass
        return order

    def _open(self, account: str) -> list[Order]:
        state = self._book.state(OrdersView.name, account)
        if state is None:
            check_covered(self._book, account)
            return []
        changes = changes_of_orders(self._book, account)
        orders: list[Order] = list(state.open.values())
        for order_id, log_position in list(state.late.items()):
            order = None if order_id in changes else self._late_order(account, order_id, log_position)
            if order is not None:
                orders.append(order)
        return self._joined(state, account, orders, changes) if changes else orders

    def _joined(
        self, state: OrdersState, account: str, orders: list[Order], changes: Mapping[str, Changes]
    ) -> list[Order]:
        """Return these orders with what other streams say of their trades, and others of which they say anything."""
        found: dict[str, Order | None] = {
            # No trade opens an order that was neither submitted nor reported.
            order_id: joined(self._book, state, account, order_id, each).order
            for order_id, each in list(changes.items())
            if order_id not in state.unknown
        }
        replaced = [found.pop(order.order_id, order) for order in orders]
        return [order for order in (*replaced, *found.values()) if order is not None]

    def _late_order(self, account: str, order_id: str, log_position: int) -> Order | None:
        known = self._late.get((account, order_id))
        if known is not None and known[0] == log_position:
            return known[1]
        order = self._folded(account, order_id)
        # The state is folded before the book's own position advances: the log as read may end before that record.
        if order is not None and order.last_position >= log_position:
            self._late[account, order_id] = (log_position, order)
            if len(self._late) > LATE_MAX:
                self._late.pop(next(iter(self._late)), None)
        return order
