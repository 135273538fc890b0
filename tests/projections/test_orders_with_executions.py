"""A book's orders with its executions: restarts, pasts, exposure, reconciliation, and executions that stopped."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

import eventstore
import projections
from eventstore import EventStore
from eventstore.trading import (
    ContractDefined,
    OrderAccepted,
    OrderReported,
    OrderStatus,
    Side,
    TradeBusted,
    TradeCorrected,
)
from projections import PartitionParked
from projections.reconciliation import DifferenceKind, reconcile
from projections.risk.caches import risk_cache
from projections.views.executions.state import VIEW
from tests.projections.examples import bought, filled, submitted


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


def shared_fill(store: EventStore) -> int:
    """Record a fill for one order, then for another; return the log position of the first report."""
    store.append("order/A/X", [submitted(2), OrderAccepted(), filled("T", 2)])
    store.append("order/A/Y", [submitted(2), OrderAccepted(), filled("T", 2)])
    return 3


def figures(book: projections.Book, order_id: str) -> str:
    order = book.orders.get("A", order_id)
    assert order is not None
    return f"{order.status} {order.cumulative} {order.leaves}"


def test_orders_are_the_same_after_a_restart_and_in_the_past(store: EventStore) -> None:
    first = shared_fill(store)
    with projections.open(store) as book:
        assert (figures(book, "X"), figures(book, "Y")) == ("FILLED 2 0", "NEW 0 2")
        assert book.snapshot()
    store.append("trade/A/T", TradeBusted(trade_id="T"))
    for _ in range(2):
        with projections.open(store) as book:
            assert (figures(book, "X"), figures(book, "Y")) == ("FILLED 0 0", "NEW 0 2")
            assert book.snapshot() or book.recovery.tail == 0
    past = projections.as_of(store, position=first)
    assert figures(past, "X") == "FILLED 2 0"
    assert figures(projections.as_of(store, position=6), "Y") == "NEW 0 2"


def test_an_order_that_a_fill_of_another_seemed_to_complete_counts_as_exposure(store: EventStore) -> None:
    with projections.open(store, snapshots=False) as book:
        book.append("order/A/X", [submitted(2), OrderAccepted(), filled("T", 2)])
        book.append("order/A/Y", [submitted(2), OrderAccepted()])
        before = risk_cache(book, "A", store.clock.now_ns())
        assert [(each.order_id, each.leaves) for each in before.working_orders] == [("Y", Decimal(2))]
        book.append("order/A/Y", filled("T", 2))
        after = risk_cache(book, "A", store.clock.now_ns())
        assert [(each.order_id, each.leaves) for each in after.working_orders] == [("Y", Decimal(2))]
        book.append("order/A/Z", [submitted(5), OrderAccepted(), filled("U", 2)])
        book.append("trade/A/U", TradeBusted(trade_id="U"))
        busted = risk_cache(book, "A", store.clock.now_ns())
        assert {each.order_id: each.leaves for each in busted.working_orders} == {"Y": Decimal(2), "Z": Decimal(5)}


def test_a_report_is_reconciled_with_what_fills_the_order(store: EventStore) -> None:
    shared_fill(store)
    store.append("order/A/X", OrderReported(status=OrderStatus.FILLED, filled_quantity=Decimal(2)))
    store.append("order/A/Y", OrderReported(status=OrderStatus.NEW, filled_quantity=Decimal(0)))
    with projections.open(store, snapshots=False) as book:
        assert reconcile(book, "A") == ()
        book.append("order/A/Y", OrderReported(status=OrderStatus.FILLED, filled_quantity=Decimal(2)))
        found = {each.kind: each for each in reconcile(book, "A")}
    assert set(found) == {DifferenceKind.FILLED_QUANTITY, DifferenceKind.OPEN_HERE_CLOSED_THERE}
    assert (found[DifferenceKind.FILLED_QUANTITY].here, found[DifferenceKind.FILLED_QUANTITY].there) == (
        Decimal(0),
        Decimal(2),
    )


def test_no_order_is_answered_while_its_accounts_executions_are_stopped(store: EventStore) -> None:
    shared_fill(store)
    with projections.open(store, snapshots=False) as book:
        state = book.state(VIEW, "A")
        slot = book._fold.slots[VIEW]  # as a view that fails on a record does it
        slot.parked["A"] = PartitionParked(VIEW, "A", 6, ValueError("a test"))
        for ask in (
            lambda: book.orders.get("A", "X"),
            lambda: book.orders.open("A"),
            lambda: book.orders.anomalies("A"),
            lambda: list(book.orders.history("A", "X")),
        ):
            with pytest.raises(PartitionParked):
                ask()
        del slot.parked["A"]
        assert book.state(VIEW, "A") is state
        assert figures(book, "X") == "FILLED 2 0"


def test_a_name_that_is_learned_later_does_not_bring_back_what_an_older_correction_said(store: EventStore) -> None:
    """The first correction is recorded before its fill, and what it booked is fixed when the fill comes."""
    at, minute = store.clock.now_ns() - 10**15, 60 * 10**9

    def corrected(quantity: int, price: str, before: tuple[int, str]) -> TradeCorrected:
        return TradeCorrected(
            trade_id="T",
            symbol="X",
            side=Side.BUY,
            quantity=Decimal(quantity),
            price=Decimal(price),
            previous_quantity=Decimal(before[0]),
            previous_price=Decimal(before[1]),
        )

    store.append("contract/-/X", ContractDefined(symbol="X", multiplier=Decimal(5), currency="EUR"), occurred_at=at)
    store.append("order/A/O", submitted(2, "X"), occurred_at=at)
    store.append("order/A/O", corrected(1, "108.75", (2, "107.75")), occurred_at=at + 5 * minute)
    fill = replace(filled("T", 2), symbol="X", price=Decimal("107.75"))
    store.append("order/A/O", fill, occurred_at=at + 3 * minute)
    store.append("order/A/O", corrected(1, "103", (1, "108.75")), occurred_at=at + 900 * minute)
    store.append("trade/A/Y", bought("Y", symbol="CON.Y"), occurred_at=at + 4 * minute)
    names = ContractDefined(symbol="Y", multiplier=Decimal(5), currency="EUR", broker_ids=("CON.Y",))
    store.append("contract/-/Y", names, occurred_at=at)
    for position in (5, 6, 7):
        order = projections.as_of(store, position=position).orders.get("A", "O")
        assert order is not None
        assert (order.cumulative, order.average_price) == (Decimal(1), Decimal(103))
