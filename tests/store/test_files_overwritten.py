"""Journal files that are overwritten while a store has them open are noticed before anything is acknowledged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import eventstore
from eventstore import Batch, Closed, CorruptJournal, EventStore, OutcomeUnknown
from eventstore.trading import Marked

CHECKPOINT = "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()"


def marked(store: EventStore, count: int = 1) -> int:
    return store.append_many([Batch("mark/-/m", [Marked(name="m")] * count)])[-1].position


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("size", [0, 40])
def test_what_was_acknowledged_before_a_file_was_cut_off_is_missed_at_the_next_opening(
    tmp_path: Path, suffix: str, size: int
) -> None:
    store = eventstore.open(tmp_path)
    last = marked(store, 20)
    # Beyond the moment in which the names are not looked at again before a commit.
    time.sleep(0.01)
    os.truncate(tmp_path / "main" / f"journal.db{suffix}", size)
    with pytest.raises((Closed, OutcomeUnknown)):
        marked(store)
    store.close()
    try:
        with eventstore.open(tmp_path) as again:
            assert again.head() >= last
    except CorruptJournal:
        pass


def test_another_log_copied_over_the_journal_is_noticed(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "other") as other:
        marked(other, 3_000)
        copy = other.backup(tmp_path / "copy") / "journal.db"
    # Of a log that was opened again, the tables are in the journal's file alone.
    with eventstore.open(tmp_path / "data") as store:
        marked(store, 2_000)
    store = eventstore.open(tmp_path / "data")
    marked(store)
    with copy.open("rb") as source, (tmp_path / "data" / "main" / "journal.db").open("r+b") as target:
        shutil.copyfileobj(source, target)
    time.sleep(0.05)
    with pytest.raises((Closed, OutcomeUnknown), match="overwritten with something else"):
        marked(store)
    with pytest.raises(Closed):
        marked(store)
    store.close()


def test_a_checkpoint_of_another_tool_is_nothing_to_notice(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        for _ in range(3):
            marked(store, 500)
            subprocess.run([sys.executable, "-c", CHECKPOINT, tmp_path / "main" / "journal.db"], check=True)
            time.sleep(0.03)
            marked(store)
        assert store.verify().ok


def test_a_relative_directory_is_the_same_after_the_process_has_gone_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with eventstore.open("data") as store:
        marked(store)
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert store.directory == tmp_path / "data" / "main"
        with pytest.raises(eventstore.InvalidEvent, match="inside the log's own directory"):
            store.backup(tmp_path / "data" / "main" / "copy")
