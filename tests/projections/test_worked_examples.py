"""Worked examples of firms and venues for daily limits, with source and date, on a store and the shipped policies.

A rule in percent is set as the sum that its example states: limits are amounts. Where a firm forbids to go below a
floor, the account is locked at the floor already, which is stricter by one unit of the price.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from eventstore.trading import Baseline, LockoutSet, Side
from projections.sessions import Calendar
from tests.projections.programs import (
    ATHENS,
    BREAKOUT,
    CHICAGO,
    SECOND,
    UNITS,
    UTC_MIDNIGHT,
    Begin,
    BeginProgram,
)

pytestmark = pytest.mark.in_each_place(slow=True)

# Daily loss from the balance at the reset


def test_ftmos_daily_floor_is_the_balance_at_midnight_less_five_percent_of_the_first(
    begin_program: BeginProgram,
) -> None:
    """FTMO 2-Step 200K, academy page on the maximum daily loss, undated: 14,000 may be lost after +4,000."""
    program = begin_program("ftmo-2-step-200k")
    program.end_day()
    program.make(4_000)
    assert program.balance == 204_000
    program.hold(Side.BUY)
    assert program.breaks_at(190_000)


def test_an_open_loss_over_midnight_violates_ftmos_daily_limit_right_after_it(begin_program: BeginProgram) -> None:
    """FTMO 2-Step 200K, an older page: after +4,000 an open loss of 13,000 is fine, until midnight."""
    program = begin_program("ftmo-2-step-200k")
    program.make(4_000)
    program.hold(Side.BUY)
    program.show(-13_000)
    program.show(-13_000)
    assert program.used_of("daily-loss") == 9_000
    assert program.locked_by == []
    program.end_day()
    assert program.locked_by == ["daily-loss"]
    [lockout] = [record.event for record in program.store.read(types=LockoutSet)]
    assert isinstance(lockout, LockoutSet)
    assert lockout.reason.startswith("daily loss -13,000.00 of -10,000.00 USD reached; locked until 2026-11-18 00:00")


def test_ftmos_midnight_is_that_of_prague_whatever_the_platforms_clock_says(begin_program: BeginProgram) -> None:
    """FTMO, trading update of 2023-03-09: the platform follows the dates of the US, the reset those of Prague."""
    program = begin_program("ftmo-2-step-200k")
    for day, hour in ((datetime(2026, 3, 9, 12, tzinfo=UTC), 23), (datetime(2026, 3, 30, 12, tzinfo=UTC), 22)):
        reset = program.calendar.day_at(day).resets_at
        assert datetime.fromtimestamp(reset // SECOND, UTC).hour == hour
        assert datetime.fromtimestamp(reset // SECOND, ZoneInfo("Europe/Prague")).hour == 0


def test_breakouts_daily_floor_is_a_share_of_the_days_first_balance(begin: Begin) -> None:
    """Breakout 1-Step, articles 11647189 and 10340637: 105,000 at 00:30 UTC less 4 % is 100,800; touching counts."""
    program = begin(BREAKOUT, 100_000)
    program.configure(baseline=Baseline.BALANCE_AT_RESET)
    program.limit("daily-loss", limit="4000", basis="equity")
    program.make(5_000)
    program.limit("daily-loss", limit="4200", basis="equity")
    program.end_day()
    assert datetime.fromtimestamp(program.clock.now_ns() // SECOND, UTC).time() == time(0, 30, 2)
    program.hold(Side.BUY)
    assert program.breaks_at(100_800)


@pytest.mark.parametrize(("equity", "room"), [(101_000, 6_000), (99_000, 4_000)])
def test_alpha_pros_daily_floor_is_that_of_the_balance_whatever_the_equity(
    begin: Begin, equity: int, room: int
) -> None:
    """Alpha Pro 100K, articles 6934210 and 10097421, undated: the floor is 95,000 in both cases."""
    program = begin(ATHENS, 100_000)
    program.configure(baseline=Baseline.BALANCE_AT_RESET)
    program.limit("daily-loss", limit="5000", basis="equity")
    program.hold(Side.BUY)
    program.show(equity - 100_000)
    program.end_day()
    assert (program.balance, program.equity) == (100_000, equity)
    assert program.equity - 95_000 == room == 5_000 - program.used
    assert program.breaks_at(95_000)


# Daily loss from the equity at the reset


@pytest.mark.parametrize(("equity", "limit", "floor"), [(103_000, 5_150, 97_850), (101_000, 5_050, 95_950)])
@pytest.mark.parametrize("baseline", [Baseline.EQUITY_AT_RESET, Baseline.MAXIMUM])
def test_fintokeis_daily_floor_is_a_share_of_the_equity_at_the_reset(
    begin: Begin, equity: int, limit: int, floor: int, baseline: Baseline
) -> None:
    """Fintokei ProTrader, the firm's page, undated: 5 % below the equity at midnight of the server."""
    program = begin(ATHENS, 100_000)
    program.configure(baseline=baseline)
    program.limit("daily-loss", limit=str(limit), basis="equity")
    program.hold(Side.BUY)
    program.show(equity - 100_000)
    program.end_day()
    assert (program.equity, program.used) == (equity, 0)
    assert program.breaks_at(floor)


