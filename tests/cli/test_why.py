"""`why`: a lockout, an order or a figure as people and scripts read it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventstore
from eventstore.trading import Side
from projections.rules import shipped_rules
from tests.cli.command import Run
from tests.projections.rules_day import Day, trading_day


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """Return the directory of a store whose account A lost 1,254 of 1,000."""
    day = trading_day(tmp_path / "locked", *shipped_rules())
    day.limit("daily-loss", limit="1000")
    _lose(day)
    day.close()
    return tmp_path / "locked"


def _lose(day: Day) -> None:
    day.fill(Side.BUY, "5000", fee="2")
    day.fill(Side.SELL, "4975", fee="2")


def test_the_newest_lockout_of_an_account_is_explained(run: Run, locked: Path) -> None:
    ended = run("why", "--account", "A", "--data", locked)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "why A was locked by daily-loss"
    assert "daily loss -1,254.00 of -1,000.00 USD reached" in lines[1]
    assert "its records add up to -1,254.00" in lines[2]
    rows = [line.split() for line in lines]
    assert {row[0] for row in rows if row} >= {"cause", "limit", "execution", "request"}
    assert all(each in ended.out for each in ("Limit daily-loss was set: limit 1000", "risk@desk"))
    assert any(row[:1] == ["execution"] and row[-1] == "-1,252.00" for row in rows)


def test_a_script_gets_the_tree_in_one_document(run: Run, locked: Path) -> None:
    document = run("why", "lockout/A/daily-loss", "--data", locked, "--json").document
    causes = {(each["role"], each["record"]["type"]) for each in document["causes"]}
    assert causes == {("CAUSE", "OrderFilled"), ("LIMIT", "LimitsSet"), ("EXECUTION", "OrderFilled")}
    assert [each["amounts"] for each in document["causes"] if each["role"] == "EXECUTION"] == [
        {"USD": "-2"}, {"USD": "-1252"}
    ]  # fmt: skip
    [figure] = document["figures"]
    assert (figure["amount"], figure["limit"], figure["added"]) == ("-1254", "-1000", "-1254")
    assert document["at"].startswith("2026-11-20T15:00:0")
    assert document["unknown"] == []


def test_a_figure_may_be_asked_for_as_it_was(run: Run, locked: Path) -> None:
    with eventstore.open(locked) as store:
        first = next(record for record in store.read(stream="order/"))
    document = run("why", "realized", "--account", "A", "--at", first.position, "--data", locked, "--json").document
    assert [each["record"]["position"] for each in document["causes"]] == [first.position]
    assert document["figures"][0]["amount"] == "-2"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("99999",), 2, "position 99999 is not in log main"),
        (("lockout",), 2, "name the account"),
        (("order/A/O-404",), 2, "no such stream"),
        (("realized", "--account", "Z"), 1, "there is no account 'Z' in log main"),
        (("realised", "--account", "A"), 2, "figures are realized, balance, position/SYMBOL"),
        (("realized", "--account", "A", "--at", "soon"), 2, "soon"),
    ],
)
def test_what_is_not_there_is_said(run: Run, locked: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    ended = run("why", *arguments, "--data", locked)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err


def test_it_reads_a_log_that_is_only_read(run: Run, locked: Path) -> None:
    before = sorted(path.name for path in (locked / "main").iterdir())
    ended = run("why", "--account", "A", "--data", locked, "--read-only")
    assert ended.code == 0
    assert sorted(path.name for path in (locked / "main").iterdir()) == before
