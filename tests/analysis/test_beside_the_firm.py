"""Shadow mode beside the firm: each day's figures and locks; what nobody reported is missing, never zero."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore.trading import AccountUpdated, LimitReported, Side
from projections.analysis.shadow import BOTH, NEVER_LOCKS, NOT_REPORTED, OURS, THEIRS, BesideFirm, beside_the_firm
from projections.rules import DailyLoss, TrailingDrawdown
from projections.valuation import Status
from tests.projections.rules_day import ACCOUNT, HOUR, NOON, SECOND, Day
from tests.projections.shadowing import new_day, shadow

FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = new_day(tmp_path / "data", DailyLoss(), TrailingDrawdown())
    shadow(day)
    day.limit("daily-loss", limit="1000")
    yield day
    day.close()


def report(
    day: Day,
    figure: str | None,
    limit: str | None = "1000",
    *,
    kind: str = "daily-loss",
    rule: str | None = None,
    at: int | None = None,
    currency: str | None = None,
    trading_day: date | None = None,
) -> None:
    event = LimitReported(
        kind=kind,
        figure=None if figure is None else Decimal(figure),
        limit=None if limit is None else Decimal(limit),
        reported_at=day.clock.now_ns() if at is None else at,
        currency=currency,
        trading_day=trading_day,
    )
    day.book.append(f"limits/{ACCOUNT}/{rule or kind}", event)


def compared(day: Day, **span: date) -> BesideFirm:
    return beside_the_firm(day.book, ACCOUNT, **span)


def figures(found: BesideFirm) -> list[tuple[str, str, str, str, str]]:
    return [(each.what, text(each.ours), text(each.theirs), text(each.difference), each.why) for each in found.figures]


def text(figure: Decimal | None) -> str:
    return "-" if figure is None else f"{figure.normalize():f}"


def made_by(found: BesideFirm) -> list[str]:
    return [each.made_by for each in found.locks]


def pass_hours(day: Day, hours: int) -> None:
    day.clock.advance(hours * HOUR)


# What is missing, late, repeated or foreign


def test_a_firm_that_reports_nothing_is_said_to(day: Day) -> None:
    day.make("-1000")
    found = compared(day)
    assert found.figures == ()
    assert found.never_reported == ("daily-loss",)
    assert made_by(found) == [NEVER_LOCKS]
    assert not any(each.differs for each in found.locks)


def test_a_day_without_a_report_is_missing_and_not_zero(day: Day) -> None:
    day.make("-100")
    day.end()
    day.make("-200")
    report(day, "200")
    found = compared(day)
    missing, figure, limit = found.figures
    assert (missing.day, missing.theirs, missing.difference, missing.why) == (FRIDAY, None, None, NOT_REPORTED)
    assert (figure.day, text(figure.theirs), text(figure.difference)) == (MONDAY, "200", "0")
    assert (limit.what, text(limit.difference)) == ("limit", "0")
    assert found.never_reported == ()


def test_a_figure_that_was_left_out_is_missing(day: Day) -> None:
    day.make("-100")
    report(day, None)
    assert figures(compared(day)) == [
        ("figure", "100", "-", "-", NOT_REPORTED),
        ("limit", "1000", "1000", "0", ""),
    ]


def test_the_newest_report_of_a_day_counts_by_its_own_time(day: Day) -> None:
    day.make("-100")
    at = day.clock.now_ns()
    pass_hours(day, 1)
    day.make("-100")
    report(day, "200")
    # Late, and again.
    report(day, "100", at=at)
    report(day, "200")
    assert figures(compared(day))[0] == ("figure", "200", "200", "0", "")


def test_ours_is_of_the_instant_of_the_report(day: Day) -> None:
    day.make("-100")
    report(day, "100")
    pass_hours(day, 1)
    day.make("-500")
    assert figures(compared(day))[0] == ("figure", "100", "100", "0", "")


def test_a_report_of_a_day_that_is_over_may_name_it(day: Day) -> None:
    day.make("-100")
    day.end()
    report(day, "0", trading_day=MONDAY)
    report(day, "100", trading_day=FRIDAY, at=NOON + HOUR)
    found = compared(day)
    assert [(each.day, text(each.ours), text(each.theirs)) for each in found.figures if each.what == "figure"] == [
        (FRIDAY, "100", "100"),
        (MONDAY, "0", "0"),
    ]


def test_a_report_of_another_day_than_its_instant_is_not_compared(day: Day) -> None:
    """What the firm says on Monday of Friday is compared with nothing of Monday."""
    day.make("-100")
    day.end()
    report(day, "100", trading_day=FRIDAY)
    found = compared(day)
    assert [(each.day, text(each.ours), text(each.difference)) for each in found.figures] == [(FRIDAY, "-", "-")] * 2
    why = "it is of 2026-11-20 and was reported on 2026-11-23: set reported_at to an instant of its trading day"
    assert {each.why for each in found.figures} == {why}


@pytest.mark.parametrize(
    ("kind", "rule", "currency", "why"),
    [
        ("dayly-loss", None, None, "no kind of limit is named dayly-loss"),
        ("weekly-loss", None, None, "no such limit was in force here"),
        ("daily-loss", None, "EUR", "it is reported in another currency: EUR and USD"),
    ],
)
def test_what_cannot_be_compared_says_why(
    day: Day, kind: str, rule: str | None, currency: str | None, why: str
) -> None:
    day.make("-100")
    report(day, "100", kind=kind, rule=rule, currency=currency)
    found = compared(day)
    assert [each.difference for each in found.figures] == [None, None]
    assert all(each.why.startswith(why) for each in found.figures)


def test_a_figure_that_rests_on_a_price_is_not_known_without_quotes(day: Day) -> None:
    day.limit("daily-loss:equity", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    pass_hours(day, 1)
    report(day, "100", rule="daily-loss:equity")
    [figure, _] = compared(day).figures
    assert (figure.ours, figure.difference, figure.status) == (None, None, Status.UNKNOWN)
    assert "ES" in figure.why


def test_a_report_in_another_rule_s_stream_is_of_its_kind(day: Day) -> None:
    day.make("-100")
    report(day, "100", rule="trailing-drawdown")
    assert figures(compared(day))[0] == ("figure", "100", "100", "0", "")


def test_a_second_limit_of_a_kind_is_compared_by_its_rule(day: Day) -> None:
    day.limit("daily-loss:soft", limit="500")
    day.make("-100")
    report(day, "100", "500", rule="daily-loss:soft")
    found = compared(day)
    assert [(each.rule_id, text(each.difference)) for each in found.figures] == [("daily-loss:soft", "0")] * 2


# What differs


def test_a_difference_is_theirs_less_ours(day: Day) -> None:
    day.make("-100")
    report(day, "112.40", "900")
    found = compared(day)
    assert figures(found) == [
        ("figure", "100", "112.4", "12.4", ""),
        ("limit", "1000", "900", "-100", ""),
    ]
    assert all(each.differs for each in found.figures)


def test_a_drawdown_is_compared_by_equity_and_floor(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000", basis="realized")
    day.make("-100")
    report(day, "49900", "48000", kind="trailing-drawdown")
    assert figures(compared(day)) == [
        ("figure", "49900", "49900", "0", ""),
        ("limit", "48000", "48000", "0", ""),
    ]


def test_the_span_is_of_trading_days(day: Day) -> None:
    day.make("-1000")
    report(day, "1000")
    day.end()
    day.make("-1000")
    report(day, "1000")
    assert {each.day for each in compared(day, first=MONDAY).figures} == {MONDAY}
    assert {each.day for each in compared(day, last=FRIDAY).locks} == {FRIDAY}
    assert compared(day, first=date(2026, 12, 1)).figures == ()


# Locks


def say(day: Day, *, can_trade: bool) -> None:
    day.book.append(f"account/{ACCOUNT}/-", AccountUpdated(can_trade=can_trade))


def test_a_lock_that_both_made_is_one(day: Day) -> None:
    day.make("-1000")
    pass_hours(day, 1)
    say(day, can_trade=False)
    [lock] = compared(day).locks
    assert (lock.made_by, lock.rule_id, lock.would, lock.ours_at) == (BOTH, "daily-loss", True, NOON)
    assert lock.firm_at is not None
    assert abs(lock.firm_at - NOON - HOUR) < SECOND


def test_a_lock_that_the_firm_did_not_make_and_one_made_without_us(day: Day) -> None:
    say(day, can_trade=True)
    day.make("-1000")
    day.end()
    say(day, can_trade=False)
    found = compared(day)
    assert [(each.day, each.made_by) for each in found.locks] == [(FRIDAY, OURS), (MONDAY, THEIRS)]
    assert all(each.differs for each in found.locks)
