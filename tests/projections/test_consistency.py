"""The consistency rule: evaluated at the close, recorded once a day, a warning that locks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore.trading import LimitBreached, SessionClosed, Severity
from projections.decimals import FIXED
from projections.risk.limits.consistency import Consistency
from tests.projections.rules_day import Day, at


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = Day(tmp_path / "data", [Consistency()], now=at(17, 15))
    day.define("ES")
    day.open_account()
    day.begin()
    day.limit("consistency", limit="0.4")
    yield day
    day.close()


def test_a_best_day_below_the_share_is_not_a_breach(day: Day) -> None:
    for amount in ("399", "301", "300"):
        day.make(amount)
        day.end()
    assert [breach.trading_day for breach in day.breaches()] == [date(2026, 11, 18)]


def test_the_share_of_the_best_day_is_recorded_at_the_close_in_a_sentence(day: Day) -> None:
    day.make("900")
    assert not day.breaches()
    day.end()
    day.make("100", fee="50")
    day.end()
    [second] = day.breaches()
    assert second == LimitBreached(
        rule_id="consistency",
        figure=FIXED.divide(Decimal(900), Decimal(950)),
        limit=Decimal("0.4"),
        severity=Severity.WARNING,
        basis="best day ÷ total profit",
        currency="USD",
        trading_day=date(2026, 11, 18),
        reason="the best day 2026-11-17 made 900.00 of 950.00 USD: 94.7 %, the limit is 40.0 %",
        details=second.details,
    )
    assert isinstance(second.details, dict)
    assert (second.details["best_day"], second.details["best"], second.details["total"]) == ("2026-11-17", "900", "950")
    assert not day.lockouts()


def test_reaching_the_share_exactly_is_a_breach(day: Day) -> None:
    for amount in ("300", "300", "400"):
        day.make(amount)
        day.end()
    assert day.breaches()[-1].figure == Decimal("0.4")


def test_with_one_profitable_day_nothing_is_judged(day: Day) -> None:
    day.make("900")
    day.end()
    day.make("-100")
    day.end()
    assert not day.breaches()
    [headroom] = day.book.limits.headroom("A")
    assert (headroom.figure, headroom.share) == (Decimal(0), Decimal(1))


def test_it_is_recorded_once_a_day(day: Day) -> None:
    for amount in ("900", "10"):
        day.make(amount)
        day.end()
    day.book.append("session/A/2026-11-18", SessionClosed(trading_day=date(2026, 11, 18)))
    assert len(day.breaches()) == 1


def test_without_a_total_profit_there_is_no_share(day: Day) -> None:
    day.make("900")
    day.make("-900")
    day.end()
    day.make("-1")
    day.end()
    assert not day.breaches()


def test_fees_may_be_left_out_and_other_currencies_are_named(day: Day) -> None:
    day.define("FDAX", currency="EUR")
    day.limit("consistency:gross", limit="0.9", net_of_fees=False)
    day.limit("consistency", enabled=False, limit="1")
    day.make("500", fee="500")
    day.make("70", "FDAX")
    day.end()
    day.make("1", fee="9")
    day.end()
    [breach] = day.breaches()
    assert isinstance(breach.details, dict)
    assert (breach.details["total"], breach.details["other_currencies"]) == ("501.00", {"EUR": "70.0"})


def test_it_may_lock_until_the_next_reset(day: Day) -> None:
    day.limit("consistency", limit="0.3", severity="LOCKOUT")
    for amount in ("900", "10"):
        day.make(amount)
        day.end()
    [reason] = day.reasons()
    assert reason.endswith(" %; locked until 2026-11-19 17:00 CST")
    day.end()
    assert day.breaches() == []
