"""`import` of a file that says what it is, or leaves something open: shown, asked for, and written after --yes."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventstore
from eventstore.trading import TradeExecuted
from gateways.importers import show_mapping
from tests.cli.command import Run

HEADER = "time,symbol,side,quantity,price,fee,status"
ROWS = ("2026-03-02T15:00:00Z,MNQH6,buy,1,21000,-0.62,filled", "2026-03-02T15:00:09Z,MNQH6,sell,1,21010,-0.62,void")
ANSWERS = ("--set", "fees.sign=paid-is-negative", "--set", "rows.where.status=filled", "--account", "A")


@pytest.fixture
def fills(tmp_path: Path) -> Path:
    path = tmp_path / "fills.csv"
    path.write_text("\n".join((HEADER, *ROWS)) + "\n")
    return path


def head(data: Path) -> int:
    if not data.exists():
        return 0
    with eventstore.open(data) as store:
        return store.head()


@pytest.mark.parametrize("named", [(), ("--format", "fills"), ("--preset", "fills"), ("--yes",)])
def test_what_is_missing_is_listed_and_nothing_is_written(
    run: Run, tmp_path: Path, fills: Path, named: tuple[str, ...]
) -> None:
    ended = run("import", fills, *named, "--data", tmp_path / "data")
    assert (ended.code, ended.out) == (2, "")
    for key in ("account:", "fees.sign:", "rows.where.status:"):
        assert f"\n  {key}" in ended.err
    assert "--set fees.sign=paid-is-negative" in ended.err
    assert not (tmp_path / "data").exists()


def test_a_file_alone_is_shown_and_not_written_without_yes(run: Run, tmp_path: Path, fills: Path) -> None:
    ended = run("import", fills, *ANSWERS, "--data", tmp_path / "data")
    assert ended.code == 2
    assert "fills.csv: 2 rows as fills" in ended.out
    assert "1 rows set aside: status is void" in ended.out
    assert "fees.sign = paid-is-negative" in ended.out
    assert "repeat the command with --yes" in ended.err
    assert head(tmp_path / "data") == 0
    ended = run("import", fills, *ANSWERS, "--data", tmp_path / "data", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert "added 2 events" in ended.out
    assert head(tmp_path / "data") == 3


def test_names_mean_what_they_mean_in_the_log_however_a_file_is_imported(run: Run, tmp_path: Path, fills: Path) -> None:
    older = tmp_path / "older.csv"
    older.write_text("time,symbol,side,quantity,price\n2016-03-02T15:00:00Z,MNQH6,buy,1,4500\n")
    for path, given in ((older, ("--format", "fills", "--account", "A")), (fills, ANSWERS)):
        assert run("import", path, *given, "--yes", "--data", tmp_path / "data").code == 0
    with eventstore.open(tmp_path / "data") as store:
        traded = [record.event for record in store.read() if isinstance(record.event, TradeExecuted)]
    assert [event.symbol for event in traded] == ["MNQH6", "MNQH2026"]


def test_an_answer_that_is_shown_can_be_pasted_into_a_shell(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text("time,symbol,side,quantity,price,Row State\n2026-03-02T15:00:00Z,MNQH6,buy,1,21000,dead\n")
    ended = run("import", path, "--account", "A", "--data", tmp_path / "data")
    assert "--set 'rows.where.Row State=…'" in ended.err


def test_a_dry_run_writes_nothing_whatever_is_named(run: Run, tmp_path: Path, fills: Path) -> None:
    ended = run("import", fills, "--format", "fills", *ANSWERS, "--dry-run", "--json", "--data", tmp_path / "data")
    assert (ended.code, ended.document["events"], ended.document["fees"]) == (0, {"TradeExecuted": 1}, {"": "0.62"})
    assert head(tmp_path / "data") == 0


def test_a_mapping_of_ones_own_is_a_preset_edited(run: Run, tmp_path: Path, fills: Path) -> None:
    shown = run("import", "--show-mapping", "fills")
    assert (shown.code, shown.out.strip()) == (0, show_mapping("fills").strip())
    own = tmp_path / "own.toml"
    text = shown.out.replace('kind = "execution"', 'kind = "execution"\nwhere = { status = ["filled"] }')
    own.write_text(f'{text}\n[fees]\nsign = "paid-is-negative"\n')
    ended = run("import", fills, "--mapping", own, "--account", "A", "--data", tmp_path / "data", "--json")
    assert (ended.code, ended.document["added"], ended.document["format"]) == (0, 2, "own")


def test_an_account_may_be_a_column(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text("time,symbol,side,quantity,price,Kto\n2026-03-02T15:00:00Z,MNQH6,buy,1,21000,K-7\n")
    arguments = ("import", path, "--yes", "--data", tmp_path / "data", "--account", "Kto", "--json")
    assert run(*arguments).document["shadow"] == ["K-7"]


def test_a_zone_is_that_of_the_files_times(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text("time,symbol,side,quantity,price\n2026-03-02 09:00:00,MNQH6,buy,1,21000\n")
    arguments = ("import", path, "--dry-run", "--account", "A", "--data", tmp_path / "data", "--json")
    shown = run(*arguments, "--zone", "America/Chicago").document
    assert (shown["first"], shown["choices"]["time.zone"]) == ("2026-03-02T09:00:00.000000000-06:00", "America/Chicago")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--set", "fees.sign"), "write it like --set time.zone=America/Chicago"),
        (("--set", "fees.sing=x"), "fees.sing: a mapping has no such member"),
        (("--mapping", "nowhere.toml"), "nowhere.toml"),
        (("--show-mapping", "excel"), "unknown preset 'excel': choose one of"),
        (("--format", "fills", "--mapping", "own.toml"), "leave --map and --format out"),
    ],
)
def test_a_wrong_use_is_one_line(run: Run, tmp_path: Path, fills: Path, arguments: tuple[str, ...], why: str) -> None:
    ended = run("import", fills, "--account", "A", *arguments, "--data", tmp_path / "data")
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err
    assert ended.err.count("\n") == 1
