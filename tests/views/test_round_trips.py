"""Round trips: what each made, and the fees of its trades, in whatever order these are reported."""

from decimal import Decimal

import pytest

from eventstore.trading import FeeCharged, TradeCorrected
from projections.views.executions import window
from projections.views.executions.round_trips import RoundTrips
from tests.views.position_folding import Folding, adjusted, fill

ORDER, POSITION, SECOND = "order/A/O-1", "position/A/ESZ5", 10**9
FEE = Decimal("0.3")


def charged(book: Folding, trade_id: str) -> list[Decimal]:
    """Charge a fee for a trade; return the fees of each round trip that has ended."""
    book.add(f"trade/A/{trade_id}", FeeCharged(trade_id=trade_id, amount=FEE), recorded_at=100 * SECOND)
    return [dict(trip.fees).get("", Decimal(0)) for trip in RoundTrips(book).of("A")]


def test_a_late_fee_of_a_fill_that_a_reconciliation_stood_for_is_of_the_trip_that_this_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(window, "RECONCILED_MAX", 1)
    book = Folding()
    for second, event in enumerate([fill("Y", 1, 90), fill("Z", -1, 90), fill("A", 2, 100)], 2):
        book.add(ORDER, event, occurred_at=second * SECOND, recorded_at=second * SECOND)
    book.add(POSITION, adjusted(-2, "RECONCILED", 110), occurred_at=5 * SECOND, recorded_at=5 * SECOND)
    # Half of what was missing happened before all else: it lies just before the reconciliation, which keeps the rest.
    book.add(ORDER, fill("L", -1, 110), occurred_at=SECOND, recorded_at=6 * SECOND)
    book.add(ORDER, fill("B", 1, 120), occurred_at=7 * SECOND, recorded_at=7 * SECOND)
    assert [trip.points for trip in RoundTrips(book).of("A")] == [0, 20]
    assert charged(book, "L") == [0, FEE]


def test_late_fees_of_trades_that_lie_at_one_place_are_of_their_trip() -> None:
    book = Folding()
    # Q is seen without a time, and happened before all else: it lies behind X, which opens the position instead.
    for second, event in enumerate([fill("Y", 1, 90), fill("Z", -1, 90), fill("Q", -1, 110), fill("X", 1, 100)], 2):
        book.add(ORDER, event, occurred_at=second * SECOND, recorded_at=second * SECOND)
    book.add(ORDER, fill("Q", -1, 110), occurred_at=SECOND, recorded_at=8 * SECOND)
    book.add(ORDER, fill("B", 1, 120), occurred_at=9 * SECOND, recorded_at=9 * SECOND)
    # The trip of X and Q ended when Q happened, which is before the other one.
    assert [trip.points for trip in RoundTrips(book).of("A")] == [10, 0]
    assert charged(book, "Q") == [FEE, 0]
    assert charged(book, "X") == [2 * FEE, 0]


def test_a_correction_of_a_quantity_alone_before_a_split_changes_no_price() -> None:
    # 7 short become 10: twice 105 and once 105 of 10 sevenths each are the same price, however each is rounded.
    book = Folding()
    book.add(ORDER, fill("A", 2, 105), fill("B", -9, 100))
    book.add(POSITION, adjusted(-3, "SPLIT"))
    book.add(ORDER, TradeCorrected(trade_id="A", quantity=Decimal(1), price=Decimal(105)))
    assert [trip.points for trip in RoundTrips(book).of("A")] == [-10]
