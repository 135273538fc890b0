"""The command as a process: exit codes, stdout and stderr, closed pipes, and every command without a store."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import eventstore
from eventstore.extras import DISTRIBUTION
from eventstore.trading import Marked
from gateways.cli import app
from tests.cli.command import Run, plain_environment

COMMANDS = [
    *(
        "adopt",
        "alerts",
        "api-keys",
        "append",
        "approve",
        "archive",
        "as-of",
        "backup",
        "bench",
        "changes",
        "checkpoint",
        "clock",
        "demo",
        "diff",
        "dispute",
        "doctor",
        "enforce",
        "export",
        "group",
        "import",
        "keys",
        "lifeline",
        "limits",
        "lock",
        "mark",
        "migrate",
        "migrate-journal",
        "mirror",
        "note",
        "pnl",
        "policies",
        "prove",
    ),
    *(
        "read",
        "reconcile",
        "restore",
        "resume",
        "rotate",
        "serve",
        "shadow",
        "signed",
        "sql",
        "state",
        "statement",
        "stats",
        "stop",
        "tail",
        "timeline",
        "try",
        "unlock",
        "verify",
        "why",
        "work",
    ),
]
READING = [
    ("read",),
    ("tail",),
    ("tail", "--follow"),
    ("state",),
    ("as-of", "1"),
    ("diff", "1", "2"),
    ("dispute", "A", "2025-11-19", "--out", "pack.zip"),
    ("timeline",),
    ("changes",),
    ("lifeline", "ACC1", "O-1"),
    ("pnl",),
    ("mark", "noon"),
    ("note", "ACC1", "1", "late"),
    ("limits",),
    ("shadow", "ACC1"),
    ("lock", "ACC1"),
    ("approve",),
    ("approve", "1"),
    ("clock",),
    ("unlock", "ACC1"),
    ("enforce", "json:dumps", "--once"),
    ("stop", "ACC1", "--reason", "enough"),
    ("resume", "ACC1", "--actor", "me", "--reason", "rested"),
    ("verify",),
    ("reconcile", "--account", "ACC1"),
    ("signed",),
    ("backup", "copy"),
    ("sql", "select * from events"),
    ("archive", "copy"),
    ("export", "--csv", "copy"),
    ("stats",),
    ("doctor",),
    ("policies",),
    ("why", "1"),
]


def test_these_are_the_commands(run: Run) -> None:
    named = sorted(command.name or "" for command in app.registered_commands if not command.hidden)
    help_text = run("--help").out
    assert len(named) == len(COMMANDS)
    assert all(f" {name} " in help_text for name in COMMANDS)
    assert "demo-day" not in help_text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_is_for(run: Run, command: str) -> None:
    ended = run(command, "--help")
    assert ended.code == 0
    assert "--json" in ended.out
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
@pytest.mark.parametrize("as_json", [False, True])
def test_asking_never_creates_a_store(run: Run, tmp_path: Path, arguments: tuple[str, ...], as_json: bool) -> None:
    place = tmp_path / "nowhere"
    ended = run(*arguments, *(["--json"] if as_json else []), "--data", place)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("eventstore: there is no log 'main' in ")
    assert ended.err.count("\n") == 1
    assert not place.exists()
    assert not Path("copy").exists()


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_another_name_of_a_log_creates_none(run: Run, data: Path, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, "--data", data, "--log", "other")
    assert ended.code == 2
    assert "the logs there are main" in ended.err
    assert [path.name for path in data.iterdir()] == ["main"]


@pytest.mark.parametrize("arguments", [("read", "--after"), ("verify", "--after"), ("tail", "-n"), ("read", "--limit")])
def test_a_number_beyond_all_logs_is_just_beyond(run: Run, data: Path, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, "9" * 30, "--data", data)
    assert ended.code == 0
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("reed",),
        ("read", "--colour"),
        ("read", "--limit", "many"),
        ("read", "--after", "-1"),
        ("append", "order/ACC1/O-1"),
        ("state", "--zone", "Chicago"),
        ("read", "--stream", "order//"),
        ("read", "--account", "a b"),
        ("read", "--start", "soon"),
        ("read", "--log", "../main"),
        ("verify", "--after", "x"),
        ("backup",),
        ("demo", "--keep", "/dev/null"),
    ],
    ids=" ".join,
)
def test_misuse_is_one_line_on_stderr_and_exit_code_2(run: Run, data: Path, arguments: tuple[str, ...]) -> None:
    chosen = () if arguments[0] in {"reed", "demo"} else ("--data", str(data))
    ended = run(*arguments, *chosen)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("eventstore: ")
    assert ended.err.count("\n") == 1


def test_without_a_command_it_lists_the_commands(run: Run) -> None:
    ended = run()
    assert ended.code == 2
    assert "verify" in ended.out


def test_it_tells_its_version(shell: Run) -> None:
    ended = shell("--version")
    assert (ended.code, ended.out.strip(), ended.err) == (0, metadata.version(DISTRIBUTION), "")


def test_a_process_keeps_data_and_talk_apart(shell: Run, data: Path) -> None:
    ended = shell("verify", "--data", data, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.document["ok"] is True
    missing = shell("verify", "--data", data / "no")
    assert (missing.code, missing.out) == (2, "")
    assert "Traceback" not in missing.err


def test_the_directory_comes_from_the_environment_or_is_data(shell: Run, data: Path, tmp_path: Path) -> None:
    assert shell("stats", "--json").document["events"] == 8
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    command = [sys.executable, "-m", "eventstore", "stats", "--json"]
    environment = plain_environment() | {"EVENTSTORE_DATA": str(tmp_path / "elsewhere")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60)  # noqa: PLW1510 - looked at below
    assert done.returncode == 0
    assert '"events":8' in done.stdout


@pytest.mark.slow
def test_a_pipe_that_closes_ends_it_quietly(data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("mark/-/many", [Marked(name="many")] * 20_000)
    for arguments in (["read"], ["read", "--json"], ["tail", "-n", "20000"]):
        command = [sys.executable, "-m", "eventstore", *arguments, "--data", str(data)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=plain_environment()
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdout.readline()
            child.stdout.close()
            said = child.stderr.read()
        assert (child.wait(timeout=30), said) == (141, b"")


def test_a_table_into_a_pipe_that_closes_ends_quietly_too(data: Path) -> None:
    command = f"{sys.executable} -m eventstore state --data {data} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(  # noqa: PLW1510 - looked at below
        ["bash", "-c", command], capture_output=True, env=plain_environment(), timeout=60
    )
    assert done.returncode in {0, 141}
    assert done.stderr == b""


def test_interrupted_it_ends_quietly_with_130(data: Path) -> None:
    command = [sys.executable, "-m", "eventstore", "tail", "--follow", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=plain_environment()) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=30)
    assert (child.returncode, said) == (130, b"")


@pytest.mark.slow
def test_a_plain_encoding_gets_escapes_and_no_traceback(data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("mark/-/x", Marked(name="día ✓"))
    environment = plain_environment() | {"PYTHONIOENCODING": "ascii"}
    for arguments in (["tail"], ["tail", "--json"], ["state"], ["doctor"]):
        command = [sys.executable, "-m", "eventstore", *arguments, "--data", str(data)]
        done = subprocess.run(command, capture_output=True, env=environment, timeout=60)  # noqa: PLW1510 - looked at below
        assert (done.returncode, done.stderr) == (0, b"")
        done.stdout.decode("ascii")
