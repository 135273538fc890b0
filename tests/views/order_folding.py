"""Records of orders made by hand, and a book of one view to fold them."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from typing_extensions import override

from eventstore import Event, Record, trading
from eventstore.streams import stream_of
from projections.tiers import Tiers
from projections.views.contracts.view import ContractsView
from projections.views.executions.order_changes import OrderChange
from projections.views.executions.state import VIEW
from projections.views.orders.view import Order, Orders, OrdersState, OrdersView
from tests.views.record_log import RecordLog


class OrderFolding(RecordLog):
    """A log of orders, folded by the orders view: the BookReader that Orders asks."""

    def __init__(self, view: OrdersView | None = None, tiers: Tiers[Order] | None = None) -> None:
        super().__init__()
        self.view = view or OrdersView()
        self.states: dict[str, OrdersState] = {}
        self.changes: dict[str, dict[str, tuple[OrderChange, ...]]] = {}
        self.orders = Orders(self, tiers)

    def add(self, order_id: str, *events: Event, account: str = "A", category: str = "order") -> Order:
        """Append events to an order's stream, fold them, and return the order as the view's queries return it."""
        for event in events:
            self.deliver(self.record(stream_of(category, account, order_id), event))
        order = self.orders.get(account, order_id)
        assert order is not None
        return order

    @override
    def deliver(self, record: Record) -> None:
        partition = self.view.partition(record)
        if partition not in self.states:
            self.states[partition] = self.view.initial()
        # In the thread's own decimal context: the orders' fold must not depend on it.
        self.view.apply(self.states[partition], record.event, record)

    def state(self, view: str, partition: str) -> Any:  # noqa: ANN401 - as the BookReader has it
        if view == VIEW:
            return SimpleNamespace(order_changes=self.changes[partition]) if partition in self.changes else None
        if view == ContractsView.name:
            return None
        assert view == OrdersView.name
        return self.states.get(partition)

    def say(self, order_id: str, *said: tuple[int, str, str, str], account: str = "A") -> None:
        """Say what other streams say of an order's trades: log position, trade id, quantity and price of each."""
        changes = tuple(OrderChange(at, trade_id, Decimal(each), Decimal(price)) for at, trade_id, each, price in said)
        self.changes.setdefault(account, {})[order_id] = changes

    def partitions(self, view: str) -> Sequence[str]:
        assert view == OrdersView.name
        return tuple(self.states)

    def observe(self, stream: str, event: Event, *, occurred_at: int | None = None) -> Record:
        msg = f"the orders view folds no volatile events, and {stream} got one"
        raise NotImplementedError(msg)


def submit(quantity: str = "10", symbol: str = "ESZ5", **members: Any) -> trading.OrderSubmitted:  # noqa: ANN401
    return trading.OrderSubmitted(symbol=symbol, side=trading.Side.BUY, quantity=Decimal(quantity), **members)


def fill(trade_id: str, quantity: str, price: str = "50", symbol: str = "ESZ5") -> trading.OrderFilled:
    return trading.OrderFilled(
        trade_id=trade_id, symbol=symbol, side=trading.Side.BUY, quantity=Decimal(quantity), price=Decimal(price)
    )


def correct(trade_id: str, quantity: str, price: str = "50") -> trading.TradeCorrected:
    return trading.TradeCorrected(trade_id=trade_id, quantity=Decimal(quantity), price=Decimal(price))


def _report(status: str, quantity: str | None = None) -> trading.OrderReported:
    return trading.OrderReported(
        status=trading.OrderStatus(status), quantity=None if quantity is None else Decimal(quantity), symbol="ESZ5"
    )


_EVENTS: dict[str, Callable[..., Event]] = {
    "submit": submit,
    "accept": trading.OrderAccepted,
    "reject": trading.OrderRejected,
    "trigger": trading.OrderTriggered,
    "fill": lambda trade_id, traded: fill(trade_id, *traded.split("@")),
    "ask-replace": lambda quantity=None: trading.OrderReplaceRequested(quantity=quantity and Decimal(quantity)),
    "replace": lambda quantity: trading.OrderReplaced(quantity=Decimal(quantity)),
    "refuse-replace": trading.OrderReplaceRejected,
    "reduce": lambda by: trading.OrderReduced(by=Decimal(by)),
    "ask-cancel": trading.OrderCancelRequested,
    "cancel": lambda quantity=None: trading.OrderCanceled(quantity=quantity and Decimal(quantity)),
    "refuse-cancel": trading.OrderCancelRejected,
    "expire": trading.OrderExpired,
    "report": _report,
    "bust": lambda trade_id: trading.TradeBusted(trade_id=trade_id),
    "correct": lambda trade_id, traded: correct(trade_id, *traded.split("@")),
}


def event_of(words: str) -> Event:
    """Return the event that a line of the table names, for example `fill B 2000@50`."""
    verb, *arguments = words.split()
    return _EVENTS[verb](*arguments)
