"""`enforce` as a command and as a process: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore.trading import EnforcementAction, Side
from projections import Enforcer
from tests.cli.command import Run, plain_environment
from tests.enforcement.scene import ask, lock, opened, trade

DESK = """
import os, pathlib, signal, time
called = pathlib.Path("called.txt")
limit = 3

def _note(task):
    with called.open("a") as file:
        file.write(f"{task.account} {task.request.action}\\n")

def close(task):
    _note(task)
    return {"sent": "1"}

def fail(task):
    _note(task)
    raise ConnectionError("no route to the broker")

def crash(task):
    _note(task)
    os.kill(os.getpid(), signal.SIGKILL)

def wait(task):
    _note(task)
    while True:
        time.sleep(0.01)
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a directory with a log of two accounts, each with a request, and a module of functions."""
    (tmp_path / "desk_functions.py").write_text(DESK, encoding="utf-8")
    with eventstore.open(tmp_path / "data") as store, projections.open(store) as book:
        for account in ("ACC1", "ACC2"):
            opened(book, account)
            lock(book, account)
            ask(book, account=account)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("desk_functions", None)


def enforcing(directory: Path, function: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "eventstore", "enforce", f"desk_functions:{function}", "--account", "ACC1"]
    return subprocess.Popen(
        command, cwd=directory, env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def calls(directory: Path) -> list[str]:
    called = directory / "called.txt"
    return called.read_text("utf-8").splitlines() if called.exists() else []


def test_once_handles_what_is_pending(desk: Path, run: Run) -> None:
    ended = run("enforce", "desk_functions:close", "--once")
    assert ended.code == 0
    assert sorted(calls(desk)) == ["ACC1 FLATTEN", "ACC2 FLATTEN"]
    assert "ACC1: FLATTEN by desk done after " in ended.out
    assert ": sent 1\n" in ended.out
    assert "enforcing for all accounts of log main with desk_functions:close, as " in ended.err
    assert "ACC1: claimed FLATTEN by desk: go home" in ended.err
    again = run("enforce", "desk_functions:close", "--once")
    assert (again.code, again.out) == (0, "")


def test_json_is_a_line_for_each_request(desk: Path, run: Run) -> None:
    ended = run("enforce", "desk_functions:close", "--once", "--json", "--account", "ACC2")
    [line] = ended.lines
    assert (line["account"], line["action"], line["success"], line["details"]) == (
        "ACC2",
        "FLATTEN",
        True,
        {"sent": "1"},
    )
    assert calls(desk) == ["ACC2 FLATTEN"]


def test_a_failure_is_exit_code_1(desk: Path, run: Run) -> None:
    ended = run("enforce", "desk_functions:fail", "--once", "--account", "ACC1")
    assert ended.code == 1
    assert "ACC1: FLATTEN by desk failed after " in ended.out
    assert "error ConnectionError: no route to the broker" in ended.out


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("desk_functions", "names no function: write MODULE:FUNCTION"),
        (":close", "names no function"),
        ("desk_functions:", "names no function"),
        ("desk_function:close", "there is no module 'desk_function', neither in "),
        ("json.nothing:dumps", "there is no module 'json.nothing'"),
        ("desk_functions:clse", "has no 'clse': similar names are close"),
        ("desk_functions:limit", "is a int, not a function"),
        ("broken:close", "module 'broken' cannot be imported: ZeroDivisionError: division by zero"),
        (
            "needy:close",
            "module 'needy' cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        ),
    ],
)
def test_a_function_that_is_misspelt_is_named(desk: Path, run: Run, function: str, message: str) -> None:
    (desk / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    (desk / "needy.py").write_text("import nowhere_to_be_found\n", encoding="utf-8")
    ended = run("enforce", function, "--once")
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--account", "ACC3"), "there is no account 'ACC3'"), (("--timeout", "soon"), "invalid duration 'soon'")],
    ids=" ".join,
)
def test_other_mistakes_are_named_too(desk: Path, run: Run, arguments: tuple[str, ...], message: str) -> None:
    ended = run("enforce", "desk_functions:close", "--once", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert calls(desk) == []


def test_it_follows_the_log_and_stops_in_order(desk: Path) -> None:
    with enforcing(desk, "close") as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("ACC1: FLATTEN by desk done")
        with eventstore.open(desk / "data") as store, projections.open(store) as book:
            ask(book, EnforcementAction.CANCEL_ORDERS, "R2", account="ACC1")
            ask(book, request_id="R3", account="ACC2")
        assert child.stdout.readline().startswith("ACC1: CANCEL_ORDERS by desk done")
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 0
    assert said.splitlines()[-1].startswith("note: stopped at position ")
    assert calls(desk) == ["ACC1 FLATTEN", "ACC1 CANCEL_ORDERS"]


def test_it_tries_again_though_no_policies_run(desk: Path) -> None:
    with eventstore.open(desk / "data") as store, projections.open(store) as book:
        trade(book, Side.BUY, account="ACC1")
    with enforcing(desk, "fail") as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("ACC1: FLATTEN by desk failed")
        assert child.stdout.readline().startswith("ACC1: FLATTEN by desk failed")
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "ACC1: claimed FLATTEN by desk, attempt 2: go home; asked again: the answer says that it failed" in said


def test_a_killed_one_is_taken_over_after_its_lease(desk: Path, run: Run) -> None:
    with enforcing(desk, "crash") as child:
        child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    ended = run("enforce", "desk_functions:close", "--once", "--account", "ACC1")
    # Its lease runs for ten seconds: until then nobody may act.
    assert (ended.code, ended.out, calls(desk)) == (1, "", ["ACC1 FLATTEN"])
    with eventstore.open(desk / "data") as store, projections.open(store) as book:
        [request] = book.enforcement.pending("ACC1")
        clock = eventstore.ManualClock((request.lease_until or 0) + 1)
    with eventstore.open(desk / "data", clock=clock) as store, projections.open(store) as book:
        Enforcer(book, lambda task: task.is_held()).run(once=True)
        assert book.enforcement.of("ACC1")[0].success is True


def test_it_needs_a_log(run: Run, tmp_path: Path) -> None:
    ended = run("enforce", "json:dumps", "--once", "--data", tmp_path / "nowhere")
    assert ended.code == 2
    assert "there is no log 'main'" in ended.err
