"""A worker follows its log: lag, waiting, cuts by policy, parked partitions, and the error that ended it."""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import Closed, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from projections import Book, CutPolicy, Lag, Worker
from projections.fold import Fold
from projections.views.executions.view import ExecutionsView
from tests.projections.examples import RainByAccount, bought, in_thread, rain
from tests.waiting import until

START = 1_750_000_000_000_000_000
SECOND = 1_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


def trades(store: EventStore, count: int) -> int:
    """Append a number of trades and return the last one's position."""
    start = store.head()
    return store.append("trade/A/T", [bought(f"T{start + number}") for number in range(count)])[-1].position


def test_a_worker_folds_what_is_appended(store: EventStore) -> None:
    trades(store, 3)
    book = projections.open(store, snapshots=False)
    with Worker(store, book) as worker:
        for count in (1, 2_500, 1):
            assert worker.wait(trades(store, count), 20)
            assert book.position == store.head()
            assert book.positions.get("A", "ESZ5").quantity == store.head()
        assert worker.lag == Lag(0, 0.0)
        assert "0 behind" in repr(worker)
    assert not worker._thread.is_alive()


def test_a_worker_is_woken_by_another_store_on_the_same_log(store: EventStore, tmp_path: Path) -> None:
    book = projections.open(store, snapshots=False)
    with Worker(store, book) as worker, eventstore.open(tmp_path / "data") as other:
        assert worker.wait(trades(other, 5), 20)


def test_waiting_ends_in_time_where_nothing_comes(store: EventStore) -> None:
    with Worker(store, projections.open(store, snapshots=False)) as worker:
        assert not worker.wait(1, 0.05)
        assert worker.wait(0, 0)


def test_lag_is_reported_in_events_and_in_seconds_since_the_oldest(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        book = projections.open(store, snapshots=False)
        worker = Worker(store, book)
        for _ in range(3):
            trades(store, 1)
            clock.advance(2 * SECOND)
        assert worker.lag == Lag(3, 6.0)
        assert "3 behind" in repr(worker)
        book.refresh()
        assert worker.lag == Lag(0, 0.0)
        trades(store, 1)
        clock.set(START)
        # A clock that was set back has not waited a negative time.
        assert worker.lag == Lag(1, 0.0)


def test_a_worker_cuts_within_a_long_tail_and_sooner_where_few_accounts_have_events(store: EventStore) -> None:
    snapshots = projections.Snapshots(store.directory / "snapshots.sqlite")  # type: ignore[operator]
    policy = CutPolicy(events=40, seconds=1e9, account_events=10)
    trades(store, 30)
    with Worker(store, Book(store, Fold([ExecutionsView()]), snapshots=snapshots), policy=policy) as worker:
        assert worker.wait(30, 20)
        until(lambda: snapshots.cuts() == [10, 20, 30])
        for number in range(35):
            store.append(f"trade/A{number % 3}/T", bought(f"U{number}"))
        assert worker.wait(65, 20)
    # Three accounts: a cut comes after thirty events, or what the first of them alone had due.
    cuts = snapshots.cuts()
    assert all(10 <= later - earlier <= 30 for earlier, later in itertools.pairwise(cuts[:-1])), cuts


def test_a_worker_cuts_after_so_many_events(store: EventStore) -> None:
    snapshots = projections.Snapshots(store.directory / "snapshots.sqlite")  # type: ignore[operator]
    with Worker(store, projections.open(store), policy=CutPolicy(events=10, seconds=1e9)) as worker:
        assert worker.wait(trades(store, 9), 20)
        assert snapshots.cuts() == []
        last = trades(store, 1)
        until(lambda: snapshots.cuts() == [last])
        assert worker.wait(trades(store, 3), 20)
        assert snapshots.cuts() == [last]
    assert snapshots.cuts() == [last, last + 3]


def test_a_worker_cuts_after_so_many_seconds_with_any_events(tmp_path: Path) -> None:
    clock = ManualClock(START)
    store = EventStore(MemoryJournal(clock=clock), clock=clock)
    snapshots = projections.Snapshots(tmp_path / "cuts")
    book = projections.open(store, snapshots=tmp_path / "cuts")
    with Worker(store, book, policy=CutPolicy(events=1_000, seconds=5)):
        clock.advance(100 * SECOND)
        trades(store, 1)
        until(lambda: snapshots.cuts() == [1])
        trades(store, 1)
        until(lambda: book.position == 2)
        assert snapshots.cuts() == [1]
        clock.advance(6 * SECOND)
        until(lambda: snapshots.cuts() == [1, 2])


def test_waiting_ends_though_the_log_s_clock_stands_still() -> None:
    clock = ManualClock(START)
    store = EventStore(MemoryJournal(clock=clock), clock=clock)
    worker = Worker(store, projections.open(store))
    answers: list[bool] = []
    join = in_thread(lambda: answers.append(worker.wait(1, 0.05)))
    with contextlib.suppress(AssertionError):
        until(lambda: answers, 5)
    ended_by_itself = answers == [False]
    clock.advance(SECOND)
    join()
    assert ended_by_itself


def test_what_the_worker_publishes_is_the_book_just_folded(store: EventStore) -> None:
    seen: list[tuple[int, str]] = []

    def published(book: Book) -> None:
        seen.append((book.position, threading.current_thread().name))

    with Worker(store, projections.open(store, snapshots=False), published=published) as worker:
        assert worker.wait(trades(store, 2), 20)
        until(lambda: seen)
    assert seen[-1] == (2, "worker of main")


def test_a_partition_that_fails_does_not_end_the_worker(store: EventStore) -> None:
    view = RainByAccount()
    view.bad = {13}
    book = projections.open(store, views=[view], snapshots=False)
    with Worker(store, book) as worker:
        store.append("rain/A/x", [rain(13), rain(1)])
        store.append("rain/B/x", rain(2))
        assert worker.wait(3, 20)
        assert list(book.parked) == [("rain", "A")]
        assert book.state("rain", "B").total == 2
        view.bad = set()
        assert book.retry("rain", "A")
        store.append("rain/A/x", rain(5))
        assert worker.wait(4, 20)
        assert book.state("rain", "A").total == 19
        assert worker.error is None


def test_stopping_raises_what_ended_the_worker(tmp_path: Path) -> None:
    store = eventstore.open(tmp_path / "data")
    worker = Worker(store, projections.open(store, snapshots=False)).start()
    store.close()
    until(lambda: worker.error is not None)
    assert not worker.wait(1, 20)
    assert "ended at 0" in repr(worker)
    with pytest.raises(Closed):
        worker.stop()


def test_a_failing_listener_ends_the_worker_audibly(store: EventStore) -> None:
    def published(book: Book) -> None:
        msg = "the listener is broken"
        raise RuntimeError(msg)

    worker = Worker(store, projections.open(store, snapshots=False), published=published).start()
    trades(store, 1)
    until(lambda: not worker._thread.is_alive())
    assert isinstance(worker.error, RuntimeError)
    assert not worker.wait(2, 20)
    with pytest.raises(RuntimeError, match="listener is broken"):
        worker.stop()


def test_a_worker_that_never_began_stops_with_a_cut(store: EventStore) -> None:
    trades(store, 1)
    Worker(store, projections.open(store)).stop()
    assert projections.open(store).recovery.cut == 1
