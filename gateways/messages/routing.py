"""Which order of the log a broker's id stands for, and what waits until that is known."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from eventstore.streams import stream_of, unescaped
from eventstore.trading import OrderFilled, OrderReported, TradeExecuted
from projections.view import PartitionParked
from projections.views.orders.view import OrdersView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateways.messages.mapped import MappedEvent
    from projections import Book

KNOWN_MAX = 100_000
WAITING_MAX = 10_000
WAITING_PER_ORDER_MAX = 1_000

_Name = tuple[str, str]
"""An account and an order's id, here or at the broker."""


class OrderRoutes:
    """Gives events the stream of the order that they are of, in whatever order they come.

    A fill of an order that is not known yet is recorded at once, as a trade without an order, and reported again for
    the order when that is known: the fold counts it once. Bounded: of what waits the oldest is forgotten, which leaves
    a trade without its order, and a child without its parent, until the broker is asked for them again.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._lock = threading.Lock()
        self._known: OrderedDict[_Name, str] = OrderedDict()
        self._waiting: OrderedDict[_Name, list[MappedEvent]] = OrderedDict()

    def placed(self, events: Iterable[MappedEvent]) -> list[MappedEvent]:
        """Return what is recorded for events: they themselves, in the right streams, and what waited for them."""
        with self._lock:
            return [each for mapped in events for each in self._placed(mapped)]

    def _placed(self, mapped: MappedEvent) -> Iterator[MappedEvent]:
        category, account, entity = mapped.stream.split("/", 2)
        if category != "order":
            yield mapped
            return
        event, name = mapped.event, unescaped(entity)
        broker_id = getattr(event, "broker_order_id", None)
        # A message that states both ids names the order by its own one.
        order_id = name if broker_id not in {None, name} else self._order_of_any(account, (name, *mapped.order_names))
        if order_id is None and isinstance(event, OrderFilled):
            self._wait(account, name, mapped)
            yield _as_trade(mapped, event, account)
            return
        mapped = replace(mapped, stream=stream_of("order", account, order_id or name))
        if isinstance(event, OrderReported) and event.parent_order_id is not None:
            yield replace(mapped, event=replace(event, parent_order_id=None))
            yield from self._linked(mapped, account, event.parent_order_id)
        else:
            yield mapped
        yield from self._learn(account, order_id or name, {name, broker_id or name})

    def _order_of_any(self, account: str, names: Iterable[str]) -> str | None:
        """Return the id here of the order that has the first of its names that is known."""
        return next((found for name in names if (found := self._order_of(account, name)) is not None), None)

    def _order_of(self, account: str, name: str) -> str | None:
        """Return the id here of the order that a broker knows by a name; None if there is none that is in memory."""
        known = self._known.get((account, name))
        if known is not None:
            return known
        try:
            state = self._book.state(OrdersView.name, account)
            order_id: str | None = None if state is None else state.broker_ids.get(name)
            if order_id is None and self._book.orders.resident(account, name) is not None:
                order_id = name
        except PartitionParked:
            # The book says by itself that this account's fold has stopped; what comes is recorded all the same.
            return None
        return order_id

    def _linked(self, mapped: MappedEvent, account: str, parent: str) -> Iterator[MappedEvent]:
        """Yield the report that names a child's parent by its id here, once that is known: the same one each time."""
        link = replace(mapped, event=OrderReported(parent_order_id=parent), key=f"parent {parent}")
        order_id = self._order_of(account, parent)
        if order_id is None:
            self._wait(account, parent, link)
        else:
            yield replace(link, event=OrderReported(parent_order_id=order_id))

    def _wait(self, account: str, name: str, mapped: MappedEvent) -> None:
        waiting = self._waiting.setdefault((account, name), [])
        if mapped not in waiting and len(waiting) < WAITING_PER_ORDER_MAX:
            waiting.append(mapped)
        if len(self._waiting) > WAITING_MAX:
            self._waiting.popitem(last=False)

    def _learn(self, account: str, order_id: str, names: set[str]) -> Iterator[MappedEvent]:
        """Remember the names of an order, and yield what waited for it."""
        for name in sorted(names):
            self._known[account, name] = order_id
            self._known.move_to_end((account, name))
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
            for waiting in self._waiting.pop((account, name), ()):
                if isinstance(waiting.event, OrderReported):
                    yield replace(waiting, event=OrderReported(parent_order_id=order_id))
                else:
                    yield replace(waiting, stream=stream_of("order", account, order_id))


def _as_trade(mapped: MappedEvent, fill: OrderFilled, account: str) -> MappedEvent:
    """Return a fill as a trade that belongs to no order of the log."""
    return replace(mapped, stream=stream_of("trade", account, fill.trade_id), event=TradeExecuted(**asdict(fill)))
