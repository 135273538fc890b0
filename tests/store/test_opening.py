"""Where a store can be opened and where not: each refusal by name, with advice, and nothing touched."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import (
    Closed,
    CorruptJournal,
    EventStore,
    InvalidEvent,
    Overloaded,
    ReadOnly,
    TargetExists,
    Unavailable,
    UnsupportedFormat,
)
from eventstore.commits import Pending
from eventstore.journals.sqlite import schema
from tests.store.facts import CONTRACT, ORDER, contract, rejected, texts

JOURNAL = Path("main") / "journal.db"


def listing(directory: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(directory.rglob("*"))}


def test_a_store_is_there_again_when_it_is_opened_again(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "a" / "b") as store:
        records = store.append(ORDER, [rejected("a"), rejected("b")], expected=0)
        log_id, root = store.log_id, store.root()
    with eventstore.open(str(tmp_path / "a" / "b")) as store:
        assert list(store.read()) == records
        assert (store.log_id, store.root(), store.version(ORDER)) == (log_id, root, 2)
        assert store.append(ORDER, rejected("c"), expected=2)[0].position == 3


def test_several_logs_live_in_one_directory(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as main, eventstore.open(tmp_path, log="paper.1") as paper:
        main.append(ORDER, rejected("main"))
        (record,) = paper.append(ORDER, rejected("paper"), expected=0)
        assert (record.log, record.position) == ("paper.1", 1)
        assert (texts(main), texts(paper)) == (["main"], ["paper"])
        assert main.log_id != paper.log_id


def test_two_stores_on_one_file_see_each_other(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as one, eventstore.open(tmp_path) as two:
        for number in range(5):
            one.append(ORDER, rejected(f"one {number}"), expected=2 * number)
            two.append(ORDER, rejected(f"two {number}"), expected=2 * number + 1)
        assert texts(one) == texts(two) == [f"{who} {number}" for number in range(5) for who in ("one", "two")]
        one.close()
        assert two.append(ORDER, rejected("last"), expected=10)[0].position == 11
        assert two.verify().ok


@pytest.mark.parametrize("log", ["", "a/b", "a b", "ü", "x" * 65, None])
def test_a_log_needs_a_name(tmp_path: Path, log: str) -> None:
    with pytest.raises(InvalidEvent, match="1 to 64 of A-Z"):
        eventstore.open(tmp_path / "data", log=log)
    assert listing(tmp_path) == {}


@pytest.mark.parametrize("log", [".", ".."])
def test_a_logs_name_leads_to_no_other_folder(tmp_path: Path, log: str) -> None:
    with pytest.raises(InvalidEvent):
        eventstore.open(tmp_path / "data", log=log)
    assert listing(tmp_path) == {}


def test_a_journal_keeps_its_name(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    (tmp_path / "main").rename(tmp_path / "other")
    with pytest.raises(InvalidEvent, match="is the journal of log 'main', not 'other': open it under its own name"):
        eventstore.open(tmp_path, log="other")


def test_influx_is_given_as_settings(tmp_path: Path) -> None:
    settings: Any = "http://localhost:8086"
    with pytest.raises(InvalidEvent, match="influx is an InfluxSettings, not 'http"):
        eventstore.open(tmp_path, influx=settings)
    assert not list(tmp_path.iterdir())


# Places


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("mine")
    with pytest.raises(Unavailable, match="give") as refused:
        eventstore.open(place)
    assert str(place) in str(refused.value)
    assert listing(tmp_path) == {str(place): b"mine"}


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    directory.chmod(0o555)
    try:
        yield
    finally:
        directory.chmod(0o755)


def test_a_directory_that_is_read_only(tmp_path: Path) -> None:
    with read_only(tmp_path):
        with pytest.raises(ReadOnly, match="is not writable: give the store a directory of its own that is"):
            eventstore.open(tmp_path)
        assert listing(tmp_path) == {}


def test_a_logs_folder_that_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    with read_only(tmp_path / "main"):
        with pytest.raises(ReadOnly, match="is not writable: give the store a directory of its own that is"):
            eventstore.open(tmp_path)
        assert listing(tmp_path / "main") == {}


def test_a_file_that_is_not_a_journal(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    (tmp_path / JOURNAL).write_bytes(b"position,stream\n1,order/ACC1/O-1\n" * 100)
    before = listing(tmp_path)
    with pytest.raises(UnsupportedFormat, match=r"is not a journal .*: give another directory, or restore a backup"):
        eventstore.open(tmp_path)
    assert before.items() <= listing(tmp_path).items()


def test_a_sqlite_file_that_is_not_a_journal(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as other:
        other.execute("CREATE TABLE event (position INTEGER PRIMARY KEY)")
    before = listing(tmp_path)
    with pytest.raises(UnsupportedFormat, match="is a SQLite file but not a journal: give another directory"):
        eventstore.open(tmp_path)
    assert before.items() <= listing(tmp_path).items()


def test_a_journal_of_a_newer_format(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as journal:
        journal.execute(f"PRAGMA user_version = {schema.ENDED_FORMAT + 1}")
    with pytest.raises(
        UnsupportedFormat, match="is a journal of format 3, this version reads up to 2: update eventstore"
    ):
        eventstore.open(tmp_path)


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, [rejected(number) for number in range(500)])
    whole = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptJournal):
        eventstore.open(tmp_path)


# Locks

HOLDING = """
import sqlite3, sys
holder = sqlite3.connect(sys.argv[1], isolation_level=None)
holder.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held(journal: Path) -> Iterator[None]:
    """Have another process hold a file's write lock."""
    command = [sys.executable, "-c", HOLDING, str(journal)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.communicate("\n")


def test_a_locked_journal_is_waited_for_and_then_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "WAIT_SECONDS", 0.2)
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected("a"))
        with held(tmp_path / JOURNAL):
            with pytest.raises(Overloaded, match="nothing was written; try again, or end the process that holds it"):
                store.append(ORDER, rejected("b"))
            pending = store.enqueue(CONTRACT, contract("c"))
            with pytest.raises(Overloaded):
                pending.result(5)
            assert texts(store) == ["a"]
        store.append(ORDER, rejected("d"), expected=1)
        assert texts(store) == ["a", "d"]


