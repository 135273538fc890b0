"""Whatever is wrong with the snapshot file, book, worker and appends continue, and the next cut is complete."""

import os
import resource
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, EventStore, Record
from eventstore.clock import TIME_MAX, TIME_MIN
from eventstore.trading import LockoutSet
from projections import CutPolicy, SnapshotWarning, Worker
from projections import worker as worker_module
from tests.clocks import EpochClock
from tests.projections.cut_files import EXCLUSIVE_LOCK, SHARED_LOCK, again, executed, held, let_go, move_on
from tests.projections.cutting import digest, from_zero
from tests.projections.examples import bought, filled, snapshots_file
from tests.waiting import until


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


def as_directory(file: Path) -> None:
    file.mkdir()


def as_fifo(file: Path) -> None:
    os.mkfifo(file)


def as_loop(file: Path) -> None:
    file.symlink_to(file)


def as_device(file: Path) -> None:
    file.symlink_to("/dev/null")


def as_foreign_database(file: Path) -> None:
    executed(file, "CREATE TABLE customers (name)")


def with_a_directory_for_its_log(file: Path) -> None:
    file.with_name(file.name + "-wal").mkdir()


@pytest.mark.parametrize(
    "place", [as_directory, as_fifo, as_loop, as_device, as_foreign_database, with_a_directory_for_its_log]
)
def test_a_file_that_cannot_hold_cuts_is_left_alone_and_warned_of_once(
    store: EventStore, tmp_path: Path, place: Callable[[Path], None]
) -> None:
    file = tmp_path / "cuts"
    place(file)
    store.append("trade/A/T", bought("T"))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with projections.open(store, snapshots=file) as book:
            for _ in range(3):
                move_on(book)
                assert not book.snapshot()
            assert digest(book) == from_zero(store)
            assert book._snapshots is not None
            assert book._snapshots.trouble is not None
            assert "no snapshots since 20" in book._snapshots.trouble
            assert "no snapshots since 20" in repr(book._snapshots)
    [warning] = warned
    assert warning.category is SnapshotWarning
    assert "cannot hold snapshots" in str(warning.message)
    assert "no snapshots since 20" in str(warning.message)
    # Once it is out of the way, cuts are written.
    for path in tmp_path.glob("cuts*"):
        path.rmdir() if path.is_dir() else path.unlink()
    with projections.open(store, snapshots=file) as book:
        assert book.snapshot()
    again(store, file)


def test_the_journal_itself_given_as_the_snapshots_file_stays_as_it_is(store: EventStore, tmp_path: Path) -> None:
    store.append("trade/A/T", bought("T"))
    with (
        pytest.warns(SnapshotWarning, match="is another program's database, with .*event"),
        projections.open(store, snapshots=tmp_path / "data" / "main" / "journal.db") as book,
    ):
        assert not book.snapshot()
    assert store.doctor() == []
    assert store.verify().ok


