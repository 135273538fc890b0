"""Profit and loss by hand-checked cases: days, fees, busts and corrections, sides, currencies, quotes, reports."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

import decimal
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import eventstore
import projections
from eventstore import ManualClock, UnknownContract
from eventstore.clock import to_ns
from eventstore.trading import (
    AccountOpened,
    AdjustmentReason,
    ContractDefined,
    PnlReported,
    PositionAdjusted,
    SessionOpened,
    SessionReset,
    TradeBusted,
)
from tests.views.position_folding import LONG, NET, SELL, SHORT, fill
from tests.views.trading_book import HOUR, MONDAY, TUESDAY, Trading, amounts, contract

CHICAGO = ZoneInfo("America/Chicago")


# Deals as (quantity, price); what they realize in points, first in first out and by average cost.
# fmt: off
CASES = [
    # 2 × (101.5 − 100) = 3
    ("a long", [(2, 100), (-2, "101.5")], 3, 3),
    # 2 × (100 − 97) = 6
    ("a short", [(-2, 100), (2, 97)], 6, 6),
    # closes 2 long: 2 × 10 = 20; then short 3 @ 110 closed at 108: 3 × 2 = 6
    ("a flip", [(2, 100), (-5, 110), (3, 108)], 26, 26),
    # closes 2 short: 2 × 10 = 20; then long 1 @ 90 closed at 95: 5
    ("a flip from short", [(-2, 100), (3, 90), (-1, 95)], 25, 25),
    # first in: 2 × 20 + 1 × 10 = 50; average 105: 3 × 15 = 45
    ("a part of two lots", [(2, 100), (2, 110), (-3, 120)], 50, 45),
    # first in: 1 × 20 + 1 × 10 = 30; average 105, 2 left at 105; short: 2 × (105 − 90) = 30
    ("a part of two short lots", [(-1, 110), (-1, 100), (2, 90)], 30, 30),
    # first in: 1 × 0; average 105: 1 × −5
    ("nothing first in first out", [(1, 100), (1, 110), (-1, 100)], 0, -5),
    # bought and sold at the same price
    ("nothing", [(1, 100), (-1, 100)], 0, 0),
    # 0.5 × (−1 − −3) = 1
    ("prices below zero", [("0.5", -3), ("-0.5", -1)], 1, 1),
]
# fmt: on


@pytest.mark.parametrize(("deals", "points", "average"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_days_money_is_points_times_the_multiplier(
    trading: Trading, deals: list[tuple[Any, Any]], points: int, average: int
) -> None:
    trading.at(MONDAY, *(fill(f"T{number}", *deal, fee=Decimal("2.25")) for number, deal in enumerate(deals)))
    fees = Decimal("2.25") * len(deals)
    (made,) = trading.book.pnl.day("A", MONDAY)
    assert amounts((made,)) == [("USD", 50 * points, fees, 50 * average)]
    assert (made.net, made.net_average_cost) == (50 * points - fees, 50 * average - fees)
    assert (made.trades, made.volume) == (len(deals), sum(abs(Decimal(quantity)) for quantity, _ in deals))
    assert trading.book.pnl.total("A") == (made,)


def test_an_account_without_anything_has_made_nothing(trading: Trading) -> None:
    pnl = trading.book.pnl
    assert pnl.day("A") == pnl.week("A") == pnl.session("A") == pnl.total("A") == pnl.by_symbol("A") == ()
    assert pnl.days("A") == pnl.unrealized("A") == pnl.reported("A") == ()


def test_days_and_weeks_are_apart_and_the_total_is_of_all(trading: Trading) -> None:
    # Monday: bought 2 @ 100, sold 1 @ 103: 3 points. Tuesday: sold 1 @ 104: 4. Next Monday: 1 @ 10, sold @ 15: 5.
    trading.at(MONDAY, fill("T1", 2, 100), fill("T2", -1, 103))
    trading.at(TUESDAY, fill("T3", -1, 104))
    later = MONDAY + 7 * 24 * HOUR
    trading.at(later, fill("T4", 1, 10), fill("T5", -1, 15))
    pnl = trading.book.pnl
    assert [pnl.day("A", at)[0].realized for at in (MONDAY, TUESDAY, later)] == [150, 200, 250]
    assert [pnl.week("A", at)[0].realized for at in (MONDAY, TUESDAY, later - 1, later)] == [350, 350, 350, 250]
    assert pnl.day("A", TUESDAY + 24 * HOUR) == ()
    assert [(name, made[0].realized) for name, made in pnl.days("A")] == [
        ("~2026-01-05", 150),
        ("~2026-01-06", 200),
        ("~2026-01-12", 250),
    ]
    assert pnl.day("A", trading_day=date(2026, 1, 6)) == pnl.day("A", trading_day="2026-01-06") == pnl.day("A", TUESDAY)
    assert (pnl.total("A")[0].realized, pnl.total("A")[0].trades, pnl.total("A")[0].volume) == (600, 5, 6)
    trading.clock.set(TUESDAY)
    assert pnl.day("A") == pnl.day("A", datetime(2026, 1, 6, tzinfo=UTC))


def test_a_session_is_the_recorded_one_and_empty_outside_one(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 1, 100), fill("T2", -1, 101))
    assert trading.book.pnl.session("A", MONDAY) == ()
    trading.day(MONDAY - HOUR, MONDAY + HOUR, 5)
    assert trading.book.pnl.session("A", MONDAY)[0].realized == 50
    assert trading.book.pnl.session("A", MONDAY + HOUR) == ()


def test_a_trade_counts_in_the_session_that_was_recorded_after_it(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", 1, 100), fill("T2", -1, 101))
    assert trading.book.pnl.day("A", trading_day="2026-01-05")[0].realized == 50
    trading.day(MONDAY, TUESDAY, 6)
    assert [name for name, _ in trading.book.pnl.days("A")] == ["2026-01-06"]
    assert trading.book.pnl.day("A", trading_day="2026-01-05") == ()


def test_a_recorded_day_is_not_the_date_in_utc(trading: Trading) -> None:
    trading.at(TUESDAY + HOUR, fill("T1", 1, 100), fill("T2", -1, 101))
    assert trading.book.pnl.day("A", trading_day="2026-01-06")[0].realized == 50
    trading.day(MONDAY, TUESDAY, 6)
    assert trading.book.pnl.day("A", trading_day="2026-01-06") == ()


def test_a_fill_that_comes_late_counts_in_the_day_that_has_ended(trading: Trading) -> None:
    trading.day(MONDAY, TUESDAY, 5)
    trading.day(TUESDAY, TUESDAY + 24 * HOUR, 6)
    trading.at(MONDAY, fill("T1", 2, 100))
    trading.at(TUESDAY, fill("T2", -1, 110))
    trading.at(TUESDAY - 1, fill("T3", -1, 105))
    # 1 × 10 on Tuesday; 1 × 5 on Monday, though it came after.
    assert [trading.book.pnl.day("A", at)[0].realized for at in (MONDAY, TUESDAY)] == [250, 500]


def test_sessions_are_the_hours_they_were_when_the_clocks_changed(trading: Trading) -> None:
    """Chicago, 2026-03-08: the trading day of Monday lasts 71 hours from Friday 17:00, not 72."""
    ends = [datetime(2026, 3, day, 17, tzinfo=CHICAGO) for day in (6, 9, 10)]
    friday, monday, tuesday = (to_ns(each.astimezone(UTC)) for each in ends)
    week = date(2026, 3, 9)
    for began_at, until in ((friday, monday), (monday, tuesday)):
        day = (datetime.fromtimestamp(until // 10**9, UTC).astimezone(CHICAGO)).date()
        opened = SessionOpened(trading_day=day, began_at=began_at, resets_at=until, week=week)
        trading.at(began_at, opened, stream=f"session/A/{day}")
    # Monday 16:59:59.999999999 in Chicago is 21:59 UTC by then; on Friday it was 22:59.
    trading.at(friday, fill("T1", 1, 100))
    trading.at(monday - 1, fill("T2", -1, 101))
    trading.at(monday, fill("T3", 1, 100), fill("T4", -1, 107))
    assert [(name, made[0].realized) for name, made in trading.book.pnl.days("A")] == [
        ("2026-03-09", 50),
        ("2026-03-10", 350),
    ]
    assert datetime.fromtimestamp(monday // 10**9, UTC).hour == 22
    assert datetime.fromtimestamp(friday // 10**9, UTC).hour == 23
    assert trading.book.pnl.week("A", friday)[0].realized == trading.book.pnl.week("A", monday)[0].realized == 400


def test_contracts_and_currencies_stand_apart(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 1, 100, fee=Decimal(2)), fill("T2", -1, 103, fee=Decimal(2)))
    trading.at(MONDAY, fill("T3", -1, 200, "NQZ5"), fill("T4", 1, 190, "NQZ5"))
    dax = {"fee": Decimal("1.50")}
    trading.at(MONDAY, fill("T5", 2, 1000, "FDAX", **dax), fill("T6", -2, 990, "FDAX", fee_currency="USD", **dax))
    # USD: 3 × 50 + 10 × 20 = 350, fees 2 + 2 + 1.50. EUR: 2 × −10 × 25 = −500, fee 1.50.
    assert amounts(trading.book.pnl.day("A", MONDAY)) == [
        ("EUR", -500, Decimal("1.50"), -500),
        ("USD", 350, Decimal("5.50"), 350),
    ]
    by_symbol = [(made.symbol, made.side, *amounts((made,))[0][:3]) for made in trading.book.pnl.by_symbol("A", MONDAY)]
    assert by_symbol == [
        ("ESZ5", NET, "USD", 150, 4),
        ("FDAX", NET, "EUR", -500, Decimal("1.50")),
        ("FDAX", NET, "USD", 0, Decimal("1.50")),
        ("NQZ5", NET, "USD", 200, 0),
    ]
    total = trading.book.pnl.total("A")
    assert [(made.currency, made.net, made.trades, made.volume) for made in total] == [
        ("EUR", Decimal("-501.50"), 2, 4),
        ("USD", Decimal("344.50"), 4, 4),
    ]


def test_a_contract_that_names_no_currency_is_in_the_accounts_own(trading: Trading) -> None:
    trading.book.append("contract/-/X", contract("X", 10, None))
    trading.at(MONDAY, fill("T1", 1, 5, "X", fee=Decimal(1)), fill("T2", -1, 6, "X"))
    assert amounts(trading.book.pnl.day("A", MONDAY)) == [(None, 10, 1, 10)]
    trading.at(MONDAY, AccountOpened(starting_balance=Decimal(0), currency="CHF"), stream="account/A/-")
    assert amounts(trading.book.pnl.day("A", MONDAY)) == [("CHF", 10, 1, 10)]


def test_without_a_multiplier_there_is_no_money_at_all(trading: Trading) -> None:
    trading.book.append("contract/-/Y", ContractDefined(symbol="Y", currency="USD"))
    trading.at(MONDAY, fill("T1", 1, 100, "X"), fill("T2", 1, 100, "Y"))
    # Nothing is realized, so that nothing is asked of the contracts.
    assert [made.realized for made in trading.book.pnl.day("A", MONDAY)] == [0]
    with pytest.raises(UnknownContract, match="X"):
        trading.book.pnl.unrealized("A", MONDAY)
    trading.at(MONDAY, fill("T3", -1, 101, "Y"))
    pnl = trading.book.pnl
    for ask in (pnl.day, pnl.week, pnl.by_symbol):
        with pytest.raises(UnknownContract, match="Y"):
            ask("A", MONDAY)
    for whole in (pnl.total, pnl.days):
        with pytest.raises(UnknownContract, match="Y"):
            whole("A")
    trading.book.append("contract/-/Y", contract("Y", 3))
    assert [made.realized for made in pnl.day("A", MONDAY)] == [3]


def test_hedged_sides_are_kept_apart_and_summed_up(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 2, 100, position_side=LONG), fill("T2", -2, 100, position_side=SHORT))
    trading.at(MONDAY, fill("T3", -1, 103, position_side=LONG), fill("T4", 1, 101, position_side=SHORT))
    # Long: 103 − 100 = 3. Short: 100 − 101 = −1.
    made = trading.book.pnl.by_symbol("A", MONDAY)
    assert [(each.symbol, each.side, each.realized) for each in made] == [("ESZ5", LONG, 150), ("ESZ5", SHORT, -50)]
    assert trading.book.pnl.day("A", MONDAY)[0].realized == 100
    trading.quote(MONDAY, "ESZ5", 105)
    open_now = [(each.side, each.quantity, each.amount) for each in trading.book.pnl.unrealized("A", MONDAY)]
    assert open_now == [(LONG, 1, 250), (SHORT, -1, -250)]


def test_an_opening_balance_makes_nothing_and_is_closed_at_its_price(trading: Trading) -> None:
    opening = AdjustmentReason.OPENING
    for symbol, price in (("ESZ5", Decimal(100)), ("NQZ5", None)):
        adjusted = PositionAdjusted(symbol=symbol, quantity=Decimal(2), reason=opening, price=price)
        trading.at(MONDAY, adjusted, stream=f"position/A/{symbol}")
    assert [made.realized for made in trading.book.pnl.day("A", MONDAY)] == [0]
    trading.at(TUESDAY, fill("T1", -1, 105), fill("T2", -1, 200, "NQZ5"))
    # 105 − 100 = 5; the price at which NQZ5 was opened is unknown, and it realizes nothing.
    by_symbol = trading.book.pnl.by_symbol("A", TUESDAY)
    assert [(made.symbol, made.realized, made.trades) for made in by_symbol] == [("ESZ5", 250, 1), ("NQZ5", 0, 1)]
    trading.quote(TUESDAY, "ESZ5", 110)
    trading.quote(TUESDAY, "NQZ5", 300)
    found = [(each.symbol, each.amount, each.unpriced) for each in trading.book.pnl.unrealized("A", TUESDAY)]
    assert found == [("ESZ5", 500, 0), ("NQZ5", 0, 1)]


def test_what_an_expiry_books_counts_on_its_day(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 2, 100))
    expiry = PositionAdjusted(symbol="ESZ5", quantity=Decimal(-2), reason=AdjustmentReason.EXPIRY, price=Decimal(101))
    trading.at(TUESDAY, expiry, stream="position/A/ESZ5")
    (made,) = trading.book.pnl.day("A", TUESDAY)
    assert (made.realized, made.trades, made.volume) == (100, 0, 0)


def test_what_is_open_is_valued_at_its_quote_which_has_an_age(trading: Trading) -> None:
    # 2 @ 100 and 2 @ 110, 3 sold: first in first out 1 @ 110 is left, by average cost 1 @ 105.
    trading.at(MONDAY, fill("T1", 2, 100), fill("T2", 2, 110), fill("T3", -3, 120))
    trading.at(MONDAY, fill("T4", -1, 1000, "FDAX"), fill("T5", 1, 5, "NQZ5"), fill("T6", -1, 5, "NQZ5"))
    (es, dax) = trading.book.pnl.unrealized("A", MONDAY)
    # A fill is a price, too.
    assert (dax.amount, dax.price, dax.quoted_at, dax.age, dax.stale) == (0, 1000, MONDAY, 0, False)
    trading.quote(MONDAY, "ESZ5", 115)
    trading.quote(MONDAY + 10**9, "FDAX", 990)
    (es, dax) = trading.book.pnl.unrealized("A", MONDAY + 10**9)
    assert (es.symbol, es.currency, es.quantity, es.price) == ("ESZ5", "USD", 1, 115)
    assert (es.amount, es.amount_average_cost, es.quoted_at, es.age, es.stale) == (250, 500, MONDAY, 10**9, False)
    assert (dax.currency, dax.amount, dax.age, dax.stale) == ("EUR", 250, 0, False)
    assert [each.stale for each in trading.book.pnl.unrealized("A", MONDAY + 11 * 10**9)] == [True, False]
    trading.book.quotes.stale_after_ns = 30 * 10**9
    assert not trading.book.pnl.unrealized("A", MONDAY + 11 * 10**9)[0].stale


def test_what_others_report_stands_beside_and_the_newest_of_each_counts(trading: Trading) -> None:
    day = date(2026, 1, 5)
    for at, realized in ((MONDAY, 10), (MONDAY + HOUR, 20), (MONDAY + 1, 15)):
        report = PnlReported(realized=Decimal(realized), trading_day=day, currency="USD")
        trading.at(at, report, stream="pnl/A/-")
    trading.at(MONDAY, PnlReported(unrealized=Decimal(7), symbol="ESZ5"), stream="pnl/A/ESZ5")
    one, other = trading.book.pnl.reported("A")
    assert (one.symbol, one.realized, one.unrealized, one.trading_day) == ("ESZ5", None, 7, None)
    # What was so earlier, and came later, is passed over.
    assert (other.trading_day, other.realized, other.currency, other.at) == (day, 20, "USD", MONDAY + HOUR)
    assert trading.book.pnl.day("A", MONDAY) == ()


def test_money_does_not_depend_on_the_threads_own_context(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", 3, "100.01"), fill("T2", -2, "100.27"))
    trading.quote(MONDAY, "ESZ5", "100.33")
    expected = trading.book.pnl.day("A", MONDAY), trading.book.pnl.unrealized("A", MONDAY)
    with decimal.localcontext(decimal.Context(prec=2)):
        assert (trading.book.pnl.day("A", MONDAY), trading.book.pnl.unrealized("A", MONDAY)) == expected
    assert expected[0][0].realized == 26


def test_a_book_opened_again_has_the_same_days(tmp_path: Path) -> None:
    with eventstore.open(tmp_path, clock=ManualClock(TUESDAY + 24 * HOUR)) as store:
        with projections.open(store) as book:
            book.append("contract/-/ESZ5", contract("ESZ5", 50))
            reset = SessionReset(trading_day=date(2026, 1, 5), scheduled_for=MONDAY, resets_at=TUESDAY)
            book.append("session/A/2026-01-05", reset)
            for number in range(4):
                at = MONDAY + number * timedelta(hours=11) // timedelta(microseconds=1) * 1000
                book.append("order/A/O-1", fill(f"T{number}", 1 - 2 * (number % 2), number), occurred_at=at)
            before = book.pnl.days("A")
            assert book.snapshot()
            bust = TradeBusted(trade_id="T3", symbol="ESZ5", side=SELL, quantity=Decimal(1), price=Decimal(3))
            store.append("trade/A/T3", bust)
        with projections.open(store) as again:
            assert again.recovery.cut > 0
            assert [name for name, _ in again.pnl.days("A")] == [name for name, _ in before]
            assert [made[0].realized for _, made in again.pnl.days("A")] == [50, 0]
        with projections.open(store, snapshots=False) as reopened:
            assert reopened.pnl.days("A") == again.pnl.days("A")
