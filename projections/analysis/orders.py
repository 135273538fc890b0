"""Orders as a frame: every order of a history as it is now."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from typing_extensions import override

from eventstore.streams import stream_of
from eventstore.trading import OrderStatus, OrderSubmitted, OrderType, Side
from projections.analysis.columns import Column, Kind, exact_of
from projections.analysis.folding import accounts_in, batches_of, choice_of, folded
from projections.analysis.frame import Frame
from projections.analysis.sources import OCCURRED, opened, selection_of
from projections.analysis.tags import of_record, of_stream, tags_of, together
from projections.tiers import Tiers
from projections.view import SHARED
from projections.views.contracts.view import ContractsState, ContractsView
from projections.views.executions.state import VIEW, ExecutionsState
from projections.views.executions.view import ExecutionsView
from projections.views.orders.joining import ORDER_TYPES, changes_of_orders
from projections.views.orders.order import Order
from projections.views.orders.view import Orders, OrdersView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from eventstore import Event, EventReader, Record
    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.folding import Choice
    from projections.analysis.sources import Selection, Source
    from projections.analysis.tags import Tags
    from projections.fold_reader import FoldReader
    from projections.views.orders.state import OrdersState

ORDERS = (
    Column("account", Kind.TEXT),
    Column("order_id", Kind.TEXT),
    Column("symbol", Kind.TEXT),
    Column("side", Kind.ENUM, tuple(each.value for each in Side)),
    Column("order_type", Kind.ENUM, tuple(each.value for each in OrderType)),
    Column("quantity", Kind.DECIMAL),
    Column("limit_price", Kind.DECIMAL),
    Column("stop_price", Kind.DECIMAL),
    Column("status", Kind.ENUM, tuple(each.value for each in OrderStatus)),
    Column("cumulative", Kind.DECIMAL),
    Column("leaves", Kind.DECIMAL),
    Column("average_price", Kind.DECIMAL),
    Column("strategy", Kind.TEXT),
    Column("tags", Kind.JSON),
    Column("submitted_at", Kind.INSTANT),
    Column("updated_at", Kind.INSTANT),
    Column("first_record", Kind.INTEGER),
    Column("last_record", Kind.INTEGER),
)
"""The columns of orders."""
_ORDER_TYPES = frozenset(ORDER_TYPES)


class OrderRow(NamedTuple):
    """An order as it is now; None for what no event has stated. Times in UNIX ns, records as log positions."""

    account: str
    order_id: str
    symbol: str | None
    side: Side | None
    order_type: OrderType | None
    quantity: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    status: OrderStatus
    cumulative: Decimal
    leaves: Decimal | None
    average_price: Decimal | None
    strategy: str | None
    tags: tuple[str, ...]
    submitted_at: int | None
    updated_at: int
    first_record: int
    last_record: int


def orders(
    store: Source,
    *,
    account: str | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    tag: str | None = None,
    trading_day: date | str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return the orders of a history, a row each as `book.orders.get` has it, by account in the order of the log.

    Also those that the book has evicted. `symbol` is any name of a contract, `strategy` the one that the order was
    submitted with, `tag` one of its records' or of its stream's. `submitted_at` is when it was submitted, null for an
    order that never was; `updated_at` is when the last record happened that concerns it, `first_record` and
    `last_record` are log positions. `average_price` is rounded to nine decimals with exact=True.

    `start` (included) and `stop` (not) bound when it was submitted or, if it was not, when its first record happened;
    with time="recorded", when its first record was recorded, and nothing recorded later is known.
    """
    asked, choice = exact_of(exact), choice_of(strategy=strategy, tag=tag, trading_day=trading_day)
    with opened(store) as reader:
        selection = selection_of(reader, account=account, symbol=symbol, start=start, stop=stop, time=time)

    def batches() -> Iterator[object]:
        with opened(store) as reader:
            rows = order_rows(reader, selection, choice, progress=progress)
            yield from batches_of(rows, ORDERS, asked)

    return Frame(ORDERS, batches, exact=asked, title="orders")


class _KeptTiers(Tiers[Order]):
    """All orders that have left a state, by the state's number and the order's id; `late` were changed since."""

    def __init__(self) -> None:
        super().__init__(Order, lambda order: order.order_id)
        self.kept: dict[int, dict[str, Order]] = {}
        self.late: dict[int, set[str]] = {}

    @override
    def keep(self, number: int, values: Iterable[Order]) -> None:
        self.kept.setdefault(number, {}).update((order.order_id, order) for order in values)

    @override
    def forget(self, key: tuple[int, str]) -> None:
        number, order_id = key
        self.late.setdefault(number, set()).add(order_id)