def test_a_lock_that_is_given_back_in_time_is_not_noticed(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        command = [sys.executable, "-c", HOLDING.replace("sys.stdin.readline()", "import time; time.sleep(0.2)")]
        with subprocess.Popen([*command, str(tmp_path / JOURNAL)], stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            assert store.append(ORDER, rejected("a"))[0].position == 1


def test_a_journal_that_is_locked_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with eventstore.open(tmp_path / "first") as store:
        store.append(ORDER, rejected("a"))
        # A backup is no longer in WAL mode, so that its lock keeps readers out too.
        copy = store.backup(tmp_path / "copy") / "journal.db"
    monkeypatch.setattr(schema, "WAIT_SECONDS", 0.2)
    with held(copy), pytest.raises(Overloaded, match="locked"):
        eventstore.open(tmp_path / "copy")
    with eventstore.open(tmp_path / "copy") as store:
        assert texts(store) == ["a"]


# Copies


def test_a_backup_opens_and_is_a_log_of_its_own_from_then_on(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append(ORDER, [rejected("a"), rejected("b")])
        place = store.backup(tmp_path / "copy")
        assert place == tmp_path / "copy" / "main"
        store.append(ORDER, rejected("c"))
        with eventstore.open(tmp_path / "copy") as copy:
            assert copy.verify().ok
            assert copy.doctor() == []
            copy.append(ORDER, rejected("d"), expected=2)
            assert (texts(copy), texts(store)) == (["a", "b", "d"], ["a", "b", "c"])
            assert copy.log_id == store.log_id


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append(ORDER, rejected("a"))
        store.backup(tmp_path / "copy")
        before = listing(tmp_path / "copy")
        with pytest.raises(TargetExists, match="name a new place for the copy"):
            store.backup(tmp_path / "copy")
        assert listing(tmp_path / "copy") == before


def test_a_lost_tail_is_noticed_by_the_watermark(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append(ORDER, rejected("a"))
        store.backup(tmp_path / "older")
        store.append(ORDER, [rejected("b"), rejected("c")])
    shutil.copy(tmp_path / "older" / JOURNAL, tmp_path / "data" / JOURNAL)
    with pytest.raises(CorruptJournal, match="acknowledged records are lost") as corrupt:
        eventstore.open(tmp_path / "data")
    assert corrupt.value.position == 2


def test_a_watermark_of_another_log_is_noticed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with eventstore.open(tmp_path / name) as store:
            store.append(ORDER, rejected(name))
    shutil.copy(tmp_path / "one" / JOURNAL, tmp_path / "two" / JOURNAL)
    with pytest.raises(CorruptJournal, match="of another log"):
        eventstore.open(tmp_path / "two")


# Forks


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forks_child_finds_its_stores_closed(store: EventStore) -> None:
    store.append(ORDER, rejected("a"))
    assert store.head() == 1
    waiting = Pending(store.committer, [], 1, queued=True)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        messages = []
        for call in (
            lambda: store.append(ORDER, rejected("b")),
            store.head,
            lambda: store.enqueue(CONTRACT, contract()),
            lambda: waiting.result(60.0),
        ):
            try:
                call()
                messages.append("done")
            except Closed as closed:
                messages.append(str(closed))
            except BaseException as error:  # noqa: BLE001 - reported to the parent
                messages.append(repr(error))
        store.close()
        os.write(writing, "\n".join([*messages, "end"]).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        *messages, end = pipe.read().split("\n")
    assert (status, end) == (0, "end")
    assert messages.pop() == "these events were enqueued by the parent process: ask for their result there"
    assert len(messages) == 3
    assert all("was opened by the parent process: open it again in this one" in text for text in messages), messages
    store.append(ORDER, rejected("c"), expected=1)
    assert texts(store) == ["a", "c"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forks_child_opens_the_store_again(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    child = os.fork()
    if child == 0:
        try:
            with eventstore.open(tmp_path) as store:
                store.append(ORDER, rejected("child"))
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing of the tests may run on in the child
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    with eventstore.open(tmp_path) as store:
        assert texts(store) == ["child"]


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_a_pipe_that_has_a_name_of_sqlites_is_refused_instead_of_waited_for(tmp_path: Path, suffix: str) -> None:
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected("a"))
    pipe = tmp_path / "main" / f"journal.db{suffix}"
    os.mkfifo(pipe)
    with pytest.raises(Unavailable, match="is a named pipe, where SQLite expects a file of its own: remove it"):
        eventstore.open(tmp_path)
    pipe.unlink()
    with eventstore.open(tmp_path) as store:
        assert texts(store) == ["a"]
