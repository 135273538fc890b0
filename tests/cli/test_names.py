"""An unknown account, symbol or rule is reported, with similar names that the log has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import AccountOpened, LimitsSet
from tests.cli.command import Run

UNKNOWN = "there is no account 'ACC3' in log main: similar names are ACC1, ACC2"
ASKING = [
    ("state",),
    ("as-of", "3"),
    ("as-of", "2025-11-19T09:00:02-06:00", "--occurred-at"),
    ("diff", "1", "8"),
    ("limits",),
    ("limits", "--pending"),
]


def head(data: Path) -> int:
    with eventstore.open(data) as store:
        return store.head()


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_an_answer_about_an_unknown_account_is_not_a_success(
    run: Run, data: Path, command: tuple[str, ...], as_json: bool
) -> None:
    ended = run(*command, "--account", "ACC3", "--data", data, *(["--json"] if as_json else []))
    assert ended.code == 1
    assert ended.err == f"note: {UNKNOWN}\n" or ended.err.startswith(f"note: {UNKNOWN}\n")
    if as_json:
        json.loads(ended.out)
    known = run(*command, "--account", "ACC1", "--data", data)
    assert (known.code, "no account" in known.err) == (0, False)


@pytest.mark.parametrize("command", [("lock", "ACC3"), ("unlock", "ACC3")], ids=" ".join)
def test_a_lock_of_an_unknown_account_is_refused_and_nothing_written(
    run: Run, data: Path, command: tuple[str, ...]
) -> None:
    ended = run(*command, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"eventstore: {UNKNOWN}")
    assert ("give --new" in ended.err) is (command[0] == "lock")
    assert head(data) == 8


def test_an_account_is_locked_before_its_first_record_by_saying_so(run: Run, data: Path) -> None:
    assert run("lock", "ACC3", "--new", "--data", data).code == 0
    assert head(data) == 9
    # From then on the log knows it.
    assert run("lock", "ACC3", "--symbol", "ESZ5", "--data", data).code == 0
    state = run("state", "--account", "ACC3", "--data", data, "--json")
    assert (state.code, state.err, len(state.document["lockouts"])) == (0, "", 2)


@pytest.mark.parametrize("new", [(), ("--new",)])
def test_what_belongs_to_no_account_is_none(run: Run, data: Path, new: tuple[str, ...]) -> None:
    for command in (("lock", "-", *new), ("state", "--account", "-"), ("diff", "1", "2", "--account", "-")):
        ended = run(*command, "--data", data)
        assert (ended.code, ended.out) == (2, "")
        assert "'-' is not an account" in ended.err
    assert head(data) == 8


def test_a_log_without_accounts_says_that_there_are_none(run: Run, tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append("mark/-/open", eventstore.trading.Marked(name="open"))
    ended = run("state", "--account", "ACC1", "--data", tmp_path / "data")
    assert (ended.code, ended.err) == (1, "note: there is no account 'ACC1' in log main: there are none yet\n")


def test_an_account_of_which_only_one_view_has_something_is_known(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("account/NEW1/-", AccountOpened(starting_balance=1, currency="USD"))  # type: ignore[arg-type]
        store.append("limits/NEW2/r", LimitsSet(rule_id="r"), actor="desk")
    for account in ("NEW1", "NEW2"):
        assert run("state", "--account", account, "--data", data).err == ""
    assert "similar names are NEW1, NEW2" in run("state", "--account", "NEW3", "--data", data).err


def test_an_account_that_came_later_is_said_to_be_unknown_then(run: Run, data: Path) -> None:
    ended = run("as-of", "4", "--account", "ACC2", "--data", data)
    assert ended.code == 0
    assert ended.err == "note: ACC2 has no records up to position 4 of log main: its first record is position 5\n"
    assert run("as-of", "5", "--account", "ACC2", "--data", data).err == ""


@pytest.mark.parametrize("command", ["read", "tail"])
def test_no_records_of_an_unknown_account_say_why(run: Run, data: Path, command: str) -> None:
    ended = run(command, "--account", "ACC3", "--data", data)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == f"note: no matching records\nnote: {UNKNOWN}\n"


def test_a_lock_of_an_unknown_symbol_root_or_rule_says_so(run: Run, data: Path) -> None:
    close = "log main has no contract, order or position for 'ESZ6': similar names are ESZ5"
    assert close in run("lock", "ACC1", "--symbol", "ESZ6", "--data", data).err
    assert run("lock", "ACC1", "--symbol", "ESZ5", "--data", data).err == ""
    assert "log main has no contract with root 'SE': " in run("lock", "ACC1", "--root", "SE", "--data", data).err
    assert run("lock", "ACC1", "--root", "ES", "--data", data).err == ""
    said = run("lock", "ACC2", "--rule", "dialy-loss", "--data", data).err
    assert "ACC2 has no limit or lockout with rule 'dialy-loss' yet: similar names are daily-loss" in said
    assert run("lock", "ACC2", "--rule", "daily-loss", "--symbol", "CLZ5", "--data", data).err == ""
