"""`import`: rows added, known and skipped, the file's P&L compared with the fold, nothing imported twice."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventstore
from tests.cli.command import Run

HEADER = "trade_id,symbol,side,quantity,price,time,pnl"
ROWS = ("T1,ESZ5,buy,2,6650,1759329000,", "T2,ESZ5,sell,2,6651,1759329060,100")


@pytest.fixture
def fills(tmp_path: Path) -> Path:
    path = tmp_path / "fills.csv"
    path.write_text("\n".join((HEADER, *ROWS)) + "\n")
    return path


def head(data: Path) -> int:
    with eventstore.open(data) as store:
        return store.head()


def test_importing_twice_adds_nothing(run: Run, tmp_path: Path, fills: Path) -> None:
    arguments = ("import", "--format", "fills", fills, "--account", "A1", "--data", tmp_path / "data")
    first = run(*arguments, "--json").document
    second = run(*arguments, "--json").document
    assert (first["added"], first["already_there"]) == (3, 0)
    assert (second["added"], second["already_there"]) == (0, 3)
    # And the account's protection mode, once.
    assert head(tmp_path / "data") == 4
    assert (first["shadow"], second["shadow"]) == (["A1"], [])


def test_an_import_ends_with_the_files_own_figures_beside_the_fold(run: Run, tmp_path: Path, fills: Path) -> None:
    ended = run("import", "--format", "fills", fills, "--account", "A1", "--data", tmp_path / "data")
    assert ended.code == 0
    assert "added 3 events" in ended.out
    assert "the file says 100.00, the fold 100.00" in ended.out
    assert "no figure is more than half a cent" in ended.out
    assert ended.err == ""


def test_figures_that_differ_are_named(run: Run, tmp_path: Path, fills: Path) -> None:
    fills.write_text(fills.read_text().replace(",100", ",90"))
    ended = run("import", "--format", "fills", fills, "--account", "A1", "--data", tmp_path / "data")
    assert ended.code == 1
    assert "Figures that differ (1)" in ended.out
    assert "-10.00" in ended.out
    row = run("import", "--format", "fills", fills, "--account", "A1", "--data", tmp_path / "data", "--json").document
    assert (row["pnl"][0]["reported"], row["pnl"][0]["folded"], row["pnl"][0]["differs"]) == ("90", "100", True)


def test_a_bad_row_is_named_and_nothing_is_appended(run: Run, tmp_path: Path, fills: Path) -> None:
    fills.write_text(fills.read_text() + "T3,ESZ5,buy,many,6650,1759329120,\n")
    arguments = ("import", "--format", "fills", fills, "--account", "A1", "--data", tmp_path / "data")
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "line 4, column quantity: 'many'" in ended.err
    assert head(tmp_path / "data") == 0
    going = run(*arguments, "--keep-going")
    assert going.code == 1
    assert "1 rows left out" in going.out
    assert "many" in going.out
    left = run(*arguments, "--keep-going", "--json")
    assert (left.code, left.document["left_out"][0]["line"]) == (1, 4)


def test_columns_are_mapped(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("Qty,Px,When\n-2,6650,1759329000\n")
    maps = ("--map", "Qty=quantity", "--map", "Px=price", "--map", "When=time", "--symbol", "ESZ5")
    arguments = ("import", "--format", "fills", path, "--account", "A1", "--data", tmp_path / "data", *maps, "--json")
    assert run(*arguments).document["added"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "excel", "FILE"), "unknown format 'excel'"),
        (("--format", "fills", "FILE", "--map", "Qty"), "write it like --map Qty=quantity"),
        (("--format", "fills", "FILE", "--map", "Qty=amount"), "unknown field 'amount'"),
        (("--format", "fills", "nowhere.csv"), "there is no file nowhere.csv"),
        (("--format", "fills", "."), ". is a directory: give the file to import"),
        (("--format", "fills", "/dev/null"), "/dev/null is not a regular file: give the file to import"),
        (("--format", "fills", "FILE", "--date", "2012-06-21"), "does not take date"),
        (("--format", "fills", "FILE", "--contracts", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_a_wrong_use_of_import_says_why(
    run: Run, tmp_path: Path, fills: Path, arguments: tuple[str, ...], said: str
) -> None:
    given = [str(fills) if argument == "FILE" else argument for argument in arguments]
    ended = run("import", *given, "--account", "A1", "--data", tmp_path / "data")
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_contracts_of_ones_own_are_asked_first(run: Run, tmp_path: Path, fills: Path) -> None:
    table = tmp_path / "own.toml"
    table.write_text('[contracts.ESZ5]\nmultiplier = 1\ncurrency = "EUR"\n')
    arguments = ("--account", "A1", "--data", tmp_path / "data", "--contracts", table)
    ended = run("import", "--format", "fills", fills, *arguments)
    assert ended.code == 1
    state = run("state", "--data", tmp_path / "data", "--json").document
    assert (state["totals"][0]["currency"], state["totals"][0]["realized"]) == ("EUR", "2")
