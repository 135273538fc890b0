"""A URL in place of a directory: every command refuses it in one line and creates no folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Run

URL = "postgresql://user:hunter2@host/db"
NO_STORE = "mysql://user:hunter2@host/db"
COMMANDS = [
    ("append", "order/A/1", "OrderAccepted", "{}"),
    ("read",),
    ("tail",),
    ("state",),
    ("as-of", "0"),
    ("diff", "0", "0"),
    ("mark", "close"),
    ("lock", "A"),
    ("unlock", "A"),
    ("limits",),
    ("verify",),
    ("backup", "copy"),
    ("stats",),
    ("doctor",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("way", ["option", "environment"])
def test_a_url_is_not_a_directory(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if way == "environment":
        monkeypatch.setenv("EVENTSTORE_DATA", NO_STORE)
    ended = run(*command, *(["--data", NO_STORE] if way == "option" else []))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("eventstore: the store's directory cannot be at a URL (mysql:…): give a directory")
    assert "hunter2" not in ended.err
    assert ended.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "command",
    [
        ("append", "order/A/1", "OrderAccepted", '{"broker_order_id":"1"}'),
        ("mark", "close"),
        ("lock", "A"),
        ("unlock", "A"),
        ("enforce", "json:dumps"),
        ("stop", "A", "--reason", "x"),
        ("resume", "A", "--actor", "me", "--reason", "x"),
        ("limits", "--seed", "risk.toml"),
        ("backup", "copy"),
        ("doctor",),
        ("doctor", "--read-only"),
        ("mirror", "--once"),
        ("adopt",),
        ("restore", "--from-influx"),
        ("import", "--format", "fills", "risk.toml"),
    ],
    ids=" ".join,
)
def test_what_needs_a_directory_asks_for_one_in_place_of_influxs_address(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], scheme: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "risk.toml").write_text('[accounts.ACC1]\nstarting_balance = "5"\ncurrency = "USD"\n')
    ended = run(*command, "--data", f"{scheme}://me:hunter2@127.0.0.1:1/x")
    assert (ended.code, ended.out) == (2, "")
    assert "--data DIR" in ended.err
    assert "127.0.0.1:1" in ended.err
    assert "hunter2" not in ended.err
    assert ended.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["risk.toml"]


def test_help_offers_a_url_only_where_one_can_be_read(run: Run) -> None:
    for command in ("migrate", "restore"):
        help_text = " ".join(run(command, "--help").out.split())
        assert "not a URL" in help_text, command
    for command in ("import", "enforce", "policies", "clock", "doctor", "backup", "mirror", "adopt", "serve", "alerts"):
        help_text = " ".join(run(command, "--help").out.split())
        assert "PostgreSQL" in help_text, command
        assert "EVENTSTORE_KEY" not in help_text, command
    for command in ("append", "mark", "note", "lock", "unlock", "approve", "stop", "resume", "reconcile"):
        help_text = run(command, "--help").out
        assert "EVENTSTORE_KEY" in help_text, command
        assert "InfluxDB" not in help_text, command
    for command in ("read", "tail", "state", "as-of", "diff", "pnl", "limits", "verify", "stats"):
        assert "InfluxDB" in run(command, "--help").out, command


@pytest.mark.parametrize("target", [URL, "file:///tmp/copy", "C:\\copy", "sqlite:copy.db"])
@pytest.mark.parametrize("keep", [(), ("--keep-days", "3")])
def test_a_copy_goes_into_a_directory(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, target: str, keep: tuple[str, ...]
) -> None:
    monkeypatch.chdir(data.parent)
    ended = run("backup", target, *keep, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert "the copy cannot be" in ended.err
    assert [path.name for path in data.parent.iterdir()] == ["data"]


def test_the_demo_keeps_its_log_in_a_directory(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run("demo", "--keep", URL)
    assert ended.code == 2
    assert "the demo's directory cannot be at a URL" in ended.err
    assert list(tmp_path.iterdir()) == []
