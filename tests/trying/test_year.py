"""A year of executions: tried, imported in shadow mode with policies running, and computed plainly, it is the same."""

from __future__ import annotations

import os
import random
import time
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from gateways.trying import AccountTried, try_file
from projections.risk import programs
from tests.proving import rounds
from tests.reference.daily_results import Fill, results
from tests.trying import years
from tests.trying.shadow_import import ACCOUNT, SECOND, Locks, ShadowImport

pytestmark = pytest.mark.untraced
DAYS = 250
SECONDS_MAX = 60


def ns(fill: Fill) -> int:
    return int(fill.at.timestamp()) * SECOND


def locks_of(account: AccountTried) -> Locks:
    return {
        (day.trading_day, lock.rule_id, lock.scope, lock.figure or Decimal(0))
        for day in account.days
        for lock in day.locks
    }


def tried(path: Path, program: str | Path) -> AccountTried:
    [account] = try_file(path, "fills", str(program), account=ACCOUNT).accounts
    return account


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(years.PROGRAM, "utf-8")
    return path


def check_plainly(account: AccountTried, days: list[list[Fill]]) -> None:
    """Compare days, balance and lockouts with what the reference computes of the same fills."""
    expected = results(
        [fill for day in days for fill in day],
        years.START,
        years.POINT,
        daily_loss=years.DAILY_LOSS,
        drawdown=years.DRAWDOWN,
    )
    assert {day.trading_day: (Fraction(day.realized), Fraction(day.fees)) for day in account.days} == {
        name: (day.realized, day.fees) for name, day in expected.days.items()
    }
    assert Fraction(account.days[-1].balance) == expected.balance
    found = {
        (day.trading_day, lock.rule_id, Fraction(lock.figure or Decimal(0)))
        for day in account.days
        for lock in day.locks
    }
    assert found == expected.locks


@pytest.mark.slow
def test_a_year_gives_the_same_locks_tried_and_imported_in_shadow_mode(tmp_path: Path, program: Path) -> None:
    """Imported as it happens, and at once when the year is over, with policies running or while none do.

    A drawdown's floor follows marks, which policies append to the log's end: after all of the year, in the last two.
    """
    proving = os.environ.get("PROVE") == "1"
    for seed in rounds("a year of executions", test=1, prove=6):
        chance = random.Random(seed)
        days = years.year(chance, DAYS, per_day=chance.choice((2, 5, 15)) if proving else 2, move=30)
        fills = [fill for day in days for fill in day]
        account = tried(years.write(tmp_path / "year.csv", days), program)
        check_plainly(account, days)
        locks = locks_of(account)
        live = ShadowImport(tmp_path, program, ns(fills[0]))
        for fill in fills:
            live.pass_to(ns(fill))
            live.take([fill])
        assert live.close() == locks
        for unwatched in (False, True):
            after = ns(fills[-1]) + 30 * 86_400 * SECOND
            directory = tmp_path / f"{seed}-{unwatched}"
            directory.mkdir()
            at_once = ShadowImport(directory, program, after, on_disk=unwatched)
            at_once.take(fills, unwatched=unwatched)
            assert at_once.close() == locks
        # In the first year something happens.
        assert seed or (len(locks) > 10 and {rule for _, rule, _, _ in locks} == {"daily-loss", "trailing-drawdown"})


@pytest.mark.parametrize(("name", "move"), [("topstep-combine-50k", 100), ("breakout-2-step-100k", 300)])
def test_limits_on_equity_are_the_same_where_each_execution_is_imported_as_it_happens(
    tmp_path: Path, name: str, move: int
) -> None:
    """The price of an execution is fresh only then."""
    for seed in rounds(f"executions as they happen under {name}", test=1, prove=20):
        check_live(tmp_path, name, years.year(random.Random(seed), 6, per_day=6, move=move), locks=not seed)


def test_they_are_the_same_on_disk(tmp_path: Path) -> None:
    days = years.year(random.Random(0), 2, per_day=2, move=400)
    check_live(tmp_path, "topstep-combine-50k", days, locks=True, on_disk=True)


def check_live(directory: Path, name: str, days: list[list[Fill]], *, locks: bool, on_disk: bool = False) -> None:
    """Compare a trial with an import of each execution as it happens; `locks`: whether something has to lock."""
    account = tried(years.write(directory / "days.csv", days), name)
    live = ShadowImport(directory, programs.path(name), ns(days[0][0]), on_disk=on_disk)
    for fill in (fill for day in days for fill in day):
        live.pass_to(ns(fill))
        live.take([fill])
    assert live.close() == locks_of(account)
    assert account.locks or not locks


def test_a_year_of_ten_thousand_executions_is_tried_within_a_minute(tmp_path: Path) -> None:
    """By the time that this process computes, as others may share the machine; under PROVE alone, it is long."""
    for seed in rounds("a long year", test=0, prove=1):
        days = years.year(random.Random(seed), DAYS, per_day=40)
        path = years.write(tmp_path / "year.csv", days)
        began = time.process_time()
        account = tried(path, "alpha-one-100k")
        assert time.process_time() - began < SECONDS_MAX
        assert sum(day.executions for day in account.days) == sum(map(len, days)) > 9_000


def test_a_year_of_the_generator_has_positions_over_night_and_over_the_weekend() -> None:
    days = years.year(random.Random(0), DAYS, per_day=4)
    held = overnight = weekend = 0
    for day, following in pairwise(days):
        held += sum(fill.quantity for fill in day)
        overnight += held != 0
        weekend += held != 0 and following[0].at - day[-1].at > timedelta(days=2)
    assert overnight > 20
    assert weekend > 3
