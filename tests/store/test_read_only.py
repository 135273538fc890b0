"""Evidence: a log opened read-only, on any medium, next to any writer, with nothing written there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import (
    Batch,
    Closed,
    CorruptJournal,
    InfluxSettings,
    InvalidEvent,
    ReadOnly,
    StorageWarning,
    Unavailable,
)
from eventstore.journal import Journal
from eventstore.journals.sqlite import ReadOnlyJournal
from eventstore.watermarks import Watermark, Watermarks
from tests.evidence import HEAD, MOVED, Writer, everything, give_back, protect, warned_of_tail
from tests.store.facts import CONTRACT, ORDER, contract, rejected, texts


@pytest.fixture(params=["writable", "protected"])
def evidence(request: pytest.FixtureRequest, killed: Path, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Return what makes a copy of the killed log, without some of its files, where writing is allowed or is not."""
    directory = tmp_path / "evidence"

    def copied(*without: str, change: Callable[[Path], object] | None = None) -> Path:
        shutil.copytree(killed, directory)
        for suffix in without:
            (directory / "main" / f"journal.db{suffix}").unlink()
        if change is not None:
            change(directory / "main" / "journal.db-wal")
        if request.param == "protected":
            protect(directory)
        return directory

    yield copied
    if directory.exists():
        give_back(directory)


def cut(wal: Path) -> None:
    os.truncate(wal, wal.stat().st_size - 100)


def damage_last_frame(wal: Path) -> None:
    content = bytearray(wal.read_bytes())
    content[-50] ^= 1
    wal.write_bytes(content)


def end_in_zeros(wal: Path) -> None:
    with wal.open("ab") as file:
        file.write(bytes(10_000))


@pytest.mark.parametrize(
    ("without", "change", "head"),
    [
        ((), None, HEAD),
        (("-shm",), None, HEAD),
        (("-wal",), None, MOVED),
        (("-wal", "-shm"), None, MOVED),
        ((), cut, HEAD - 1),
        (("-shm",), cut, HEAD - 1),
        (("-shm",), damage_last_frame, HEAD - 1),
        (("-shm",), end_in_zeros, HEAD),
        (("-shm",), lambda wal: os.truncate(wal, 0), MOVED),
        ((), lambda wal: os.truncate(wal, 0), MOVED),
        (("-shm",), lambda wal: os.truncate(wal, 20), MOVED),
        ((), lambda wal: wal.with_name("journal.db-shm").write_bytes(b""), HEAD),
        ((), lambda wal: wal.with_name("journal.db-shm").write_bytes(os.urandom(32_768)), HEAD),
    ],
    ids=lambda value: getattr(value, "__name__", None) or "".join(value) if isinstance(value, tuple) else None,
)
def test_all_that_was_committed_is_read_and_nothing_is_written(
    evidence: Callable[..., Path], without: tuple[str, ...], change: Callable[[Path], object] | None, head: int
) -> None:
    directory = evidence(*without, change=change)
    before = everything(directory)
    with warned_of_tail(lacking=head != HEAD), eventstore.open(directory, read_only=True) as store:
        assert store.head() == head
        assert texts(store) == [str(number) for number in range(1, head + 1)]
        assert store.version(ORDER) == head
        assert store.root()[0] == head
        found = store.verify()
        if head == HEAD:
            assert (found.ok, store.missing_tail) == (True, None)
        else:
            assert (found.ok, found.checked, found.first_bad) == (False, head, head + 1)
            assert f"the watermark head saw position {HEAD}, the journal ends at {head}" in str(found.reason)
            missing = store.missing_tail
            assert missing is not None
            assert (missing.first, missing.last, missing.watermark) == (head + 1, HEAD, "head")
            assert str(missing) in str(found.reason)
        assert store.doctor() == []
        assert not store.mirror.exists
        assert everything(directory) == before
    assert everything(directory) == before


