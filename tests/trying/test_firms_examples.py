"""The firms' own published examples, as files in the formats of import, tried under the programs with their rules.

Each is of `tests/projections/test_worked_drawdowns.py` or `test_worked_examples.py` as well, there at quotes. A file
has none, so what a firm says of an open result is shown at an execution.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from gateways.trying import AccountTried, try_file
from projections.risk import programs
from tests.trying.conftest import figure

FIRMS = Path(__file__).with_name("firms")


class Example(NamedTuple):
    """A file, its program, and what the firm publishes: balance and floor at each close; what is broken, at which line.

    `lines` has, by rule, the line of the execution that breaks it, by the last unit of money that may not be lost;
    nothing where the firm says that nothing is broken.
    """

    file: str
    program: str
    closes: tuple[tuple[int, int | None], ...]
    lines: dict[str, int]
    format: str = "fills"


EXAMPLES = {
    "Topstep Combine 50K, article 8284204, copy of 2024; the last day is ours": Example(
        *("topstep-combine-50k", "topstep-combine-50k"),
        closes=((50_500, 48_500), (50_000, 48_500), (52_500, 50_000), (50_300, 50_000)),
        lines={"trailing-drawdown": 7},
        format="topstepx-trades",
    ),
    "Topstep Express Funded 50K, articles 8284204 and 8284233, undated: from 0 and -2,000, trails to 0": Example(
        *("topstep-express-funded-50k", "topstep-express-funded-50k"),
        closes=((1_500, -500), (4_500, 0), (1, 0), (0, 0)),
        lines={"trailing-drawdown": 5},
        format="topstepx-trades",
    ),
    "FTMO 2-Step 200K, academy page on the maximum daily loss, undated: after +4,000, 14,000 may be lost": Example(
        *("ftmo-14000-may-be-lost", "ftmo-2-step-200k"), closes=((190_000, 180_000),), lines={"daily-loss": 7}
    ),
    "FTMO 2-Step 200K, an older page: a loss of 13,000 is fine before midnight": Example(
        *("ftmo-loss-closed-before-midnight", "ftmo-2-step-200k"), closes=((191_000, 180_000),), lines={}
    ),
    "FTMO 2-Step 200K, an older page: it violates the limit right after midnight": Example(
        *("ftmo-loss-held-over-midnight", "ftmo-2-step-200k"),
        closes=((204_000, 180_000), (191_000, 180_000)),
        lines={"daily-loss": 5},
    ),
    "Apex legacy 50K, help page, at second hand: open peak 50,875, floor 48,375, though it closes lower": Example(
        *("apex-open-peak", "apex-legacy-50k"),
        closes=((50_375, 48_375), (48_375, 48_375)),
        lines={"trailing-drawdown": 9},
    ),
    "Breakout 2-Step 100K, program rules of 2025-01-01: high 105,000, floor 97,000; touching counts": Example(
        *("breakout-2-step-high-of-105000", "breakout-2-step-100k"),
        closes=((105_000, 97_000), (100_500, 97_000), (97_000, 97_000)),
        lines={"trailing-drawdown": 9, "trailing-drawdown:equity": 9},
    ),
    "Alpha One 100K, article 10097421, undated: 102,000, 106,000 and 110,000 have 96,000, 100,000, 100,000": Example(
        *("alpha-one-highs", "alpha-one-100k"),
        closes=(
            *((102_000, 96_000), (106_000, 100_000), (110_000, 100_000)),
            *((106_100, 100_000), (102_200, 100_000), (100_000, 100_000)),
        ),
        lines={"trailing-drawdown": 15, "trailing-drawdown:equity": 15},
    ),
    "FTMO 1-Step 100K, academy page on the maximum loss, undated: 100,000, 104,000, 103,000": Example(
        *("ftmo-1-step-midnights", "ftmo-1-step-100k.toml"),
        closes=((100_000, 90_000), (104_000, 94_000), (103_000, 94_000), (94_000, 94_000)),
        lines={"trailing-drawdown": 11},
    ),
    "FunderPro Futures 100K, support article 378520, undated: 102,000 and 104,000 have 99,000 and 100,000": Example(
        *("funderpro-closes", "funderpro-100k.toml"),
        closes=((102_000, 99_000), (104_000, 100_000), (100_000, 100_000)),
        lines={"trailing-drawdown": 9},
    ),
    "Breakout 1-Step, articles 11647189 and 10340637: 105,000 at 00:30 UTC less 4 % is 100,800": Example(
        *("breakout-1-step-daily", "breakout-1-step-100k.toml"),
        closes=((105_000, None), (100_800, None)),
        lines={"daily-loss": 7},
    ),
}


def tried(example: Example) -> AccountTried:
    is_own = example.program.endswith(".toml")
    program = str(FIRMS / example.program) if is_own else example.program
    [account] = try_file(FIRMS / f"{example.file}.csv", example.format, program, account="A1").accounts
    return account


@pytest.mark.parametrize("example", [pytest.param(each, id=source) for source, each in EXAMPLES.items()])
def test_a_firms_example_comes_out_as_the_firm_publishes_it(example: Example) -> None:
    account = tried(example)
    assert [(figure(day.balance), figure(day.floor)) for day in account.days] == list(example.closes)
    broken = {lock.rule_id: lock.execution for lock in account.locks}
    assert {rule: None if at is None else at.line for rule, at in broken.items()} == example.lines
    assert len(account.locks) == len(example.lines)


def test_every_shipped_program_has_an_example() -> None:
    assert {each.program for each in EXAMPLES.values()} >= set(programs.names())


def test_topsteps_own_figures_are_beside_ours() -> None:
    account = tried(next(iter(EXAMPLES.values())))
    assert [(figure(day.realized), figure(day.reported), day.differs) for day in account.days] == [
        (500, 500, False),
        (-500, -500, False),
        (2_500, 2_500, False),
        (-2_200, -2_200, False),
    ]


def test_the_account_ends_at_the_floor_and_what_follows_is_apart() -> None:
    """Topstep Combine 50K: after the account reached its floor, the file made 300 more."""
    account = tried(next(iter(EXAMPLES.values())))
    ended = account.ended
    assert ended is not None
    assert (ended.reason, figure(ended.after)) == (
        "equity 50,000.00 USD at the drawdown floor 50,000.00 reached; locked without end",
        300,
    )
    assert [each.trade_id for each in ended.executions] == ["9005-entry", "9005-exit", "9006-entry", "9006-exit"]
    assert ended.execution == ended.executions[-1]
