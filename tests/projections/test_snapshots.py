"""Snapshots are a cache: damaged, foreign or older ones are skipped with a warning, never believed."""

import functools
import hashlib
import random
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import EventStore
from projections import Snapshots, SnapshotWarning
from projections.cuts import writing
from projections.views.executions.view import ExecutionsView
from tests.projections.cut_files import beside, changed, executed, found_in
from tests.projections.cutting import digest, from_zero, one_step
from tests.projections.examples import bought, snapshots_file


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return snapshots_file(tmp_path / "data")


def filled_with(store: EventStore, cuts: int = 3) -> list[int]:
    """Append three trades of two accounts before each cut; return the cuts' positions."""
    with projections.open(store) as book:
        for _ in range(cuts):
            for account in ("A", "B", "A"):
                number = store.head() + 1
                book.append(f"trade/{account}/T{number}", bought(f"T{number}", number))
            assert book.snapshot()
    snapshots = beside(store)
    places = snapshots.cuts()
    snapshots.close()
    return places


def opened(store: EventStore, says: str) -> projections.Book:
    """Open the book, expecting a warning, and check that it is correct nevertheless."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        book = projections.open(store)
    assert any(says in str(each.message) and each.category is SnapshotWarning for each in warned), says
    assert digest(book) == from_zero(store)
    return book


@pytest.mark.parametrize("harm", [slice(20, 21), slice(9, None), slice(0, None)])
def test_a_damaged_state_is_passed_over_for_an_older_cut(any_store: EventStore, harm: slice) -> None:
    cuts = filled_with(any_store)
    for digest_of, data in found_in(any_store, f"SELECT digest, data FROM state WHERE position = {cuts[-1]}"):  # noqa: S608
        harmed = bytearray(data)
        del harmed[harm]
        sql = "UPDATE state SET data = :data WHERE digest = :digest AND position = :last"
        changed(any_store, sql, data=bytes(harmed), digest=digest_of, last=cuts[-1])
    # Only the views that the damage touches start further back.
    assert opened(any_store, f"snapshot of executions at {cuts[-1]} is damaged").recovery.cut == cuts[-2]


def test_a_state_that_is_whole_and_no_state_is_passed_over(any_store: EventStore) -> None:
    (*_, last) = filled_with(any_store)
    data = b"no zstd"
    digest_of = hashlib.sha256(data).digest()
    sql = "UPDATE state SET data = :data, digest = :digest WHERE position = :last"
    changed(any_store, sql, data=data, digest=digest_of, last=last)
    opened(any_store, "is damaged")


def test_a_whole_state_in_another_s_place_is_passed_over(any_store: EventStore) -> None:
    cuts = filled_with(any_store)
    changed(
        any_store,
        "UPDATE state AS s SET data = (SELECT data FROM state o WHERE o.view = s.view AND o.position = s.position "
        "AND o.partition = 'B') WHERE position = :last AND partition = 'A'",
        last=cuts[-1],
    )
    assert opened(any_store, "is damaged").recovery.cut == cuts[-2]


def test_a_cut_holds_the_states_that_changed_since_the_last_one(any_store: EventStore) -> None:
    filled_with(any_store, cuts=1)
    with projections.open(any_store) as book:
        book.append("trade/C/T", bought("T"))
        book.snapshot()
        book.append("trade/B/T", bought("T"))
        book.snapshot()
    kept = found_in(any_store, "SELECT position, partition FROM state WHERE position > 3 GROUP BY 1, 2 ORDER BY 1")
    assert kept == [(4, "C"), (5, "B")]


class Reads(apsw.VFS):
    """Counts the bytes that SQLite reads from files."""

    def __init__(self) -> None:
        super().__init__("reads", "")
        self.size = 0

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, reads: Reads, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._reads = reads

    @override
    def xRead(self, amount: int, offset: int) -> bytes:
        self._reads.size += amount
        return super().xRead(amount, offset)


def test_no_other_state_is_read_than_those_that_are_asked_for(
    store: EventStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large others are, and however many cuts there are."""
    *_, last = filled_with(store, cuts=20)
    changed(
        store,
        "UPDATE state SET data = :long WHERE partition <> 'A' OR position < :last",
        long=bytes(100_000),
        last=last,
    )
    reads, snapshots = Reads(), Snapshots(file)
    monkeypatch.setattr(apsw, "Connection", functools.partial(apsw.Connection, vfs="reads"))
    loaded = snapshots.load(ExecutionsView(), store, until=last, partitions={"A"})
    snapshots.close()
    assert (loaded.log_position, set(loaded.states)) == (last, {"A"})
    assert 0 < reads.size < 100_000
    reads.unregister()


def test_without_any_good_cut_the_log_is_folded(any_store: EventStore) -> None:
    filled_with(any_store)
    changed(any_store, "UPDATE state SET digest = :none", none=b"\0")
    assert opened(any_store, "is damaged").recovery.cut == 0


def test_the_next_cut_after_damage_is_a_good_one(any_store: EventStore) -> None:
    cuts = filled_with(any_store)
    changed(any_store, "UPDATE state SET digest = :none WHERE position > :first", none=b"\0", first=cuts[0])
    book = opened(any_store, "is damaged")
    book.append("trade/C/T", bought("T"))
    book.snapshot()
    with warnings.catch_warnings():
        warnings.simplefilter("error", SnapshotWarning)
        again = projections.open(any_store)
    assert again.recovery.cut == any_store.head()
    assert digest(again) == from_zero(any_store)