def test_a_log_that_lost_its_tail_still_refuses_to_be_appended_to(killed: Path, tmp_path: Path) -> None:
    shutil.copytree(killed, tmp_path / "copy", ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    with pytest.raises(CorruptJournal, match="acknowledged records are lost"):
        eventstore.open(tmp_path / "copy")


def test_a_log_whose_every_record_was_in_the_write_ahead_log_opens_to_nothing(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "log")
    writer.append(3)
    writer.kill()
    with eventstore.open(tmp_path / "log", read_only=True) as store:
        log_id, last = store.log_id, list(store.read())[-1]
    Watermarks(tmp_path / "log" / "main" / "watermarks").write("head", Watermark(log_id.hex(), 3, last.digest.hex()))
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "log", copy, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    before = everything(copy)
    with pytest.warns(StorageWarning, match="saw position 3, the journal ends at 0"):
        store = eventstore.open(copy, read_only=True)
    with store:
        assert (store.head(), list(store.read()), store.log_id) == (0, [], log_id)
        found = store.verify()
        assert (found.ok, found.checked, found.first_bad) == (False, 0, 1)
        with pytest.raises(CorruptJournal, match="so no copy was made"):
            store.backup(tmp_path / "backup")
    assert everything(copy) == before
    (copy / "main" / "watermarks" / "head").unlink()
    with pytest.raises(Unavailable, match="holds no log yet"):
        eventstore.open(copy, read_only=True)


def test_a_log_that_was_closed_and_one_without_records_and_a_backup_are_read(tmp_path: Path) -> None:
    eventstore.open(tmp_path / "empty").close()
    with eventstore.open(tmp_path / "closed") as store:
        store.append(ORDER, [rejected(1), rejected(2)])
        root = store.root()
        store.backup(tmp_path / "backup")
    for name, expected in (("empty", 0), ("closed", 2), ("backup", 2)):
        before = everything(tmp_path / name)
        with eventstore.open(tmp_path / name, read_only=True) as store:
            assert store.head() == expected
            assert store.verify().ok
            assert not expected or store.root() == root
        assert everything(tmp_path / name) == before


def test_a_backup_of_evidence_is_a_log_that_holds_the_same(evidence: Callable[..., Path], tmp_path: Path) -> None:
    directory = evidence("-shm")
    with eventstore.open(directory, read_only=True) as store:
        store.backup(tmp_path / "backup")
        root = store.root()
    with eventstore.open(tmp_path / "backup") as copy:
        assert copy.root() == root
        assert copy.verify().ok


def test_whatever_appends_is_refused_at_once(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    with eventstore.open(tmp_path, read_only=True) as store:
        assert store.read_only
        for append in (
            lambda: store.append(ORDER, rejected()),
            lambda: store.append(ORDER, []),
            lambda: store.append_many([Batch(ORDER, [rejected()])]),
            lambda: store.append_many([]),
            lambda: store.enqueue(CONTRACT, contract()),
            lambda: store.append("no stream", rejected()),
        ):
            with pytest.raises(ReadOnly, match="was opened read-only"):
                append()
        store.flush()
        assert store.waiting == 0
    with pytest.raises(Closed):
        store.append(ORDER, rejected())
    with pytest.raises(Closed):
        store.head()


def test_the_journal_itself_takes_nothing_either(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    journal = ReadOnlyJournal(tmp_path / "main" / "journal.db")
    assert not isinstance(journal, Journal)
    assert repr(journal).endswith("at 0>")
    journal.close()
    journal.close()
    assert "is closed" in repr(journal)


def test_a_read_only_store_is_not_mirrored(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    before = everything(tmp_path)
    with pytest.raises(InvalidEvent, match="leave out influx, or read_only"):
        eventstore.open(tmp_path, read_only=True, influx=InfluxSettings(url="http://h", org="o", bucket="b", token="t"))
    assert everything(tmp_path) == before
