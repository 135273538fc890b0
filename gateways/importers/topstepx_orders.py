"""TopstepX's export of orders: each row is an order with its last status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.streams import stream_of
from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    OrderType,
    Side,
)
from gateways.importers.base import PlannedEvent, TableReader, TableRow
from gateways.importers.topstepx import to_time, to_trading_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import Event
    from eventstore.trading import ContractDefined

_SIDES = {"bid": Side.BUY, "ask": Side.SELL}
_TYPES = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
    "stoplimit": OrderType.STOP_LIMIT,
    "trailingstop": OrderType.TRAILING_STOP,
    "joinbid": OrderType.JOIN_BID,
    "joinask": OrderType.JOIN_ASK,
}
# ProjectX's OrderStatus; the first four mean that nothing has happened since.
_STATUSES = dict.fromkeys(("open", "working", "pending", "suspended"), "open") | {
    "filled": "filled",
    "cancelled": "canceled",
    "canceled": "canceled",
    "rejected": "rejected",
    "expired": "expired",
}
TIMELESS = "the export has no time of its own for this"


class TopstepxOrdersReader(TableReader):
    """`Id,AccountName,ContractName,Status,Type,Size,Side,CreatedAt,TradeDay,FilledAt,CancelledAt,StopPrice,…`.

    A row becomes, in `order/ACCOUNT/ID`, OrderSubmitted, OrderAccepted if it has an ExchangeOrderId, OrderTriggered if
    it has TriggeredAt, and then OrderFilled, OrderCanceled, OrderRejected or OrderExpired by Status. Only filled and
    most cancelled orders have a time for that: the others are dated CreatedAt, and their reason says so. A filled row
    is one fill of its whole Size at ExecutePrice; the export has neither fees nor single executions.
    """

    format = "topstepx-orders"
    takes = frozenset({"contracts"})
    required = (
        *("Id", "AccountName", "ContractName", "Status", "Type", "Size", "Side", "CreatedAt", "FilledAt"),
        *("CancelledAt", "StopPrice", "LimitPrice", "ExecutePrice", "RejectionReason", "ExchangeOrderId"),
    )

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        stream = stream_of("order", self.account(row, "AccountName"), row.text("Id"))
        contract = self.contract(row, "ContractName")
        planned = []
        for event, at in self._history(row, contract):
            key = f"{self.format}:{type(event).__name__}"
            planned.append(PlannedEvent(stream=stream, event=event, key=key, occurred_at=at, line=row.line))
        return planned

    def _history(self, row: TableRow, contract: ContractDefined) -> Iterator[tuple[Event, int]]:
        created = row.parsed("CreatedAt", to_time)
        submitted = OrderSubmitted(
            symbol=contract.symbol,
            side=row.choice("Side", _SIDES),
            quantity=row.positive("Size"),
            order_type=row.choice("Type", _TYPES),
            limit_price=row.optional_decimal("LimitPrice"),
            stop_price=row.optional_decimal("StopPrice"),
        )
        yield submitted, created
        if broker_order_id := row.optional("ExchangeOrderId"):
            yield OrderAccepted(broker_order_id=broker_order_id), created
        if row.optional("TriggeredAt"):
            yield OrderTriggered(), row.parsed("TriggeredAt", to_time)
        if last := self._last(row, submitted, created):
            yield last

    def _last(self, row: TableRow, submitted: OrderSubmitted, created: int) -> tuple[Event, int] | None:
        match row.choice("Status", _STATUSES):
            case "filled":
                return self._filled(row, submitted), row.parsed("FilledAt", to_time)
            case "canceled":
                ended = _ended(row)
                return OrderCanceled(reason="" if ended else TIMELESS), ended or created
            case "rejected":
                return OrderRejected(reason=row.optional("RejectionReason") or TIMELESS), created
            case "expired":
                ended = _ended(row)
                return OrderExpired(reason="" if ended else TIMELESS), ended or created
            case _:
                return None

    def _filled(self, row: TableRow, submitted: OrderSubmitted) -> OrderFilled:
        return OrderFilled(
            trade_id=row.text("Id"),
            symbol=submitted.symbol,
            side=submitted.side,
            quantity=submitted.quantity,
            price=row.decimal("ExecutePrice"),
            trading_day=row.parsed("TradeDay", to_trading_day) if row.optional("TradeDay") else None,
        )


def _ended(row: TableRow) -> int | None:
    return row.parsed("CancelledAt", to_time) if row.optional("CancelledAt") else None
