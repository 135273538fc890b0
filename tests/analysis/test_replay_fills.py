"""At which price a strategy's orders are filled, with bars alone, beside a log, and under policies."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from eventstore import Event
from eventstore.trading import (
    LimitsSet,
    LockoutSet,
    OrderCancelRequested,
    OrderFilled,
    OrderReplaceRequested,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    QuoteReceived,
    Side,
)
from projections.analysis import Replay
from projections.risk import submit
from projections.rules import shipped_rules
from tests.analysis.replaying import (
    BEGINS,
    MINUTE,
    SECOND,
    bar_of,
    bars,
    begun,
    prices,
    table,
    trading_desk,
)

if TYPE_CHECKING:
    from eventstore import Record
    from projections import Book


def sent(symbol: str = "ES", side: Side = Side.BUY, **terms: Any) -> OrderSubmitted:  # noqa: ANN401 - an order's
    found: dict[str, Any] = {name: Decimal(value) if isinstance(value, int) else value for name, value in terms.items()}
    return OrderSubmitted(symbol=symbol, side=side, quantity=Decimal(2), **found)


def filled(order: OrderSubmitted, data: object, *, at_bar: int = 1) -> list[tuple[int, int]]:
    """Send an order once a bar has ended; return the bars, counted from 1, at which it is filled, and the prices."""
    replay = begun(data)
    fills: list[tuple[int, int]] = []
    quotes = 0

    @replay.on(QuoteReceived)
    def send(_event: Event, _record: Record, book: Book) -> None:
        nonlocal quotes
        quotes += 1
        if quotes == at_bar:
            book.append("order/A/O-1", order)

    replay.on(OrderFilled, lambda event, record, _book: fills.append((bar_of(record), int(event.price))))
    replay.run()
    return fills


def price_of(record: Record) -> Decimal:
    assert isinstance(record.event, OrderFilled)
    return record.event.price


# Fills

RISING = bars((100, 101, 99, 100), (102, 104, 101, 103), (103, 110, 95, 105), (106, 107, 105, 106))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (sent(), [(2, 102)]),
        (sent(order_type=OrderType.MARKET), [(2, 102)]),
        (sent(side=Side.SELL), [(2, 102)]),
        # A buy limit is filled where the low reaches it, at a lower open if there is one.
        (sent(order_type=OrderType.LIMIT, limit_price=101), [(2, 101)]),
        (sent(order_type=OrderType.LIMIT, limit_price=103), [(2, 102)]),
        (sent(order_type=OrderType.LIMIT, limit_price=96), [(3, 96)]),
        (sent(order_type=OrderType.LIMIT, limit_price=90), []),
        (sent(side=Side.SELL, order_type=OrderType.LIMIT, limit_price=104), [(2, 104)]),
        (sent(side=Side.SELL, order_type=OrderType.LIMIT, limit_price=101), [(2, 102)]),
        (sent(side=Side.SELL, order_type=OrderType.LIMIT, limit_price=109), [(3, 109)]),
        # A buy stop is filled where the high reaches it, at a higher open if there is one.
        (sent(order_type=OrderType.STOP, stop_price=104), [(2, 104)]),
        (sent(order_type=OrderType.STOP, stop_price=101), [(2, 102)]),
        (sent(order_type=OrderType.STOP, stop_price=111), []),
        (sent(side=Side.SELL, order_type=OrderType.STOP, stop_price=101), [(2, 101)]),
        (sent(side=Side.SELL, order_type=OrderType.STOP, stop_price=105), [(2, 102)]),
        (sent(side=Side.SELL, order_type=OrderType.STOP, stop_price=94), []),
        # Touched in the second bar, a limit order from the third on.
        (sent(order_type=OrderType.STOP_LIMIT, stop_price=104, limit_price=104), [(3, 103)]),
        (sent(order_type=OrderType.STOP_LIMIT, stop_price=104, limit_price=90), []),
        # What the bars cannot say is not made up.
        (sent(order_type=OrderType.TRAILING_STOP), []),
        (sent(order_type=OrderType.LIMIT), []),
        (sent("NQ"), []),
    ],
)
def test_orders_are_filled_at_the_next_price(order: OrderSubmitted, expected: list[tuple[int, int]]) -> None:
    assert filled(order, RISING) == expected


def test_with_single_prices_the_next_one_counts() -> None:
    assert filled(sent(), prices(100, 102, 103)) == [(2, 102)]
    assert filled(sent(order_type=OrderType.LIMIT, limit_price=101), prices(100, 102, 100, 103)) == [(3, 100)]
    assert filled(sent(), prices(100, None, 103)) == [(3, 103)]
    assert filled(sent(), prices(100)) == []


def test_a_fill_is_whole_and_says_what_it_is() -> None:
    replay = begun(RISING)
    replay.book.append("order/A/O-1", sent())
    replay.run()
    (fill,) = replay.store.read(types=(OrderFilled,))
    assert fill.actor == "replay:fills"
    assert fill.note == (
        "market order at the next open: filled by the replay at the next price of the given bars, not by a market"
    )
    order = replay.book.orders.get("A", "O-1")
    assert order is not None
    assert (order.status, str(order.cumulative), str(order.average_price)) == (OrderStatus.FILLED, "2", "102.0")
    assert order.broker_order_id == "replay-4"
    assert "orders filled at the next price of the given bars: 1" in repr(replay)
    assert replay.book.positions.get("A", "ES").quantity == 2


def test_the_first_bar_fills_nothing_because_its_beginning_is_unknown() -> None:
    replay = begun(RISING)
    replay.book.append("order/A/O-1", sent())
    replay.run()
    (fill,) = replay.store.read(types=(OrderFilled,))
    assert bar_of(fill) == 2


def test_an_order_that_is_sent_while_a_bar_lasts_is_not_filled_at_its_open() -> None:
    replay = begun(RISING)

    @replay.on(QuoteReceived)
    def wait(_event: Event, record: Record, book: Book) -> None:
        if bar_of(record) == 1:
            book.timers.start("A", "half", MINUTE // 2)

    replay.on_timer(lambda _timer, book: book.append("order/A/O-1", sent()))
    replay.run()
    (fill,) = replay.store.read(types=(OrderFilled,))
    assert (bar_of(fill), price_of(fill)) == (3, Decimal(103))


def test_a_bar_of_the_same_instant_is_not_the_next_one() -> None:
    data = pa.concat_tables([RISING, bars((50, 51, 49, 50), (60, 61, 59, 60), (70, 71, 69, 70), symbol="NQ")])
    replay = begun(data)
    replay.on(
        QuoteReceived,
        lambda event, record, book: (
            event.symbol == "ES" and bar_of(record) == 2 and book.append("order/A/N", sent("NQ"))
        ),
    )
    replay.run()
    (fill,) = replay.store.read(types=(OrderFilled,))
    assert price_of(fill) == 70


def test_orders_are_canceled_and_replaced_at_once() -> None:
    replay = begun(RISING)
    book = replay.book
    book.append("order/A/gone", sent(order_type=OrderType.LIMIT, limit_price=101))
    book.append("order/A/moved", sent(order_type=OrderType.LIMIT, limit_price=90))

    @replay.on(QuoteReceived)
    def change(_event: Event, record: Record, book: Book) -> None:
        if bar_of(record) == 1:
            book.append("order/A/gone", OrderCancelRequested(reason="stale"))
            book.append("order/A/moved", OrderReplaceRequested(limit_price=Decimal(96)))
        elif bar_of(record) == 2:
            book.append("order/A/gone", OrderCancelRequested(reason="again"))

    replay.run()
    statuses = {name: book.orders.get("A", name) for name in ("gone", "moved")}
    assert [each and each.status for each in statuses.values()] == [OrderStatus.CANCELED, OrderStatus.FILLED]
    (fill,) = replay.store.read(types=(OrderFilled,))
    assert (bar_of(fill), price_of(fill)) == (3, Decimal(96))


def test_an_order_sent_twice_and_one_that_never_was_disturb_nothing() -> None:
    replay = begun(RISING)
    replay.book.append("order/A/O-1", sent())
    replay.book.append("order/A/O-1", sent())
    replay.book.append("order/A/none", OrderCancelRequested())
    replay.run()
    assert len(list(replay.store.read(types=(OrderFilled,)))) == 1


def test_names_with_slashes_are_the_same_orders() -> None:
    replay = begun(RISING)
    replay.book.append("order/A/O%2F1", sent())
    replay.run()
    order = replay.book.orders.get("A", "O/1")
    assert order is not None
    assert order.status is OrderStatus.FILLED


# Beside a log, and with policies


def test_bars_are_played_beside_a_log_and_only_the_strategys_orders_are_filled() -> None:
    desk = trading_desk(2)
    waiting = desk.append("order/A/recorded", sent(order_type=OrderType.LIMIT, limit_price=90))
    data = table([(BEGINS + n * 2 * SECOND, "ES", 100.0, 101.0, 80.0, 100.0) for n in range(1, 8)])
    replay = Replay(desk.store, data=data)
    order: list[str] = []
    replay.on(Event, lambda _event, record, _book: order.append(record.type))
    replay.on(
        OrderFilled,
        lambda _event, record, book: record.actor == "desk" and book.append(f"order/A/mine-{record.position}", sent()),
    )
    replay.run()
    assert waiting.position == 7
    own = [record for record in replay.store.read(types=(OrderFilled,)) if record.actor == "replay:fills"]
    assert [record.entity for record in own] == ["mine-4", "mine-9"]
    assert [each.order_id for each in replay.book.orders.open("A")] == ["recorded"]
    # A quote of an instant comes before the record of that instant.
    assert order[:4] == ["ContractDefined", "QuoteReceived", "AccountOpened", "OrderSubmitted"]
    assert desk.store.head() == 7


def test_policies_judge_the_quotes_of_bars_and_lock_a_strategy() -> None:
    falling = prices(*(5_000 - 4 * n for n in range(20)))
    replay = begun(falling, policies=shipped_rules())
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000", "basis": "equity"})
    replay.book.append("limits/A/daily-loss", limit, actor="me")
    refused: list[str] = []

    @replay.on(QuoteReceived)
    def buy(_event: Event, record: Record, book: Book) -> None:
        answer = submit(book, "A", f"O-{record.occurred_at}", sent(), book.now_ns()).answer
        if not answer.passed:
            refused.append(answer.reason)

    replay.run()
    assert [record.entity for record in replay.store.read(types=(LockoutSet,))] == ["daily-loss"]
    assert "daily loss" in refused[-1]


def test_the_same_bars_give_the_same_fills_each_time() -> None:
    runs: list[list[Record]] = []
    for _ in range(2):
        replay = begun(RISING)
        replay.on(QuoteReceived, lambda _event, record, book: book.append(f"order/A/{bar_of(record)}", sent()))
        replay.run()
        runs.append(list(replay.store.read()))
    assert runs[0] == runs[1]


def test_seek_begins_the_bars_again() -> None:
    replay = begun(RISING)
    replay.run()
    assert replay.seek(0).store.head() == 0
    found: list[int] = []
    replay.on(QuoteReceived, lambda _event, record, _book: found.append(bar_of(record)))
    replay.run()
    assert found == [1, 2, 3, 4]


def test_a_price_of_given_bars_holds_until_the_next_one_and_may_be_anything() -> None:
    replay = begun(bars((100, 101, 99, 100), (102, 104, 101, 103), (103, 103, 40, 40), (40, 41, 39, 40)))
    replay.book.append("order/A/O-1", sent())
    unrealized: dict[int, tuple[Decimal, str]] = {}

    @replay.on(QuoteReceived)
    def note(_event: Event, record: Record, book: Book) -> None:
        for age in (0, 119, 121):
            now = book.equity.now("A", record.occurred_at + age * SECOND)
            unrealized[bar_of(record) * 1_000 + age] = (now.unrealized, str(now.status))

    replay.run()
    assert unrealized[2_000] == (Decimal(100), "KNOWN")
    assert unrealized[2_119] == (Decimal(100), "KNOWN")
    assert unrealized[2_121] == (Decimal(100), "STALE")
    # Less than half of the last price: a feed's would be ignored until another one confirms it.
    assert unrealized[3_000] == (Decimal(-6_200), "KNOWN")
