"""A day's trailing loss, realized and with open positions: by the order of fills, the marks and the quotes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from eventstore.trading import (
    QuoteReceived,
    Side,
)
from projections.risk.limits import result_kind
from projections.risk.limits.marks import EquityMarks
from projections.rules import DailyLoss, DailyProfit, WeeklyLoss
from tests.places import Place
from tests.projections.rules_day import (
    HOUR,
    NOON,
    RESET,
    SECOND,
    Day,
    busted,
    details,
    the_lockout,
    trading_day,
)

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = trading_day(place, DailyLoss(), WeeklyLoss(), DailyProfit(), EquityMarks())
    yield day
    day.close()


# From the day's best


def test_a_trailing_loss_is_measured_from_the_days_best(day: Day) -> None:
    day.limit("daily-loss", limit="1000", trailing=True)
    day.make("700")
    day.make("-999")
    assert not day.lockouts()
    day.make("100")
    day.make("-101")
    assert the_lockout(day).reason == (
        "daily loss -1,000.00 of -1,000.00 USD from the day's best 700.00 reached; locked until 2026-11-20 17:00 CST"
    )
    assert (details(day)["best"], details(day)["result"]) == ("700", "-300.00")


def test_without_a_profit_the_days_best_is_its_beginning(day: Day) -> None:
    day.limit("daily-loss", limit="1000", trailing=True)
    day.make("-999")
    assert not day.lockouts()
    day.make("-1")
    assert details(day)["best"] == "0"


def test_the_best_is_of_all_symbols_together_and_net_of_fees(day: Day) -> None:
    day.define("NQ", "20")
    day.limit("daily-loss", limit="1000", trailing=True)
    day.make("300", fee="10")
    day.fill(Side.BUY, "100", "NQ")
    day.fill(Side.SELL, "110", "NQ", fee="5")
    day.make("-999")
    assert not day.lockouts()
    day.make("-1")
    assert details(day)["best"] == "485"


def test_the_best_is_the_days_and_not_yesterdays(day: Day) -> None:
    day.limit("daily-loss", limit="1000", trailing=True)
    day.make("700")
    day.end()
    day.make("-999")
    assert not day.lockouts()


def test_the_best_is_right_if_everything_is_evaluated_later(day: Day, place: Place) -> None:
    day.limit("daily-loss", limit="1000", trailing=True)
    day.policies.stop()
    day.make("700")
    day.make("-500")
    crossing = day.make("-500")
    day.make("900")
    day.restart([DailyLoss()])
    assert [record.causation_id for record in day.lockouts()] == [crossing.id]


def test_the_best_follows_the_order_in_which_things_happened(day: Day) -> None:
    day.limit("daily-loss", limit="1000", trailing=True)
    day.make("600", when=NOON - 2 * SECOND)
    # Recorded last, but lost before the profit: the day's best was its beginning.
    day.make("-900", when=NOON - 3 * SECOND)
    day.make("-699")
    assert not day.lockouts()
    day.make("-1")
    assert details(day)["best"] == "0"


def test_a_profit_that_was_busted_was_never_the_best(day: Day) -> None:
    day.limit("daily-loss", limit="1000", trailing=True)
    won = day.make("800")
    day.book.append(won.stream, busted("T2", Side.SELL, 5_016))
    day.fill(Side.SELL, "5000")
    day.make("-999")
    assert not day.lockouts()
    day.make("-1")
    assert details(day)["best"] == "0"


def test_fills_recorded_before_their_session_count_in_its_best(place: Place) -> None:
    day = Day(place, [DailyLoss()])
    day.open_account()
    day.define("ES")
    day.limit("daily-loss", limit="1000", trailing=True)
    day.make("700")
    day.begin()
    day.make("-999")
    assert not day.lockouts()
    day.make("-1")
    assert details(day)["best"] == "700"
    day.close()


# Open positions


def test_a_quote_locks_and_the_prices_are_named(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.make("-400")
    day.fill(Side.BUY, "5000")
    day.quote("4988.25")
    assert not day.lockouts()
    day.quote("4988")
    assert the_lockout(day).reason.startswith("daily loss -1,000.00 of -1,000.00 USD reached; ")
    found = details(day)
    assert (found["basis"], found["realized"], found["unrealized"]) == ("equity", "-400", "-600")
    assert found["quotes"] == {"ES": {"price": "4988", "at": NOON}}
    assert "stale" not in found
    assert "unquoted" not in found


def test_a_quote_whose_clock_is_ahead_counts_for_today(place: Place) -> None:
    last_second = RESET - SECOND
    day = Day(place, [DailyLoss()], now=last_second)
    day.open_account()
    day.define("ES")
    day.begin()
    day.limit("daily-loss", limit="1000", basis="equity")
    day.make("-400")
    day.fill(Side.BUY, "5000")
    quote = QuoteReceived(symbol="ES", last=Decimal(4_988))
    day.book.observe("quote/-/ES", quote, occurred_at=RESET + 5 * SECOND)
    assert the_lockout(day).until == RESET
    day.close()


def test_a_quote_whose_clock_is_a_day_ahead_is_stale_and_locks_nothing(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.make("-400")
    day.fill(Side.BUY, "5000")
    quote = QuoteReceived(symbol="ES", last=Decimal(4_988))
    day.book.observe("quote/-/ES", quote, occurred_at=NOON + 24 * HOUR)
    assert not day.lockouts()
    assert day.book.equity.now("A").stale == ("ES",)


def test_a_fill_recorded_late_is_evaluated_at_the_current_quotes(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.quote("4990")
    day.define("NQ")
    day.make("-500", "NQ", when=NOON - 60 * SECOND)
    assert "stale" not in details(day)


def test_with_basis_realized_a_quote_computes_nothing(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.limit("daily-loss", limit="1000")
    day.limit("weekly-loss", limit="1000")
    day.limit("daily-profit", target="1000")
    day.fill(Side.BUY, "5000")
    monkeypatch.setattr(result_kind, "period_results", None)
    day.quote("1")
    assert not day.policies.stopped
    assert not day.lockouts()


def test_with_a_stale_or_a_missing_quote_the_day_is_not_known_and_nothing_locks(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.quote("4990")
    day.pass_seconds(11)
    day.define("ES2")
    day.make("-500", "ES2")
    assert not day.lockouts()
    day.policies.stop()
    day.restart([DailyLoss()])
    day.policies.tick()
    assert not day.lockouts()
    day.quote("4990")
    assert (details(day)["unrealized"], "stale" in details(day)) == ("-500", False)


def test_the_best_equity_of_the_day_is_marked_and_survives_a_restart(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity", trailing=True)
    day.fill(Side.BUY, "5000")
    day.confirm("5010")
    day.quote("5009")
    day.policies.stop()
    day.restart([DailyLoss(), EquityMarks()])
    day.quote("4990.25")
    assert not day.lockouts()
    day.quote("4990")
    assert (details(day)["best"], details(day)["figure"]) == ("500", "-1000")
