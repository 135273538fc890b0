"""What the snapshot file lost while a book was open is restored by the next cut."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import Batch, EventStore
from eventstore.trading import LockoutSet
from projections import SnapshotWarning
from projections.builtin import builtin_views
from projections.cuts.file import CutFile
from projections.fold import Fold
from projections.views.executions.view import ExecutionsView
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
    """Yield a book whose first cut has a lockout that never changes again."""
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
    """Keep the file and its connections, but not its content."""
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


def test_a_lost_file_is_written_again_though_the_book_has_not_moved(
    store: EventStore, book: projections.Book, file: Path
) -> None:
    deleted(file)
    assert book.snapshot()
    assert not book.snapshot()
    again(store)


class FoldingBetween:
    """A book's lock that another thread waits for: it folds one record as soon as the lock is released."""

    def __init__(self, fold: Fold, store: EventStore) -> None:
        self.fold, self.store, self.limit = fold, store, 1

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self.limit:
            self.fold.apply(list(self.store.read(after=self.fold.log_position, limit=self.limit)))
        self.limit = 0


def test_what_changes_while_a_cut_is_written_is_in_the_next_one(store: EventStore, tmp_path: Path) -> None:
    store.append("trade/A/T", [bought(f"T{number}") for number in range(4)])
    fold, snapshots = Fold(builtin_views()), projections.Snapshots(tmp_path / "cuts")
    fold.apply(list(store.read(limit=1)))
    for at in (1, 2, 3):
        # A cut stands where it was taken, and the state has moved on when it is written.
        assert snapshots.save(fold, store, lock=FoldingBetween(fold, store)) == at
        assert fold.log_position == at + 1
    assert snapshots.save(fold, store) == 4
    for at in (1, 2, 3, 4):
        found = snapshots.load(ExecutionsView(), store, until=at)
        assert found.log_position == at
        assert found.states["A"].decoded({}, "executions", "A").recent.count == at
    snapshots.close()


def test_what_was_overwritten_in_place_is_not_believed_from_memory(
    store: EventStore, book: projections.Book, file: Path
) -> None:
    """SQLite keeps pages cached until it notices that the file has changed."""
    # So many that most of the file's pages have nothing to do with the account that changes.
    accounts = [f"L{number}" for number in range(150)]
    book.append_many([Batch(f"lockout/{account}/loss", LockoutSet(rule_id="loss")) for account in accounts])
    assert book.snapshot()
    snapshots = book._snapshots
    assert snapshots is not None
    assert isinstance(snapshots._place, CutFile)
    connection = snapshots._place._connection
    assert connection is not None
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert snapshots.stored(builtin_views(), store)
    size = file.stat().st_size
    with file.open("r+b", buffering=0) as out:
        out.seek(4_096)
        out.write(b"\xff" * (size - 4_096))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SnapshotWarning)
        move_on(book)
        assert book.snapshot()
    again(store)
