"""Which files are opened read-only, by which names, and which are refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import (
    Closed,
    CorruptJournal,
    InvalidEvent,
    Unavailable,
    UnsupportedFormat,
)
from eventstore.journals.sqlite import read_only_files, schema
from eventstore.watermarks import Watermark, Watermarks
from tests.evidence import HEAD, MOVED, ROOT, everything, obeying_modes, warned_of_tail

# What is not evidence


def test_nothing_is_created_to_be_read(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "none"):
        with pytest.raises(Unavailable, match="is not there"):
            eventstore.open(directory, read_only=True)
    (tmp_path / "main" / "journal.db").mkdir(parents=True)
    with pytest.raises(Unavailable, match="is not there"):
        eventstore.open(tmp_path, read_only=True)
    assert [path.name for path in tmp_path.iterdir()] == ["main"]


@pytest.mark.parametrize("content", [b"", b"x" * 50, b"x" * 5_000, b"SQLite format 3\0" + bytes(5_000)])
def test_a_file_that_is_not_a_journal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "main" / "journal.db"
    path.parent.mkdir()
    path.write_bytes(content)
    path.with_name("journal.db-wal").write_bytes(b"whatever")
    before = everything(tmp_path)
    with pytest.raises((UnsupportedFormat, Unavailable)):
        eventstore.open(tmp_path, read_only=True)
    assert everything(tmp_path) == before


def test_another_database_and_another_log(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    (tmp_path / "main").rename(tmp_path / "other")
    with pytest.raises(InvalidEvent, match="is the journal of log 'main', not 'other'"):
        eventstore.open(tmp_path, log="other", read_only=True)
    (tmp_path / "main").mkdir()
    other = apsw.Connection(str(tmp_path / "main" / "journal.db"))
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(UnsupportedFormat, match="is a SQLite file but not a journal"):
        eventstore.open(tmp_path, read_only=True)


def test_an_empty_database_is_not_a_log(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    empty = apsw.Connection(str(tmp_path / "main" / "journal.db"))
    empty.execute("CREATE TABLE t (x)")
    empty.execute("DROP TABLE t")
    empty.close()
    with pytest.raises(Unavailable, match="holds no log yet"):
        eventstore.open(tmp_path, read_only=True)


def test_a_change_that_was_not_finished_is_not_believed(tmp_path: Path) -> None:
    """A rollback journal says that the file holds half of a change, which only a writer can take back."""
    eventstore.open(tmp_path).close()
    path = tmp_path / "main" / "journal.db"
    half = (
        "import apsw, os, sys\n"
        "c = apsw.Connection(sys.argv[1]); c.execute('PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1')\n"
        "c.execute('BEGIN; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(1000000))'); c.cache_flush(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", half, str(path)], check=True)
    assert path.with_name("journal.db-journal").exists()
    before = everything(tmp_path)
    with pytest.raises(Unavailable, match="the change in its -journal file was not finished: copy the directory"):
        eventstore.open(tmp_path, read_only=True)
    assert everything(tmp_path) == before


def test_a_rollback_journal_beside_a_log_in_wal_mode_is_not_passed_over(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    (tmp_path / "main" / "journal.db-journal").write_bytes(b"x" * 600)
    with pytest.raises(Unavailable, match="the change in its -journal file was not finished"):
        eventstore.open(tmp_path, read_only=True)


def test_a_watermark_of_another_log_or_record_is_noticed(killed: Path, tmp_path: Path) -> None:
    shutil.copytree(killed, tmp_path / "copy")
    with eventstore.open(killed, read_only=True) as store:
        log_id, digest = store.log_id.hex(), "00" * 32
    marks = Watermarks(tmp_path / "copy" / "main" / "watermarks")
    marks.write("seen", Watermark(log_id, 3, digest))
    with pytest.raises(CorruptJournal, match="the watermark seen saw another record here"):
        eventstore.open(tmp_path / "copy", read_only=True)


@pytest.mark.parametrize("hidden", ["journal.db", "journal.db-shm", "journal.db-wal", "."])
def test_a_file_that_cannot_be_read_is_named_and_never_taken_for_missing(
    killed: Path, tmp_path: Path, hidden: str
) -> None:
    shutil.copytree(killed, tmp_path / "copy")
    place = tmp_path / "copy" / "main" / hidden
    place.chmod(0o000)
    read = (
        "import sys, eventstore\n"
        "try: print(eventstore.open(sys.argv[1], read_only=True).head())\n"
        "except eventstore.Unavailable as e: print(e)"
    )
    said = obediently(read, tmp_path / "copy")
    place.chmod(0o700)
    assert f"{place if place.is_file() else place / 'journal.db'} cannot be read" in said


@pytest.mark.parametrize("name", ["journal.db", "journal.db-shm", "journal.db-wal"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(killed: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(killed, tmp_path / "copy")
    place = tmp_path / "copy" / "main" / name
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(Unavailable, match=r"is not (there|a regular file)"):
        eventstore.open(tmp_path / "copy", read_only=True)


def test_links_that_lead_in_a_circle_are_said(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    (tmp_path / "main" / "journal.db").symlink_to(tmp_path / "main" / "journal.db")
    with pytest.raises(Unavailable, match="cannot be read"):
        eventstore.open(tmp_path, read_only=True)


def test_the_name_of_a_mounted_directory_may_be_any_text() -> None:
    line = "server:/share /mnt/Größe\\040und\\134Art nfs4 ro 0 0"
    assert schema.mount_of(line.encode()) == ("/mnt/Größe und\\Art", "nfs4")


def test_rights_that_are_taken_while_it_is_open_are_said(killed: Path, tmp_path: Path) -> None:
    shutil.copytree(killed, tmp_path / "copy")
    read = (
        "import os, sys, eventstore\n"
        "store = eventstore.open(sys.argv[1], read_only=True)\n"
        "with store._journal._reader():\n"
        "    os.chmod(sys.argv[1] + '/main', 0)\n"
        "    try: store.head()\n"
        "    except eventstore.Unavailable as e: print(e)\n"
        "    os.chmod(sys.argv[1] + '/main', 0o700)\n"
    )
    assert "cannot be read (Permission denied): get the right to read it" in obediently(read, tmp_path / "copy")


def obediently(script: str, directory: Path) -> str:
    """Run a script that obeys modes, and return what it prints."""
    command = obeying_modes(sys.executable, "-c", script, str(directory))
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def test_a_directory_that_is_exchanged_closes_what_was_read_without_locks(killed: Path, tmp_path: Path) -> None:
    shutil.copytree(killed, tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm"))
    with eventstore.open(tmp_path / "copy", read_only=True) as store:
        (tmp_path / "copy" / "main").rename(tmp_path / "elsewhere")
        (tmp_path / "copy" / "main").write_text("a file")
        with pytest.raises(Closed, match="cannot be reached any more"):
            store.head()


def test_a_connection_that_reads_makes_and_removes_no_file(killed: Path) -> None:
    files = read_only_files.files_of(killed / "main" / "journal.db")
    connection = read_only_files.connect(files, locking=True)
    connection.execute("PRAGMA temp_store = FILE; PRAGMA temp.cache_size = 1").fetchall()
    with pytest.raises(apsw.CantOpenError):
        connection.execute("CREATE TEMP TABLE t (x); INSERT INTO t VALUES (zeroblob(1000000))")
    connection.close()
    with pytest.raises(apsw.ReadOnlyError):
        read_only_files.LOCKED.xDelete(str(files.wal), False)
    flags = [apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_WAL, 0]
    wal = read_only_files.LOCKED.xOpen(str(files.wal), flags)
    with pytest.raises(apsw.IOError):
        wal.xWrite(b"x", 0)
    wal.xClose()
    assert files.wal.read_bytes()[:1] != b"x"


def test_on_a_network_only_a_log_without_other_writers_is_read(
    killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "file_system", lambda _: "nfs4")
    with pytest.raises(Unavailable, match="another host may write there: copy the log"):
        eventstore.open(killed, read_only=True)
    shutil.copytree(killed, tmp_path / "copy", ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    with warned_of_tail(), eventstore.open(tmp_path / "copy", read_only=True) as store:
        assert store.head() == MOVED


# Names and places


@pytest.mark.parametrize(
    "name", ["a b", "wie ä 日本", "what?mode=rw", "50%20off", "a#b", "file:x", "-dash", "a&b=c;'\"", "a\nb"]
)
@pytest.mark.parametrize("without", [(), ("-shm",), ("-wal", "-shm")])
def test_any_name_of_a_directory_will_do(killed: Path, tmp_path: Path, name: str, without: tuple[str, ...]) -> None:
    shutil.copytree(killed, tmp_path / name, ignore=shutil.ignore_patterns(*[f"*{suffix}" for suffix in without]))
    before = everything(tmp_path)
    lacking = "-wal" in without
    with warned_of_tail(lacking=lacking), eventstore.open(tmp_path / name, read_only=True) as store:
        assert store.head() == (MOVED if lacking else HEAD)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_name_that_is_not_text_is_refused(killed: Path, tmp_path: Path, read_only: bool) -> None:
    directory = tmp_path / os.fsdecode(b"\xff")
    shutil.copytree(killed, directory)
    with pytest.raises(InvalidEvent, match="is not UTF-8, which SQLite needs in file names"):
        eventstore.open(directory, read_only=read_only)


def test_links_to_the_directory_and_to_the_file_are_followed(killed: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(killed)
    (tmp_path / "linked" / "main").mkdir(parents=True)
    (tmp_path / "linked" / "main" / "journal.db").symlink_to(killed / "main" / "journal.db")
    before = everything(killed), everything(tmp_path)
    for name in ("link", "linked"):
        with eventstore.open(tmp_path / name, read_only=True) as store:
            assert store.head() == HEAD
    assert (everything(killed), everything(tmp_path)) == before


def test_a_relative_path_stays_where_it_was(killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(killed.parent)
    with eventstore.open(killed.name, read_only=True) as store:
        monkeypatch.chdir(tmp_path)
        heads: list[int] = []
        threads = [threading.Thread(target=lambda: heads.append(len(list(store.read())))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert heads == [HEAD] * 4
        assert store.missing_tail is None
    assert not list(tmp_path.iterdir())
