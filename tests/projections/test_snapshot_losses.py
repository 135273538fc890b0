"""What the snapshots' file lost while a book was open is in it again with the next cut."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore
from eventstore.trading import LockoutSet
from projections import SnapshotWarning
from tests.projections.cut_files import again, executed, move_on
from tests.projections.examples import bought, snapshots_file


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return snapshots_file(tmp_path / "data")


@pytest.fixture
def book(store: EventStore) -> Iterator[projections.Book]:
    """Yield a book whose first cut holds a lockout that never changes again."""
    with projections.open(store) as book:
        book.append("lockout/L/loss", LockoutSet(rule_id="loss", revocable=False))
        book.append("trade/A/T1", bought("T1"))
        assert book.snapshot()
        yield book


def deleted(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def made_empty(file: Path) -> None:
    deleted(file)
    file.touch()


def made_garbage(file: Path) -> None:
    deleted(file)
    file.write_bytes(b"no database " * 2_000)


def overwritten(file: Path) -> None:
    """Keep the file and its connections, but not what is in it."""
    os.truncate(file, 0)
    with file.open("r+b") as out:
        out.write(b"\xff" * 40_000)


def of_another_format(file: Path) -> None:
    executed(file, "PRAGMA user_version = 99")


def emptied_behind(file: Path) -> None:
    executed(file, "DELETE FROM state")


def replaced_by_an_older_one(file: Path) -> None:
    executed(file, "PRAGMA wal_checkpoint(TRUNCATE)")
    older = file.with_name("older")
    shutil.copy(file, older)
    executed(older, "DELETE FROM state WHERE partition = 'L'")
    deleted(file)
    older.replace(file)


@pytest.mark.parametrize(
    "harm",
    [
        deleted,
        made_empty,
        made_garbage,
        overwritten,
        of_another_format,
        emptied_behind,
        replaced_by_an_older_one,
    ],
)
def test_the_next_cut_holds_what_the_file_lost_while_the_book_was_open(
    store: EventStore, book: projections.Book, file: Path, harm: Callable[[Path], None]
) -> None:
    harm(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SnapshotWarning)
        move_on(book)
        assert book.snapshot()
    again(store)


def test_a_lost_file_is_written_anew_though_the_book_has_not_moved(
    store: EventStore, book: projections.Book, file: Path
) -> None:
    deleted(file)
    assert book.snapshot()
    assert not book.snapshot()
    again(store)
