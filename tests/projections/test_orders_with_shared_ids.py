"""Orders of which several trades have one id: on two trading days, or in two contracts."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

import projections
from eventstore import EventStore, ManualClock, trading
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import OrderStatus
from projections import Book
from projections.views.executions import order_trades
from projections.views.executions.state import VIEW
from projections.views.executions.view import ExecutionsView
from tests.projections.reconciling import NOON, ORDER
from tests.views.position_folding import fill

MONDAY, TUESDAY = date(2025, 7, 21), date(2025, 7, 22)
OTHER, ELSEWHERE = "order/A/B-1", "trade/A/1"


@pytest.fixture
def book() -> Iterator[Book]:
    clock = ManualClock(NOON)
    with (
        EventStore(MemoryJournal(clock=clock), clock=clock) as store,
        projections.open(store, snapshots=False) as opened,
    ):
        opened.append("order/A/O-1", trading.OrderSubmitted(symbol="ESZ5", side=trading.Side.BUY, quantity=Decimal(9)))
        yield opened


def filled(book: Book, order_id: str = "O-1") -> Decimal:
    order = book.orders.get("A", order_id)
    assert order is not None
    assert [each for _, each in book.orders.history("A", order_id)][-1] == order
    return order.cumulative


def two_days(book: Book) -> None:
    """Report trade 1 of two days, 2 and 3, both of one order."""
    book.append(ORDER, [fill("1", 2, 100, trading_day=MONDAY), fill("1", 3, 101, trading_day=TUESDAY)])


def test_an_id_that_is_used_on_two_days_fills_its_order_twice(book: Book) -> None:
    two_days(book)
    order = book.orders.get("A", "O-1")
    assert order is not None
    assert (order.cumulative, order.leaves, order.average_price, order.anomalies) == (5, 4, Decimal("100.6"), ())
    assert book.positions.get("A", "ESZ5").quantity == 5


def test_the_same_figures_on_two_days_are_two_fills_too(book: Book) -> None:
    book.append(ORDER, [fill("1", 2, 100, trading_day=MONDAY), fill("1", 2, 100, trading_day=TUESDAY)])
    assert filled(book) == 4
    # Another report of either day fills nothing more.
    book.append(ORDER, fill("1", 2, 100, trading_day=TUESDAY, fee=Decimal(1)))
    assert filled(book) == 4


@pytest.mark.parametrize("stream", [ORDER, ELSEWHERE])
@pytest.mark.parametrize(("quantity", "left"), [(2, 3), (3, 2)])
def test_a_bust_is_of_the_trade_whose_figures_it_repeats(book: Book, stream: str, quantity: int, left: int) -> None:
    two_days(book)
    bust = trading.TradeBusted(trade_id="1", symbol="ESZ5", side=trading.Side.BUY, quantity=Decimal(quantity))
    book.append(stream, bust)
    assert (filled(book), book.positions.get("A", "ESZ5").quantity) == (left, left)
    book.append(stream, trading.TradeBusted(trade_id="1", symbol="ESZ5", reason="again", quantity=Decimal(quantity)))
    assert (filled(book), book.positions.get("A", "ESZ5").quantity) == (left, left)


@pytest.mark.parametrize("stream", [ORDER, ELSEWHERE])
def test_a_correction_is_of_the_trade_whose_figures_it_repeats(book: Book, stream: str) -> None:
    two_days(book)
    book.append(
        stream,
        trading.TradeCorrected(
            trade_id="1",
            quantity=Decimal(1),
            price=Decimal(101),
            previous_quantity=Decimal(3),
            previous_price=Decimal(101),
        ),
    )
    assert (filled(book), book.positions.get("A", "ESZ5").quantity) == (3, 3)


def test_a_trade_of_another_contract_fills_the_order_that_reports_it(book: Book) -> None:
    book.append(ORDER, [fill("1", 2, 100), fill("1", 2, 100, "NQZ5")])
    assert filled(book) == 4


def test_a_report_of_another_orders_trade_takes_nothing_from_an_order_that_has_its_id(book: Book) -> None:
    book.append(ORDER, fill("1", 2, 100))
    book.append(OTHER, fill("1", 3, 50, "NQZ5"))
    book.append(ORDER, fill("1", 3, 50, "NQZ5", fee=Decimal(1)))
    assert (filled(book), filled(book, "B-1")) == (2, 3)
    # Nor does what becomes of that trade.
    bust = trading.TradeBusted(trade_id="1", symbol="NQZ5")
    book.append(ORDER, bust)
    assert (filled(book), filled(book, "B-1")) == (2, 0)


def test_a_trade_that_an_order_reports_with_other_figures_is_of_that_order(book: Book) -> None:
    book.append(ELSEWHERE, trading.TradeExecuted(trade_id="1", symbol="ESZ5", side=trading.Side.BUY,
                                                 quantity=Decimal(2), price=Decimal(100)))  # fmt: skip
    book.append(ORDER, fill("1", 3, 100))
    assert (filled(book), book.positions.get("A", "ESZ5").quantity) == (2, 2)
    book.append(ELSEWHERE, trading.TradeBusted(trade_id="1"))
    assert filled(book) == 0


def test_what_is_said_to_orders_is_bounded_and_goes_by_the_order_that_changed_first(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_trades, "ORDER_CHANGES_MAX", 4)
    for number in range(3):
        book.append("order/A/X", fill(f"T{number}", 1, 100))
        book.append(f"order/A/Y{number}", [fill(f"T{number}", 1, 100), fill("T0", 1, 100)])
    state = book.state(VIEW, "A")
    said = {order_id: len(each) for order_id, each in state.order_changes.items()}
    assert (said, state.order_changes_count) == ({"Y1": 2, "Y2": 2}, 4)
    for number in range(3, 12):
        book.append("order/A/X", fill(f"T{number}", 1, 100))
        book.append("order/A/Y1", fill(f"T{number}", 1, 100))
    said = {order_id: len(each) for order_id, each in state.order_changes.items()}
    assert (said, state.order_changes_count) == ({"Y1": 4}, 4)


def test_an_id_that_an_order_had_of_a_forgotten_trade_fills_it(monkeypatch: pytest.MonkeyPatch, book: Book) -> None:
    monkeypatch.setattr(ExecutionsView.__init__, "__kwdefaults__", {"trades_max": 2, "bounded": True})
    with projections.open(book.reader, snapshots=False) as forgetful:
        # Another order's trade, of which the order has said nothing since; two more, and it is forgotten.
        forgetful.append(OTHER, fill("1", 3, 50, "NQZ5"))
        forgetful.append(ORDER, fill("1", 3, 50, "NQZ5", fee=Decimal(1)))
        forgetful.append(OTHER, fill("2", 1, 50, "NQZ5"))
        forgetful.append(OTHER, fill("1", 1, 50, "CLZ5"))
        forgetful.append(ORDER, fill("1", 2, 100))
        assert (filled(forgetful), filled(forgetful, "B-1")) == (2, 5)


def test_a_bust_in_an_order_of_a_trade_of_none_is_not_of_the_order_s_own_of_its_id(book: Book) -> None:
    traded = trading.TradeExecuted(
        trade_id="1", symbol="ES", side=trading.Side.BUY, quantity=Decimal(9), price=Decimal(100)
    )
    book.append(ELSEWHERE, traded)
    book.append(ORDER, trading.TradeBusted(trade_id="1"))
    # The order's own is of another contract, as far as is known.
    book.append(ORDER, fill("1", 9, 100))
    order = book.orders.get("A", "O-1")
    assert order is not None
    assert (filled(book), order.status, book.positions.get("A", "ESZ5").quantity) == (9, OrderStatus.FILLED, 9)
    # They were one trade, which is busted: a filled order stays filled.
    book.append("contract/-/ESZ5", trading.ContractDefined(symbol="ESZ5", broker_ids=("ES",)))
    order = book.orders.get("A", "O-1")
    assert order is not None
    assert (filled(book), order.status, book.positions.get("A", "ESZ5").quantity) == (0, OrderStatus.FILLED, 0)


def test_a_bust_that_names_another_contract_is_not_of_the_order_s_trade_of_its_id(book: Book) -> None:
    book.append(ORDER, fill("1", 2, 100))
    book.append(ORDER, trading.TradeBusted(trade_id="1", symbol="NQZ5"))
    assert (filled(book), book.positions.get("A", "ESZ5").quantity) == (2, 2)
    # The other name was of the same contract.
    book.append("contract/-/ESZ5", trading.ContractDefined(symbol="ESZ5", broker_ids=("NQZ5",)))
    assert (filled(book), book.positions.get("A", "ESZ5").quantity) == (0, 0)
