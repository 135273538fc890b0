"""Orders: those that records of either past name, or change from another stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from eventstore.streams import unescaped
from projections.changes.compared import ComparedView
from projections.view import SHARED
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.orders.joining import ORDER_TYPES
from projections.views.orders.view import OrdersView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
        for order_id in named:
            before, after = (book.orders.get(account, order_id) for book in books.both)
            yield order_id, before, after

    @override
    def concerned(self, record: Record, books: ComparedBooks) -> Iterator[Concerned]:
        if record.category == "order":
            yield record.account, unescaped(record.entity)
        yield from books.orders_changed_at.get(record.position, ())
