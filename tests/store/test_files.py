"""Files are written completely, readable by their owner only, or by the directory's group."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import eventstore
from eventstore import TargetExists, files
from eventstore.trading import Marked
from tests.store.facts import ORDER, rejected


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def masked(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(directory: Path) -> tuple[set[int], set[int]]:
    """Return the modes of all files and of all directories below and at a place."""
    paths = [directory, *directory.rglob("*")]
    return {mode(path) for path in paths if path.is_file()}, {mode(path) for path in paths if path.is_dir()}


@pytest.mark.parametrize(
    ("mask", "setgid", "file", "directory"),
    [
        (0o000, False, 0o600, 0o700),
        (0o022, False, 0o600, 0o700),
        (0o277, False, 0o400, 0o500),
        (0o000, True, 0o660, 0o2770),
        (0o007, True, 0o660, 0o2770),
        (0o022, True, 0o640, 0o2750),
    ],
)
def test_new_files_and_directories_are_their_owners_or_the_groups(
    tmp_path: Path, mask: int, setgid: bool, file: int, directory: int
) -> None:
    tmp_path.chmod(0o2770 if setgid else 0o755)
    with masked(mask):
        files.make_directory(tmp_path / "a")
        (tmp_path / "a").chmod(0o2770 if setgid else 0o700)
        files.make_directory(tmp_path / "a" / "b")
        files.replace(tmp_path / "a" / "f", b"content")
        files.create(tmp_path / "a" / "g")
        with files.temporary(tmp_path / "a" / "h") as passing:
            assert mode(passing) == file
    assert mode(tmp_path / "a" / "b") == directory
    assert mode(tmp_path / "a" / "f") == mode(tmp_path / "a" / "g") == file
    assert not (tmp_path / "a" / "h").exists()


SCRIPT = """
import os, sys
import eventstore
from eventstore.influx import claims, status
from eventstore.trading import Marked
from eventstore.side import FileSide

os.umask(0)
kept = []
for place in sys.argv[1:]:
    store = eventstore.open(place + "/data")
    store.append("mark/-/m", Marked(name="x"))
    store.backup(place + "/copy")
    FileSide(store.directory).home()
    status.write_status(FileSide(store.directory), status.ShipperStatus(1, "shipping"))
    lock = FileSide(store.directory).lock(status.LOCK_FILE)
    lock.take()
    kept += [store, lock]
print("there", flush=True)
sys.stdin.readline()
for store in kept[::2]:
    store.close()
"""


def test_all_that_a_store_writes_is_its_owners_or_the_groups(tmp_path: Path) -> None:
    """In a process of its own, which has a umask of its own."""
    places = [tmp_path / "private", tmp_path / "shared"]
    for place, given in zip(places, (0o755, 0o2770), strict=True):
        place.mkdir()
        place.chmod(given)
    command = [sys.executable, "-c", SCRIPT, *map(str, places)]
    found = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        for place in places:
            names = {path.name for path in (place / "data" / "main").iterdir()}
            assert {"journal.db", "journal.db-wal", "journal.db-shm", "mirror.json", "home.json"} <= names
            found += [modes(place / "data"), modes(place / "copy")]
        process.communicate("\n")
    assert process.returncode == 0
    for place, expected in zip(places, (({0o600}, {0o700}), ({0o660}, {0o2770})), strict=True):
        assert modes(place / "data") == modes(place / "copy") == expected
    assert found[:2] == [({0o600}, {0o700})] * 2
    assert found[2:] == [({0o660}, {0o2770})] * 2


def test_what_was_there_keeps_its_mode(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append(ORDER, rejected())
    (tmp_path / "data" / "main").chmod(0o751)
    head = tmp_path / "data" / "main" / "watermarks" / "head"
    journal = tmp_path / "data" / "main" / "journal.db"
    head.chmod(0o644)
    journal.chmod(0o640)
    with eventstore.open(tmp_path / "data") as store:
        store.append("mark/-/m", Marked(name="x"))
        assert mode(journal.with_name("journal.db-wal")) == 0o640
    assert (mode(head), mode(journal), mode(journal.parent)) == (0o644, 0o640, 0o751)


def test_replacing_leaves_the_old_content_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.replace(tmp_path / "f", b"old")

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="No space"):
            files.replace(tmp_path / "f", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("f", b"old")]
    files.replace(tmp_path / "f", b"new" * 100_000)
    assert (tmp_path / "f").read_bytes() == b"new" * 100_000


def test_a_link_in_the_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "f").symlink_to(tmp_path / "mine")
    files.replace(tmp_path / "f", b"new", synced=False)
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert (tmp_path / "f").read_bytes() == b"new"


def test_publishing_overwrites_nothing_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "part").write_bytes(b"new")
    with pytest.raises(TargetExists):
        files.publish(tmp_path / "part", tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == b"old"
    files.publish(tmp_path / "part", tmp_path / "there", replacing=True)
    assert (tmp_path / "there").read_bytes() == b"new"
