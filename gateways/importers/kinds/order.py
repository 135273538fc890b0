"""One row per order, with its last status."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    OrderTriggered,
)
from gateways.importers.kinds.protocol import EachRow, planned
from gateways.importers.kinds.words import OrderWords

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore.events import Event
    from gateways.importers.base import PlannedEvent, TableRow
    from gateways.importers.cells import Cells

TIMELESS = "the export has no time of its own for this"


class OrderRows(EachRow):
    """A row becomes the life of an order, in `order/ACCOUNT/ID`.

    OrderSubmitted, OrderAccepted if it has a broker's id, OrderTriggered if it has a time for that, one OrderFilled at
    the average price if something was filled, whatever the status, and then OrderCanceled, OrderRejected or
    OrderExpired. What has no time of its own is dated as the order was created, and its reason says so. A row without
    the order's quantity or any time is an OrderReported, dated as the newest row of the file.
    """

    key: ClassVar[str] = "order:"

    def __init__(self, cells: Cells) -> None:
        super().__init__(cells)
        self._words = OrderWords(cells)
        self._latest = 0
        self._timeless: list[tuple[TableRow, str, str, OrderReported]] = []

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        cells = self.cells
        account = cells.account(row)
        order_id = cells.identity(row, "order_id") or cells.text(row, "order_id")
        status, filled = self._words.status(row), self._filled(row)
        created = cells.optional_time(row, "time") or cells.optional_time(row, "filled_at")
        quantity = cells.positive(row, "quantity") if cells.optional(row, "quantity") is not None else None
        if quantity is None and status is OrderStatus.FILLED:
            quantity = filled
        if filled is not None and quantity is not None and filled > quantity:
            cells.refuse(row, "filled_quantity", f"is more than the order's quantity of {quantity:f}")
        if quantity is None or created is None:
            return self._reported(row, account, order_id, status, created)
        self._latest = max(self._latest, created)
        history = self._history(row, status, quantity, filled, created)
        return [self._planned(row, account, order_id, event, at) for event, at in history]

    @override
    def finish(self) -> Iterable[PlannedEvent]:
        for row, account, order_id, event in self._timeless:
            if not self._latest:
                self.cells.refuse(row, "time", "is empty, and so is that of every other row")
            yield self._planned(row, account, order_id, event, self._latest)

    def _planned(self, row: TableRow, account: str, order_id: str, event: Event, at: int) -> PlannedEvent:
        self._latest = max(self._latest, at)
        return planned(row, ("order", account, order_id), event, f"{self.prefix}{type(event).__name__}", at)

    def _filled(self, row: TableRow) -> Decimal | None:
        """Return how much the file says was filled; None if it has no column for that."""
        if not self.cells.has("filled_quantity"):
            return None
        filled = self.cells.optional_decimal(row, "filled_quantity") or Decimal(0)
        if filled < 0:
            self.cells.refuse(row, "filled_quantity", "is below zero")
        return filled

    def _reported(
        self, row: TableRow, account: str, order_id: str, status: OrderStatus, at: int | None
    ) -> Sequence[PlannedEvent]:
        if self._filled(row) or (status is OrderStatus.FILLED and at is not None):
            missing = "quantity" if at is not None else "time"
            self.cells.refuse(row, missing, "is empty, but something was filled")
        cells = self.cells
        event = OrderReported(
            status=status,
            raw_status=cells.text(row, "status"),
            broker_order_id=cells.optional(row, "broker_order_id"),
            symbol=cells.contract(row, at).symbol,
            side=cells.side(row),
            order_type=self._words.order_type(row),
            quantity=cells.optional_decimal(row, "quantity"),
            limit_price=cells.price(row, "limit_price"),
            stop_price=cells.price(row, "stop_price"),
        )
        if at is None:
            self._timeless.append((row, account, order_id, event))
            return ()
        return (self._planned(row, account, order_id, event, at),)

    def _history(
        self, row: TableRow, status: OrderStatus, quantity: Decimal, filled: Decimal | None, created: int
    ) -> Iterator[tuple[Event, int]]:
        cells = self.cells
        submitted = OrderSubmitted(
            symbol=cells.contract(row, created).symbol,
            side=cells.side(row),
            quantity=quantity,
            order_type=self._words.order_type(row),
            limit_price=cells.optional_decimal(row, "limit_price"),
            stop_price=cells.optional_decimal(row, "stop_price"),
        )
        yield submitted, created
        if broker_order_id := cells.optional(row, "broker_order_id"):
            yield OrderAccepted(broker_order_id=broker_order_id), created
        if triggered := cells.optional_time(row, "triggered_at"):
            yield OrderTriggered(), triggered
        if executed := self._executed(row, status, quantity, filled):
            yield self._fill(row, submitted, executed), self._filled_at(row, created)
        if ended := self._ended(row, status, created):
            yield ended

    def _executed(
        self, row: TableRow, status: OrderStatus, quantity: Decimal, filled: Decimal | None
    ) -> Decimal | None:
        """Return what was executed of an order; None if nothing was."""
        if status is not OrderStatus.FILLED:
            if filled is None:
                self._check_unfilled(row)
            return filled
        if filled is None:
            if not self.cells.mapping.orders.full_fills:
                self.cells.refuse(row, "status", "says filled, but the file does not say how much")
            return quantity
        if not filled:
            self.cells.refuse(
                row, "filled_quantity", f"is not above zero, but {self.cells.label('status')} says filled"
            )
        return filled

    def _check_unfilled(self, row: TableRow) -> None:
        """Raise BadRow for an execution of an order that is not filled: the file does not say how much it was."""
        cells = self.cells
        for field in ("average_price", "filled_at"):
            found = cells.price(row, field) if field == "average_price" else cells.optional(row, field)
            if found is not None:
                why = (
                    f"is there, but {cells.label('status')} does not say filled: how much was filled is not in the file"
                )
                cells.refuse(row, field, why)

    def _filled_at(self, row: TableRow, created: int) -> int:
        return self.cells.time(row, "filled_at") if self.cells.has("filled_at") else created

    def _fill(self, row: TableRow, submitted: OrderSubmitted, quantity: Decimal) -> OrderFilled:
        cells = self.cells
        fee, currency = cells.fee(row)
        if cells.price(row, "average_price") is None:
            cells.refuse(row, "average_price", "is not the price of something that was filled")
        return OrderFilled(
            trade_id=cells.identity(row, "order_id") or cells.text(row, "order_id"),
            symbol=submitted.symbol,
            side=submitted.side,
            quantity=quantity,
            price=cells.decimal(row, "average_price"),
            fee=fee,
            fee_currency=currency,
            trading_day=cells.trading_day(row),
        )

    def _ended(self, row: TableRow, status: OrderStatus, created: int) -> tuple[Event, int] | None:
        ended = self.cells.optional_time(row, "canceled_at")
        match status:
            case OrderStatus.CANCELED:
                return OrderCanceled(reason="" if ended else TIMELESS), ended or created
            case OrderStatus.EXPIRED:
                return OrderExpired(reason="" if ended else TIMELESS), ended or created
            case OrderStatus.REJECTED:
                return OrderRejected(reason=self.cells.optional(row, "reason") or TIMELESS), created
            case _:
                return None
