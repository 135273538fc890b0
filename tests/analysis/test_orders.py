"""Orders as a frame: every order of a history as it is now, however old."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eventstore import EventStore
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    FeeCharged,
    NoteAdded,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderSubmitted,
    OrderType,
    Side,
    TradeBusted,
)
from projections import analysis
from projections.analysis.orders import ORDERS
from tests.views.trading_book import HOUR, MONDAY, TUESDAY, Trading

BUY, SELL = Side.BUY, Side.SELL


def submitted(quantity: int = 1, **more: Any) -> OrderSubmitted:  # noqa: ANN401 - any member
    members: dict[str, Any] = {"symbol": "ESZ5", "side": BUY, "quantity": Decimal(quantity), **more}
    return OrderSubmitted(**members)


def fill(trade_id: str, quantity: int, price: int) -> OrderFilled:
    return OrderFilled(trade_id=trade_id, symbol="ESZ5", side=BUY, quantity=Decimal(quantity), price=Decimal(price))


def values(store: object, *names: str, **asked: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - any argument
    """Return members of the rows of a frame of orders, its decimals exact."""
    found = analysis.orders(store, exact=True, progress=False, **asked)  # type: ignore[arg-type]
    return [tuple(row[name] for name in names) for row in found.to_arrow().to_pylist()]


@pytest.fixture
def trading() -> Trading:
    return Trading()


def test_an_empty_log_has_the_columns_and_no_rows() -> None:
    with EventStore(MemoryJournal()) as store:
        frame = analysis.orders(store)
        assert len(frame) == 0
        assert frame.columns == [column.name for column in ORDERS]


def test_an_order_that_was_never_submitted_has_no_submission(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 1, 100))
    trading.at(MONDAY, FeeCharged(trade_id="T9", amount=Decimal(1)), stream="order/A/O-9")
    found = values(trading.store, "order_id", "status", "quantity", "leaves", "cumulative", "submitted_at")
    assert found == [("O-1", "UNKNOWN", None, None, 1, None)]


def test_an_order_whose_first_record_says_nothing_of_it_is_given(trading: Trading) -> None:
    trading.at(MONDAY, FeeCharged(trade_id="T9", amount=Decimal(1)))
    trading.at(MONDAY, submitted(3))
    assert values(trading.store, "order_id", "quantity", "leaves") == [("O-1", 3, 3)]


def test_an_order_is_as_the_book_says_after_a_bust_in_another_stream(trading: Trading) -> None:
    trading.at(MONDAY, submitted(3, order_type=OrderType.LIMIT, limit_price=Decimal(101)), OrderAccepted())
    trading.at(MONDAY + HOUR, fill("T1", 1, 100), fill("T2", 1, 101))
    trading.at(MONDAY + 2 * HOUR, TradeBusted(trade_id="T1", symbol="ESZ5"), stream="trade/A/T1")
    names = ("order_type", "limit_price", "stop_price", "status", "cumulative", "leaves", "average_price")
    assert values(trading.store, *names) == [("LIMIT", 101, None, "PARTIALLY_FILLED", 1, 2, 101)]
    [(submitted_at, updated_at, first, last)] = values(
        trading.store, "submitted_at", "updated_at", "first_record", "last_record"
    )
    assert (submitted_at.value, updated_at.value) == (MONDAY, MONDAY + 2 * HOUR)
    assert (first, last) == (trading.store.head() - 4, trading.store.head())


def test_orders_that_the_book_has_evicted_are_given_also_where_they_changed_since(trading: Trading) -> None:
    batch = [submitted(), OrderAccepted(), OrderCanceled()]
    for number in range(1_300):
        trading.store.append(f"order/A/O-{number}", batch, occurred_at=MONDAY + number)
    trading.at(TUESDAY, fill("T1", 1, 100), stream="order/A/O-0")
    trading.book.refresh()
    found = values(trading.store, "order_id", "status", "cumulative")
    assert found == [(f"O-{number}", "CANCELED", int(number == 0)) for number in range(1_300)]
    assert trading.book.orders.get("A", "O-0").cumulative == 1  # type: ignore[union-attr]


def test_orders_are_chosen_by_what_they_are(trading: Trading) -> None:
    trading.day(MONDAY + 17 * HOUR, MONDAY + 41 * HOUR, 6)
    trading.at(MONDAY, submitted(strategy="breakout"), stream="order/A/O-1")
    trading.at(TUESDAY, submitted(symbol="NQZ5", strategy="fading"), stream="order/A/O-2")
    trading.at(TUESDAY, submitted(), stream="order/B/O-3")
    trading.at(TUESDAY + HOUR, OrderCanceled(), stream="order/A/O-2")
    [first, cancelled] = trading.store.read(stream="order/A/O-2")
    [third] = trading.store.read(stream="order/B/O-3")
    trading.book.append("note/A/1", NoteAdded(target=str(cancelled.uuid), tags=("too late",)))
    trading.book.append("note/A/2", NoteAdded(target="order/A/O-1", tags=("good",)))
    assert values(trading.store, "order_id", "tags") == [("O-1", '["good"]'), ("O-2", '["too late"]'), ("O-3", "[]")]
    chosen: list[tuple[list[str], dict[str, Any]]] = [
        (["O-1"], {"strategy": "breakout"}),
        (["O-1"], {"tag": "good"}),
        (["O-1"], {"stop": TUESDAY}),
        (["O-1", "O-3"], {"symbol": "ESZ5"}),
        (["O-2"], {"strategy": "fading"}),
        (["O-2"], {"tag": "too late"}),
        (["O-2"], {"trading_day": "2026-01-06", "account": "A"}),
        (["O-3"], {"account": "B"}),
        (["O-3"], {"time": "recorded", "start": third.recorded_at}),
        (["O-1"], {"time": "recorded", "stop": first.recorded_at}),
    ]
    for order_ids, asked in chosen:
        assert values(trading.store, "order_id", **asked) == [(each,) for each in order_ids], asked
    known_then = values(trading.store, "order_id", "status", time="recorded", stop=cancelled.recorded_at, account="A")
    assert known_then == [("O-1", "PENDING_NEW"), ("O-2", "PENDING_NEW")]
