"""TopstepX's orders: what each status becomes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import Event, EventStore, InvalidEvent
from eventstore.clock import parse_time
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
from gateways.importers import BadRow, import_file
from gateways.importers.kinds.order import TIMELESS

Write = Callable[..., Path]

HEADER = (
    "Id,AccountName,ContractName,Status,Type,Size,Side,CreatedAt,TradeDay,FilledAt,CancelledAt,StopPrice,LimitPrice,"
    "ExecutePrice,PositionDisposition,CreationDisposition,RejectionReason,ExchangeOrderId,PlatformOrderId"
)
CREATED, LATER = "10/07/2026 16:20:37 +02:00", "10/07/2026 17:49:06 +02:00"
FILLED = (
    f"12,TX-1,MNQZ6,Filled,Limit,3,Ask,{CREATED},10/07/2026 00:00:00 -05:00,{LATER},,,31366.50,31366.75,"
    "Closing,TakeProfit,,E-9,"
)
CANCELED = f"13,TX-1,MNQZ6,Cancelled,Stop,3,Ask,{CREATED},,,{LATER},31227.5,,,Undetermined,StopLoss,,,"
REJECTED = f"14,TX-1,MNQZ6,Rejected,Market,9,Bid,{CREATED},,,,,,,Undetermined,Trader,Too many contracts,,"
EXPIRED = f"15,TX-1,MNQZ6,Expired,StopLimit,1,Bid,{CREATED},,,,31000,31001,,Undetermined,Trader,,,"
OPEN = f"16,TX-1,MNQZ6,Open,TrailingStop,1,Bid,{CREATED},,,,31000,,,Undetermined,Trader,,,"


def history(store: EventStore, stream: str) -> list[tuple[Event, int]]:
    return [(record.event, record.occurred_at) for record in store.read(stream=stream)]


def submitted(
    side: Side, quantity: int, order_type: OrderType, *, limit: str | None = None, stop: str | None = None
) -> OrderSubmitted:
    return OrderSubmitted(
        symbol="MNQZ6",
        side=side,
        quantity=Decimal(quantity),
        order_type=order_type,
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
    )


def test_each_status_ends_an_order_in_its_own_way(store: EventStore, write: Write) -> None:
    path = write("orders.csv", HEADER, FILLED, CANCELED, REJECTED, EXPIRED, OPEN, bom=True)
    report = import_file(store, path, "topstepx-orders", account="A1")
    created, later = parse_time("2026-10-07T14:20:37Z"), parse_time("2026-10-07T15:49:06Z")
    fill = OrderFilled(
        trade_id="12",
        symbol="MNQZ6",
        side=Side.SELL,
        quantity=Decimal(3),
        price=Decimal("31366.75"),
        trading_day=date(2026, 10, 7),
    )
    assert history(store, "order/A1/12") == [
        (submitted(Side.SELL, 3, OrderType.LIMIT, limit="31366.5"), created),
        (OrderAccepted(broker_order_id="E-9"), created),
        (fill, later),
    ]
    assert history(store, "order/A1/13") == [
        (submitted(Side.SELL, 3, OrderType.STOP, stop="31227.5"), created),
        (OrderCanceled(), later),
    ]
    assert history(store, "order/A1/14") == [
        (submitted(Side.BUY, 9, OrderType.MARKET), created),
        (OrderRejected(reason="Too many contracts"), created),
    ]
    assert history(store, "order/A1/15") == [
        (submitted(Side.BUY, 1, OrderType.STOP_LIMIT, limit="31001", stop="31000"), created),
        (OrderExpired(reason=TIMELESS), created),
    ]
    assert history(store, "order/A1/16") == [(submitted(Side.BUY, 1, OrderType.TRAILING_STOP, stop="31000"), created)]
    assert (report.rows, report.events, report.pnl) == (5, 11, ())


def test_a_newer_export_tells_when_a_stop_was_triggered(store: EventStore, write: Write) -> None:
    row = f"17,TX-1,MNQZ6,Filled,Stop,1,Ask,{CREATED},,{LATER},,{LATER},31227.5,,31227,31227.5,Closing,StopLoss,,,"
    header = HEADER.replace("CancelledAt,", "CancelledAt,TriggeredAt,").replace(
        "ExecutePrice,", "ExecutePrice,TriggeredPrice,"
    )
    import_file(store, write("orders.csv", header, row), "topstepx-orders", account="A1")
    assert [type(event) for event, _ in history(store, "order/A1/17")] == [OrderSubmitted, OrderTriggered, OrderFilled]


def test_a_cancel_without_a_time_says_so(store: EventStore, write: Write) -> None:
    row = CANCELED.replace(f",{LATER},31227.5", ",,31227.5")
    import_file(store, write("orders.csv", HEADER, row), "topstepx-orders", account="A1")
    assert history(store, "order/A1/13")[-1] == (OrderCanceled(reason=TIMELESS), parse_time("2026-10-07T14:20:37Z"))


def test_the_file_names_the_account_where_the_caller_does_not(store: EventStore, write: Write) -> None:
    path = write("orders.csv", HEADER, OPEN, CANCELED.replace("TX-1", "TX-2"))
    import_file(store, path, "topstepx-orders")
    assert {record.account for record in store.read(types=OrderSubmitted)} == {"TX-1", "TX-2"}


def test_an_invalid_account_name_is_a_bad_cell(store: EventStore, write: Write) -> None:
    path = write("orders.csv", HEADER, OPEN.replace("TX-1", "My account"))
    with pytest.raises(BadRow) as caught:
        import_file(store, path, "topstepx-orders")
    assert (caught.value.column, caught.value.value) == ("AccountName", "My account")


def test_a_later_export_adds_what_became_of_an_order(store: EventStore, write: Write) -> None:
    working = (
        FILLED.replace("Filled,", "Open,").replace(LATER, "").replace("31366.75", "").replace("Closing", "Undetermined")
    )
    import_file(store, write("monday.csv", HEADER, working, OPEN), "topstepx-orders", account="A1")
    report = import_file(store, write("tuesday.csv", HEADER, FILLED, OPEN), "topstepx-orders", account="A1")
    assert (report.added, report.already_there) == (1, 4)
    assert [type(event) for event, _ in history(store, "order/A1/12")] == [OrderSubmitted, OrderAccepted, OrderFilled]


def test_a_fill_dated_before_its_order_still_follows_it(store: EventStore, write: Write) -> None:
    path = write("orders.csv", HEADER, FILLED.replace(CREATED, LATER.replace(":06", ":07")))
    import_file(store, path, "topstepx-orders", account="A1")
    assert [type(event) for event, _ in history(store, "order/A1/12")] == [OrderSubmitted, OrderAccepted, OrderFilled]


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (FILLED.replace("Filled", "Melted"), "Status", "Melted"),
        (FILLED.replace("Ask", "Asking"), "Side", "Asking"),
        (FILLED.replace("Limit", "Iceberg"), "Type", "Iceberg"),
        (FILLED.replace(LATER, ""), "FilledAt", ""),
        (FILLED.replace("31366.75", ""), "ExecutePrice", ""),
        (FILLED.replace("MNQZ6", "QQQ"), "ContractName", "QQQ"),
        (FILLED.replace(",3,Ask", ",three,Ask"), "Size", "three"),
        (FILLED.replace(CREATED, "10/07/2026"), "CreatedAt", "10/07/2026"),
    ],
)
def test_a_bad_cell_is_named_and_nothing_is_written(
    store: EventStore, write: Write, row: str, column: str, value: str
) -> None:
    with pytest.raises(BadRow) as caught:
        import_file(store, write("orders.csv", HEADER, OPEN, row), "topstepx-orders", account="A1")
    assert (caught.value.line, caught.value.column, caught.value.value) == (3, column, value)
    assert store.head() == 0


def test_a_file_of_another_kind_is_refused_by_its_header(store: EventStore, write: Write) -> None:
    with pytest.raises(InvalidEvent, match=r"line 1, column Id: .* has no column Id"):
        import_file(store, write("other.csv", "a,b", "1,2"), "topstepx-orders", account="A1")