class _Times(msgspec.Struct):
    """When an order's first record happened, its submission and its newest record, with that one's log position."""

    first_at: int
    submitted_at: int | None
    last_at: int
    last_record: int
    tags: tuple[str, ...] = ()


class _KeptOrdersView(OrdersView):
    """The orders view, with tiers that keep everything, and the times of each order's records by account and id."""

    def __init__(self, tags: Tags) -> None:
        self.tiers = _KeptTiers()
        super().__init__(tiers=self.tiers)
        self._tags = tags
        self.times: dict[str, _Times] = {}

    @override
    def initial(self) -> OrdersState:
        state = super().initial()
        # What is late is forgotten in a part: it is there before anything has been evicted.
        self.tiers.part_of(state)
        return state

    @override
    def apply(self, state: OrdersState, event: Event, record: Record) -> None:
        super().apply(state, event, record)
        stream, at = record.stream, record.occurred_at
        if not stream.startswith("order/") or event.__class__ not in _ORDER_TYPES:
            return
        submitted_at = at if event.__class__ is OrderSubmitted else None
        known = self.times.get(stream)
        if known is None:
            known = self.times[stream] = _Times(at, submitted_at, at, record.position)
        else:
            known.last_at, known.last_record = at, record.position
            if known.submitted_at is None:
                known.submitted_at = submitted_at
        if self._tags and (found := of_record(self._tags, record)):
            known.tags = together(known.tags, found)


def order_rows(
    reader: EventReader, selection: Selection, choice: Choice, *, progress: bool | None = False
) -> Iterator[OrderRow]:
    """Yield what the fold makes of the orders of each account, account by account."""
    tags = tags_of(reader, account=selection.account, until=selection.until)
    view = _KeptOrdersView(tags)
    book = folded(reader, selection, (view, ExecutionsView(), ContractsView()), progress=progress)
    contracts: ContractsState | None = book.state(ContractsView.name, SHARED)
    wanted = _symbol_of(contracts, selection.symbol)
    for account in accounts_in(book, OrdersView.name):
        executions: ExecutionsState = book.state(VIEW, account) or ExecutionsState()
        for order in _orders_of(book, view, account):
            stream = stream_of("order", account, order.order_id)
            times = view.times[stream]
            begun = times.first_at if times.submitted_at is None else times.submitted_at
            own = together(times.tags, of_stream(tags, account, stream))
            day = date.fromisoformat(executions.ledger.name_at(begun).removeprefix("~"))
            symbol = _symbol_of(contracts, order.symbol)
            is_within = _is_within(begun, order.first_position, selection)
            if (
                is_within
                and wanted in {None, symbol}
                and choice.has(strategy=order.strategy, tags=own, trading_day=day)
            ):
                yield _row_of(order, symbol, times, own, _updated_at(reader, order, times))


def _orders_of(book: FoldReader, view: _KeptOrdersView, account: str) -> list[Order]:
    """Return all orders of an account as the book's query gives them, in the order of the log."""
    state: OrdersState = book.state(OrdersView.name, account)
    part = view.tiers.part_of(state)
    found = dict(view.tiers.kept.get(part.number, {}))
    for group in (state.open, state.closed, state.unknown):
        found |= group
    # What is not resident and was changed since, or is said by other streams, is folded from its own.
    late = view.tiers.late.get(part.number, set()).difference(state.open, state.closed, state.unknown)
    query = Orders(book)
    for order_id in sorted({*late, *changes_of_orders(book, account)}):
        order = query.get(account, order_id)
        if order is not None:
            found[order_id] = order
    return sorted(found.values(), key=lambda order: order.first_position)


def _symbol_of(contracts: ContractsState | None, name: str | None) -> str | None:
    """Return the symbol of the contract that a name means now, or the name where none is known."""
    contract = None if contracts is None or name is None else contracts.find(name)
    return name if contract is None else contract.symbol


def _is_within(at: int, log_position: int, selection: Selection) -> bool:
    first, last = selection.occurred
    return log_position > selection.after and (first is None or first <= at) and (last is None or at < last)


def _updated_at(reader: EventReader, order: Order, times: _Times) -> int:
    if order.last_position == times.last_record:
        return times.last_at
    # The last record that concerns it is in another stream.
    last = order.last_position
    return next(reader.read(after=last - 1, until=last)).occurred_at


def _row_of(order: Order, symbol: str | None, times: _Times, tags: tuple[str, ...], updated_at: int) -> OrderRow:
    return OrderRow(
        order.account,
        order.order_id,
        symbol,
        order.side,
        order.order_type,
        order.quantity,
        order.limit_price,
        order.stop_price,
        order.status,
        order.cumulative,
        order.leaves,
        order.average_price,
        order.strategy,
        tags,
        times.submitted_at,
        updated_at,
        order.first_position,
        order.last_position,
    )
