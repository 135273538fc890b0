"""Files and directories without write permission cost cuts, and nothing else."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from projections import SnapshotWarning
from tests.projections.cut_files import again, move_on
from tests.projections.cutting import digest, from_zero


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run as a user to whom file modes apply, even where root runs the tests; yield that user's directory."""
    home = tmp_path / "home"
    home.mkdir()
    for path in (tmp_path, *tmp_path.parents):
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)
    was, user = os.geteuid(), 65_534 if os.geteuid() == 0 else os.geteuid()
    if was != user:
        os.chown(home, user, -1)
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    os.seteuid(user)
    yield home
    os.seteuid(was)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_cannot_be_written_is_warned_of_once_and_read_all_the_same(home: Path, what: str) -> None:
    place = home / "cuts"
    place.mkdir()
    file = place / "cuts"
    with eventstore.open(home / "data") as store:
        with projections.open(store, snapshots=file) as book:
            move_on(book)
            assert book.snapshot()
        path = file if what == "file" else place
        path.chmod(path.stat().st_mode & ~0o222)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with projections.open(store, snapshots=file) as book:
                for _ in range(2):
                    move_on(book)
                    assert not book.snapshot()
                assert digest(book) == from_zero(store)
        assert ["no snapshots since" in str(each.message) for each in warned] == [True]
        path.chmod(0o700)
        with warnings.catch_warnings():
            # What SQLite keeps beside a read-only file may be read-only for good: another file is begun then.
            warnings.simplefilter("ignore", SnapshotWarning)
            with projections.open(store, snapshots=file) as book:
                assert book.snapshot(), book.snapshot_trouble
        again(store, file)


def test_a_file_that_can_be_written_again_is_written_by_a_book_that_opened_it_before(home: Path) -> None:
    place = home / "cuts"
    with eventstore.open(home / "data") as store, projections.open(store, snapshots=place) as first:
        move_on(first)
        # It stays open, and so do the files that SQLite keeps beside it.
        assert first.snapshot()
        place.chmod(0o400)
        with projections.open(store, snapshots=place) as book:
            move_on(book)
            with pytest.warns(SnapshotWarning, match="is read-only"):
                assert not book.snapshot()
            place.chmod(0o600)
            assert book.snapshot()
        again(store, place)
