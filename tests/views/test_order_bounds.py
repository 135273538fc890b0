"""Bounds on resident orders, evicted ones, and answers to both while folding continues."""

import sys
import threading
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest

from eventstore.trading import OrderAccepted, OrderCanceled, OrderStatus, TradeBusted
from projections.tiers import TierSettings
from projections.views.orders.fills import FILLS_PER_ORDER_MAX
from projections.views.orders.transitions import ANOMALIES_PER_ORDER_MAX
from projections.views.orders.view import OrderAnomalyKind, OrdersView, tiers_of
from tests.views.order_folding import OrderFolding, fill, submit

D = Decimal


def test_the_last_closed_orders_stay_resident_and_take_their_fills_and_ids_along_when_they_go() -> None:
    folding = OrderFolding(OrdersView(closed_max=3))
    for number in range(6):
        trade = fill(str(number), "10")
        folding.add(f"X{number}", submit(), OrderAccepted(broker_order_id=f"b{number}"), trade)
    state = folding.states["A"]
    assert (list(state.closed), list(state.open)) == (["X3", "X4", "X5"], [])
    assert set(state.fills) == set(state.closed)
    assert state.broker_ids == {"b3": "X3", "b4": "X4", "b5": "X5"}


def test_with_tiers_the_state_is_the_same_and_what_it_evicts_is_in_memory_without_a_look_at_the_log() -> None:
    held = tiers_of(TierSettings(block_orders=2))
    tiered, plain = (
        OrderFolding(OrdersView(closed_max=2, unknown_max=1, tiers=held), held),
        OrderFolding(OrdersView(2, 1)),
    )
    for folding in (tiered, plain):
        for number in range(6):
            folding.deliver(folding.record(f"order/A/X{number}", submit()))
            folding.deliver(folding.record(f"order/A/X{number}", fill(str(number), "10")))
            folding.deliver(folding.record(f"order/A/U{number}", fill(f"u{number}", "1")))
    assert msgspec.msgpack.encode(tiered.states["A"]) == msgspec.msgpack.encode(plain.states["A"])
    assert (list(tiered.states["A"].closed), list(tiered.states["A"].unknown)) == (["X4", "X5"], ["U5"])
    names = [f"{letter}{number}" for letter in "XU" for number in range(6)]
    assert [tiered.orders.get("A", name) for name in names] == [plain.orders.get("A", name) for name in names]
    assert (tiered.reads, plain.reads, tiered.orders.tiers.live) == (0, 9, 3)


def test_a_thousand_closed_orders_are_kept_and_never_an_eighth_more() -> None:
    folding = OrderFolding()
    lengths = []
    for number in range(2_600):
        folding.deliver(folding.record(f"order/A/X{number}", submit()))
        folding.deliver(folding.record(f"order/A/X{number}", OrderCanceled()))
        lengths.append(len(folding.states["A"].closed))
    assert max(lengths) == 1_125
    assert min(lengths[1_000:]) >= 1_000
    assert list(folding.states["A"].closed)[-1_000:] == [f"X{number}" for number in range(1_600, 2_600)]


def test_unknown_orders_fills_anomalies_and_late_ids_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    folding = OrderFolding(OrdersView(closed_max=0, unknown_max=2))
    for number in range(4):
        folding.add(f"U{number}", fill("1", "1"))
    assert list(folding.states["A"].unknown) == ["U2", "U3"]
    monkeypatch.setattr("projections.views.orders.fills.FILLS_PER_ORDER_MAX", 3)
    monkeypatch.setattr("projections.views.orders.transitions.ANOMALIES_PER_ORDER_MAX", 4)
    order = folding.add("U3", *[fill(str(number), "1") for number in range(10, 20)])
    assert list(folding.states["A"].fills["U3"]) == ["17", "18", "19"]
    assert (len(order.anomalies), folding.orders.anomalies("A")) == (4, {OrderAnomalyKind.UNKNOWN_ORDER: 14})
    assert (FILLS_PER_ORDER_MAX, ANOMALIES_PER_ORDER_MAX) == (10_000, 1_000)
    for number in range(1_001):
        folding.add(f"X{number}", submit(), OrderCanceled())
        folding.deliver(folding.record(f"order/A/X{number}", OrderCanceled()))
    assert list(folding.states["A"].late) == [f"X{number}" for number in range(1, 1_001)]


def test_an_evicted_order_is_answered_from_its_own_stream_and_seen_when_it_opens_again() -> None:
    folding = OrderFolding(OrdersView(closed_max=0))
    was = folding.add("X/1", submit(), OrderAccepted(broker_order_id="b"), fill("1", "4"), fill("2", "6"))
    assert (was.order_id, was.status, was.first_position, was.last_position) == ("X/1", OrderStatus.FILLED, 1, 4)
    assert folding.states["A"].closed == {}
    assert folding.orders.open("A") == ()
    assert folding.add("X/1", TradeBusted(trade_id="2")).status is OrderStatus.FILLED
    assert folding.orders.open("A") == ()
    order = folding.add("X/1", OrderAccepted())
    assert (order.status, order.cumulative, order.leaves) == (OrderStatus.PARTIALLY_FILLED, D(4), D(6))
    assert folding.states["A"].late == {"X/1": 6}
    assert folding.orders.open("A") == (order,)
    reads = folding.reads
    assert folding.orders.open("A") == (order,)
    assert folding.reads == reads
    assert folding.orders.by_broker_id("A", "b") == order
    folding.add("X/1", OrderCanceled())
    assert folding.orders.open("A") == ()
    assert folding.orders.anomalies("A") == {}


def test_late_orders_are_right_when_there_are_more_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.views.orders.view.LATE_MAX", 2)
    folding = OrderFolding(OrdersView(closed_max=0))
    for number in range(3):
        for account in ("A", "B"):
            folding.add(
                f"X{number}", submit(), fill("1", "10"), TradeBusted(trade_id="1"), OrderAccepted(), account=account
            )
    for _ in range(2):
        found = [(order.account, order.order_id, order.status.value) for order in folding.orders.open()]
        assert found == [(account, order_id, "NEW") for account in ("A", "B") for order_id in ("X1", "X2")]


def test_a_record_of_a_newer_vocabulary_is_passed_over() -> None:
    for view in (OrdersView(), OrdersView(closed_max=0)):
        folding = OrderFolding(view)
        folding.add("X", submit())
        folding.records.append(msgspec.structs.replace(folding.record("order/A/X", OrderAccepted()), schema=99))
        del folding.records[-2]
        folding.deliver(folding.records[-1])
        order = folding.add("X", OrderCanceled())
        assert (order.status, order.anomalies, order.last_position) == (OrderStatus.CANCELED, (), 3)


def test_open_orders_can_be_asked_while_another_thread_folds(eager_switching: None) -> None:
    folding = OrderFolding()
    stop = threading.Event()
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            while not stop.is_set():
                for order in folding.orders.open("A"):
                    assert order.quantity == D(order.cumulative + (order.leaves or 0))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test fails with it
            failures.append(error)

    records = [
        folding.record(f"order/A/X{number}", event)
        for number in range(2_000)
        for event in [submit(), fill("1", "4"), *([OrderCanceled()] if number % 3 else [])]
    ]
    folding.deliver(records[0])
    reader = threading.Thread(target=ask)
    reader.start()
    for record in records:
        folding.deliver(record)
    stop.set()
    reader.join(timeout=10)
    assert (failures, reader.is_alive(), len(folding.orders.open("A"))) == ([], False, 667)


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let threads take turns after every few instructions, so that a race does not hide for long."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
