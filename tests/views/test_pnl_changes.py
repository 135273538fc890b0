"""P&L after the fact: late fees, busts and corrections, on the same day and the next."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

import decimal
from datetime import date
from decimal import Decimal

from eventstore import Event
from eventstore.trading import FeeCharged, SessionReset, TradeBusted, TradeCorrected
from projections.decimals import FIXED
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.view import ExecutionsView
from tests.views.position_folding import BUY, Folding, fill, folded
from tests.views.trading_book import HOUR, MONDAY, TUESDAY, Trading, amounts


def test_a_fee_that_comes_later_counts_on_its_trades_day(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 1, 100, fee=Decimal(2)))
    trading.at(TUESDAY, FeeCharged(trade_id="T1", amount=Decimal("0.50")), stream="trade/A/T1")
    trading.at(TUESDAY, FeeCharged(trade_id="T1", amount=Decimal("-0.25"), currency="EUR", symbol="ESZ5"))
    assert amounts(trading.book.pnl.day("A", MONDAY)) == [
        ("EUR", 0, Decimal("-0.25"), 0),
        ("USD", 0, Decimal("2.50"), 0),
    ]
    assert trading.book.pnl.day("A", TUESDAY) == ()
    # Also once the position was flat and is opened again: Monday's 2.50 and 3 more.
    trading.at(TUESDAY, fill("T2", -1, 100), fill("T3", 1, 100))
    trading.at(TUESDAY, FeeCharged(trade_id="T1", amount=Decimal(3)))
    assert [made.fees for made in trading.book.pnl.day("A", TUESDAY)] == [0]
    assert [made.fees for made in trading.book.pnl.day("A", MONDAY)] == [Decimal("-0.25"), Decimal("5.50")]


def test_a_price_that_is_absurd_until_it_is_corrected_hides_no_loss(trading: Trading) -> None:
    """A sum of 34 digits would lose the first result beside the second, and keep only what the correction leaves."""
    trading.at(MONDAY, fill("T1", 1, 100), fill("T2", -1, 80), fill("T3", 1, 100))
    trading.at(MONDAY, fill("T4", -1, "3.4e38"))
    assert {each.kind for each in trading.book.positions.get("A", "ESZ5").anomalies} == {TradeAnomalyKind.INEXACT}
    trading.at(MONDAY, TradeCorrected(trade_id="T4", quantity=Decimal(1), price=Decimal(101)))
    # 80 - 100 = -20, then 101 - 100 = 1.
    multiplier = trading.book.contracts.get("ESZ5").multiplier
    assert [made.realized for made in trading.book.pnl.day("A", MONDAY)] == [-19 * (multiplier or 0)]
    assert trading.book.positions.get("A", "ESZ5").realized_points == -19
    assert not trading.book.positions.get("A", "ESZ5").is_uncertain


def test_a_fee_of_an_unknown_trade_counts_all_the_same(trading: Trading) -> None:
    trading.at(MONDAY, FeeCharged(trade_id="gone", amount=Decimal(3), currency="USD"), stream="trade/A/gone")
    trading.at(MONDAY, FeeCharged(trade_id="new", amount=Decimal(4), symbol="NQZ5"), stream="trade/A/new")
    assert amounts(trading.book.pnl.day("A", MONDAY)) == amounts(trading.book.pnl.total("A")) == [("USD", 0, 7, 0)]
    assert [(made.symbol, made.fees) for made in trading.book.pnl.by_symbol("A", MONDAY)] == [(None, 3), ("NQZ5", 4)]


def test_a_bust_on_the_same_day_is_as_if_the_trade_had_never_been(trading: Trading) -> None:
    fee = Decimal(2)
    trading.at(MONDAY, fill("T1", 1, 100, fee=fee), fill("T2", 1, 104, fee=fee), fill("T3", -1, 110, fee=fee))
    assert amounts(trading.book.pnl.day("A", MONDAY)) == [("USD", 500, 6, 400)]
    trading.at(MONDAY, TradeBusted(trade_id="T1"))
    # T3 now closes T2: 110 − 104 = 6.
    (made,) = trading.book.pnl.day("A", MONDAY)
    assert (amounts((made,)), made.trades, made.volume) == ([("USD", 300, 4, 300)], 2, 2)


def test_a_bust_on_the_next_day_changes_the_days_of_the_fills_it_changes(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 1, 100, fee=Decimal(2)), fill("T2", 2, 104), fill("T3", -1, 110))
    trading.at(TUESDAY, fill("T4", -1, 112))
    # Monday: 110 − 100 = 10; Tuesday: 112 − 104 = 8.
    assert [trading.book.pnl.day("A", at)[0].realized for at in (MONDAY, TUESDAY)] == [500, 400]
    trading.at(TUESDAY, TradeBusted(trade_id="T1"))
    # Monday: 110 − 104 = 6, and T1 with its fee is gone; Tuesday as before.
    monday, tuesday = (trading.book.pnl.day("A", at)[0] for at in (MONDAY, TUESDAY))
    assert (monday.realized, monday.fees, monday.trades, monday.volume) == (300, 0, 2, 3)
    assert (tuesday.realized, tuesday.fees, tuesday.trades) == (400, 0, 1)


def test_a_late_bust_counts_on_the_day_it_happened_in(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 1, 100, fee=Decimal(2)), fill("T2", -1, 110), fill("T3", 1, 120))
    bust = TradeBusted(trade_id="T1", symbol="ESZ5", side=BUY, quantity=Decimal(1), price=Decimal(100), fee=Decimal(2))
    trading.at(TUESDAY, bust)
    # The opposite of T1 closes T3: 100 − 120 = −20; Monday keeps its 110 − 100 = 10.
    monday, tuesday = (trading.book.pnl.day("A", at)[0] for at in (MONDAY, TUESDAY))
    assert (monday.realized, monday.fees, monday.trades) == (500, 2, 3)
    assert (tuesday.realized, tuesday.fees, tuesday.trades, tuesday.volume) == (-1000, -2, -1, -1)
    assert trading.book.pnl.total("A")[0].net == -500


def test_a_late_fill_and_its_day_in_one_page_give_the_same_days_as_one_after_the_other() -> None:
    log = Folding()
    happened: list[tuple[Event, int]] = [
        (fill("T1", 2, 100), MONDAY),
        (fill("T2", -1, 110), MONDAY + 2 * HOUR),
        (fill("T3", -1, 105, fee=Decimal(1)), MONDAY + HOUR),
        (SessionReset(trading_day=date(2026, 1, 5), scheduled_for=MONDAY, resets_at=MONDAY + HOUR), MONDAY),
    ]
    records = [log.record("order/A/O-1", event, occurred_at=at) for event, at in happened]
    view = ExecutionsView()
    paged, shared = view.initial(), view.initial()
    with decimal.localcontext(FIXED):
        for record in records:
            view.apply_beside(shared, paged, record.event, record)
        view.finish(paged)
    assert paged == folded(records)


def test_a_correction_changes_the_day_of_what_it_corrects(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 2, 100), fill("T2", -1, 103))
    trading.at(TUESDAY, fill("T3", -1, 104))
    # T1 was 2 @ 101: Monday 103 − 101 = 2, Tuesday 104 − 101 = 3.
    trading.at(TUESDAY, TradeCorrected(trade_id="T1", quantity=Decimal(2), price=Decimal(101)))
    assert [trading.book.pnl.day("A", at)[0].realized for at in (MONDAY, TUESDAY)] == [100, 150]
    # T1 was 1 @ 101: T3 opens a short.
    trading.at(TUESDAY, TradeCorrected(trade_id="T1", quantity=Decimal(1), price=Decimal(101)))
    monday, tuesday = (trading.book.pnl.day("A", at)[0] for at in (MONDAY, TUESDAY))
    assert (monday.realized, monday.trades, monday.volume) == (100, 2, 2)
    assert (tuesday.realized, tuesday.trades, tuesday.volume) == (0, 1, 1)
    assert trading.book.positions.get("A", "ESZ5").quantity == -1


def test_a_late_correction_counts_on_the_day_it_happened_in(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 2, 100), fill("T2", -2, 110), fill("T3", 1, 120))
    correction = TradeCorrected(
        trade_id="T1",
        symbol="ESZ5",
        side=BUY,
        quantity=Decimal(2),
        price=Decimal(101),
        previous_quantity=Decimal(2),
        previous_price=Decimal(100),
    )
    trading.at(TUESDAY, correction)
    # Only its price is another: 2 × (100 − 101) = −2 points, and no lot moves: 1 @ 120 is held as before.
    monday, tuesday = (trading.book.pnl.day("A", at)[0] for at in (MONDAY, TUESDAY))
    assert (monday.realized, tuesday.realized, tuesday.trades, tuesday.volume) == (1000, -100, 0, 0)
    assert trading.book.positions.get("A", "ESZ5").average_price == 120
