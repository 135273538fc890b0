"""The orders view: what every order is now, the open ones first, and the questions one can ask of it."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore import InvalidEvent
from eventstore.errors import shown
from eventstore.trading import OrderAccepted, OrderReplaced, OrderReported, OrderStatus, OrderSubmitted
from projections.tiers import Stats, Tiers, TierSettings, part_of
from projections.view import View
from projections.views.orders.state import TRANSITIONS, step
from projections.views.orders.values import (
    CLOSED,
    LIVE,
    Fill,
    Order,
    OrderAnomalyKind,
    OrdersState,
    first_submitted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore import Event, Record
    from projections.tiers import Part
    from projections.view import Lens

__all__ = ["Fill", "Order", "OrderAnomaly", "OrderAnomalyKind", "Orders", "OrdersState", "OrdersView"]

CLOSED_MAX = 1_000
UNKNOWN_MAX = 10_000
LATE_MAX = 1_000


class OrdersView(View[OrdersState]):
    """Folds the streams `order/ACCOUNT/ORDER_ID`: FIX order states, with every surprise marked.

    For each account the last `closed_max` closed orders stay resident (an eighth more before some are evicted), at
    most 10,000 UNKNOWN ones and 1,000 late ids; for each order 10,000 fills. Whatever is evicted folds from its own
    stream when it is asked for, unless the tiers, a cache beside the fold, still hold it. A record that a resident
    order has folded already changes nothing.
    """

    name: ClassVar[str] = "orders"
    revision: ClassVar[int] = 2
    types: ClassVar[tuple[type[Event], ...] | None] = tuple(TRANSITIONS)

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
        position, kind = record.position, type(event)
        if category != "order" or kind not in TRANSITIONS or position <= state.position:
            return
        state.position = position
        if "%" in order_id:
            order_id = order_id.replace("%2F", "/")
        if record.version == 1:
            if isinstance(event, OrderSubmitted):
                state.open[order_id] = first_submitted(account, order_id, event, position)
                return
            before = Order(account, order_id, position, 0)
        elif found := state.open.get(order_id) or state.closed.get(order_id) or state.unknown.get(order_id):
            before = found
        else:
            _remember_late(state, order_id, position)
            return
        self._place(state, before, step(state, TRANSITIONS[kind], before, event, position))

    def _place(self, state: OrdersState, before: Order, after: Order) -> None:
        """Publish an order, and put it where its status belongs."""
        order_id, status, broker_id = after.order_id, after.status, after.broker_order_id
        if broker_id is not None and broker_id != before.broker_order_id:
            _forget_broker_id(state, before)
            state.broker_ids[broker_id] = order_id
        home = state.open if status in LIVE else _home(state, status)
        if home is state.open and before.status in LIVE:
            home[order_id] = after
            return
        was = _home(state, before.status)
        # A reader holds no lock: the order is in its new place before it leaves the old one.
        home[order_id] = after
        if was is not home:
            was.pop(order_id, None)
        # The oldest are found by walking over the gaps that those before them left, so many go at once.
        spare = self._closed_max // 8
        if len(state.closed) > self._closed_max + spare:
            self._evict(state, state.closed, 1 + spare)
        if len(state.unknown) > self._unknown_max:
            self._evict(state, state.unknown, 1)

    def _evict(self, state: OrdersState, home: dict[str, Order], count: int) -> None:
        gone = dict(islice(home.items(), count))
        part = self._tiers.part_of(state) if self._tiers is not None else part_of(state)
        if part is not None:
            part.keep(gone.values())
        for order_id, order in gone.items():
            state.fills.pop(order_id, None)
            del home[order_id]
            _forget_broker_id(state, order)


def _home(state: OrdersState, status: OrderStatus) -> dict[str, Order]:
    if status in CLOSED:
        return state.closed
    return state.open if status in LIVE else state.unknown


def _forget_broker_id(state: OrdersState, order: Order) -> None:
    broker_id = order.broker_order_id
    if broker_id is not None and state.broker_ids.get(broker_id) == order.order_id:
        del state.broker_ids[broker_id]


def _remember_late(state: OrdersState, order_id: str, position: int) -> None:
    state.late.pop(order_id, None)
    state.late[order_id] = position
    part = part_of(state)
    if part is not None:
        part.forget(order_id)
    if len(state.late) > LATE_MAX:
        del state.late[next(iter(state.late))]


def refold(records: Iterable[Record]) -> Iterator[tuple[Record, Order]]:
    """Yield one order's records, each with the order after it; the bounds of a state do not matter here."""
    order: Order | None = None
    state = OrdersState()
    for record in records:
        event = record.event
        transition = TRANSITIONS.get(type(event))
        if transition is None:
            continue
        if order is None:
            order = Order(record.account, record.entity.replace("%2F", "/"), record.position, 0)
        order = step(state, transition, order, event, record.position)
        yield record, order


