"""Room in the write-ahead log: made ahead of the appends, over nothing that is stored, and missed by nobody."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import Closed, EventStore
from eventstore.journals.sqlite import SqliteJournal, checkpointing, reservation, schema, wal
from tests.store.facts import ORDER, rejected, text_of
from tests.waiting import until

MAX = 1 << 20
WAIT_SECONDS = 30.0


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "CHECKPOINT_PAGES", 300)
    monkeypatch.setattr(schema, "WAL_BYTES_MAX", MAX)
    monkeypatch.setattr(reservation, "USED_BYTES_MIN", 20_000)
    monkeypatch.setattr(reservation, "PART_BYTES_MAX", 30_000)
    monkeypatch.setattr(reservation, "PAUSE_SECONDS", 0.0)


def journal_of(store: EventStore) -> SqliteJournal:
    journal = store.journal
    assert isinstance(journal, SqliteJournal)
    return journal


def use(store: EventStore) -> int:
    """Append as much as makes room due; return how many bytes of the log are used."""
    for _ in range(4):
        store.append(ORDER, rejected("x" * 300))
    return used(store)


def used(store: EventStore) -> int:
    identity = journal_of(store)._identity
    assert identity is not None
    return identity.wal_least


def until_done(store: EventStore) -> None:
    until(lambda: not journal_of(store)._reservation.is_due)


def test_another_process_that_commits_in_between_is_not_written_over(tmp_path: Path) -> None:
    """Two stores in turns, threads of each; what a kill leaves at any moment has all that was acknowledged."""
    done = threading.Event()

    def append(store: EventStore, number: int) -> int:
        count = 0
        while not done.is_set():
            store.append(f"order/ACC{number}/O-1", rejected(f"{number}.{count}"))
            count += 1
        return count

    with (
        eventstore.open(tmp_path / "data") as one,
        eventstore.open(tmp_path / "data") as two,
        ThreadPoolExecutor(4) as executor,
    ):
        appending = [executor.submit(append, store, number) for number, store in enumerate((one, two) * 2)]
        try:
            time.sleep(0.4)
        finally:
            done.set()
        counts = [each.result() for each in appending]
        assert wal.wal_bytes(journal_of(one).path) >= used(one)
        place = tmp_path / "killed" / "main"
        place.mkdir(parents=True)
        # The frames first: they have all that the tables lack.
        for name in ("journal.db-wal", "journal.db"):
            shutil.copy(tmp_path / "data" / "main" / name, place / name)
    for left in ("data", "killed"):
        with eventstore.open(tmp_path / left) as store:
            assert store.verify().ok
            assert store.doctor() == []
            for number, count in enumerate(counts):
                found = [text_of(record) for record in store.read(stream=f"order/ACC{number}/O-1")]
                assert found == [f"{number}.{each}" for each in range(count)]


def test_what_is_truncated_does_not_look_whole_again(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        journal = journal_of(store)
        with journal._lock:
            # The background thread waits for the lock, until the file has lost half of what is used.
            half = use(store) // 2
            assert journal._reservation.is_due
            os.truncate(f"{journal.path}-wal", half)
        with pytest.raises(Closed, match=f"was truncated to {half:,} bytes while the store was open"):
            store.append(ORDER, rejected())
        assert wal.wal_bytes(journal.path) == half


def test_what_is_truncated_while_room_is_made_does_not_look_whole_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with eventstore.open(tmp_path) as store:
        journal = journal_of(store)
        write = os.write

        def write_late(handle: int, data: bytes) -> int:
            os.truncate(f"{journal.path}-wal", 10_000)
            return write(handle, data)

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", write_late)
            with journal._lock:
                use(store)
            until(lambda: bool(journal._closed))
        with pytest.raises(Closed, match="was truncated to 10,000 bytes while the store was open"):
            store.append(ORDER, rejected())


def test_no_room_is_made_where_others_have_committed_since(tmp_path: Path) -> None:
    """How much of the file is theirs is not known then: what they lost would look like room."""
    with eventstore.open(tmp_path) as store, eventstore.open(tmp_path) as other:
        journal = journal_of(store)
        with journal_of(other)._lock:
            with journal._lock:
                use(store)
                assert journal._reservation.is_due
                other.append(ORDER, rejected())
                size = wal.wal_bytes(journal.path)
            until_done(store)
            assert wal.wal_bytes(journal.path) == size
        store.append(ORDER, rejected())
        until(lambda: wal.wal_bytes(journal.path) > size)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_is_full_by_then_keeps_no_append_out(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with eventstore.open(tmp_path) as store:
        write, parts = os.write, [1_000]

        def write_less(handle: int, data: bytes) -> int:
            if parts:
                return write(handle, data[: parts.pop()])
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "write", write_less)
        use(store)
        until_done(store)
        assert not parts
        use(store)
        assert store.doctor() == []
        assert store.verify().ok


def test_a_disk_that_is_nearly_full_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservation, "ROOM_TIMES_MIN", 1 << 40)
    with eventstore.open(tmp_path) as store:
        size = use(store)
        until_done(store)
        assert wal.wal_bytes(journal_of(store).path) == size


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_disk_that_fails_is_reported(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with eventstore.open(tmp_path) as store:
        monkeypatch.setattr(os, call, fails)
        use(store)
        until(lambda: any("Input/output error" in found for found in store.doctor()))
        monkeypatch.undo()
        store.append(ORDER, rejected())
        assert store.verify().ok


def test_the_file_is_ahead_of_the_appends_and_stays_so_over_checkpoints_and_backups(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        path = journal_of(store).path
        use(store)
        until(lambda: wal.wal_bytes(path) >= 4 * 20_000)
        highest, restarts = 0, 0
        while restarts < 3:
            before = used(store)
            use(store)
            restarts += used(store) < before
            highest = max(highest, used(store))
            until_done(store)
            assert wal.wal_bytes(path) >= min(2 * highest, MAX)
        assert wal.wal_bytes(path) == MAX
        store.backup(tmp_path / "copy")
        assert wal.wal_bytes(path) == MAX
        assert not wal.wal_bytes(tmp_path / "copy" / "main" / "journal.db")
    assert not path.with_name("journal.db-wal").exists()


def test_it_is_ahead_again_once_it_was_shrunk(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        journal = journal_of(store)
        use(store)
        until_done(store)
        pages, done = journal._checkpoints._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        assert (pages, done) == (0, 0)
        assert wal.wal_bytes(journal.path) == 0
        size = use(store)
        until(lambda: wal.wal_bytes(journal.path) >= 2 * size)
        assert store.doctor() == []


def test_a_command_that_appends_once_writes_no_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected())
        assert not journal_of(store)._reservation.is_due
        assert wal.wal_bytes(journal_of(store).path) == used(store)


def test_closing_does_not_wait_for_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservation, "PART_BYTES_MAX", 1)
    store = eventstore.open(tmp_path)
    use(store)
    began = time.monotonic()
    store.close()
    assert time.monotonic() - began < WAIT_SECONDS / 2


def test_a_log_that_another_process_restarts_between_two_looks_was_not_truncated(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected())
        journal = journal_of(store)
        # The background thread looks too.
        with journal._lock:
            identity = journal._identity
            assert identity is not None
            identity.committed(50_000)
            # Its checkpoint has cut the file off, another commit has many frames, and the next checkpoint ends them.
            found = iter([30_000, 0, 0])
            assert identity.cut_off(lambda: next(found)) == ""


def test_a_log_that_others_restart_all_the_time_is_looked_at_again_later(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected())
        journal = journal_of(store)
        with journal._lock:
            identity = journal._identity
            assert identity is not None
            identity.committed(50_000)
            counts = itertools.count(10_000)
            assert identity.cut_off(lambda: next(counts)) == ""
            assert "was truncated to" in identity.cut_off(lambda: 10_000)
            identity.committed(0)