@pytest.mark.parametrize("garbage", [b"this is not a database", b"SQLite format 3\0" + b"\xff" * 8_000])
def test_a_file_that_is_garbage_is_kept_aside_and_replaced(store: EventStore, file: Path, garbage: bytes) -> None:
    filled_with(store)
    file.write_bytes(garbage)
    book = opened(store, "damaged")
    aside = file.with_name(file.name + ".damaged")
    assert aside.read_bytes() == garbage
    book.append("trade/C/T", bought("T"))
    assert book.snapshot()
    book.close()
    assert projections.open(store).recovery.cut == store.head()


def test_whatever_byte_is_flipped_the_book_is_right(store: EventStore, file: Path, tmp_path: Path) -> None:
    filled_with(store)
    whole, truth = file.read_bytes(), from_zero(store)
    chance = random.Random(5)
    # The header, the tree's inner pages and the rows: anything may rot.
    places = [*chance.sample(range(100), 30), *chance.sample(range(100, len(whole)), 70)]
    rotten = tmp_path / "rotten"
    for place in places:
        for path in tmp_path.glob("rotten*"):
            path.unlink()
        rotten.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << chance.randint(0, 7))]) + whole[place + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SnapshotWarning)
            book = projections.open(store, snapshots=rotten)
        assert digest(book) == truth, place
        book.close()


def test_a_file_cut_short_is_not_used(store: EventStore, file: Path, tmp_path: Path) -> None:
    filled_with(store)
    whole, truth = file.read_bytes(), from_zero(store)
    for number, length in enumerate(range(0, len(whole), 1 + len(whole) // 12)):
        short = tmp_path / f"short{number}"
        short.write_bytes(whole[:length])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SnapshotWarning)
            book = projections.open(store, snapshots=short)
        assert digest(book) == truth, length
        book.close()


def test_another_log_s_cut_is_passed_over(store: EventStore, file: Path, tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "other") as other:
        filled_with(other)
        other.append("trade/Z/T", bought("T", 77))
        projections.open(other).snapshot()
    file.parent.mkdir(exist_ok=True)
    shutil.copy(snapshots_file(tmp_path / "other"), file)
    store.append("trade/A/T", [bought(f"T{number}") for number in range(20)])
    assert opened(store, "belongs to another log").recovery.cut == 0


def test_nothing_of_another_log_s_cut_gets_into_ours(store: EventStore, tmp_path: Path) -> None:
    shared = tmp_path / "shared.sqlite"
    with eventstore.open(tmp_path / "other") as other, projections.open(other, snapshots=shared) as book:
        book.append("trade/Z/T", bought("T", 77))
        book.snapshot()
    with projections.open(store, snapshots=shared) as book:
        book.append("trade/A/T", [bought("T1"), bought("T2")])
        book.snapshot()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SnapshotWarning)
        again = projections.open(store, snapshots=shared)
    assert digest(again) == from_zero(store)


def test_a_cut_of_another_history_of_the_log_is_passed_over(store: EventStore, file: Path, tmp_path: Path) -> None:
    """A restored backup continues differently from the log: same id, same positions, other events."""
    filled_with(store, cuts=1)
    store.backup(tmp_path / "back")
    with projections.open(store) as book:
        book.append("trade/Z/T", [bought("T1", 77), bought("T2")])
        book.snapshot()
    shutil.copy(file, snapshots_file(tmp_path / "back"))
    with eventstore.open(tmp_path / "back") as back:
        back.append("trade/A/T", [bought(f"U{number}") for number in range(3)])
        assert opened(back, "at 5 belongs to another log").recovery.cut == 3


@pytest.mark.parametrize("more", [1, 2, 3])
def test_nothing_of_another_history_s_cut_gets_into_ours(
    store: EventStore, file: Path, tmp_path: Path, more: int
) -> None:
    """Before the next cut, at its position, or after it."""
    filled_with(store, cuts=1)
    store.backup(tmp_path / "back")
    with projections.open(store) as book:
        book.append("trade/Z/T", [bought("T1", 77), bought("T2")])
        book.snapshot()
    shutil.copy(file, snapshots_file(tmp_path / "back"))
    with eventstore.open(tmp_path / "back") as back, warnings.catch_warnings():
        warnings.simplefilter("ignore", SnapshotWarning)
        with projections.open(back) as book:
            book.append("trade/A/T", [bought(f"U{number}") for number in range(more)])
            assert book.snapshot()
        again = projections.open(back)
        assert again.recovery.cut == 3 + more
        assert digest(again) == from_zero(back)


def test_thinning_keeps_so_many_cuts_and_each_is_whole(any_store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "CUTS_KEPT", 8)
    chance = random.Random(11)
    book = projections.open(any_store)
    for number in range(120):
        one_step(book, f"S{number}", chance)
        if chance.randint(0, 2):
            book.snapshot()
    book.snapshot()
    cuts = beside(any_store).cuts()
    assert len(cuts) == 8
    assert cuts[-1] == any_store.head()
    for cut in cuts:
        past = projections.as_of(any_store, position=cut)
        assert past._last_cut == cut
        assert digest(past) == from_zero(any_store, cut)


def test_thinning_leaves_no_state_behind_that_no_cut_needs(
    any_store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "CUTS_KEPT", 4)
    chance = random.Random(12)
    book = projections.open(any_store)
    for number in range(200):
        one_step(book, f"S{number}", chance)
        book.snapshot()
    [(kept,)] = found_in(any_store, "SELECT count(*) FROM state")
    # At most one state of each partition for each cut, and most stand for several.
    assert kept <= 4 * sum(len(view_state.states) for view_state in book._fold.slots.values())


def test_a_file_of_cuts_of_another_format_is_replaced(store: EventStore, file: Path) -> None:
    filled_with(store)
    executed(file, "PRAGMA user_version = 99")
    book = opened(store, "it has format 99")
    assert book.recovery.cut == 0
    book.append("trade/C/T", bought("T"))
    assert book.snapshot()
    assert projections.open(store).recovery.cut == store.head()
