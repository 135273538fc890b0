"""`limits --program`: an account set up by a published program of a firm."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventstore
from projections.risk import programs
from tests.cli.command import Run

SET_UP = ("limits", "--account", "ACC9", "--program", "topstep-combine-50k")


def head(data: Path) -> int:
    with eventstore.open(data) as store:
        return store.head()


def test_a_program_sets_up_a_new_account_once(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = run(*SET_UP, "--new", "--actor", "boss", "--data", data)
    assert first.code == 0
    assert "topstep-combine-50k: 4 events appended" in first.err
    assert "its calendar is configuration and not in the log" in first.err
    assert "distance 2000" in first.out
    again = run(*SET_UP, "--data", data, "--json")
    assert "the log has all of it, nothing was added" in again.err
    assert "stay as they were" not in again.err
    assert {(each["account"], each["rule_id"], each["actor"]) for each in again.document} == {
        ("ACC9", "trailing-drawdown", "boss"),
        ("ACC9", "maximum-contracts", "boss"),
    }


def test_a_misspelt_account_is_not_opened_in_place_of_the_one_that_is_meant(run: Run, data: Path) -> None:
    before = head(data)
    ended = run("limits", "--account", "ACC11", "--program", "topstep-combine-50k", "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert "there is no account 'ACC11'" in ended.err
    assert "to set up one without records, give --new" in ended.err
    assert head(data) == before


def test_a_misspelt_log_is_not_created(run: Run, tmp_path: Path) -> None:
    ended = run(*SET_UP, "--data", tmp_path / "data")
    assert (ended.code, ended.out) == (2, "")
    assert not (tmp_path / "data").exists()


def test_a_misspelt_program_is_refused_with_the_nearest_name(run: Run, data: Path) -> None:
    before = head(data)
    ended = run("limits", "--account", "ACC1", "--program", "topstep-combin-50k", "--data", data)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "did you mean topstep-combine-50k?" in ended.err
    assert head(data) == before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--program", "apex-legacy-50k"), "is set up for one account: give --account NAME"),
        (("--program", "apex-legacy-50k", "--account", "A", "--seed", "x.toml"), "give one of --seed and --program"),
        (("--account", "A", "--new"), "--new is for --program"),
        (("--program", "apex-legacy-50k", "--account", "-", "--new"), "belongs to no account"),
    ],
)
def test_options_that_do_not_fit_are_refused(run: Run, data: Path, arguments: tuple[str, ...], why: str) -> None:
    before = head(data)
    ended = run("limits", *arguments, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err
    assert head(data) == before


def test_what_had_been_set_before_is_named(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "risk.toml"
    account = '[accounts.ACC9]\nstarting_balance = "50000"\ncurrency = "USD"\nprogram = "50K"\n'
    file.write_text(account + '[accounts.ACC9.limits.trailing-drawdown]\ndistance = "9000"\n')
    run("limits", "--seed", file, "--data", data)
    ended = run(*SET_UP, "--data", data)
    assert ended.code == 0
    assert "ACC9: program, trailing-drawdown had been set otherwise before, and stay as they were" in ended.err
    file.write_text(account + '[accounts.ACC9.limits.trailing-drawdown]\ndistance = "8000"\n')
    assert "ACC9: trailing-drawdown had been set otherwise" in run("limits", "--seed", file, "--data", data).err


def test_an_account_of_another_size_is_left_alone(run: Run, data: Path) -> None:
    run(*SET_UP, "--new", "--data", data)
    before = head(data)
    ended = run("limits", "--account", "ACC9", "--program", "ftmo-2-step-200k", "--data", data)
    assert ended.code == 2
    assert "ACC9 was opened with 50000 USD, and ftmo-2-step-200k is for 200000 USD: nothing was set" in ended.err
    assert head(data) == before


def test_a_question_mark_lists_the_programs_without_a_log(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    listed = run("limits", "--program", "?", "--data", data)
    assert listed.code == 0
    assert all(name in listed.out for name in programs.names())
    documents = run("limits", "--program", "?", "--data", data, "--json").document
    assert [each["name"] for each in documents] == list(programs.names())
    assert {tuple(each) for each in documents} == {("name", "firm", "source", "dated")}
    assert not data.exists()


def test_the_address_of_influxdb_is_refused_without_its_secrets(run: Run) -> None:
    ended = run(*SET_UP, "--data", "http://me:hunter2@127.0.0.1:1/x")
    assert (ended.code, ended.out) == (2, "")
    assert "--data DIR" in ended.err
    assert "hunter2" not in ended.err
