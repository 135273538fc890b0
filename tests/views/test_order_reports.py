"""Reports of an order that are recorded late: the order is what the report says that was made last."""

import itertools
from decimal import Decimal

import pytest

from eventstore import Event
from eventstore.trading import (
    OrderAccepted,
    OrderCanceled,
    OrderReduced,
    OrderReplaced,
    OrderReported,
    OrderStatus,
    OrderTriggered,
    PositionSide,
    TradeBusted,
)
from tests.views.order_folding import OrderFolding, fill, submit

D = Decimal


@pytest.fixture
def folding() -> OrderFolding:
    return OrderFolding()


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (3, 1, 2, 1)])
def test_an_order_is_what_its_newest_report_says_in_whatever_order_they_are_recorded(
    folding: OrderFolding, order: tuple[int, ...]
) -> None:
    reports = {
        1: OrderReported(
            status=OrderStatus.NEW, filled_quantity=D(0), quantity=D(4), limit_price=D(5), broker_order_id="b"
        ),
        2: OrderReported(
            status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D(1), quantity=D(4), limit_price=D(5), symbol="NQ"
        ),
        3: OrderReported(status=OrderStatus.CANCELED, filled_quantity=D(2), quantity=D(3), limit_price=D(6)),
    }
    for number, made in enumerate(order, 1):
        folding.deliver(folding.record("order/A/X", reports[made], occurred_at=made, recorded_at=10 + number))
    found = folding.orders.get("A", "X")
    assert found is not None
    assert (found.status, found.leaves, found.quantity, found.limit_price) == (OrderStatus.CANCELED, D(0), D(3), D(6))
    assert (found.symbol, found.broker_order_id, found.reported_filled) == ("NQ", "b", D(2))
    assert (found.unexplained, found.reported_at, found.pending_cancels) == (D(2), 3, 0)


def test_an_order_that_was_reduced_to_nothing_and_canceled_is_not_filled(folding: OrderFolding) -> None:
    folding.deliver(folding.record("order/A/X", submit("1")))
    folding.deliver(folding.record("order/A/X", OrderReduced(by=D(1))))
    for number, status in enumerate(("NEW", "CANCELED"), 3):
        report = OrderReported(status=OrderStatus(status))
        folding.deliver(folding.record("order/A/X", report, occurred_at=number, recorded_at=number))
    found = folding.orders.get("A", "X")
    assert found is not None
    assert (found.status, found.cumulative, found.leaves) == (OrderStatus.CANCELED, D(0), D(0))
    folding.deliver(folding.record("order/A/X", OrderReplaced(quantity=D(3)), occurred_at=2))
    found = folding.orders.get("A", "X")
    assert found is not None
    assert (found.status, found.leaves) == (OrderStatus.CANCELED, D(0)), "the report that it ended is newer"


def test_of_two_reports_made_at_once_the_one_that_closes_the_order_counts(folding: OrderFolding) -> None:
    for number, status in enumerate(("NEW", "FILLED", "PENDING_NEW", "NEW"), 1):
        folding.deliver(
            folding.record(
                "order/A/X", OrderReported(status=OrderStatus(status)), occurred_at=1, recorded_at=10 + number
            )
        )
    found = folding.orders.get("A", "X")
    assert found is not None
    assert (found.status, found.anomalies) == (OrderStatus.FILLED, ())


@pytest.mark.parametrize("event", [OrderAccepted(), OrderTriggered()])
def test_an_acceptance_from_before_the_newest_report_opens_no_busted_order(folding: OrderFolding, event: Event) -> None:
    folding.add("X", submit(), fill("1", "10"))
    folding.deliver(folding.record("order/A/X", OrderReported(status=OrderStatus.FILLED), occurred_at=5, recorded_at=9))
    folding.add("X", TradeBusted(trade_id="1"))
    for at, expected in ((4, OrderStatus.FILLED), (5, OrderStatus.NEW)):
        folding.deliver(folding.record("order/A/X", event, occurred_at=at, recorded_at=20))
        found = folding.orders.get("A", "X")
        assert found is not None
        assert found.status is expected


def test_a_report_from_a_clock_that_ran_ahead_does_not_outlast_later_ones(folding: OrderFolding) -> None:
    folding.deliver(
        folding.record("order/A/X", OrderReported(status=OrderStatus.CANCELED), occurred_at=10**9, recorded_at=11)
    )
    folding.deliver(folding.record("order/A/X", OrderReported(status=OrderStatus.NEW), occurred_at=12, recorded_at=12))
    found = folding.orders.get("A", "X")
    assert found is not None
    assert found.status is OrderStatus.NEW


@pytest.mark.parametrize("order", [*itertools.permutations((1, 2, 3, 4))])
def test_a_status_without_a_meaning_here_takes_nothing_from_an_older_one(
    folding: OrderFolding, order: tuple[int, ...]
) -> None:
    """A venue may have a word for a status that is not known: the newest known one counts, whenever it is recorded."""
    unknown = OrderReported(status=OrderStatus.UNKNOWN, raw_status="LIQUIDATING", filled_quantity=D(2))
    reports = {
        1: OrderReported(status=OrderStatus.NEW, filled_quantity=D(0), quantity=D(4)),
        2: unknown,
        3: OrderReported(status=OrderStatus.CANCELED, filled_quantity=D(2), quantity=D(4)),
        4: unknown,
    }
    for number, made in enumerate(order, 1):
        folding.deliver(folding.record("order/A/X", reports[made], occurred_at=made, recorded_at=10 + number))
    found = folding.orders.get("A", "X")
    assert found is not None
    assert (found.status, found.leaves, found.quantity) == (OrderStatus.CANCELED, D(0), D(4))


def test_a_late_report_opens_no_order_that_its_own_events_have_closed(folding: OrderFolding) -> None:
    folding.add("X", OrderCanceled())
    late = OrderReported(status=OrderStatus.NEW)
    folding.deliver(folding.record("order/A/X", OrderReported(), occurred_at=9, recorded_at=20))
    folding.deliver(folding.record("order/A/X", late, occurred_at=5, recorded_at=21))
    found = folding.orders.get("A", "X")
    assert found is not None
    assert found.status is OrderStatus.CANCELED


@pytest.mark.parametrize("submitted", [None, "first", "last"])
def test_a_report_links_an_order_however_it_was_submitted(folding: OrderFolding, submitted: str | None) -> None:
    linked = OrderReported(
        status=OrderStatus.NEW,
        position_side=PositionSide.LONG,
        parent_order_id="ENTRY",
        link_group="oco",
        reduce_only=True,
    )
    events: list[Event] = [linked, OrderReported(status=OrderStatus.NEW)]
    if submitted is not None:
        events.insert(0 if submitted == "first" else 2, submit(position_side=PositionSide.SHORT))
    order = folding.add("X", *events)
    assert (order.parent_order_id, order.link_group, order.reduce_only) == ("ENTRY", "oco", True)
    assert order.position_side is (PositionSide.LONG if submitted is None else PositionSide.SHORT)
