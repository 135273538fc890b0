"""What a day shows: the worst and the last figure, what was not judged, and what came after a lockout."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gateways.trying import AccountTried, WouldHaveLocked, trial, try_file
from projections.rules import shipped_rules
from projections.valuation import Status
from tests.trying.conftest import WriteFills, figure

NANOSECONDS = 1_000_000_000
CALENDAR = """
[defaults]
starting_balance = "50000"
currency = "USD"
[defaults.calendar]
zone = "America/Chicago"
open = "17:00"
reset = "17:00"
flat_by = "15:10"
"""


def row(number: int, side: str, price: str, at: str, quantity: int = 1) -> str:
    return f"T{number},ESH6,{side},{quantity},{price},0,2026-01-{at}-06:00,A1"


LOST = (row(1, "buy", "6000", "12T09:00:00"), row(2, "sell", "5980", "12T09:10:00"))
"""A loss of 1,000, after which nothing is open."""
WON = (row(3, "buy", "5980", "12T09:20:00"), row(4, "sell", "5986", "12T09:30:00"))
"""300."""


Tried = Callable[..., AccountTried]


@pytest.fixture
def tried(fills: WriteFills, tmp_path: Path) -> Tried:
    def tried(limits: str, *rows: str) -> AccountTried:
        program = tmp_path / "own.toml"
        program.write_text(CALENDAR + limits, "utf-8")
        [account] = try_file(fills(*rows), "fills", str(program)).accounts
        return account

    return tried


def daily(limit: int, **more: str) -> str:
    settings = "".join(f'{name} = "{value}"\n' for name, value in more.items())
    return f'[defaults.limits.daily-loss]\nlimit = "{limit}"\n{settings}'


def only(account: AccountTried) -> WouldHaveLocked:
    [lock] = account.locks
    return lock


def test_what_was_realized_after_a_lockout_counts_to_the_days_end(tried: Tried) -> None:
    following = row(5, "buy", "5986", "13T09:00:00"), row(6, "sell", "6086", "13T09:30:00")
    account = tried(daily(1_000), *LOST, *WON, *following)
    lock = only(account)
    assert (figure(lock.after), lock.until is None, lock.ends_account) == (300, False, False)
    assert [day.trading_day.day for day in account.days if day.locks] == [12]


def test_it_is_not_exact_if_a_position_is_open_at_the_lockout_or_at_the_end(tried: Tried) -> None:
    partly = row(1, "buy", "6000", "12T09:00:00", 2), row(2, "sell", "5980", "12T09:10:00")
    assert only(tried(daily(1_000), *partly, row(3, "sell", "5990", "12T09:20:00"))).after is None
    assert only(tried(daily(1_000), *LOST, row(3, "buy", "5980", "12T09:20:00"))).after is None


def test_a_lockout_of_a_week_has_no_result_after_it(tried: Tried) -> None:
    lock = only(tried('[defaults.limits.weekly-loss]\nlimit = "1000"\n', *LOST, *WON))
    assert lock.until is not None
    assert lock.after is None


def test_after_the_accounts_end_everything_counts(tried: Tried) -> None:
    following = row(5, "buy", "5986", "13T09:00:00"), row(6, "sell", "6006", "13T09:30:00")
    limits = '[defaults.limits.trailing-drawdown]\ndistance = "1000"\n'
    account = tried(limits, *LOST, *WON, *following)
    assert account.ended == only(account)
    assert figure(only(account).after) == 300 + 1_000
    held = tried(limits, *LOST, *WON, following[0])
    assert only(held).after is None


def test_the_worst_figure_and_the_last_one_are_apart(tried: Tried) -> None:
    [day] = tried(daily(5_000), *LOST, *WON).days
    [limit] = day.limits
    assert (figure(limit.worst), figure(limit.end), figure(limit.worst_limit)) == (1_000, 700, 5_000)
    assert limit.worst_at == datetime(2026, 1, 12, 15, 10, tzinfo=UTC).timestamp() * NANOSECONDS
    assert (limit.status, limit.unjudged_ns, limit.why) == (Status.KNOWN, 0, "")


def test_how_long_a_limit_on_equity_was_not_judged_is_counted(tried: Tried) -> None:
    """Ten minutes twice while a position was open; between the trades nothing was, and a few seconds are fresh."""
    quick = row(5, "buy", "5986", "12T10:00:00"), row(6, "sell", "5986", "12T10:00:05")
    [day] = tried(daily(5_000, basis="equity"), *LOST, *WON, *quick).days
    [limit] = day.limits
    assert limit.unjudged_ns == 2 * 600 * NANOSECONDS
    assert limit.why.startswith("the price of ESH6 is 600 s old")
    # At the executions themselves, and at the end, it was known.
    assert (limit.status, limit.end_status) == (Status.KNOWN, Status.KNOWN)


def test_a_position_held_over_the_reset_is_not_judged_at_the_days_end(tried: Tried) -> None:
    first, second = tried(
        daily(1_000, basis="equity"), row(1, "buy", "6000", "12T09:00:00"), row(2, "sell", "5975", "13T09:00:00")
    ).days
    assert (first.limits[0].end_status, first.locks) == (Status.STALE, ())
    [lock] = second.locks
    # The execution of the day before opened what was carried into the day.
    assert [each.trade_id for each in lock.executions] == ["T1", "T2"]
    assert figure(second.realized) == -1_250


def test_the_close_is_reached_at_its_time_without_an_execution(tried: Tried) -> None:
    """Positions are flattened two minutes before 15:10; nothing happens there but the time."""
    account = tried("[defaults.limits.hours]\n", row(1, "buy", "6000", "12T09:00:00"))
    lock = only(account)
    assert datetime.fromtimestamp(lock.at / NANOSECONDS, UTC) == datetime(2026, 1, 12, 21, 8, tzinfo=UTC)
    assert lock.execution is None
    assert lock.reason.startswith("positions must be flat by 2026-01-12 15:10 CST")
    assert [each.trade_id for each in lock.executions] == ["T1"]


def test_a_warning_locks_nothing(tried: Tried) -> None:
    assert tried(daily(1_000, severity="WARNING"), *LOST).locks == ()


def test_days_without_executions_are_not_shown(tried: Tried) -> None:
    later = row(5, "buy", "5986", "30T09:00:00"), row(6, "sell", "5987", "30T09:30:00")
    account = tried(daily(5_000), *LOST, *later)
    assert [(day.trading_day.day, day.executions) for day in account.days] == [(12, 2), (30, 2)]
    assert account.days[-1].balance == Decimal(50_000 - 1_000 + 50)


def test_the_policies_that_are_left_out_exist() -> None:
    names = {rule.name for rule in shipped_rules()}
    assert names > trial.NEEDS_QUOTES
