"""The write-ahead log is bounded: it grows while a reader holds an older state, names it, and shrinks afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import EventStore
from eventstore.journals.sqlite import checkpointing, schema, wal
from eventstore.journals.sqlite import journal as sqlite
from eventstore.journals.sqlite.wal import Holder, WriteAheadLog, write_ahead_log
from gateways.alerting.checks import OK, WARNING
from gateways.cli.doctor import wal_check
from gateways.cli.wal_holders import holders_of
from tests.store.facts import ORDER, rejected

WAIT_SECONDS = 30.0
READER = (
    "import sqlite3, sys\n"
    "c = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)\n"
    "c.execute('BEGIN'); c.execute('SELECT count(*) FROM event').fetchone()\n"
    "print('there', flush=True); sys.stdin.readline()\n"
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "CHECKPOINT_PAGES", 100)
    monkeypatch.setattr(schema, "WAL_BYTES_MAX", 1 << 20)


@contextmanager
def foreign_reader(journal: Path) -> Iterator[int]:
    """A process of another program that keeps the journal as it is now in view."""
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        try:
            yield process.pid
        finally:
            process.communicate("\n")


def grow(store: EventStore, journal: Path, size: int) -> None:
    while wal.wal_bytes(journal) < size:
        store.append(ORDER, [rejected("x" * 300)] * 200)


def shrinks(journal: Path, store: EventStore | None = None) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while wal.wal_bytes(journal) > schema.WAL_BYTES_MAX and time.monotonic() < deadline:
        if store is not None:
            store.append(ORDER, rejected())
        time.sleep(0.02)
    return wal.wal_bytes(journal) <= schema.WAL_BYTES_MAX


@pytest.mark.parametrize("appending", [True, False], ids=["while appends continue", "without appends"])
def test_it_shrinks_when_a_foreign_reader_has_gone(tmp_path: Path, appending: bool) -> None:
    journal = tmp_path / "main" / "journal.db"
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected())
        with foreign_reader(journal) as pid:
            grow(store, journal, 3 << 20)
            found = write_ahead_log(journal)
            assert found.bytes >= 3 << 20
            assert found.holders is not None
            assert [holder.pid for holder in found.holders] == [pid]
            assert found.holders[0].program.startswith("python")
        assert shrinks(journal, store if appending else None)
        assert write_ahead_log(journal).holders == ()
        assert store.verify().ok
        assert store._journal.integrity() == []


def test_it_stays_small_without_a_reader_of_an_older_state(tmp_path: Path) -> None:
    journal = tmp_path / "main" / "journal.db"
    with eventstore.open(tmp_path) as store:
        for _ in range(40):
            store.append(ORDER, [rejected("x" * 300)] * 200)
        assert shrinks(journal, store)


def test_readers_of_this_process_hold_nothing_for_long(tmp_path: Path) -> None:
    journal = tmp_path / "main" / "journal.db"
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, [rejected(number) for number in range(600)])
        held = store.read()
        next(held)
        for _ in range(20):
            store.append(ORDER, [rejected("x" * 300)] * 200)
        assert shrinks(journal, store)


def test_where_the_system_does_not_say_it_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "_LOCKS", tmp_path / "nowhere")
    with eventstore.open(tmp_path / "data") as store:
        store.append(ORDER, rejected())
        found = write_ahead_log(tmp_path / "data" / "main" / "journal.db")
    assert found.holders is None
    assert found.bytes > 0
    assert "does not say" in holders_of(found)


@pytest.mark.parametrize(
    "line",
    ["", "1:", "1: POSIX  ADVISORY  READ x fe:00:9 124 124", "1: -> POSIX ADVISORY READ 5 fe:00:{inode} 124 124",
     "1: FLOCK  ADVISORY  READ 5 fe:00:{inode} 124 124", "1: POSIX ADVISORY WRITE 5 fe:00:{inode} 124 124",
     "1: POSIX ADVISORY READ 5 fe:00:{inode} 128 128", "1: POSIX ADVISORY READ 5 fe:00:{inode} 0 EOF",
     "1: POSIX ADVISORY READ -1 fe:00:{inode} 124 124", "1: POSIX ADVISORY READ 0 fe:00:{inode} 124 124"],
)  # fmt: skip
def test_locks_of_another_kind_have_no_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    (tmp_path / "j.db-shm").touch()
    inode = (tmp_path / "j.db-shm").stat().st_ino
    (tmp_path / "locks").write_text(line.format(inode=inode) + "\n")
    monkeypatch.setattr(wal, "_LOCKS", tmp_path / "locks")
    assert write_ahead_log(tmp_path / "j.db") == WriteAheadLog(0, ())


def test_a_process_that_is_gone_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "j.db-shm").touch()
    inode = (tmp_path / "j.db-shm").stat().st_ino
    (tmp_path / "locks").write_text(f"1: POSIX ADVISORY READ 999999999 fe:00:{inode} 123 127\n")
    monkeypatch.setattr(wal, "_LOCKS", tmp_path / "locks")
    found = write_ahead_log(tmp_path / "j.db")
    assert found.holders == (Holder(999_999_999, ""),)
    assert "a process (999999999)" in holders_of(found)


def test_doctor_warns_above_a_bound() -> None:
    assert wal_check(WriteAheadLog(schema.WAL_BYTES_MAX, ())).status == OK
    check = wal_check(WriteAheadLog(100 << 20, (Holder(7, "sqlitebrowser"),)))
    assert check.status == WARNING
    assert "sqlitebrowser (7) keeps an older state in view" in check.detail
    assert "104.9 MB" in check.detail
    assert "no process holds it now" in wal_check(WriteAheadLog(100 << 20, ())).detail


def test_it_is_found_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.db-wal").write_bytes(b"12345")
    (tmp_path / "real.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    assert wal.wal_bytes(tmp_path / "link.db") == 5
    os.mkfifo(tmp_path / "fifo.db-wal")
    assert wal.wal_bytes(tmp_path / "fifo.db") == 0


def test_without_a_process_that_has_it_open_there_is_no_holder(tmp_path: Path) -> None:
    assert write_ahead_log(tmp_path / "nowhere.db") == WriteAheadLog(0, ())


def test_the_background_thread_does_not_wait_for_appenders(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected())
        journal = store._journal
        assert isinstance(journal, sqlite.SqliteJournal)
        with closing(apsw.Connection(str(journal.path))) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            pages, moved = journal._checkpoints._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
            assert time.monotonic() - began < schema.WAIT_SECONDS / 2
            other.execute("ROLLBACK")
        assert moved < pages
        pages, moved = journal._checkpoints._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        assert moved >= pages
        assert journal.trouble == ""