def tiers_of(settings: object = None) -> Tiers[Order]:
    """Return tiers for the orders of one book."""
    if settings is not None and not isinstance(settings, TierSettings):
        msg = f"tiers is a TierSettings, not {shown(settings)}"
        raise InvalidEvent(msg)
    return Tiers(Order, lambda order: order.order_id, settings)


class Orders:
    """Questions about orders. Every Order is a value: it does not change under the caller while folding goes on.

    Each raises PartitionParked where the account's fold has stopped.
    """

    def __init__(self, lens: Lens, tiers: Tiers[Order] | None = None) -> None:
        self._lens, self._tiers = lens, tiers
        # Counted without a lock, by a call that no other thread can divide: with how often that was to look.
        self._live, self._looks = count().__next__, count().__next__
        # Late orders, each with the position of the latest record that was known when it was folded.
        self._late: dict[tuple[str, str], tuple[int, Order]] = {}

    @property
    def tiers(self) -> Stats:
        """Where orders were found since the book began, and what is held in memory beside the view's state."""
        live = self._live() - self._looks()
        return Stats(live=live) if self._tiers is None else self._tiers.stats(live)

    def get(self, account: str, order_id: str) -> Order | None:
        """Return an order (FIX 11) as it is now, however old, or None where there is none."""
        state = self._lens.state(OrdersView.name, account)
        if state is not None:
            order = state.open.get(order_id) or state.closed.get(order_id) or state.unknown.get(order_id)
            if order is not None:
                self._live()
                return order  # type: ignore[no-any-return]
            if self._tiers is not None:
                return self._from_tiers(state, account, order_id, self._tiers.part_of(state))
        return self._folded(account, order_id)

    def open(self, account: str | None = None, symbol: str | None = None) -> tuple[Order, ...]:
        """Return the orders of which more may still be executed, of one account or all, in one symbol or all."""
        accounts = self._lens.partitions(OrdersView.name) if account is None else (account,)
        return tuple(
            order
            for name in accounts
            for order in self._open(name)
            if order.is_open and (symbol is None or order.symbol == symbol)
        )

    def by_broker_id(self, account: str, broker_id: str) -> Order | None:
        """Return the order to which the broker gave this id (FIX 37), or None.

        A resident's current id is a lookup; any other is searched for in the account's records, newest last.
        """
        state = self._lens.state(OrdersView.name, account)
        order_id = None if state is None else state.broker_ids.get(broker_id)
        if order_id is None:
            for record in self._lens.read(account=account, types=(OrderAccepted, OrderReplaced, OrderReported)):
                if record.category == "order" and record.event.broker_order_id == broker_id:  # type: ignore[attr-defined]
                    order_id = record.entity.replace("%2F", "/")
        return None if order_id is None else self.get(account, order_id)

    def anomalies(self, account: str) -> dict[OrderAnomalyKind, int]:
        """Return how often each kind of surprise was found in an account, evicted orders included."""
        state = self._lens.state(OrdersView.name, account)
        return {} if state is None else {OrderAnomalyKind(kind): count for kind, count in state.anomaly_counts.items()}

    def history(self, account: str, order_id: str) -> Iterator[tuple[Record, Order]]:
        """Yield the order's records, oldest first, each with the order as it was after it."""
        stream = f"order/{account}/{order_id.replace('/', '%2F')}"
        return refold(self._lens.read(stream=stream, types=OrdersView.types))

    def _from_tiers(self, state: OrdersState, account: str, order_id: str, part: Part[Order]) -> Order | None:
        order = part.get(order_id)
        if order is not None:
            return order
        told = self._lens.position
        order = state.open.get(order_id) or state.closed.get(order_id) or state.unknown.get(order_id)
        if order is not None:
            # It went from one place to another while they were looked through.
            self._live()
            return order
        order = self._folded(account, order_id)
        # While the account's fold has not gone beyond where the book was, the order is not resident and as it was
        # read; from then on, the fold itself tells the part what changes.
        part.put(order_id, order, lambda: state.position <= told)
        return order

    def _folded(self, account: str, order_id: str) -> Order | None:
        order = None
        for _, order in self.history(account, order_id):  # noqa: B007 - the last one is wanted
            pass
        return order

    def _open(self, account: str) -> list[Order]:
        state = self._lens.state(OrdersView.name, account)
        if state is None:
            return []
        orders: list[Order] = list(state.open.values())
        for order_id, position in list(state.late.items()):
            order = self._late_order(account, order_id, position)
            if order is not None:
                orders.append(order)
        return orders

    def _late_order(self, account: str, order_id: str, position: int) -> Order | None:
        known = self._late.get((account, order_id))
        if known is not None and known[0] == position:
            return known[1]
        order = self._folded(account, order_id)
        # The book may not have come to that record yet, whose fold has told of it already.
        if order is not None and order.last_position >= position:
            self._late[account, order_id] = (position, order)
            if len(self._late) > LATE_MAX:
                self._late.pop(next(iter(self._late)), None)
        return order
