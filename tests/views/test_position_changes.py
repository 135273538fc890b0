"""Busts and corrections of trades, since the position was last flat and older ones."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal

import pytest

from eventstore.trading import TradeBusted, TradeCorrected
from projections.views.executions import position_state
from projections.views.executions.anomalies import TradeAnomalyKind
from tests.views.position_folding import BUY, Folding, decimals, figures, fill, kinds

ONE_ORDER = "order/A/O-1"


def test_a_bust_since_flat_is_as_if_the_trade_had_never_been() -> None:
    book = Folding()
    book.fills(fill("T1", 2, 100, fee=Decimal(2)), fill("T2", 2, 110, fee=Decimal(2)), fill("T3", -3, 120))
    book.add("trade/A/T1", TradeBusted(trade_id="T1"))
    position = book.positions.get("A", "ESZ5")
    assert figures(position) == decimals(-1, 20, 120, 20, 120)
    assert (position.fees, position.anomalies) == (2, ())


def test_a_bust_of_the_closing_fill_opens_the_position_again_as_it_was() -> None:
    book = Folding()
    book.fills(fill("T1", 2, 100), fill("T2", -2, 130))
    book.add(ONE_ORDER, TradeBusted(trade_id="T2"))
    assert figures(book.positions.get("A", "ESZ5")) == decimals(2, 0, 100, 0, 100)


def test_a_bust_of_an_older_trade_books_the_opposite_and_says_so() -> None:
    book = Folding()
    book.fills(fill("T1", 1, 100, fee=Decimal(2)), fill("T2", -1, 110), fill("T3", 1, 120))
    bust = TradeBusted(trade_id="T1", symbol="ESZ5", side=BUY, quantity=Decimal(1), price=Decimal(100), fee=Decimal(2))
    book.add("trade/A/T1", bust)
    position = book.positions.get("A", "ESZ5")
    # T2 and T3 are left, which would have made -1 @ 110 and a loss of 10; the cash is the same.
    assert figures(position) == (0, -10, None, -10, None)
    assert (position.fees, kinds(position)) == (0, [TradeAnomalyKind.LATE_BUST])
    book.add("trade/A/T1", bust)
    again = book.positions.get("A", "ESZ5")
    assert (again.quantity, kinds(again)) == (0, [TradeAnomalyKind.LATE_BUST, TradeAnomalyKind.DUPLICATE_BUST])


def test_a_bust_without_figures_of_a_trade_not_known_changes_nothing() -> None:
    book = Folding()
    before = book.fills(fill("T1", 1, 100))
    book.add("trade/A/T7", TradeBusted(trade_id="T7"))
    book.add("trade/A/T8", TradeBusted(trade_id="T8", symbol="ESZ5", side=BUY))
    after = book.positions.get("A", "ESZ5")
    assert figures(after) == figures(before)
    assert after.anomalies == ((TradeAnomalyKind.UNKNOWN_BUST, 3),)
    assert book.positions.anomalies("A") == ((TradeAnomalyKind.UNKNOWN_BUST, 2),)


def test_a_correction_since_flat_is_as_if_the_trade_had_been_so() -> None:
    book = Folding()
    book.fills(fill("T1", 2, 100), fill("T2", 2, 110), fill("T3", -3, 120))
    book.add("trade/A/T1", TradeCorrected(trade_id="T1", quantity=Decimal(1), price=Decimal(90)))
    position = book.positions.get("A", "ESZ5")
    assert figures(position)[:3] == (0, 50, None)
    assert position.anomalies == ()


def test_a_correction_of_an_older_trade_books_the_difference_once() -> None:
    book = Folding()
    book.fills(fill("T1", 2, 100), fill("T2", -2, 110), fill("T3", 1, 120))
    correction = TradeCorrected(
        trade_id="T1", quantity=Decimal(2), price=Decimal(101), symbol="ESZ5", side=BUY,
        previous_quantity=Decimal(2), previous_price=Decimal(100),
    )  # fmt: skip
    book.add("trade/A/T1", correction)
    position = book.positions.get("A", "ESZ5")
    # Cash: 20 - 120 - 2 for the correction; one unit is held.
    assert position.quantity == 1
    assert position.realized_points + position.unrealized_points(Decimal(0)) == -102
    assert kinds(position) == [TradeAnomalyKind.LATE_CORRECTION]
    # It comes again: while the corrected trade is in the window, and when it is not any more.
    book.add("trade/A/T1", correction)
    assert figures(book.positions.get("A", "ESZ5")) == figures(position)
    book.fills(fill("T4", -1, 120), fill("T5", 1, 130))
    book.add("trade/A/T1", correction)
    again = book.positions.get("A", "ESZ5")
    assert (again.quantity, again.realized_points) == (1, 18)
    assert kinds(again) == [TradeAnomalyKind.LATE_CORRECTION, TradeAnomalyKind.DUPLICATE_CORRECTION]


def test_of_two_trades_with_one_id_the_symbol_decides_which_is_meant() -> None:
    book = Folding()
    book.add("order/A/O-1", fill("T1", 1, 100))
    book.add("order/A/O-2", fill("T1", 1, 200, "NQZ5"))
    book.add("trade/A/T1", TradeBusted(trade_id="T1", symbol="ESZ5"))
    assert [(position.symbol, position.quantity) for position in book.positions.of("A")] == [("ESZ5", 0), ("NQZ5", 1)]
    book.add("order/A/O-3", fill("T1", 1, 300, "CLZ5"), fill("T1", 1, 300, "CLZ5"))
    book.add("trade/A/T1", TradeCorrected(trade_id="T1", quantity=Decimal(4), price=Decimal(1)))
    assert book.positions.get("A", "CLZ5").quantity == 4


def test_a_correction_of_a_trade_not_known_or_busted_changes_nothing() -> None:
    book = Folding()
    book.fills(fill("T1", 1, 100), fill("T2", 1, 100))
    book.add("trade/A/T1", TradeBusted(trade_id="T1"))
    for trade_id in ("T1", "T9"):
        event = TradeCorrected(trade_id=trade_id, quantity=Decimal(5), price=Decimal(1), symbol="ESZ5", side=BUY)
        book.add(f"trade/A/{trade_id}", event)
    position = book.positions.get("A", "ESZ5")
    assert figures(position)[:3] == decimals(1, 0, 100)
    assert kinds(position) == [TradeAnomalyKind.UNKNOWN_CORRECTION] * 2


def test_an_overfull_window_folds_its_older_half_and_forgets_how_to_bust_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position_state, "WINDOW_MAX", 4)
    book = Folding()
    before = book.fills(*[fill(f"T{n}", 1, 100 + n) for n in range(5)])
    assert before.cost == 510
    book.add(ONE_ORDER, TradeBusted(trade_id="T4"), TradeBusted(trade_id="T0"))
    after = book.positions.get("A", "ESZ5")
    assert (after.quantity, kinds(after)) == (4, [TradeAnomalyKind.UNKNOWN_BUST])
