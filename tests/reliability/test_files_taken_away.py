"""Journal files deleted, moved, replaced or truncated under an open store: nothing more is acknowledged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import Closed, CorruptJournal, EventStore, OutcomeUnknown
from eventstore.journals.sqlite import identity
from eventstore.journals.sqlite import journal as sqlite
from tests.reliability.faults import Disk
from tests.store.facts import ORDER, contract, rejected

WAIT_SECONDS = 20.0

Taking = Callable[[Path], None]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "above" / "data"


@pytest.fixture
def store(data: Path) -> Iterator[EventStore]:
    with eventstore.open(data) as opened:
        opened.append(ORDER, [rejected(number) for number in range(20)])
        yield opened


def journal(data: Path) -> Path:
    return data / "main" / "journal.db"


def delete_journal(data: Path) -> None:
    journal(data).unlink()


def delete_all(data: Path) -> None:
    for path in (data / "main").glob("journal.db*"):
        path.unlink()


def delete_index(data: Path) -> None:
    (data / "main" / "journal.db-shm").unlink()


def delete_folder(data: Path) -> None:
    shutil.rmtree(data / "main")


def rename_journal(data: Path) -> None:
    journal(data).rename(data / "main" / "other.db")


def move_folder(data: Path) -> None:
    (data / "main").rename(data / "moved")


def move_parent(data: Path) -> None:
    data.parent.rename(data.parent.with_name("moved"))


def replace_journal(data: Path) -> None:
    """As an editor or a copying tool does: the same bytes under another inode."""
    shutil.copy(journal(data), data / "copy")
    (data / "copy").replace(journal(data))


def replace_wal(data: Path) -> None:
    wal = data / "main" / "journal.db-wal"
    shutil.copy(wal, data / "copy")
    (data / "copy").replace(wal)


def truncate_wal(data: Path) -> None:
    os.truncate(data / "main" / "journal.db-wal", 0)


def cut_wal(data: Path) -> None:
    wal = data / "main" / "journal.db-wal"
    os.truncate(wal, wal.stat().st_size - 1)


def link_elsewhere(data: Path) -> None:
    """Another log under the names of this one."""
    with eventstore.open(data / "second"):
        pass
    (data / "main").rename(data / "moved")
    (data / "main").symlink_to(data / "second" / "main")


TAKINGS: list[Taking] = [
    delete_journal, delete_all, delete_index, delete_folder, rename_journal, move_folder, move_parent,
    replace_journal, replace_wal, truncate_wal, cut_wal, link_elsewhere,
]  # fmt: skip


def named(taking: Taking) -> str:
    return taking.__name__


@pytest.mark.parametrize("taking", TAKINGS, ids=named)
def test_nothing_is_acknowledged_after_the_files_are_gone(store: EventStore, data: Path, taking: Taking) -> None:
    taking(data)
    time.sleep(2 * identity.RECENT_SECONDS)
    with pytest.raises(Closed, match="while the store was open"):
        store.append(ORDER, rejected("lost"))
    with pytest.raises(Closed):
        store.enqueue("contract/-/ESZ5", contract())
    for ask in (store.head, lambda: list(store.read()), lambda: next(store.follow()), lambda: store.version(ORDER)):
        with pytest.raises(Closed, match="open it again"):
            ask()
    assert "while the store was open" in repr(store)


@pytest.mark.parametrize("taking", TAKINGS, ids=named)
def test_a_commit_under_way_has_an_unknown_outcome(tmp_path: Path, taking: Taking) -> None:
    """The files go between the look before the transaction and the end of its sync."""
    data = tmp_path / "above" / "data"
    disk = Disk()
    store = disk.store(data)
    store.append(ORDER, [rejected(number) for number in range(20)])
    taken: list[str] = []

    def before(operation: str, file: str) -> None:
        if operation == "sync" and not taken:
            taken.append(file)
            taking(data)

    disk.before = before  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown, match="while the store was open") as caught:
        store.append(ORDER, [rejected("lost")] * 2)
    assert len(caught.value.ids) == 2
    with pytest.raises(Closed):
        store.append(ORDER, rejected("later"))
    store.close()


def test_who_only_reads_learns_of_it_too(store: EventStore, data: Path) -> None:
    delete_folder(data)
    deadline = time.monotonic() + WAIT_SECONDS
    while "closed" not in repr(store) and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(Closed, match="deleted or moved"):
        store.head()
    with pytest.raises(Closed):
        store.wait(100, 0.1)


def test_a_follower_ends_with_closed(store: EventStore, data: Path) -> None:
    found = store.follow(after=19)
    assert next(found).position == 20
    delete_folder(data)
    with pytest.raises(Closed):
        next(found)


def test_a_moved_log_and_a_new_one_in_its_place_are_two(data: Path) -> None:
    first = eventstore.open(data)
    first.append(ORDER, [rejected(number) for number in range(20)])
    move_folder(data)
    time.sleep(2 * identity.RECENT_SECONDS)
    with eventstore.open(data) as second:
        second.append(ORDER, rejected("of the second"))
        with pytest.raises(Closed):
            first.append(ORDER, rejected("lost"))
        first.close()
        # Closing the first took nothing from the second: not its write-ahead log, which has the same name.
        second.append(ORDER, rejected("again"))
        with closing(sqlite3.connect(journal(data))) as other:
            assert other.execute("SELECT count(*) FROM event").fetchone() == (2,)
    with eventstore.open(data) as second:
        assert second.head() == 2
        assert second.verify().ok
    (data / "moved").rename(data / "main" / "aside")
    shutil.copytree(data / "main" / "aside", data / "again" / "main")
    with eventstore.open(data / "again") as again:
        assert again.head() == 20
        assert again.verify().ok


def test_the_watermark_of_a_moved_log_is_written_into_it_alone(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = eventstore.open(data)
    journal_ = store._journal
    assert isinstance(journal_, sqlite.SqliteJournal)
    store.append(ORDER, rejected("a"))
    move_folder(data)
    (data / "main").mkdir()
    journal_._write_watermark(synced=True)
    assert (data / "moved" / "watermarks" / "head").exists()
    assert not list((data / "main").iterdir())
    store.close()


def test_a_deleted_journal_is_missed_when_its_folder_is_opened_again(store: EventStore, data: Path) -> None:
    delete_all(data)
    with pytest.raises((Closed, OutcomeUnknown)):
        store.append(ORDER, rejected("lost"))
    store.close()
    with pytest.raises(CorruptJournal, match="acknowledged records are lost"):
        eventstore.open(data)


def test_a_deleted_write_ahead_log_is_moved_over_while_it_can_be(data: Path) -> None:
    store = eventstore.open(data)
    store.append(ORDER, [rejected(number) for number in range(300)])
    (data / "main" / "journal.db-wal").unlink()
    time.sleep(2 * identity.RECENT_SECONDS)
    with pytest.raises(Closed, match=r"deleted or moved .*; all its records are in the journal"):
        store.append(ORDER, rejected("lost"))
    store.close()
    with eventstore.open(data) as again:
        assert again.head() == 300
        assert again.verify().ok


def test_a_truncated_journal_is_noticed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with eventstore.open(data) as store:
        store.append(ORDER, [rejected(number) for number in range(300)])
    store = eventstore.open(data)
    store.append(ORDER, rejected("a"))
    os.truncate(journal(data), journal(data).stat().st_size - 1)
    with pytest.raises((Closed, OutcomeUnknown), match="was truncated from"):
        store.append(ORDER, rejected("lost"))
    with pytest.raises(Closed, match="was truncated from"):
        store.append(ORDER, rejected("lost"))
    store.close()


def test_others_may_checkpoint_and_begin_the_write_ahead_log_again(store: EventStore, data: Path) -> None:
    with closing(apsw.Connection(str(journal(data)))) as other:
        assert other.execute("SELECT count(*) FROM event").get == 20
        for number in range(3):
            store.append(ORDER, [rejected(number)] * 50)
            assert other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)
            store.append(ORDER, rejected("after"))
    assert store.verify().ok


def test_another_process_may_begin_the_write_ahead_log_again_and_append(store: EventStore, data: Path) -> None:
    script = (
        "import sys, eventstore, apsw\n"
        "from tests.store.facts import rejected\n"
        "with eventstore.open(sys.argv[1]) as store:\n"
        "    c = apsw.Connection(sys.argv[1] + '/main/journal.db')\n"
        "    c.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)\n"
        "    store.append('order/ACC1/other', rejected('other'))\n"
        "    c.close()\n"
    )
    for number in range(2):
        store.append(ORDER, [rejected(number)] * 50)
        subprocess.run([sys.executable, "-c", script, str(data)], check=True, timeout=WAIT_SECONDS * 3)
        store.append(ORDER, rejected("after"))
    assert store.head() == 20 + 2 * 52
    assert store.verify().ok


def test_a_relative_path_is_the_same_after_the_directory_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with eventstore.open("data") as store:
        store.append(ORDER, rejected("a"))
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.append(ORDER, rejected("b"))
        assert len(list(store.read())) == 2
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_journal_behind_links_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "real")
    with eventstore.open(tmp_path / "data") as store:
        store.append(ORDER, rejected("a"))
    with eventstore.open(tmp_path / "data") as store:
        store.append(ORDER, rejected("b"))
        (tmp_path / "data").unlink()
        time.sleep(2 * identity.RECENT_SECONDS)
        with pytest.raises(Closed, match="deleted or moved"):
            store.append(ORDER, rejected("c"))


@pytest.mark.parametrize("waits", [0.0, 0.005, identity.TICK_SECONDS * 3])
@pytest.mark.parametrize("taking", [delete_journal, delete_index, replace_wal, move_folder], ids=named)
def test_nothing_passes_however_short_after_the_last_look(data: Path, taking: Taking, waits: float) -> None:
    """The folder's time may be the same before and after, within one tick; then the names are looked at."""
    store = eventstore.open(data)
    store.append(ORDER, rejected("a"))
    deadline = time.monotonic() + waits
    while time.monotonic() < deadline:
        store.append(ORDER, rejected("b"))
    taking(data)
    with pytest.raises((Closed, OutcomeUnknown), match="while the store was open"):
        store.append(ORDER, rejected("lost"))
    store.close()


