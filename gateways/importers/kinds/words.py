"""The words of orders: what a file calls their types and statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from eventstore.trading import OrderStatus, OrderType

if TYPE_CHECKING:
    from gateways.importers.base import TableRow
    from gateways.importers.cells import Cells

_STATUSES = {
    "open": OrderStatus.NEW,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "rejected": OrderStatus.REJECTED,
    "expired": OrderStatus.EXPIRED,
}


class OrderWords:
    """The mapping's words for the types and statuses of orders."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        orders = cells.mapping.orders
        self.statuses = {
            word.casefold(): status for member, status in _STATUSES.items() for word in getattr(orders, member)
        }
        self.types = {_plain(kind): kind for kind in OrderType}
        for name, words in orders.types.items():
            if name not in OrderType.__members__:
                msg = f"orders.types.{name}: unknown order type: expected one of {', '.join(OrderType.__members__)}"
                raise InvalidEvent(msg)
            self.types |= {_plain(word): OrderType[name] for word in words}

    def order_type(self, row: TableRow) -> OrderType | None:
        """Return an order's type; None if the file has none; raise BadRow for an unknown word."""
        text = self._cells.optional(row, "order_type")
        if text is None:
            return None
        found = self.types.get(_plain(text))
        if found is None:
            self._cells.refuse(row, "order_type", f"is not one of {', '.join(self.types)}")
        return found

    def status(self, row: TableRow) -> OrderStatus:
        """Return what became of an order; raise BadRow for an unknown word."""
        found = self.statuses.get(self._cells.text(row, "status").casefold())
        if found is None:
            self._cells.refuse(row, "status", f"is not one of {', '.join(self.statuses)}")
        return found


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())
