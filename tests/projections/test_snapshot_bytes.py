"""Any byte of the snapshot file may be wrong and any part missing: the book is right, and nothing is raised."""

import shutil
import sys
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

import eventstore
import projections
from eventstore import EventStore
from eventstore.trading import LockoutSet
from projections import Snapshots, SnapshotWarning
from projections.cuts.states import digest_of, pack
from tests.projections.cut_files import again, executed, move_on
from tests.projections.cutting import digest, from_zero
from tests.projections.examples import snapshots_file
from tests.proving import rounds

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PRIME = 7_919
"""In steps of this size every byte of a file is visited once, and a few steps already spread over it."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        with projections.open(opened) as book:
            book.append("lockout/L/loss", LockoutSet(rule_id="loss", revocable=False))
            for _ in range(2):
                move_on(book)
                assert book.snapshot()
        yield opened


@pytest.fixture
def whole(store: EventStore, tmp_path: Path) -> bytes:
    """Return a small file of cuts, with the smallest page size."""
    small = tmp_path / "small"
    shutil.copy(snapshots_file(tmp_path / "data"), small)
    executed(small, "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM; PRAGMA journal_mode = WAL")
    content = small.read_bytes()
    assert len(content) % PRIME
    with projections.open(store, snapshots=small) as book:
        assert book.recovery.cut == store.head()
    return content


def survives(store: EventStore, file: Path, content: bytes, truth: object) -> None:
    """Use snapshots in every way, on a file with this content."""
    for path in file.parent.glob(file.name + "*"):
        path.unlink()
    file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SnapshotWarning)
        with projections.open(store, snapshots=file) as book:
            assert digest(book) == truth
            kept = book._snapshots
            assert kept is not None
            kept.cuts()
            repr(kept)
            projections.compare_snapshots(store, snapshots=kept)
            book._last_cut = 0
            assert book.snapshot()
    again(store, file)


@pytest.mark.slow
def test_whatever_byte_is_flipped_nothing_is_raised_and_the_next_cut_is_whole(
    store: EventStore, whole: bytes, tmp_path: Path
) -> None:
    truth = from_zero(store)
    for seed in rounds("snapshots byte", test=120, prove=len(whole)):
        place = seed * PRIME % len(whole)
        changed = whole[place] ^ (1 << seed % 8 if seed % 3 else 1 + seed % 255)
        survives(store, tmp_path / "rotten", whole[:place] + bytes([changed]) + whole[place + 1 :], truth)


def test_rows_that_overlap_are_found_before_a_cut_is_written_beside_them(
    store: EventStore, whole: bytes, tmp_path: Path
) -> None:
    """A page with a wrong cell pointer may read like any other until a row of it is replaced."""
    connection = apsw.Connection(str(tmp_path / "small"))
    page_bytes, page = connection.execute("PRAGMA page_size").get, root_of(connection, "part")
    connection.close()
    start, truth = (page - 1) * page_bytes, from_zero(store)
    # docs: sqlite.org/fileformat2.html, section 1.6: a leaf's header has 8 bytes, the pointers after it 2 each.
    for place in range(start + 8, start + 8 + 2 * int.from_bytes(whole[start + 3 : start + 5]), 2):
        changed = bytes([whole[place] ^ 1])
        survives(store, tmp_path / "rotten", whole[:place] + changed + whole[place + 1 :], truth)


def root_of(connection: apsw.Connection, table: str) -> int:
    page: int = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).get
    return page


def test_wherever_the_file_is_cut_short_nothing_is_raised(store: EventStore, whole: bytes, tmp_path: Path) -> None:
    truth = from_zero(store)
    for seed in rounds("snapshots length", test=25, prove=len(whole)):
        survives(store, tmp_path / "short", whole[: seed * PRIME % len(whole)], truth)


@pytest.mark.parametrize("place", ["state", "elsewhere"])
def test_a_small_state_that_says_it_is_large_takes_no_memory(store: EventStore, tmp_path: Path, place: str) -> None:
    """Not even in a comparison, which reads unsigned states too."""
    file = snapshots_file(tmp_path / "data")
    bomb = zstd.compress(bytes(200_000_000))
    data = bomb if place == "state" else pack(bytes(100)).data + bomb
    connection = apsw.Connection(str(file))
    connection.execute("UPDATE state SET data = ?, size = 100, digest = ?", (data, digest_of(data, 100)))
    connection.close()
    tracemalloc.start()
    found = projections.compare_snapshots(store)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.differences
    assert all("another size" in each.reason for each in found.differences)
    assert peak < 20_000_000


def test_an_unused_file_of_cuts_is_not_created(store: EventStore, tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "none")
    assert snapshots.cuts() == []
    snapshots.close()
    assert not (tmp_path / "none").exists()