def test_a_folder_that_keeps_changing_hides_nothing(store: EventStore, data: Path) -> None:
    for number in range(20):
        (data / "main" / f"other {number}").touch()
        store.append(ORDER, rejected("a"))
    delete_journal(data)
    with pytest.raises((Closed, OutcomeUnknown), match="deleted or moved"):
        store.append(ORDER, rejected("lost"))


def test_a_journal_that_goes_between_two_looks_is_missed(
    store: EventStore, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity.Identity, "_is_unchanged", lambda *_: True)
    delete_journal(data)
    with pytest.raises((Closed, OutcomeUnknown), match="deleted or moved"):
        store.append(ORDER, rejected("lost"))


def test_who_opens_a_connection_after_that_gets_none(store: EventStore, data: Path) -> None:
    journal_ = store._journal
    assert isinstance(journal_, sqlite.SqliteJournal)
    replace_journal(data)
    with pytest.raises(Closed, match="was replaced by another file"):
        journal_._connect()


def test_the_folder_s_time_is_believed_a_tick_after_it_was_first_seen(store: EventStore, data: Path) -> None:
    looked = identity.Identity(journal(data), 2_048, lambda: True)
    assert [looked._is_unchanged(time.monotonic()) for _ in range(2)] == [False, False], (
        "two changes within a tick look like one"
    )
    time.sleep(1.5 * identity.TICK_SECONDS)
    looked._is_unchanged(time.monotonic())
    time.sleep(1.5 * identity.TICK_SECONDS)
    coarse = not (data / "main").stat().st_ctime_ns % 1_000_000_000
    assert looked._is_unchanged(time.monotonic()) or coarse
    (data / "main" / "another").touch()
    assert not looked._is_unchanged(time.monotonic())
    looked.close()
    assert store.head() == 20
