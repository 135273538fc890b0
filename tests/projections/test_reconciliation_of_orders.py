"""Reconciliation of orders: broker reports against the orders' own events, by kind, until they agree."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator

import pytest

import projections
from eventstore import EventStore, ManualClock, trading
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import OrderStatus
from projections import Book
from projections.reconciliation import DifferenceKind, reconcile
from tests.projections.reconciling import NOON, ORDER, SECOND, booked, kinds, only, order_report, submitted
from tests.views.position_folding import fill


@pytest.fixture
def book() -> Iterator[Book]:
    with EventStore(MemoryJournal()) as store, projections.open(store) as opened:
        yield opened


def test_an_order_that_only_the_broker_knows(book: Book) -> None:
    book.append(ORDER, order_report(OrderStatus.NEW))
    difference = only(book)
    assert (difference.kind, difference.order_id) == (DifferenceKind.UNKNOWN_ORDER, "O-1")
    assert difference.sentence == "order O-1: the broker reports NEW, it was never submitted here"
    book.append(ORDER, submitted())
    assert reconcile(book, "A") == ()


def test_an_order_that_is_open_here_and_closed_there_until_it_ends_here_too(book: Book) -> None:
    book.append(ORDER, [submitted(), trading.OrderAccepted()])
    (report,) = book.append(ORDER, order_report(OrderStatus.CANCELED))
    difference = only(book)
    assert difference.kind is DifferenceKind.OPEN_HERE_CLOSED_THERE
    assert (difference.here_status, difference.there_status) == (OrderStatus.NEW, OrderStatus.CANCELED)
    assert (difference.symbol, difference.evidence, difference.report_id) == ("ESZ5", (1, 2), report.id)
    assert booked(book) == []
    book.append(ORDER, trading.OrderCanceled())
    assert reconcile(book, "A") == ()


def test_an_order_that_is_closed_here_and_open_there(book: Book) -> None:
    book.append(ORDER, [submitted(), trading.OrderCanceled(), order_report(OrderStatus.NEW)])
    assert kinds(book) == [DifferenceKind.CLOSED_HERE_OPEN_THERE]
    book.append(ORDER, order_report(OrderStatus.CANCELED))
    assert kinds(book) == []


def test_an_order_that_ended_in_two_ways(book: Book) -> None:
    book.append(ORDER, [submitted(), trading.OrderCanceled(), order_report(OrderStatus.EXPIRED)])
    assert kinds(book) == [DifferenceKind.CLOSED_DIFFERENTLY]


def test_a_fill_that_is_missing_here_until_it_comes(book: Book) -> None:
    book.append(ORDER, [submitted(), fill("T-1", 1, 50), order_report(OrderStatus.FILLED, 3)])
    closed, filled = reconcile(book, "A")
    assert (closed.kind, filled.kind) == (DifferenceKind.OPEN_HERE_CLOSED_THERE, DifferenceKind.FILLED_QUANTITY)
    assert (filled.here, filled.there, filled.difference) == (1, 3, 2)
    assert filled.sentence == "order O-1: the broker reports 3 filled, not 1"
    book.append(ORDER, fill("T-2", 1, 50))
    assert reconcile(book, "A")[1].difference == 1
    book.append(ORDER, fill("T-3", 1, 50))
    assert reconcile(book, "A") == ()


def test_a_fill_that_the_broker_does_not_know_of(book: Book) -> None:
    book.append(ORDER, [submitted(), fill("T-1", 2, 50), order_report(filled=1)])
    assert [(each.kind, each.difference) for each in reconcile(book, "A")] == [(DifferenceKind.FILLED_QUANTITY, -1)]


def test_fills_after_the_report_are_not_a_difference(book: Book) -> None:
    book.append(
        ORDER, [submitted(), fill("T-1", 1, 50), order_report(OrderStatus.PARTIALLY_FILLED, 1), fill("T-2", 1, 50)]
    )
    assert reconcile(book, "A") == ()


def test_a_report_that_says_nothing_new_is_not_a_difference(book: Book) -> None:
    book.append("order/A/O%2F1", [submitted(), order_report(OrderStatus.PENDING_NEW), order_report()])
    assert reconcile(book, "A") == ()


def test_fills_that_go_beyond_what_was_missing_are_not_a_difference(book: Book) -> None:
    book.append(ORDER, [submitted(), order_report(OrderStatus.PARTIALLY_FILLED, 1), fill("T-1", 2, 50)])
    assert reconcile(book, "A") == ()


def test_an_order_that_ended_after_its_report_is_not_a_difference(book: Book) -> None:
    book.append(ORDER, [submitted(), order_report(OrderStatus.NEW), trading.OrderCanceled()])
    assert reconcile(book, "A") == ()


def test_an_order_whose_fills_alone_are_known_is_unknown(book: Book) -> None:
    book.append(ORDER, [fill("T-1", 1, 50), order_report(OrderStatus.FILLED, 1)])
    assert kinds(book) == [DifferenceKind.UNKNOWN_ORDER]


def test_the_newest_report_is_the_one_that_was_made_last() -> None:
    with _at_noon() as store, projections.open(store) as late:
        late.append(ORDER, [submitted(), trading.OrderAccepted()], occurred_at=NOON - 60 * SECOND)
        late.append(ORDER, order_report(OrderStatus.FILLED, 3), occurred_at=NOON - SECOND)
        late.append(ORDER, order_report(OrderStatus.NEW, 0), occurred_at=NOON - 2 * SECOND)
        order = late.orders.get("A", "O-1")
        assert order is not None
        assert (order.status, order.unexplained) == (OrderStatus.FILLED, 3)
        assert kinds(late) == [DifferenceKind.OPEN_HERE_CLOSED_THERE, DifferenceKind.FILLED_QUANTITY]


def test_a_report_of_an_open_order_that_comes_after_the_one_of_its_end_is_not_a_difference() -> None:
    with _at_noon() as store, projections.open(store) as book:
        book.append(ORDER, [submitted(), trading.OrderAccepted()], occurred_at=NOON - 60 * SECOND)
        book.append(ORDER, [trading.OrderCanceled(), order_report(OrderStatus.CANCELED)], occurred_at=NOON - SECOND)
        book.append(ORDER, order_report(OrderStatus.NEW), occurred_at=NOON - 2 * SECOND)
        assert reconcile(book, "A") == ()


@pytest.mark.parametrize(
    "more", [trading.OrderReported(parent_order_id="O-0"), order_report(), trading.OrderReported(broker_order_id="77")]
)
def test_a_report_that_states_neither_status_nor_quantity_takes_nothing_back(
    book: Book, more: trading.OrderReported
) -> None:
    book.append(ORDER, [submitted(), order_report(OrderStatus.CANCELED, 1)])
    (number,) = {each.report for each in reconcile(book, "A")}
    book.append(ORDER, more)
    found = reconcile(book, "A")
    assert [each.kind for each in found] == [DifferenceKind.OPEN_HERE_CLOSED_THERE, DifferenceKind.FILLED_QUANTITY]
    assert {each.report for each in found} == {number}


def test_a_newer_status_leaves_the_quantity_of_an_older_report(book: Book) -> None:
    book.append(ORDER, [submitted(), order_report(OrderStatus.PARTIALLY_FILLED, 2), order_report(OrderStatus.CANCELED)])
    closed, filled = reconcile(book, "A")
    assert (closed.kind, closed.there_status, closed.report) == (
        DifferenceKind.OPEN_HERE_CLOSED_THERE, OrderStatus.CANCELED, 3
    )  # fmt: skip
    assert (filled.kind, filled.there, filled.report) == (DifferenceKind.FILLED_QUANTITY, 2, 2)
    assert kinds(book, since=2) == [DifferenceKind.OPEN_HERE_CLOSED_THERE]


def _at_noon() -> EventStore:
    clock = ManualClock(NOON)
    return EventStore(MemoryJournal(clock=clock), clock=clock)
