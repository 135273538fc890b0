"""Orders: those that records of either past name, or change from another stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from eventstore.streams import SEPARATOR, unescaped
from projections.changes.compared import ComparedView, in_order
from projections.view import SHARED
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.orders.joining import ORDER_TYPES, changes_of_orders
from projections.views.orders.view import OrdersView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eventstore import Record
    from projections.book import Book
    from projections.changes.compared import Concerned
    from projections.changes.pasts import ComparedBooks


class ComparedOrders(ComparedView):
    """Orders by id. One of which no record is in between is not folded: it is the same in both pasts."""

    name: ClassVar[str] = "orders"

    @override
    def partitions(self, book: Book) -> Iterable[str]:
        return [name for name in book.partitions(OrdersView.name) if name != SHARED]

    @override
    def values(self, book: Book, account: str) -> Mapping[str, Any]:
        # Those that have left the view's state are known to the log alone.
        records = book.read(account=account, types=ORDER_TYPES)
        ids = dict.fromkeys(unescaped(record.entity) for record in records if record.category == "order")
        return {order_id: book.orders.get(account, order_id) for order_id in ids}

    @override
    def pairs(
        self, books: ComparedBooks, account: str, named: Iterable[str]
    ) -> Iterator[tuple[str, Any, Any]]:  # fmt: skip
        if not (books.are_readable(OrdersView.name, account) and books.are_readable(EXECUTIONS, account)):
            yield from super().pairs(books, account, named)
            return
        before, after = (changes_of_orders(book, account) for book in books.both)
        # An order without a record in between may differ too: its trade is first reported for another one in one past.
        changed = (each for each in (*before, *after) if before.get(each) != after.get(each))
        for order_id in dict.fromkeys([*(each for each in named if not each.startswith(SEPARATOR)), *changed]):
            was, is_now = (book.orders.get(account, order_id) for book in books.both)
            yield order_id, was, is_now

    @override
    def concerned(self, record: Record, books: ComparedBooks) -> Iterator[Concerned]:
        if record.category == "order":
            yield record.account, unescaped(record.entity)
        yield from books.orders_changed_at.get(record.position, ())
        trade_id = getattr(record.event, "trade_id", None)
        if trade_id is not None:
            yield record.account, f"{SEPARATOR}{trade_id}"

    @override
    def records(
        self, found: Mapping[Concerned, Sequence[Record]], account: str, name: str, books: ComparedBooks
    ) -> list[Record]:  # fmt: skip
        own = super().records(found, account, name, books)
        if own or not books.are_readable(EXECUTIONS, account):
            return own
        said = (each for book in books.both for each in changes_of_orders(book, account).get(name, ()))
        trades = dict.fromkeys(SEPARATOR + each.trade_id.partition(SEPARATOR)[0] for each in said)
        return in_order(*(found.get((account, trade), ()) for trade in trades))
