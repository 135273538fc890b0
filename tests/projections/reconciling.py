"""Reports, orders and questions for the tests of reconciliation."""

from decimal import Decimal
from typing import Any

from eventstore import Record, trading
from eventstore.trading import OrderStatus, PositionSide
from projections import Book
from projections.reconciliation import Difference, DifferenceKind, reconcile, record

NOON = 1_753_099_200_000_000_000
SECOND = 1_000_000_000
ORDER, POSITION = "order/A/O-1", "position/A/ESZ5"


def reported(quantity: int, average: str | None = None, symbol: str = "ESZ5", side: PositionSide | None = None) -> Any:  # noqa: ANN401 - an event
    return trading.PositionReported(
        symbol=symbol,
        quantity=Decimal(quantity),
        average_price=None if average is None else Decimal(average),
        position_side=side or PositionSide.NET,
    )


def order_report(status: OrderStatus = OrderStatus.UNKNOWN, filled: int | None = None) -> trading.OrderReported:
    return trading.OrderReported(status=status, filled_quantity=None if filled is None else Decimal(filled))


def submitted(quantity: int = 3) -> trading.OrderSubmitted:
    return trading.OrderSubmitted(symbol="ESZ5", side=trading.Side.BUY, quantity=Decimal(quantity))


def kinds(book: Book, **more: Any) -> list[DifferenceKind]:  # noqa: ANN401 - reconcile's
    return [difference.kind for difference in reconcile(book, "A", **more)]


def only(book: Book) -> Difference:
    (difference,) = reconcile(book, "A")
    return difference


def booked(book: Book, **more: Any) -> list[Record]:  # noqa: ANN401 - record's
    return record(book, "A", reconcile(book, "A"), actor="ops@desk", **more)
