"""Worked examples of firms for a maximum loss, with source and date, on a real store, book and the shipped policies.

A rule in percent is set as the sum that its example states: limits are amounts. Where a firm forbids to go below a
floor, the account is locked at the floor already, which is stricter by one unit of the price.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from eventstore.trading import CashKind, Side
from projections.sessions import Calendar
from tests.projections.programs import (
    CHICAGO,
    PRAGUE,
    Begin,
    BeginProgram,
)

pytestmark = pytest.mark.in_each_place(slow=True)

# Maximum loss, trailing the closes


class Closes(NamedTuple):
    """A drawdown that follows the closes: the balance at each of them, and the floor after it."""

    calendar: Calendar
    start: int
    distance: int
    locks_at: int | None
    closes: tuple[tuple[int, int], ...]


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            Closes(PRAGUE, 100_000, 10_000, None, ((100_000, 90_000), (104_000, 94_000), (103_000, 94_000))),
            id="FTMO 1-Step 100K, academy page on the maximum loss, undated",
        ),
        pytest.param(
            Closes(CHICAGO, 100_000, 3_000, 100_000, ((102_000, 99_000), (104_000, 100_000))),
            id="FunderPro Futures 100K, support article 378520, undated",
        ),
        pytest.param(
            Closes(CHICAGO, 50_000, 2_000, 50_100, ((51_000, 49_000),)),
            id="MyFundedFutures 50K, runvigil, 2026-03-21, at second hand",
        ),
    ],
)
def test_a_floor_follows_the_closes(begin: Begin, example: Closes) -> None:
    program = begin(example.calendar, example.start)
    lock = {} if example.locks_at is None else {"locks_at": str(example.locks_at)}
    program.limit("trailing-drawdown", distance=str(example.distance), **lock)
    assert program.floor == example.start - example.distance
    for close, floor in example.closes:
        before = program.floor
        program.make(int(close - program.balance))
        assert (program.balance, program.floor) == (close, before)
        program.end_day()
        assert program.floor == floor
    program.hold(Side.BUY)
    # The floor is compared with the equity, open positions included.
    assert program.breaks_at(example.closes[-1][1])
    assert program.locked_by == ["trailing-drawdown"]


def test_topsteps_floor_follows_the_closes_and_no_loss_of_a_day_locks(begin_program: BeginProgram) -> None:
    """Topstep Combine 50K, article 8284204, copy of 2024; the day of 51,000 is ours."""
    program = begin_program("topstep-combine-50k")
    assert program.floor == 48_000
    for close, floor in ((50_500, 48_500), (50_000, 48_500), (52_500, 50_000), (51_000, 50_000)):
        before = program.floor
        program.make(int(close - program.balance))
        assert (program.balance, program.floor, program.locked_by) == (close, before, [])
        program.end_day()
        assert program.floor == floor
    program.hold(Side.BUY)
    assert program.breaks_at(50_000)
    assert program.locked_by == ["trailing-drawdown"]


def test_topsteps_floor_of_a_funded_account_begins_below_zero(begin_program: BeginProgram) -> None:
    """Topstep Express Funded 50K, articles 8284204 and 8284233, undated: from 0 the floor is -2,000 and trails to 0."""
    program = begin_program("topstep-express-funded-50k")
    assert program.floor == -2_000
    program.make(1_500)
    program.end_day()
    assert program.floor == -500
    program.make(3_000)
    program.end_day()
    assert program.floor == 0


# Maximum loss, trailing at any time


def test_apex_follows_the_open_peak(begin_program: BeginProgram) -> None:
    """Apex legacy 50K, 2,500, help page, at second hand: open peak 50,875, floor 48,375, though it closes lower."""
    program = begin_program("apex-legacy-50k")
    assert program.floor == 47_500
    program.hold(Side.BUY)
    program.show(875)
    program.show(875)
    assert program.floor == 48_375
    program.show(200)
    program.close_out()
    assert (program.balance, program.floor) == (50_200, 48_375)
    program.hold(Side.BUY)
    assert program.breaks_at(48_375)


@pytest.mark.parametrize(
    ("name", "highs", "floors"),
    [
        pytest.param(
            *("breakout-2-step-100k", (105_000,), (97_000,)), id="Breakout 2-Step 100K, program rules of 2025-01-01"
        ),
        pytest.param(
            *("alpha-one-100k", (102_000, 106_000, 110_000), (96_000, 100_000, 100_000)),
            id="Alpha One 100K, article 10097421, undated",
        ),
    ],
)
def test_a_floor_follows_the_closed_balance_and_holds_for_the_equity(
    begin_program: BeginProgram, name: str, highs: tuple[int, ...], floors: tuple[int, ...]
) -> None:
    """It takes two limits: one whose basis moves the floor, and one that compares the equity with it.

    The highest floor of an account's limits applies to all of them.
    """
    program = begin_program(name)
    for high, floor in zip(highs, floors, strict=True):
        before = program.floor
        program.hold(Side.BUY)
        program.show(int(high - program.balance) + 3_000)
        program.show(int(high - program.balance) + 3_000)
        # An open profit moves nothing.
        assert program.floor == before
        program.show(int(high - program.balance))
        program.close_out()
        assert (program.balance, program.floor) == (high, floor)
        program.make(-1_000)
        assert program.floor == floor
        program.make(1_000)
    program.hold(Side.BUY)
    assert program.breaks_at(floors[-1])
    assert program.locked_by == ["trailing-drawdown:equity"]


# Maximum loss that never moves


@pytest.mark.parametrize(
    ("open_result", "locks"),
    [(-1_900, False), (-2_001, True)],
    ids=["above it", "FTMO 2-Step 100K, academy page on the maximum loss, undated"],
)
def test_a_static_floor_counts_open_losses(begin: Begin, open_result: int, *, locks: bool) -> None:
    """The floor is 90,000; a balance of 92,000 with an open loss of 2,001 violates it."""
    program = begin(PRAGUE, 100_000)
    program.limit("trailing-drawdown", distance="10000", locks_at="90000")
    program.make(5_000)
    program.end_day()
    program.make(-13_000)
    program.end_day()
    assert (program.balance, program.floor) == (92_000, 90_000)
    program.hold(Side.BUY)
    program.show(open_result)
    program.show(open_result)
    assert bool(program.locked_by) is locks


# Payouts


def test_topsteps_floor_is_zero_at_once_after_the_first_payout(begin_program: BeginProgram) -> None:
    """Topstep Express Funded, articles 8284204 and 8284233: 10,000 less a payout of 5,000 leaves 5,000 of room."""
    program = begin_program("topstep-express-funded-50k")
    program.make(10_000)
    assert program.floor == -2_000
    program.move_cash(CashKind.PAYOUT, 5_000)
    assert (program.balance, program.floor) == (5_000, 0)
    program.end_day()
    program.hold(Side.BUY)
    assert program.breaks_at(0)


def test_a_payout_lowers_breakouts_high_water_mark(begin_program: BeginProgram) -> None:
    """Breakout 2-Step 100K, program rules of 2025-01-01: payouts lower the high-water mark; the sum is ours."""
    program = begin_program("breakout-2-step-100k")
    program.make(5_000)
    assert program.floor == 97_000
    program.move_cash(CashKind.PAYOUT, 2_000)
    assert (program.balance, program.floor) == (103_000, 95_000)
    program.hold(Side.BUY)
    assert program.breaks_at(95_000)


def test_taking_out_all_profit_after_the_lock_ends_the_account(begin: Begin) -> None:
    """FunderPro, article 378520, undated: the floor is locked at the first balance, and a payout leaves it there."""
    program = begin(CHICAGO, 100_000)
    program.configure(payout="keeps-floor")
    program.limit("trailing-drawdown", distance="6000", locks_at="100000", basis="realized")
    program.make(10_000)
    assert program.floor == 100_000
    program.move_cash(CashKind.PAYOUT, 9_999)
    assert program.locked_by == []
    program.move_cash(CashKind.PAYOUT, 1)
    assert program.locked_by == ["trailing-drawdown"]


def test_so_it_does_at_alpha_one(begin_program: BeginProgram) -> None:
    """Alpha One 100K, articles 6934210 and 10097421, undated: taking out all profit ends the account."""
    program = begin_program("alpha-one-100k")
    program.make(10_000)
    program.move_cash(CashKind.PAYOUT, 9_999)
    assert (program.floor, program.locked_by) == (100_000, [])
    program.move_cash(CashKind.PAYOUT, 1)
    assert program.locked_by == ["trailing-drawdown", "trailing-drawdown:equity"]


def test_a_payout_leaves_ftmos_static_floor_where_it_is(begin_program: BeginProgram) -> None:
    """FTMO 2-Step 200K, academy page on the maximum loss, undated: 90 % of the initial balance; the sums are ours."""
    program = begin_program("ftmo-2-step-200k")
    program.make(6_000)
    program.end_day()
    program.move_cash(CashKind.PAYOUT, 6_000)
    assert (program.balance, program.floor) == (200_000, 180_000)
    for _ in range(2):
        program.make(-9_500)
        program.end_day()
    program.hold(Side.BUY)
    assert program.breaks_at(180_000)
