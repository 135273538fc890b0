"""`migrate`: what is missing is named, a kill loses nothing, and what it prints says what became of each item."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import OrderFilled
from gateways.legacy import StateManager
from tests.cli.command import Run, plain_environment
from tests.legacy.old_databases import FOXTROT, database, trade

STATE = {"active_positions": {"ES": {"symbol": "ES", "quantity": 2, "direction": "long"}}, "pair_states": {}, "peak": 5}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a directory with a state and a database that lacks a zone and an account."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "trading_state.json").write_text(json.dumps(STATE))
    (folder / "readme.txt").write_text("not read")
    rows = {"trades": [trade("CTP.1", datetime="2025-01-02 03:04:05"), trade("CTP.2", direction="NET")]}
    database(folder / "foxtrot_state.db", FOXTROT, rows)
    return folder


def test_what_is_missing_is_named_and_nothing_is_written(run: Run, old: Path, tmp_path: Path) -> None:
    ended = run("migrate", old, "--data", tmp_path / "data")
    assert (ended.code, ended.out) == (2, "")
    assert "foxtrot_state.db: table trades names no account: name it with --account" in ended.err
    ended = run("migrate", old, "--data", tmp_path / "data", "--account", "ACC1")
    assert ended.code == 2
    assert "have no zone, such as '2025-01-02 03:04:05': name it with --zone" in ended.err
    with eventstore.open(tmp_path / "data") as store:
        assert store.head() == 0
    assert sorted(path.name for path in old.iterdir()) == ["foxtrot_state.db", "readme.txt", "trading_state.json"]


def test_a_directory_is_migrated_and_each_item_reported(run: Run, old: Path, tmp_path: Path) -> None:
    arguments = ("migrate", old, "--data", tmp_path / "data", "--account", "ACC1", "--zone", "Asia/Shanghai")
    dry = run(*arguments, "--dry-run")
    assert dry.code == 1
    assert dry.out.count("a dry run: nothing was written") == 2
    ended = run(*arguments)
    assert ended.code == 1
    assert "added 4 events, and read them back" in ended.out
    assert "foxtrot_state.db.backup." in ended.out
    assert "ACC1 has no limits yet, and is in shadow mode" in ended.out
    assert "direction 'NET' is neither long nor short" in ended.out
    with eventstore.open(tmp_path / "data") as store:
        assert StateManager(store, account="ACC1").load_trading_state() == STATE
        assert sum(1 for _ in store.read(types=OrderFilled)) == 1
    again = run(*arguments, "--json")
    states, tables, copies = again.document
    assert [(report["added"], report["complete"]) for report in again.document] == [(0, True), (0, False), (0, True)]
    assert {item["status"] for item in states["items"]} == {"known"}
    assert [item["status"] for item in tables["items"]] == ["known", "left out"]
    assert {item["why"] for item in copies["items"]} == {"its name says that it is a copy"}


def test_a_file_cut_off_is_refused_with_its_place(run: Run, old: Path, tmp_path: Path) -> None:
    (old / "trading_state.json").write_text(json.dumps(STATE)[:40])
    (old / "trading_state.json.backup").write_text(json.dumps(STATE))
    ended = run("migrate", old / "trading_state.json", "--data", tmp_path / "data")
    assert ended.code == 2
    assert "trading_state.json, line 1, column" in ended.err.replace("\n", " ")
    assert "eventstore migrate" in ended.err
    ended = run("migrate", old / "trading_state.json.backup", "--data", tmp_path / "data", "--no-backup")
    assert ended.code == 0
    assert not list(old.glob("*.backup.*"))


@pytest.mark.untraced
def test_a_migration_that_is_killed_resumes(tmp_path: Path) -> None:
    count, data = 3_000, tmp_path / "data"
    path = database(
        tmp_path / "f.db", FOXTROT, {"trades": [trade(f"CTP.{n}", vt_orderid=f"CTP.{n}") for n in range(count)]}
    )
    command = [sys.executable, "-m", "eventstore", "migrate", str(path), "--account", "ACC1", "--data", str(data)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=plain_environment())
    written = data / "main" / "journal.db-wal"
    # It is killed once it has begun to write, wherever it is then.
    while child.poll() is None and not (written.exists() and written.stat().st_size > 200_000):
        time.sleep(0.005)
    child.kill()
    child.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=plain_environment())
    assert "trades" in done.stdout
    with eventstore.open(data) as store:
        assert sum(1 for _ in store.read(types=OrderFilled)) == count
        assert store.verify().ok
    assert len(list(tmp_path.glob("f.db.backup.*"))) == 1


MAPPING = """
title = "Fills of a bot"
about = "Its own table."
[read]
container = "sqlite"
table = "fills"
[columns]
trade_id = "id"
symbol = "sym"
side = "side"
quantity = "qty"
price = "px"
time = "at"
"""


def test_a_table_of_another_layout_is_migrated_by_a_mapping(run: Run, tmp_path: Path) -> None:
    schema = "CREATE TABLE fills (id TEXT, sym TEXT, side TEXT, qty REAL, px REAL, at TEXT)"
    row = {"id": "1", "sym": "ESZ5", "side": "buy", "qty": 2.0, "px": 6650.25, "at": "2025-11-03T09:00:00-06:00"}
    rows = [row, row | {"id": "2", "side": "sell"}, row | {"id": "3", "px": "n/a"}]
    path = database(tmp_path / "bot.db", schema, {"fills": rows})
    (tmp_path / "bot.toml").write_text(MAPPING)
    arguments = ("migrate", path, "--mapping", tmp_path / "bot.toml", "--data", tmp_path / "data", "--json")
    asked = run(*arguments)
    assert (asked.code, asked.out) == (2, "")
    assert "account" in asked.err
    dry = run(*arguments, "--account", "ACC1", "--dry-run").document[0]
    assert (dry["added"], len(dry["items"]), dry["backups"]) == (0, 3, [])
    first = run(*arguments, "--account", "ACC1")
    assert first.code == 1
    (report,) = first.document
    assert [item["status"] for item in report["items"]] == ["migrated", "migrated", "left out"]
    assert "n/a" in report["items"][2]["why"]
    assert (report["issues"], len(report["backups"])) == ([], 1)
    with eventstore.open(tmp_path / "data") as store:
        head = store.head()
    again = run(*arguments, "--account", "ACC1").document[0]
    assert [item["status"] for item in again["items"]] == ["known", "known", "left out"]
    with eventstore.open(tmp_path / "data") as store:
        assert store.head() == head