@pytest.mark.parametrize("path", ["nowhere/cuts", "file/cuts", "c" * 300, ""])
def test_a_path_that_cannot_be_is_warned_of_and_the_book_opens(store: EventStore, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(SnapshotWarning, match="no snapshots since"):
        book = projections.open(store, snapshots=f"{tmp_path}/{path}")
    move_on(book)
    assert not book.snapshot()


@pytest.mark.parametrize("mode", [SHARED_LOCK, EXCLUSIVE_LOCK])
def test_a_locked_file_keeps_no_book_from_opening_and_the_next_cut_holds_all(
    store: EventStore, book: projections.Book, file: Path, mode: str
) -> None:
    move_on(book)
    if mode == EXCLUSIVE_LOCK:
        # Nothing else can have it open then.
        assert book._snapshots is not None
        book._snapshots.close()
    holder = held(file, mode)
    began = time.monotonic()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert not book.snapshot()
        assert not book.snapshot()
        with projections.open(store) as other:
            assert digest(other) == from_zero(store)
            assert not other.snapshot()
    assert time.monotonic() - began < 30
    let_go(holder)
    # One for each book, however often it tried.
    assert [("is locked by another process" in str(each.message)) for each in warned] == [True, True]
    with warnings.catch_warnings():
        # The holder has left a table that does not belong there.
        warnings.simplefilter("ignore", SnapshotWarning)
        assert book.snapshot()
    assert book._snapshots is not None
    assert book._snapshots.trouble is None
    again(store)


def test_no_append_waits_for_the_snapshots_file(store: EventStore, file: Path) -> None:
    with projections.open(store) as book:
        move_on(book)
        assert book.snapshot()
        holder = held(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SnapshotWarning)
            saving = threading.Thread(target=book.snapshot)
            move_on(book)
            saving.start()
            appended = 0
            while saving.is_alive():
                began = time.monotonic()
                move_on(book)
                assert time.monotonic() - began < 0.5
                appended += 1
            saving.join()
        # It waited a good while for the lock, and many were appended meanwhile.
        assert appended > 5
        let_go(holder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SnapshotWarning)
            assert book.snapshot()
    again(store)


def test_a_worker_outlives_a_locked_file_and_cuts_when_it_is_free(
    store: EventStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "CUT_RETRY_SECONDS", 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SnapshotWarning)
        book = projections.open(store)
        move_on(book)
        assert book.snapshot()
        holder = held(file)
        with Worker(store, book, policy=CutPolicy(events=2)) as worker:
            for _ in range(3):
                last = store.append("trade/A/T", [bought(f"T{store.head() + each}") for each in range(3)])[-1].position
                assert worker.wait(last, 20)
            assert worker.error is None
            until(lambda: book._snapshots is not None and book._snapshots.trouble is not None)
            assert "no snapshots since" in repr(worker)
            let_go(holder)
            until(lambda: book._last_cut == last)
    again(store)


def test_a_worker_does_not_try_again_at_once(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cuts").mkdir()
    with pytest.warns(SnapshotWarning, match="cannot hold snapshots"):
        book = projections.open(store, snapshots=tmp_path / "cuts")
    tries: list[int] = []
    snapshot = book.snapshot

    def counted(**_: object) -> bool:
        tries.append(book.position)
        return snapshot()

    monkeypatch.setattr(book, "snapshot", counted)
    with Worker(store, book, policy=CutPolicy(events=1)) as worker:
        for number in range(6):
            assert worker.wait(store.append("trade/A/T", bought(f"T{number}"))[0].position, 20)
        until(lambda: tries)
        time.sleep(0.3)
        assert len(tries) == 1


def in_use(snapshots: projections.Snapshots) -> bool:
    free = snapshots._using.acquire(blocking=False)
    if free:
        snapshots._using.release()
    return not free


def test_who_holds_the_book_s_lock_does_not_wait_for_another_thread_that_writes_a_cut(
    store: EventStore, book: projections.Book, file: Path
) -> None:
    """It would be a deadlock: that thread waits for the lock."""
    move_on(book)
    holder = held(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SnapshotWarning)
        saving = threading.Thread(target=book.snapshot)
        saving.start()
        assert book._snapshots is not None
        snapshots = book._snapshots
        until(lambda: in_use(snapshots))
        with book.paused():
            began = time.monotonic()
            assert not book.snapshot()
            assert time.monotonic() - began < 0.5
        saving.join()
    let_go(holder)


def test_a_full_disk_costs_a_cut_and_nothing_else(store: EventStore, book: projections.Book, file: Path) -> None:
    script = (
        "import resource, sys, warnings, eventstore, projections\n"
        "from tests.projections.examples import bought\n"
        "warnings.simplefilter('always')\n"
        "with eventstore.open(sys.argv[1]) as store, projections.open(store, snapshots=sys.argv[2]) as book:\n"
        "    book.append('trade/A/T', [bought(f'N{n}') for n in range(300)])\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "    print(book.snapshot(), book.snapshot(), flush=True)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "    print(book.snapshot(), book._snapshots.trouble, flush=True)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    elsewhere = file.with_name("elsewhere")
    ended = subprocess.run(
        [sys.executable, "-c", script, str(file.parents[1]), str(elsewhere)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["False False", "True None"], ended.stderr
    assert ended.stderr.count("no snapshots since") == 1
    again(store, elsewhere)


def test_what_an_interruption_left_half_folded_is_in_no_cut(store: EventStore) -> None:
    """States that are ahead of the book's position would be folded twice after a restart."""
    with projections.open(store) as book:
        store.append("order/A/O", [filled(f"T{number}", 1) for number in range(4)])
        fold = book._fold
        at, _ = fold._collect(list(store.read()))
        # As where Ctrl-C hits between two views: one has folded, the next has not, the position is the old one.
        fold._collected = (at, False)
        waiting = [view_state for view_state in fold.slots.values() if view_state.waiting]
        first = waiting[0]
        [(partition, pairs)] = first.waiting.items()
        state = first.states[partition] = first.view.initial()
        for event, record in pairs:
            first.view.apply(state, event, record)
        first.waiting.clear()
        first.changed.add(partition)
        assert len(waiting) > 1
        assert fold.log_position == 0
        assert book.snapshot()
        assert book.position == 4
    again(store)


class HugeState(msgspec.Struct):
    count: int = 0


class Huge(projections.View[HugeState]):
    """Counts beyond MessagePack's largest integer."""

    name: ClassVar[str] = "huge"
    revision: ClassVar[int] = 1

    @override
    def initial(self) -> HugeState:
        return HugeState()

    @override
    def apply(self, state: HugeState, event: Event, record: Record) -> None:
        state.count = 1 << 70


def test_a_state_that_cannot_be_stored_leaves_its_view_out_and_says_so_once(store: EventStore) -> None:
    with projections.open(store, views=[Huge()]) as book:
        move_on(book)
        with pytest.warns(SnapshotWarning, match="view huge is left out of the snapshots"):
            assert book.snapshot()
        move_on(book)
        assert book.snapshot()
    again(store)


@pytest.mark.parametrize("far", [TIME_MIN, TIME_MAX - 10**18])
def test_a_clock_that_jumps_leaves_snapshots_as_they_are(tmp_path: Path, far: int) -> None:
    start = 1_750_000_000_000_000_000
    clock = EpochClock(start)
    with eventstore.open(tmp_path / "data", clock=clock) as store, projections.open(store) as book:
        for step in range(6):
            clock.set(far if step % 2 else start)
            move_on(book)
            assert book.snapshot()
            again(store)
        # Also where the warning has to say since when, and no time that could be written is at hand.
        clock._now = -(10**20)
        book._snapshots = projections.Snapshots(tmp_path / "nowhere" / "cuts")
        with pytest.warns(SnapshotWarning, match="no snapshots since"):
            assert not book.snapshot()
