"""On a terminal a command asks for what a file leaves open; what is typed is an answer as --set gives one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import TradeExecuted
from tests.cli.command import Ended, Run, on_terminal

HEAD = "time,symbol,side,quantity,price,commission"
SERIAL = f"{HEAD}\n46083.625,MNQH6,BUY,1,21000.00,-0.62\n46083.626388889,MNQH6,SELL,1,21010.00,-0.62\n"
ISO = f"{HEAD}\n2026-03-02T15:00:00Z,MNQH6,BUY,1,21000.00,-0.62\n2026-03-02T15:02:00Z,MNQH6,SELL,1,21010.00,-0.62\n"
SIGN = ("fees.sign:", "paid-is-negative\n")
COSTS = [("account:", "A1\n"), ("fees.columns:", "commission\n"), SIGN]
YES = ("[y/N]:", "y\n")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def dialogue(tmp_path: Path, text: str, *answers: tuple[str, str], options: tuple[str, ...] = ()) -> Ended:
    path = tmp_path / "fills.csv"
    path.write_text(text)
    return on_terminal(["import", str(path), "--data", str(tmp_path / "data"), *options], 100, answers=answers)


def executions(data: Path) -> list[TradeExecuted]:
    with eventstore.open(data) as store:
        return [each.event for each in store.read() if isinstance(each.event, TradeExecuted)]


def nothing_is_written(data: Path) -> bool:
    return not data.exists()


def test_it_asks_until_nothing_is_missing(tmp_path: Path, data: Path) -> None:
    times = [("time.unit:", "serial\n"), ("time.zone:", "America/Chicago\n")]
    screen = dialogue(tmp_path, SERIAL, COSTS[0], *times, *COSTS[1:], YES)
    assert screen.code == 0
    assert "time.unit: column time: the numbers are not UNIX times from 1990 to 2100" in screen.out
    assert "Choose serial." in screen.out
    assert "Choose paid-is-positive or paid-is-negative." in screen.out
    assert "--set" not in screen.out
    assert [each.fee for each in executions(data)] == [Decimal("0.62")] * 2


def test_what_was_answered_is_what_the_options_give(tmp_path: Path, data: Path, run: Run) -> None:
    assert dialogue(tmp_path, ISO, *COSTS, YES).code == 0
    options = ("--account", "A1", "--set", "fees.columns=commission", "--set", "fees.sign=paid-is-negative", "--yes")
    assert run("import", tmp_path / "fills.csv", "--data", tmp_path / "other", *options).code == 0
    assert executions(data) == executions(tmp_path / "other")


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04", "\x03"], ids=["no", "nothing", "end", "interrupt"])
def test_nothing_is_appended_without_a_yes(tmp_path: Path, data: Path, answer: str) -> None:
    dialogue(tmp_path, ISO, *COSTS, ("[y/N]:", answer))
    assert nothing_is_written(data)


@pytest.mark.parametrize("key", ["\x04", "\x03"], ids=["end", "interrupt"])
def test_who_gives_no_answer_ends_it(tmp_path: Path, data: Path, key: str) -> None:
    screen = dialogue(tmp_path, ISO, COSTS[0], ("fees.columns:", key))
    assert (screen.code, "Traceback" in screen.out) == (130, False)
    assert nothing_is_written(data)


def test_an_answer_that_is_none_is_asked_for_again(tmp_path: Path, data: Path) -> None:
    wrong = [("account:", "\n"), *COSTS[:2], ("fees.sign:", "negative\n")]
    screen = dialogue(tmp_path, ISO, *wrong, SIGN, YES)
    assert screen.code == 0
    assert "fees.sign=negative: choose one of paid-is-positive, paid-is-negative" in screen.out
    assert len(executions(data)) == 2


def test_a_zone_that_there_is_none_of_is_asked_for_again(tmp_path: Path, data: Path) -> None:
    wrong, right = ("time.zone:", "Mars\n"), ("time.zone:", "UTC\n")
    account, costs, sign = COSTS
    unit = ("time.unit:", "serial\n")
    screen = dialogue(tmp_path, SERIAL, account, unit, wrong, costs, account, unit, right, costs, sign, YES)
    assert screen.code == 0
    assert "unknown time zone 'Mars'" in screen.out


def test_a_column_that_the_file_lacks_is_asked_for_again(tmp_path: Path, data: Path) -> None:
    account, costs, sign = COSTS
    wrong = ("fees.columns:", "commision\n")
    screen = dialogue(tmp_path, ISO, account, wrong, account, costs, sign, YES)
    assert screen.code == 0
    assert "which has no column commision" in screen.out
    assert len(executions(data)) == 2


def test_an_answer_may_choose_another_member(tmp_path: Path, data: Path) -> None:
    """A column that looks like costs and is none has its place in rows.ignore, as the question says."""
    screen = dialogue(tmp_path, ISO, COSTS[0], ("fees.columns:", "rows.ignore=commission\n"), YES)
    assert screen.code == 0
    assert [each.fee for each in executions(data)] == [Decimal(0), Decimal(0)]


def test_json_lists_what_is_missing_and_asks_nothing(tmp_path: Path, data: Path) -> None:
    screen = dialogue(tmp_path, ISO, options=("--json",))
    assert screen.code == 2
    assert "Answer with --set account=…" in screen.out
    assert nothing_is_written(data)
