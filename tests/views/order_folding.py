"""Records of orders made by hand, and a book of one view to fold them."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Unpack

from eventstore import Event, Record, trading
from eventstore.batch import AppendOptions
from eventstore.events import encode
from eventstore.streams import stream_of
from projections.tiers import Tiers
from projections.views.orders.view import Order, Orders, OrdersState, OrdersView


class Folding:
    """A log and what the orders view makes of it: the BookReader that Orders asks."""

    def __init__(self, view: OrdersView | None = None, tiers: Tiers[Order] | None = None) -> None:
        self.view = view or OrdersView()
        self.records: list[Record] = []
        self.states: dict[str, OrdersState] = {}
        self.reads: int = 0
        self._versions: dict[str, int] = {}
        self.orders = Orders(self, tiers)

    def record(self, stream: str, event: Event) -> Record:
        """Return the next record, at the next position and version, without folding it."""
        kind, data = encode(event)
        position = len(self.records) + 1
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        record = Record(
            id=position.to_bytes(16, "big"),
            stream=stream,
            type=kind.name,
            schema=kind.schema,
            occurred_at=position,
            data=data,
            actor="",
            note="",
            correlation_id=None,
            causation_id=None,
            position=position,
            version=version,
            recorded_at=position,
            digest=b"",
            log="main",
        )
        self.records.append(record)
        return record

    def covers(self, account: str) -> bool:
        return bool(account)

    def add(self, order_id: str, *events: Event, account: str = "A", category: str = "order") -> Order:
        """Append events to an order's stream, fold them, and return the order as the view's queries return it."""
        for event in events:
            self.deliver(self.record(stream_of(category, account, order_id), event))
        order = self.orders.get(account, order_id)
        assert order is not None
        return order

    def deliver(self, record: Record) -> None:
        """Fold one record, once more if it was folded before."""
        partition = self.view.partition(record)
        if partition not in self.states:
            self.states[partition] = self.view.initial()
        self.view.apply(self.states[partition], record.event, record)

    @property
    def position(self) -> int:
        return len(self.records)

    def state(self, view: str, partition: str) -> Any:  # noqa: ANN401 - as the BookReader has it
        assert view == OrdersView.name
        return self.states.get(partition)

    def partitions(self, view: str) -> Sequence[str]:
        assert view == OrdersView.name
        return tuple(self.states)

    def read(
        self, *, stream: str | None = None, account: str | None = None, types: tuple[type[Event], ...] | None = None
    ) -> Iterator[Record]:
        self.reads += 1
        names = None if types is None else {cls.__name__ for cls in types}
        for record in self.records:
            if stream in {None, record.stream} and account in {None, record.account} and _is_of(record, names):
                yield record

    def now_ns(self) -> int:
        """Return the last record's time: this book has no clock of its own."""
        return len(self.records)

    def append(self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]) -> list[Record]:
        records = [self.record(stream, event) for event in ([events] if isinstance(events, Event) else events)]
        for record in records:
            self.deliver(record)
        return records

    def observe(self, stream: str, event: Event, *, occurred_at: int | None = None) -> Record:
        msg = f"the orders view folds no volatile events, and {stream} got one"
        raise NotImplementedError(msg)


def _is_of(record: Record, names: set[str] | None) -> bool:
    return names is None or record.type in names


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
