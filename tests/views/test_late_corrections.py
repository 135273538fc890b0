"""Corrections that are recorded late, or name their trade by an earlier correction."""

import itertools
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import OrderFilled, Side, TradeBusted, TradeCorrected, TradeExecuted
from projections.views.executions.correction_ids import CORRECTIONS_MAX

D = Decimal
HOUR = 3_600 * 10**9
BEGIN = 1_796_000_000 * 10**9
FILL = OrderFilled(trade_id="X1", symbol="ESZ5", side=Side.BUY, quantity=D(5), price=D(100))


def corrected(trade_id: str, own: str, quantity: int) -> TradeCorrected:
    return TradeCorrected(
        trade_id=trade_id, symbol="ESZ5", side=Side.BUY, quantity=D(quantity), price=D(100), correction_id=own
    )


CHAIN: tuple[tuple[str, Event], ...] = (
    ("order/A/O-1", FILL),
    ("trade/A/X1", corrected("X1", "X2", 4)),
    ("trade/A/X2", corrected("X2", "X3", 3)),
    ("trade/A/X3", corrected("X3", "X4", 2)),
)


@pytest.mark.parametrize("ends", ["corrected", "busted"])
def test_a_chain_of_corrections_ends_in_its_newest_whatever_is_recorded_first(ends: str) -> None:
    chain = CHAIN if ends == "corrected" else (*CHAIN[:3], ("trade/A/X3", TradeBusted(trade_id="X3", symbol="ESZ5")))
    for order in itertools.permutations(range(len(chain))):
        with EventStore(MemoryJournal(), clock=ManualClock(BEGIN + HOUR)) as store:
            book = projections.open(store, snapshots=False)
            for number in order:
                stream, event = chain[number]
                book.append(stream, event, occurred_at=BEGIN + number)
            expected = D(2) if ends == "corrected" else D(0)
            for each in (book, projections.open(store, snapshots=False)):
                known = each.orders.get("A", "O-1")
                assert known is not None
                assert (each.positions.get("A", "ESZ5").quantity, known.cumulative) == (expected, expected), order
                assert each.positions.get("A", "ESZ5").conflicts == ()


def test_a_correction_made_before_the_latest_one_changes_nothing_and_is_marked() -> None:
    with EventStore(MemoryJournal(), clock=ManualClock(BEGIN + HOUR)) as store:
        book = projections.open(store, snapshots=False)
        for at, event in ((0, FILL), (2, corrected("X1", "X3", 3)), (1, corrected("X1", "X2", 4))):
            book.append("order/A/O-1", event, occurred_at=BEGIN + at)
        position, order = book.positions.get("A", "ESZ5"), book.orders.get("A", "O-1")
        assert order is not None
        assert (position.quantity, order.cumulative) == (D(3), D(3))
        assert [mark.kind for mark in position.anomalies] == ["SUPERSEDED"]


def test_ids_in_a_circle_and_ids_of_trades_name_what_they_did() -> None:
    with EventStore(MemoryJournal(), clock=ManualClock(BEGIN)) as store:
        book = projections.open(store, snapshots=False)
        book.append("order/A/O-1", FILL)
        book.append("order/A/O-2", OrderFilled(trade_id="X2", symbol="ESZ5", side=Side.BUY, quantity=D(7), price=D(1)))
        # It takes the id of another trade for its own: that one keeps it.
        book.append("trade/A/X1", corrected("X1", "X2", 4))
        book.append("trade/A/X1", corrected("X1", "X1", 3))
        book.append("trade/A/X8", corrected("X8", "X9", 1))
        book.append("trade/A/X9", corrected("X9", "X8", 1))
        book.append("trade/A/X2", TradeBusted(trade_id="X2", symbol="ESZ5"))
        assert book.positions.get("A", "ESZ5").quantity == 3


def test_only_so_many_ids_of_corrections_are_kept() -> None:
    with EventStore(MemoryJournal(), clock=ManualClock(BEGIN)) as store:
        events = [corrected(f"X{number}", f"Y{number}", 1) for number in range(CORRECTIONS_MAX + 5)]
        book = projections.open(store, snapshots=False)
        book.append("trade/A/-", events)
        state = book.state("executions", "A")
        assert state is not None
        assert len(state.corrections) == CORRECTIONS_MAX
        assert "Y0" not in state.corrections


def test_a_correction_that_was_booked_before_its_trade_outlasts_an_earlier_one_in_the_order() -> None:
    """What was booked is fixed once another trade has followed; the order still counts the newest figures."""

    def traded(trade_id: str, side: Side, quantity: int) -> OrderFilled:
        return OrderFilled(trade_id=trade_id, symbol="ESZ5", side=side, quantity=D(quantity), price=D(100))

    def changed(before: int, after: int) -> TradeCorrected:
        figures: dict[str, Any] = {
            "quantity": D(after),
            "price": D(100),
            "previous_quantity": D(before),
            "previous_price": D(100),
        }
        return TradeCorrected(trade_id="X1", symbol="ESZ5", side=Side.BUY, **figures)

    with EventStore(MemoryJournal(), clock=ManualClock(BEGIN + HOUR)) as store:
        book = projections.open(store, snapshots=False)
        book.append("order/A/O-1", traded("X0", Side.BUY, 1), occurred_at=BEGIN + 1)
        book.append("order/A/O-1", changed(5, 3), occurred_at=BEGIN + 8)
        book.append("order/A/O-2", traded("X9", Side.SELL, 1), occurred_at=BEGIN + 9)
        book.append("order/A/O-1", traded("X1", Side.BUY, 4), occurred_at=BEGIN)
        book.append("order/A/O-1", changed(4, 5), occurred_at=BEGIN + 7)
        order = book.orders.get("A", "O-1")
        assert order is not None
        assert order.cumulative == 1 + 3
        assert book.positions.get("A", "ESZ5").quantity == 1 + 3 - 1


def test_a_bust_that_was_booked_before_its_trade_stays_when_the_trade_is_reported_again() -> None:
    """Whatever came later: the order had filled again what its position did not hold."""
    figures: dict[str, Any] = {"trade_id": "X1", "symbol": "ESZ5"}
    sold: dict[str, Any] = {**figures, "side": Side.SELL}
    filled: dict[str, Any] = {**sold, "quantity": D(3), "price": D("101.75")}
    recorded: list[tuple[str, Event, int]] = [
        ("order/A/O-1", TradeCorrected(**figures, quantity=D(1), price=D("102.5")), 90),
        (
            "order/A/O-1",
            TradeCorrected(**sold, quantity=D(1), price=D(110), previous_quantity=D(1), previous_price=D("102.5")),
            33,
        ),
        ("order/A/O-1", TradeBusted(**sold, quantity=D(1), price=D(110)), 34),
        ("order/A/O-1", OrderFilled(**filled), 1),
        ("trade/A/X1", TradeExecuted(**filled), 99),
    ]
    with EventStore(MemoryJournal(), clock=ManualClock(BEGIN + HOUR)) as store:
        book = projections.open(store, snapshots=False)
        for stream, event, at in recorded:
            store.append(stream, event, occurred_at=BEGIN + at)
            book.refresh()
        order = book.orders.get("A", "O-1")
        assert order is not None
        assert (order.cumulative, book.positions.get("A", "ESZ5").quantity) == (D(0), D(0))