@pytest.mark.parametrize(("equity", "floor"), [(101_000, 97_000), (99_000, 96_000)])
def test_alpha_ones_daily_floor_is_that_of_the_higher_of_balance_and_equity(
    begin: Begin, equity: int, floor: int
) -> None:
    """Alpha One 100K, article 10097421, undated: 4 % from the higher of both; the page has no figures of its own."""
    program = begin(ATHENS, 100_000)
    program.limit("daily-loss", limit="4000", basis="equity")
    program.hold(Side.BUY)
    program.show(equity - 100_000)
    program.end_day()
    assert program.breaks_at(floor)


@pytest.mark.parametrize(("equity", "floor"), [(101_000, 97_083), (99_000, 96_083)])
def test_so_is_that_of_its_program_whose_sum_is_a_little_stricter(
    begin_program: BeginProgram, equity: int, floor: int
) -> None:
    """Alpha One 100K, article 10097421, undated: the higher of both less a sum that is less than 4 % of either."""
    program = begin_program("alpha-one-100k")
    program.hold(Side.BUY)
    program.show(equity - 100_000)
    program.end_day()
    assert program.breaks_at(floor)


# Daily loss from the day's best


class Peak(NamedTuple):
    """A daily loss limit that follows the day's best equity: that, and the floor after it."""

    calendar: Calendar
    start: int
    limit: int
    peak: int
    floor: int


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            Peak(UTC_MIDNIGHT, 100_000, 5_000, 110_000, 105_000), id="HyroTrader 100K, at second hand, undated"
        ),
        pytest.param(
            Peak(CHICAGO, 50_000, 500, 51_200, 50_700), id="Topstep personal trailing, article 10490293, undated"
        ),
    ],
)
def test_a_daily_floor_follows_the_days_peak(begin: Begin, example: Peak) -> None:
    program = begin(example.calendar, example.start)
    program.limit("daily-loss", limit=str(example.limit), basis="equity", trailing=True)
    program.end_day()
    program.hold(Side.BUY)
    program.show(example.peak - example.start)
    program.show(example.peak - example.start)
    assert program.used == 0
    assert program.breaks_at(example.floor)


def test_topsteps_personal_floor_begins_below_the_days_first_balance(begin: Begin) -> None:
    """Topstep, article 10490293, undated: 500 on 50,000 is 49,500."""
    program = begin(CHICAGO, 50_000)
    program.limit("daily-loss", limit="500", basis="equity", trailing=True)
    program.hold(Side.BUY)
    assert program.breaks_at(49_500)


def test_the_days_peak_is_forgotten_at_the_reset(begin: Begin) -> None:
    """HyroTrader resets at 00:00 UTC: the next day's floor follows its own peak."""
    program = begin(UTC_MIDNIGHT, 100_000)
    program.limit("daily-loss", limit="5000", basis="equity", trailing=True)
    program.hold(Side.BUY)
    program.show(10_000)
    program.show(10_000)
    program.show(8_000)
    program.close_out()
    program.end_day()
    program.hold(Side.BUY)
    assert program.breaks_at(103_000)


# Daily P&L of a broker


@pytest.mark.parametrize(("at_reset", "now"), [("10020", "10050"), ("9990", "9985")])
def test_the_result_from_the_equity_at_the_reset_is_the_daily_p_and_l_of_interactive_brokers(
    begin: Begin, at_reset: str, now: str
) -> None:
    """ibkrguides.com, "Profit and Loss", undated; the page has the formula and no figures.

    Position now × price now − position at reset × price at reset + net cash of the trades since.
    """
    program = begin(UTC_MIDNIGHT, 100_000)
    program.configure(baseline=Baseline.EQUITY_AT_RESET)
    program.limit("daily-loss", limit="90000", basis="equity")
    program.hold(Side.BUY)
    program.price = Decimal(at_reset)
    program.end_day()
    sold_at = program.price + 7
    program.price = sold_at
    program.close_out()
    program.price = bought_at = sold_at - 3
    program.hold(Side.BUY)
    program.price = Decimal(now)
    program.quote()
    program.quote()
    cash = UNITS * sold_at - UNITS * bought_at
    daily = UNITS * Decimal(now) - UNITS * Decimal(at_reset) + cash
    assert -program.used == daily
