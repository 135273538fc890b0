"""Events of an order that are recorded after what happened later: what that stated stands."""

import itertools
from decimal import Decimal

import pytest

from eventstore import Event
from eventstore.trading import (
    OrderCanceled,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderReported,
    OrderStatus,
)
from projections.views.orders.order import Order
from tests.views.order_folding import OrderFolding, event_of, submit

D = Decimal
NOW = 100


def folded(*events: tuple[int, Event]) -> Order:
    """Return an order after events, each with the instant that it happened at."""
    folding = OrderFolding()
    for number, (at, event) in enumerate(events):
        folding.deliver(folding.record("order/A/X", event, occurred_at=at, recorded_at=NOW + number))
    order = folding.orders.get("A", "X")
    assert order is not None
    return order


def report(status: str, filled: int | None = None, quantity: int | None = None) -> OrderReported:
    size, done = (None if each is None else D(each) for each in (quantity, filled))
    return OrderReported(status=OrderStatus(status), quantity=size, filled_quantity=done, symbol="ESZ5")


def replaced(quantity: int, price: int) -> OrderReplaced:
    return OrderReplaced(quantity=D(quantity), limit_price=D(price))


@pytest.mark.parametrize("is_submitted", [True, False])
def test_the_newest_replacement_counts_in_whatever_order_they_are_recorded(is_submitted: bool) -> None:
    made = ((2, replaced(8, 5)), (3, replaced(9, 6)), (4, replaced(7, 7)))
    first: tuple[int, Event] = (1, submit("10")) if is_submitted else (1, report("NEW", 0, 10))
    for events in itertools.permutations(made):
        order = folded(first, *events)
        assert (order.quantity, order.leaves, order.limit_price) == (D(7), D(7), D(7)), events


def test_a_replacement_is_not_outlasted_by_a_clock_that_runs_ahead() -> None:
    assert folded((1, submit("10")), (10**6, replaced(8, 5)), (3, replaced(9, 6))).quantity == D(9)


def test_an_older_fill_does_not_resume_a_suspended_order() -> None:
    late = folded((1, submit("10")), (5, report("SUSPENDED", 4)), (3, event_of("fill B 4@50")))
    assert (late.status, late.cumulative, late.leaves) == (OrderStatus.SUSPENDED, D(4), D(6))
    newer = folded((1, submit("10")), (5, report("SUSPENDED", 4)), (6, event_of("fill B 4@50")))
    assert newer.status is OrderStatus.PARTIALLY_FILLED


@pytest.mark.parametrize("status", ["NEW", "PARTIALLY_FILLED", "SUSPENDED"])
@pytest.mark.parametrize("end", [OrderCanceled(), OrderExpired(), OrderRejected()])
def test_an_older_end_does_not_close_what_works(status: str, end: Event) -> None:
    first, end_report = (1, report("NEW", 0)), report(f"{type(end).__name__[5:]}".upper(), 0)
    made: list[tuple[int, Event]] = [(3, end), (3, end_report), (5, report(status, 0))]
    for events in itertools.permutations(made):
        order = folded((1, submit("10")), first, *events)
        assert (order.base, order.leaves) == (OrderStatus(status), D(10)), events
    # A newer one does, and one of the very instant.
    for at in (5, 6):
        assert folded((1, submit("10")), (5, report(status)), (at, end)).leaves == D(0)


@pytest.mark.parametrize("status", ["UNKNOWN", "PENDING_CANCEL", "PENDING_NEW"])
def test_an_older_end_closes_what_is_not_known_to_work(status: str) -> None:
    assert folded((1, submit("10")), (5, report(status)), (3, OrderCanceled())).status is OrderStatus.CANCELED


def test_an_end_is_not_outdated_by_a_clock_that_runs_ahead() -> None:
    late = folded((1, submit("10")), (10**6, report("NEW")), (3, OrderCanceled()))
    assert late.status is OrderStatus.CANCELED


@pytest.mark.parametrize("words", ["replace 10", "refuse-replace"])
def test_an_older_answer_does_not_end_a_pending_request(words: str) -> None:
    order = folded((1, submit("10")), (5, report("PENDING_REPLACE")), (3, event_of(words)))
    assert order.status is OrderStatus.PENDING_REPLACE


def test_a_late_replacement_does_not_reopen_what_was_reported_as_ended() -> None:
    events = ((1, submit("1")), (3, event_of("fill B 1@50")), (4, OrderExpired()), (4, report("EXPIRED", 1, 2)))
    order = folded(*events, (2, replaced(2, 5)))
    assert (order.status, order.quantity, order.leaves) == (OrderStatus.EXPIRED, D(2), D(0))


FILLED = ((1, submit("10")), (2, event_of("fill B 4@50")), (3, event_of("fill C 6@50")))


@pytest.mark.parametrize(("status", "expected"), [("PARTIALLY_FILLED", "PARTIALLY_FILLED"), ("CANCELED", "CANCELED")])
def test_a_report_counts_again_once_a_bust_takes_back_what_it_did_not_know(status: str, expected: str) -> None:
    order = folded((1, submit("10")), (5, report(status, 4)), *FILLED[1:], (4, event_of("bust C")))
    assert (order.status, order.cumulative, order.undone) == (OrderStatus(expected), D(4), False)


def test_an_outdated_report_shows_that_an_order_works_again_after_a_bust() -> None:
    pending = (6, report("PENDING_CANCEL", 4))
    order = folded(*FILLED, (4, event_of("bust C")), pending, (5, report("PARTIALLY_FILLED", 4)))
    assert (order.status, order.leaves) == (OrderStatus.PENDING_CANCEL, D(6))
    # It does not know of the bust.
    other = folded(*FILLED, (4, event_of("bust C")), pending, (3, report("PARTIALLY_FILLED", 9)))
    assert (other.status, other.leaves) == (OrderStatus.PENDING_CANCEL, D(0))


def test_an_outdated_report_adds_no_fills_to_what_the_newest_states() -> None:
    order = folded((1, submit("10")), (5, report("PARTIALLY_FILLED", 0)), (3, report("PARTIALLY_FILLED", 4)))
    assert order.unexplained == 0


def test_a_report_from_before_the_fill_does_not_reopen_what_the_newest_says_is_filled() -> None:
    done = (6, report("FILLED", 0))
    traded = ((3, event_of("fill C 10@50")), (4, event_of("bust C")))
    order = folded(*FILLED[:1], done, *traded, (2, report("NEW", 0)))
    assert (order.status, order.cumulative, order.leaves) == (OrderStatus.FILLED, D(0), D(0))
