"""Busts and corrections of trades, since the position was last flat and older ones."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from eventstore import Event
from eventstore.trading import ContractDefined, FeeCharged, Side, TradeBusted, TradeCorrected, TradeExecuted
from projections.views.executions import window
from projections.views.executions.anomalies import TradeAnomalyKind
from tests.views.position_folding import BUY, Folding, decimals, figures, fill, kinds
from tests.views.trading_book import MONDAY, Trading

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
    # The first names no contract, so it may be of any position.
    assert after.anomalies == ((TradeAnomalyKind.UNKNOWN_BUST, 2), (TradeAnomalyKind.UNKNOWN_BUST, 3))
    assert after.is_uncertain
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
    # Each repetition is marked, whether the trade is in the window or not.
    assert kinds(again) == [TradeAnomalyKind.LATE_CORRECTION, *[TradeAnomalyKind.DUPLICATE_CORRECTION] * 2]


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


def test_an_overfull_window_fixes_its_older_half_and_books_the_opposite_of_what_is_busted_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(window, "WINDOW_MAX", 4)
    book = Folding()
    before = book.fills(*[fill(f"T{n}", 1, 100 + n) for n in range(5)])
    assert before.cost == 510
    book.add(ONE_ORDER, TradeBusted(trade_id="T4"), TradeBusted(trade_id="T0"))
    after = book.positions.get("A", "ESZ5")
    # T4 is as if it had never been; of T0, which is fixed, the opposite at its own price closes the oldest lot: itself.
    assert (after.quantity, after.cost, after.realized_points) == (3, 306, 0)
    assert kinds(after) == [TradeAnomalyKind.LATE_BUST]


DAYS = (date(2025, 11, 18), date(2025, 11, 19))
"""A simulator that counts from 1 each day: trades of one id, distinct by their trading day."""


@pytest.mark.parametrize(("quantity", "price"), [("5", "100"), ("5", None), (None, "100")])
def test_a_bust_is_of_the_trade_whose_figures_it_repeats(quantity: str | None, price: str | None) -> None:
    book = Folding()
    book.fills(fill("1", 5, 100, trading_day=DAYS[0]), fill("1", 3, 101, trading_day=DAYS[1]))
    size, at = (None if each is None else Decimal(each) for each in (quantity, price))
    book.add("trade/A/1", TradeBusted(trade_id="1", symbol="ESZ5", quantity=size, price=at))
    position = book.positions.get("A", "ESZ5")
    assert (position.quantity, position.average_price, position.is_uncertain) == (3, 101, False)


def test_a_correction_is_of_the_trade_whose_earlier_figures_it_repeats() -> None:
    book = Folding()
    book.fills(fill("1", 5, 100, trading_day=DAYS[0]), fill("1", 3, 101, trading_day=DAYS[1]))
    correction = TradeCorrected(
        trade_id="1", quantity=Decimal(4), price=Decimal(90), previous_quantity=Decimal(5), previous_price=Decimal(100)
    )
    book.add("trade/A/1", correction)
    assert [(lot.quantity, lot.price) for lot in book.positions.get("A", "ESZ5").lots] == [(4, 90), (3, 101)]


@pytest.mark.parametrize("ended", [False, True])
def test_a_bust_of_other_figures_is_a_conflict_until_it_repeats_the_trades_own(ended: bool) -> None:
    book = Folding()
    book.fills(fill("T1", 5, 100), *([fill("T2", -5, 100), fill("T3", 1, 100)] if ended else []))
    # Of a part of it? The venue's word is kept, and the position is not certain.
    book.add("trade/A/T1", TradeBusted(trade_id="T1", symbol="ESZ5", side=BUY, quantity=Decimal(2), price=Decimal(100)))
    marked = book.positions.get("A", "ESZ5")
    assert (marked.quantity, marked.conflicts, marked.is_uncertain) == (-4 if ended else 0, (1,), True)
    assert TradeAnomalyKind.CONFLICTING in kinds(marked)
    for quantity, is_uncertain in ((2, True), (5, False)):
        again = TradeBusted(trade_id="T1", symbol="ESZ5", side=BUY, quantity=Decimal(quantity), price=Decimal(100))
        book.add("trade/A/T1", again)
        assert book.positions.get("A", "ESZ5").is_uncertain is is_uncertain


def test_a_bust_of_the_figures_before_a_correction_does_not_conflict() -> None:
    book = Folding()
    book.fills(fill("T1", 5, 100))
    book.add("trade/A/T1", TradeCorrected(trade_id="T1", quantity=Decimal(4), price=Decimal(90)))
    book.add("trade/A/T1", TradeBusted(trade_id="T1", symbol="ESZ5", quantity=Decimal(5), price=Decimal(100)))
    position = book.positions.get("A", "ESZ5")
    assert (position.quantity, position.is_uncertain) == (0, False)


NAMED = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", broker_ids=("CON.ES", "@ES"))


def named_trading() -> Trading:
    trading = Trading()
    trading.at(MONDAY, NAMED, stream="contract/-/ESZ5")
    return trading


def test_what_comes_later_of_a_trade_may_name_it_by_a_name_that_no_report_had() -> None:
    trading = named_trading()
    for number, later in enumerate(LATER):
        trading.at(MONDAY, executed(f"T{number}", "ESZ5"), stream=f"trade/A/T{number}")
        trading.at(MONDAY + 1, later(f"T{number}", "CON.ES"), stream=f"trade/A/T{number}")
    assert [(each.quantity, each.busted, each.fee) for each in trading.book.trades.of("A")] == AFTERWARDS
    assert trading.book.positions.get("A", "ESZ5").quantity == 3


def test_what_came_before_its_trade_may_name_it_by_a_name_that_was_learned_in_between() -> None:
    trading = Trading()
    # A fee without its trade is one of the contract that it names, of which nothing else may be known here.
    for number, later in enumerate(LATER[:2]):
        trading.at(MONDAY + 1, later(f"T{number}", "CON.ES"), stream=f"trade/A/T{number}")
    trading.at(MONDAY, NAMED, stream="contract/-/ESZ5")
    for number in range(2):
        trading.at(MONDAY, executed(f"T{number}", "@ES"), stream=f"trade/A/T{number}")
    assert [(each.quantity, each.busted, each.fee) for each in trading.book.trades.of("A")] == AFTERWARDS[:2]
    assert trading.book.positions.get("A", "ESZ5").quantity == 1


def executed(trade_id: str, symbol: str) -> TradeExecuted:
    return TradeExecuted(trade_id=trade_id, symbol=symbol, side=Side.BUY, quantity=Decimal(2), price=Decimal(5_000))


LATER: tuple[Callable[[str, str], Event], ...] = (
    lambda trade_id, symbol: TradeBusted(trade_id=trade_id, symbol=symbol),
    lambda trade_id, symbol: TradeCorrected(
        trade_id=trade_id, symbol=symbol, quantity=Decimal(1), price=Decimal(5_000)
    ),
    lambda trade_id, symbol: FeeCharged(trade_id=trade_id, symbol=symbol, amount=Decimal(3), currency="USD"),
)
AFTERWARDS = [(2, True, 0), (1, False, 0), (2, False, 3)]
