"""Files among the watermarks: only a valid one of this log can refuse a journal."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventstore
from eventstore import CorruptJournal, StorageWarning
from eventstore.watermarks import Watermark, Watermarks, checksum_of, encoded
from tests.store.facts import ORDER, rejected


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A closed log of three records."""
    with eventstore.open(tmp_path / "data") as store:
        store.append(ORDER, [rejected(number) for number in range(3)])
    return tmp_path / "data"


def folder(data: Path) -> Path:
    return data / "main" / "watermarks"


def head_of(data: Path) -> Watermark:
    mark = Watermarks(folder(data)).read("head")
    assert mark is not None
    return mark


def opens(data: Path) -> list[str]:
    """Open a log, append to it, and return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with eventstore.open(data) as store:
            head = store.head()
            assert store.append(ORDER, rejected("more"))[0].position == head + 1
            assert store.verify().ok
    assert all(issubclass(each.category, StorageWarning) for each in caught)
    return [str(each.message) for each in caught]


def ahead(mark: Watermark) -> Watermark:
    return msgspec.structs.replace(mark, position=mark.position + 5)


def test_every_torn_head_is_passed_over(data: Path) -> None:
    whole = encoded(ahead(head_of(data)))
    for length in (1, 2, 20, 50, 60, 61, 62, 63, 100, len(whole) - 20, len(whole) - 3):
        (folder(data) / "head").write_bytes(whole[:length])
        [warning] = opens(data)
        assert "'head'" in warning


def test_a_torn_write_of_zeros_at_the_end_is_passed_over(data: Path) -> None:
    whole = encoded(ahead(head_of(data)))
    for length in (0, 10, len(whole) - 1):
        (folder(data) / "head").write_bytes(whole[:length].ljust(len(whole), b"\0"))
        assert len(opens(data)) == 1


def test_a_changed_digit_is_distinguished_from_a_watermark_that_is_ahead(data: Path) -> None:
    whole = encoded(head_of(data))
    (folder(data) / "head").write_bytes(whole.replace(b'"position":3', b'"position":9'))
    [warning] = opens(data)
    assert "checksum" in warning


def test_a_sound_watermark_that_is_ahead_refuses(data: Path) -> None:
    mark = head_of(data)
    (folder(data) / "head").write_bytes(encoded(ahead(mark)))
    with pytest.raises(CorruptJournal, match="acknowledged records are lost") as refused:
        eventstore.open(data)
    assert refused.value.position == mark.position + 1


def test_one_of_before_the_checksum_counts_as_sound(data: Path) -> None:
    mark = head_of(data)
    (folder(data) / "head").write_bytes(msgspec.json.encode(mark) + b"\n")
    assert opens(data) == []
    (folder(data) / "old").write_bytes(msgspec.json.encode(ahead(ahead(mark))))
    with pytest.raises(CorruptJournal, match="acknowledged records are lost"):
        eventstore.open(data)


def test_an_empty_file_is_not_a_watermark(data: Path) -> None:
    (folder(data) / "head").write_bytes(b"")
    assert opens(data) == []


def test_a_file_that_is_not_a_watermark_is_ignored_without_waiting(data: Path) -> None:
    place = folder(data)
    (place / "directory").mkdir()
    os.mkfifo(place / "fifo")
    (place / "link").symlink_to(place / "head")
    (place / "loop").symlink_to(place / "loop")
    (place / "gone").symlink_to(place / "nowhere")
    with (place / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    (place / "a name").write_bytes(b"{}")
    (place / "json").write_bytes(b"{}")
    (place / "deep").write_bytes(b"[" * 4_000)
    (place / "text").write_bytes(b"\xff\xfe\0")
    (place / "odd").write_bytes(b'{"log_id":"x","position":99,"digest":"y"}')
    Path(os.fsdecode(os.fsencode(place) + b"/\xff\xfe")).write_bytes(b"?")
    assert len(opens(data)) == 12
    assert {mark.position for mark in Watermarks(place).examine()[0].values()} == {4}


@pytest.mark.parametrize("position", [-1, 1 << 63, 1 << 200])
def test_a_position_that_no_log_has_is_passed_over(data: Path, position: int) -> None:
    mark: Any = {"log_id": head_of(data).log_id, "position": position, "digest": "", "root": ""}
    (folder(data) / "other").write_bytes(msgspec.json.encode(mark))
    assert len(opens(data)) == 1


def test_one_of_another_log_is_passed_over_beside_ones_own(data: Path) -> None:
    mark = msgspec.structs.replace(ahead(head_of(data)), log_id="00" * 16)
    (folder(data) / "other").write_bytes(encoded(mark))
    [warning] = opens(data)
    assert "of another log" in warning


def test_a_folder_that_is_not_a_directory_is_ignored(data: Path) -> None:
    for path in folder(data).iterdir():
        path.unlink()
    folder(data).rmdir()
    folder(data).write_bytes(b"a file")
    assert len(opens(data)) == 1
    folder(data).unlink()
    os.mkfifo(folder(data))
    assert len(opens(data)) == 1


@pytest.mark.parametrize("left", ["nothing", "empty"])
def test_a_log_does_not_start_again_where_one_had_records(data: Path, left: str) -> None:
    journal = data / "main" / "journal.db"
    journal.unlink()
    if left == "empty":
        journal.touch()
    for _ in range(2):
        with pytest.raises(CorruptJournal, match="saw position 3"):
            eventstore.open(data)
    assert journal.exists() == (left == "empty")


def test_a_log_that_is_moved_keeps_its_watermarks(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    marks = Watermarks(tmp_path / "log" / "watermarks")
    marks.write("head", Watermark("00" * 16, 1, "11" * 32))
    (tmp_path / "log").rename(tmp_path / "moved")
    (tmp_path / "log" / "watermarks").mkdir(parents=True)
    marks.write("head", Watermark("00" * 16, 2, "22" * 32))
    assert marks.all()["head"].position == 2
    assert Watermarks(tmp_path / "moved" / "watermarks").all()["head"].position == 2
    assert Watermarks(tmp_path / "log" / "watermarks").all() == {}


def test_one_that_is_held_is_written_where_it_began_though_it_was_moved_before_the_first_use(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    marks = Watermarks(tmp_path / "log" / "watermarks").hold()
    (tmp_path / "log").rename(tmp_path / "moved")
    (tmp_path / "log").mkdir()
    marks.write("mirror", Watermark("00" * 16, 1, "11" * 32))
    assert not list((tmp_path / "log").iterdir())
    assert (tmp_path / "moved" / "watermarks" / "mirror").exists()


def test_the_checksum_is_what_the_document_says() -> None:
    mark = Watermark("00" * 16, 7, "11" * 32)
    assert checksum_of(mark) == "69b13445b3828aee"
    assert encoded(mark).endswith(f'"checksum":"{checksum_of(mark)}"}}\n'.encode())


def test_one_that_is_read_by_name_is_there_or_none_or_damaged(data: Path) -> None:
    marks = Watermarks(folder(data))
    assert marks.read("nowhere") is None
    (folder(data) / "blank").write_bytes(b"\0" * 100)
    assert marks.read("blank") is None
    (folder(data) / "torn").write_bytes(b'{"log_id":')
    with pytest.raises(CorruptJournal, match="torn is damaged"):
        marks.read("torn")


def test_a_watermark_removed_while_the_folder_is_listed_is_left_out(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "listdir", lambda _: ["gone", "head"])
    assert list(Watermarks(folder(data)).all()) == ["head"]


def test_one_that_the_disk_cannot_read_is_passed_over(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_handle: int, _size: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", fails)
    found, unsound = Watermarks(folder(data)).examine()
    assert (found, unsound) == ({}, {"head": "Input/output error"})
