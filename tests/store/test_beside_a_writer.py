"""Reading while another process writes, or starts to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import Closed, EventStore, Unavailable
from eventstore.journals.sqlite import ReadOnlyJournal, schema
from tests.evidence import Writer, everything
from tests.store.facts import ORDER, rejected, texts


def test_beside_a_writer_all_that_it_commits_is_read(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    try:
        assert writer.append(3) == 3
        before = everything(tmp_path / "main")
        with eventstore.open(tmp_path, read_only=True) as store:
            assert store.head() == 3
            assert store.verify().ok
            assert everything(tmp_path / "main") == before
            for head in (5, 7):
                writer.append(2)
                assert texts(store) == [str(number) for number in range(1, head + 1)]
            followed = store.follow(after=7)
            later = threading.Timer(0.05, lambda: writer.append(1))
            later.start()
            assert next(followed).position == 8
            later.join()
            writer.kill()
            assert store.head() == 8
            assert store.verify().ok
        with eventstore.open(tmp_path, read_only=True) as store:
            assert texts(store) == [str(number) for number in range(1, 9)]
    finally:
        writer.kill()


@pytest.fixture
def half_written(tmp_path: Path) -> Iterator[Callable[[bool], None]]:
    """Leave three records whose shared memory's header is half written, open in another process; return its switch.

    SQLite would rewrite the header, and a reader may not while another one has it open.
    """
    writer = Writer(tmp_path)
    writer.append(3)
    stays = (
        "import apsw, sys\n"
        "connection = apsw.Connection(sys.argv[1])\n"
        "connection.execute('SELECT * FROM head').fetchall()\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", stays, str(tmp_path / "main" / "journal.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "open"
        writer.kill()
        shared_memory = tmp_path / "main" / "journal.db-shm"
        header = shared_memory.read_bytes()[:4]

        def damage(is_damaged: bool) -> None:
            with shared_memory.open("r+b") as file:
                file.write(b"half" if is_damaged else header)

        damage(True)
        yield damage
        other.kill()
    with eventstore.open(tmp_path, read_only=True) as store:
        assert texts(store) == ["1", "2", "3"]
        assert store.verify().ok


@pytest.mark.usefixtures("half_written")
def test_a_writer_that_ended_within_a_commit_is_said_and_then_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "WAIT_SECONDS", 0.2)
    with pytest.raises(Unavailable, match="ended within a commit, and a process that only reads still has it open"):
        eventstore.open(tmp_path, read_only=True)


def test_a_writer_that_puts_its_files_in_order_is_waited_for(
    tmp_path: Path, half_written: Callable[[bool], None]
) -> None:
    def repaired_soon() -> threading.Timer:
        repair = threading.Timer(0.1, half_written, [False])
        repair.start()
        return repair

    repair = repaired_soon()
    with eventstore.open(tmp_path, read_only=True) as store:
        assert store.head() == 3
        repair.join()
        half_written(True)
        repair = repaired_soon()
        assert store.head() == 3
        repair.join()


def test_a_writer_in_this_process_keeps_its_locks(tmp_path: Path) -> None:
    """A file that a process opens and closes again drops all its locks, unless SQLite knows of it."""
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected(1))
        with eventstore.open(tmp_path, read_only=True) as reader:
            assert texts(reader) == ["1"]
        # A connection that believes it is the last one checkpoints the write-ahead log and removes it.
        last = (
            "import apsw, sys; c = apsw.Connection(sys.argv[1]); c.execute('SELECT * FROM head').fetchall(); c.close()"
        )
        subprocess.run([sys.executable, "-c", last, str(tmp_path / "main" / "journal.db")], check=True)
        assert (tmp_path / "main" / "journal.db-wal").exists()
        store.append(ORDER, rejected(2))
        assert texts(store) == ["1", "2"]


def test_a_writer_that_starts_after_opening_is_noticed(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, [rejected(1), rejected(2)])
    with eventstore.open(tmp_path, read_only=True) as reader:
        records = reader.read()
        assert next(records).position == 1
        with eventstore.open(tmp_path) as store:
            store.append(ORDER, rejected(3))
            with pytest.raises(Closed, match="has been written to since it was opened to be read: open it again"):
                reader.head()
        with pytest.raises(Closed):
            reader.head()
    with eventstore.open(tmp_path, read_only=True) as reader:
        assert texts(reader) == ["1", "2", "3"]


def test_a_writer_that_starts_while_a_log_is_opened_does_not_end_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected(1))
    missing_tail, writers = ReadOnlyJournal.missing_tail, list[EventStore]()

    def after_the_writer(journal: ReadOnlyJournal) -> object:
        if not writers:
            writers.append(eventstore.open(tmp_path))
            writers[0].append(ORDER, rejected(2))
        return missing_tail(journal)

    monkeypatch.setattr(ReadOnlyJournal, "missing_tail", after_the_writer)
    with eventstore.open(tmp_path, read_only=True) as reader:
        assert texts(reader) == ["1", "2"]
        writers[0].append(ORDER, rejected(3))
        assert texts(reader) == ["1", "2", "3"]
    writers[0].close()


def test_what_was_read_while_somebody_began_to_write_is_not_handed_out(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    journal = ReadOnlyJournal(tmp_path / "main" / "journal.db")
    reading = journal._reader()
    reading.__enter__()
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected(1))
    with pytest.raises(Closed, match="has been written to"):
        reading.__exit__(None, None, None)
    journal.close()


def test_a_forks_child_finds_it_closed(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    with eventstore.open(tmp_path, read_only=True) as store:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store.head()
            except Closed:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.head() == 0


def test_a_log_whose_tables_are_created_while_it_is_opened_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, check_format = tmp_path / "main" / "journal.db", schema.check_format
    place.parent.mkdir()
    begun = apsw.Connection(str(place))
    begun.execute("PRAGMA journal_mode = WAL")
    begun.close()
    looked = []

    def check(connection: apsw.Connection, path: Path) -> bool:
        has_no_tables = check_format(connection, path)
        looked.append(has_no_tables)
        if len(looked) == 1:
            writer = Writer(tmp_path)
            writer.append(3)
            writer.kill()
        return has_no_tables

    monkeypatch.setattr(schema, "check_format", check)
    with eventstore.open(tmp_path, read_only=True) as store:
        assert texts(store) == ["1", "2", "3"]
    assert looked == [True, False]
