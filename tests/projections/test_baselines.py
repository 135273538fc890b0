"""What a day's result on equity basis is measured from: the balance or the equity at the reset, or the greater one."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import Record
from eventstore.trading import (
    AccountConfigured,
    AdjustmentReason,
    Baseline,
    EquityMarked,
    LockoutSet,
    PositionAdjusted,
    Side,
)
from projections.risk.limits.marks import EquityMarks
from projections.rules import DailyLoss, DailyProfit, WeeklyLoss
from projections.valuation import Status
from tests.projections.checked_orders import PASS, REJECT, check_order
from tests.projections.rules_day import ACCOUNT, HOUR, RESET, SECOND, Day, trading_day

RULES = (DailyLoss(), WeeklyLoss(), DailyProfit(), EquityMarks())
KINDS = tuple(Baseline)


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = trading_day(tmp_path / "data", *RULES)
    yield day
    day.close()


def state(day: Day, baseline: Baseline) -> None:
    day.book.append(f"account/{ACCOUNT}/-", AccountConfigured(baseline=baseline), actor="risk@desk")


def held_over_the_reset(day: Day, price: str, baseline: Baseline | None = None) -> None:
    """Hold one contract bought at 5,000 over the reset, and have it confirmed at a price just after it."""
    if baseline is not None:
        state(day, baseline)
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    day.end()
    day.confirm(price)


def resets(day: Day) -> list[Record]:
    found = day.store.read(types=(EquityMarked,))
    return [record for record in found if isinstance(record.event, EquityMarked) and record.event.reset_at is not None]


def figures(day: Day) -> list[str]:
    return [
        record.event.details["figure"]
        for record in day.lockouts()
        if isinstance(record.event, LockoutSet) and isinstance(record.event.details, dict)
    ]


def test_the_equity_at_the_reset_is_marked_once_two_observations_show_it(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    day.end()
    assert not resets(day)
    # The price of before, the fill's, is eight hours old: one observation since does not show the equity.
    day.quote("5010")
    assert not resets(day)
    day.confirm("5010")
    [record] = resets(day)
    assert isinstance(record.event, EquityMarked)
    assert (record.event.reset_at, record.event.equity, record.event.balance) == (RESET, 50_500, 50_000)
    day.confirm("5020")
    assert len(resets(day)) == 1


@pytest.mark.parametrize(
    ("baseline", "locks_at"),
    [
        # A profit of 500 is carried in: from the balance of 50,000 it takes a loss of 1,000 of the whole position.
        (Baseline.BALANCE_AT_RESET, "4980"),
        # From the equity of 50,500 it takes a fall of 1,000 since the reset.
        (Baseline.EQUITY_AT_RESET, "4990"),
        (Baseline.MAXIMUM, "4990"),
    ],
)
def test_a_profit_carried_in_is_lost_by_the_baseline(day: Day, baseline: Baseline, locks_at: str) -> None:
    held_over_the_reset(day, "5010", baseline)
    day.confirm(str(Decimal(locks_at) + Decimal("0.25")))
    assert not day.lockouts()
    day.confirm(locks_at)
    assert figures(day) == ["-1000"]


@pytest.mark.parametrize(
    ("baseline", "locks_at"),
    [
        # A loss of 500 is carried in: it counts as today's.
        (Baseline.BALANCE_AT_RESET, "4980"),
        (Baseline.MAXIMUM, "4980"),
        # It was yesterday's.
        (Baseline.EQUITY_AT_RESET, "4970"),
    ],
)
def test_a_loss_carried_in_counts_by_the_baseline(day: Day, baseline: Baseline, locks_at: str) -> None:
    held_over_the_reset(day, "4990", baseline)
    day.confirm(str(Decimal(locks_at) + Decimal("0.25")))
    assert not day.lockouts()
    day.confirm(locks_at)
    assert figures(day) == ["-1000"]


def test_where_none_is_stated_the_strictest_counts(day: Day) -> None:
    held_over_the_reset(day, "5010")
    day.confirm("4990")
    assert figures(day) == ["-1000"]


@pytest.mark.parametrize(("baseline", "price"), [(Baseline.EQUITY_AT_RESET, "4900"), (Baseline.MAXIMUM, "4980.25")])
def test_without_a_mark_nothing_locks_and_new_exposure_is_rejected(day: Day, baseline: Baseline, price: str) -> None:
    state(day, baseline)
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    day.end()
    # One observation shows the loss, and does not yet show what the day began with.
    day.quote(price)
    assert not day.lockouts()
    assert "the equity there is not recorded" in check_order(day).reason
    assert check_order(day, Side.SELL).verdict is PASS


def test_a_loss_from_the_balance_is_certain_where_the_greater_of_both_counts(day: Day) -> None:
    state(day, Baseline.MAXIMUM)
    day.limit("daily-loss", limit="1000", basis="equity")
    day.limit("weekly-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    day.end()
    # Whatever the equity at the reset was, the day's result is not above this one.
    day.quote("4980")
    assert figures(day)[0] == "-1000"


def test_a_profit_is_not_certain_without_the_equity_at_the_reset(day: Day) -> None:
    day.limit("daily-profit", target="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    day.end()
    day.quote("5100")
    assert not day.lockouts()


def test_a_balance_at_the_reset_needs_no_mark(day: Day) -> None:
    state(day, Baseline.BALANCE_AT_RESET)
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    day.end()
    day.quote("4980")
    assert figures(day) == ["-1000"]
    assert not resets(day)


@pytest.mark.parametrize("price", ["4985", None])
@pytest.mark.parametrize("reason", [AdjustmentReason.EXPIRY, AdjustmentReason.RECONCILED, AdjustmentReason.TRANSFER])
def test_what_is_left_after_an_adjustment_is_not_the_equity_at_the_reset(
    day: Day, reason: AdjustmentReason, price: str | None
) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.confirm("5010")
    day.clock.set(RESET)
    day.end()
    day.pass_seconds(1)
    paid = None if price is None else Decimal(price)
    adjusted = PositionAdjusted(symbol="ES", quantity=Decimal(-1), reason=reason, price=paid)
    day.book.append(f"position/{ACCOUNT}/ES", adjusted)
    assert not resets(day)
    [headroom] = day.book.limits.headroom(ACCOUNT)
    assert headroom.status is Status.UNKNOWN, "500 was carried in, and nothing says so"
    assert check_order(day).verdict is REJECT


def test_a_split_after_the_reset_leaves_the_equity_there(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    day.end()
    day.pass_seconds(1)
    split = PositionAdjusted(symbol="ES", quantity=Decimal(1), reason=AdjustmentReason.SPLIT)
    day.book.append(f"position/{ACCOUNT}/ES", split)
    day.confirm("2510")
    day.confirm("2510")
    [record] = resets(day)
    assert isinstance(record.event, EquityMarked)
    assert (record.event.equity, record.event.balance) == (51_000, 50_000)


def test_a_late_mark_is_stale_and_locks_nothing(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    day.end()
    session = day.book.sessions.current(ACCOUNT)
    assert session is not None
    assert session.opens_at is not None
    day.clock.set(session.opens_at + 300 * SECOND)
    day.confirm("4990")
    assert len(resets(day)) == 1
    day.confirm("4980.25")
    assert not day.lockouts()
    checked = check_order(day)
    assert checked.verdict is REJECT
    assert "the equity at the reset was marked 301 s late" in checked.reason


def test_a_mark_soon_after_the_session_s_open_counts(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    day.end()
    session = day.book.sessions.current(ACCOUNT)
    assert session is not None
    assert session.opens_at is not None
    # The weekend has passed since the reset, and nothing could be quoted.
    day.clock.set(session.opens_at + 60 * SECOND)
    day.confirm("5010")
    day.confirm("4990")
    assert figures(day) == ["-1000"]


def test_an_account_that_was_flat_at_the_reset_needs_no_mark(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.fill(Side.SELL, "5010")
    day.clock.set(RESET)
    day.end()
    day.pass_seconds(3_600)
    day.fill(Side.BUY, "5000")
    day.quote("4980")
    assert figures(day) == ["-1000"]
    assert not resets(day)


def test_the_first_day_of_an_account_needs_no_mark(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.quote("4980")
    assert figures(day) == ["-1000"]
    assert not resets(day)


def test_a_position_opened_and_closed_over_the_reset_needs_a_mark_of_its_day(day: Day) -> None:
    held_over_the_reset(day, "5010")
    day.fill(Side.SELL, "4990")
    # 500 of profit were carried in, and what was realized, −500, is 1,000 below that.
    assert figures(day) == ["-1000"]


def test_several_missed_resets_need_a_mark_of_the_newest_alone(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    for _ in range(3):
        day.end()
    session = day.book.sessions.current(ACCOUNT)
    assert session is not None
    day.confirm("5010")
    assert [record.event.reset_at for record in resets(day) if isinstance(record.event, EquityMarked)] == [
        session.began_at
    ]
    day.confirm("4990")
    assert figures(day) == ["-1000"]


def test_a_week_is_measured_from_its_first_reset(day: Day) -> None:
    state(day, Baseline.EQUITY_AT_RESET)
    day.limit("weekly-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.clock.set(RESET)
    # Monday's day, the first one of its week.
    day.end()
    day.confirm("5010")
    day.end()
    day.confirm("5015")
    day.confirm("4990.25")
    assert not day.lockouts()
    day.confirm("4990")
    assert figures(day) == ["-1000"]


def test_the_baseline_survives_a_restart(day: Day) -> None:
    held_over_the_reset(day, "5010")
    day.policies.stop()
    day.restart(RULES)
    day.confirm("4990.25")
    assert not day.lockouts()
    day.confirm("4990")
    assert figures(day) == ["-1000"]
    assert len(resets(day)) == 1


def test_a_day_that_is_over_is_judged_by_what_was_realized_in_it(day: Day) -> None:
    held_over_the_reset(day, "5010")
    day.make("-1000", when=RESET - HOUR)
    assert not day.is_locked()
    assert [breach.figure for breach in day.breaches()] == [-1_000]
