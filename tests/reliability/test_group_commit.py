"""Threads that share commits: each gets its own outcome, one sync serves many, and no exception stops the queue."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import (
    Closed,
    DuplicateEvent,
    EventStore,
    InvalidEvent,
    OutcomeUnknown,
    Overloaded,
    Record,
    StoreError,
    VersionConflict,
    commits,
)
from eventstore.journals.sqlite import SqliteJournal
from tests.reliability.checking import (
    WAIT_SECONDS,
    Ack,
    acks_of,
    check,
    label_of,
    reported,
    submitted,
)
from tests.reliability.faults import Disk, Interruption

THREADS = 16
APPENDS = 50
SYNC_SECONDS = 0.002


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def store(disk: Disk, tmp_path: Path) -> Iterator[EventStore]:
    with disk.store(tmp_path / "data") as store:
        yield store


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a wait that would last a minute end within the test."""
    monkeypatch.setattr(commits, "COMMIT_SECONDS_MAX", 2.0)


def crowd(work: Callable[[int], object]) -> None:
    """Run the same work in all threads, begun together, and raise what one of them raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(THREADS)

    def run(number: int) -> None:
        barrier.wait(WAIT_SECONDS)
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again by the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive(), "a thread waits forever"
    for error in errors:
        raise error


def test_each_thread_gets_its_own_records(store: EventStore) -> None:
    acked: list[Ack] = []

    def append(number: int) -> None:
        for count in range(1, APPENDS + 1):
            records = store.append(f"order/ACC1/{number}", submitted(f"t{number}:{count}"), expected=count - 1)
            assert [label_of(record) for record in records] == [f"t{number}:{count}"]
            acked.extend(acks_of(records))

    crowd(append)
    assert len(check(store, acked)) == len(acked) == THREADS * APPENDS


def test_far_fewer_syncs_than_appends_where_a_sync_takes_its_time(
    disk: Disk, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(disk, monkeypatch)
    disk.done.clear()

    def append(number: int) -> None:
        for _ in range(APPENDS):
            store.append(f"order/ACC1/{number}", submitted())

    crowd(append)
    assert len(check(store)) == THREADS * APPENDS
    assert disk.done["sync"] < THREADS * APPENDS / 5


def test_one_threads_error_is_noticed_by_no_other(
    disk: Disk, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(disk, monkeypatch)
    store.append("order/ACC1/taken", submitted("taken"), key="taken")
    acked: list[Ack] = []
    wrong: list[Callable[[], Any]] = [
        lambda: store.append("order/ACC1/taken", submitted(), expected=7),
        lambda: store.append("order/ACC1/taken", submitted("other"), key="taken"),
        lambda: store.append("order/ACC1/taken", [submitted("taken"), submitted()], key=["taken", "new"]),
        lambda: store.append("no stream", submitted()),
    ]
    kinds = (VersionConflict, DuplicateEvent, DuplicateEvent, InvalidEvent)

    def append(number: int) -> None:
        for count in range(1, APPENDS + 1):
            if number < len(wrong):
                with pytest.raises(kinds[number]):
                    wrong[number]()
            elif number < 2 * len(wrong):
                assert acks_of(store.append("order/ACC1/taken", submitted("taken"), key="taken"))[0].position == 1
            else:
                acked.extend(acks_of(store.append(f"order/ACC1/{number}", submitted(f"t{number}:{count}"))))

    crowd(append)
    assert len(check(store, acked)) == 1 + len(acked)
    assert len(acked) == (THREADS - 2 * len(wrong)) * APPENDS


def test_a_conflict_in_one_commit_is_decided_by_the_order_of_arrival(disk: Disk, store: EventStore) -> None:
    outcomes: list[Record | StoreError] = []

    def append(_: int) -> None:
        try:
            outcomes.extend(store.append("order/ACC1/first", submitted(), expected=0))
        except StoreError as error:
            outcomes.append(error)

    crowd(append)
    assert sum(isinstance(outcome, Record) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, VersionConflict) for outcome in outcomes) == THREADS - 1


def test_a_full_queue_waits_then_refuses_and_loses_nothing(
    disk: Disk, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "WAITING_EVENTS_MAX", 100)
    monkeypatch.setattr(commits, "WAIT_SECONDS", 0.2)
    disk.gate.clear()
    accepted = [store.enqueue("order/ACC1/1", reported(f"q:{count}")) for count in range(1, 101)]
    with pytest.raises(Overloaded, match="nothing was written"):
        store.enqueue("order/ACC1/1", reported("q:101"))
    assert store.waiting == 100
    disk.gate.set()
    store.flush()
    assert store.waiting == 0
    records = check(store, acks_of([record for pending in accepted for record in pending.result()]))
    assert len(records) == 100
    store.enqueue("order/ACC1/1", reported("q:101")).result()


def test_what_was_enqueued_goes_before_what_is_appended_later(store: EventStore) -> None:
    def append(number: int) -> None:
        for count in range(1, APPENDS, 2):
            store.enqueue(f"order/ACC1/{number}", reported(f"t{number}:{count}"))
            store.append(f"order/ACC1/{number}", submitted(f"t{number}:{count + 1}"))

    crowd(append)
    assert len(check(store)) == THREADS * APPENDS


def test_closing_among_appending_threads_writes_all_that_was_taken(store: EventStore, tmp_path: Path) -> None:
    acked: list[Ack] = []
    taken: list[eventstore.Pending] = []

    def append(number: int) -> None:
        if number == 0:
            time.sleep(0.05)
            store.close()
            return
        with pytest.raises(Closed):
            append_until_closed(f"order/ACC1/{number}")

    def append_until_closed(stream: str) -> None:
        while True:
            taken.append(store.enqueue(stream, reported("")))
            acked.extend(acks_of(store.append(stream, submitted())))

    crowd(append)
    for pending in taken:
        try:
            acked += acks_of(pending.result(1.0))
        except Closed:
            continue
    with eventstore.open(tmp_path / "data") as reopened:
        check(reopened, acked)


def test_what_comes_while_the_store_closes_is_written_or_refused(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = commits.Committer.flush
    late: list[eventstore.Pending] = []

    def flush_and_let_another_come(committer: commits.Committer) -> None:
        flush(committer)
        with contextlib.suppress(Closed):
            late.append(store.enqueue("order/ACC1/1", reported("q:1")))

    monkeypatch.setattr(commits.Committer, "flush", flush_and_let_another_come)
    store.close()
    acked = acks_of([record for pending in late for record in pending.result(1.0)])
    with eventstore.open(tmp_path / "data") as reopened:
        assert acks_of(check(reopened, acked)) == acked


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", ["resolve", "wake"])
def test_what_waits_is_counted_right_after_an_interruption(
    place: str, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that stays too high would one day refuse everything."""
    store.committer._flush_seconds = 60.0
    pending = [store.enqueue("order/ACC1/1", reported("")) for _ in range(10)]
    interrupt_once(monkeypatch, commits.Pending, place)
    with pytest.raises(Interruption):
        store.append("order/ACC1/1", submitted())
    assert store.waiting == 0
    with contextlib.suppress(OutcomeUnknown):
        store.flush()
    for asked in pending:
        with contextlib.suppress(OutcomeUnknown):
            asked.result(1.0)
    check(store)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", ["commit", "_begin", "_store", "_commit", "_publish"])
def test_an_interruption_inside_a_commit_stops_no_other_thread(
    place: str, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    acked = acks_of(store.append("order/ACC1/1", submitted()))
    interrupt_once(monkeypatch, SqliteJournal, place)
    with pytest.raises(Interruption):
        store.append("order/ACC1/1", submitted())
    acked += acks_of(store.append("order/ACC1/1", submitted()))
    crowd(lambda number: acked.extend(acks_of(store.append(f"order/ACC1/{number}", submitted()))))
    check(store, acked)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", ["_gather", "_take", "_write", "_hand_over"])
def test_an_interruption_of_the_leader_stops_no_other_thread(
    place: str, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_once(monkeypatch, commits.Committer, place)
    with pytest.raises(Interruption):
        store.append("order/ACC1/1", submitted())
    acked: list[Ack] = []
    crowd(lambda number: acked.extend(acks_of(store.append(f"order/ACC1/{number}", submitted()))))
    check(store, acked)


@pytest.mark.usefixtures("quick")
def test_an_interruption_of_a_follower_stops_no_other_thread(
    disk: Disk, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[object] = []

    def append() -> None:
        try:
            outcomes.extend(store.append("order/ACC1/1", submitted()))
        except (Interruption, StoreError) as error:
            outcomes.append(error)

    disk.gate.clear()
    leader = threading.Thread(target=append)
    leader.start()
    assert disk.at_the_gate.wait(WAIT_SECONDS)
    interrupt_once(monkeypatch, commits.Pending, "wait")
    append()
    assert isinstance(outcomes[0], Interruption)
    disk.gate.set()
    leader.join(WAIT_SECONDS)
    acked: list[Ack] = []
    crowd(lambda number: acked.extend(acks_of(store.append(f"order/ACC1/{number}", submitted()))))
    check(store, acked)


@pytest.mark.usefixtures("quick")
def test_a_follower_whose_patience_ends_takes_no_lead_with_it(
    disk: Disk, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "COMMIT_SECONDS_MAX", 0.1)
    disk.gate.clear()
    leader = threading.Thread(target=store.append, args=("order/ACC1/1", submitted()))
    leader.start()
    assert disk.at_the_gate.wait(WAIT_SECONDS)
    with pytest.raises(Overloaded, match="nothing was written"):
        store.append("order/ACC1/2", submitted())
    disk.gate.set()
    leader.join(WAIT_SECONDS)
    monkeypatch.setattr(commits, "COMMIT_SECONDS_MAX", 2.0)
    crowd(lambda number: store.append(f"order/ACC1/{number}", submitted()))
    assert len(check(store)) == 1 + THREADS


def test_a_disk_that_does_not_answer_leaves_the_outcome_open(
    disk: Disk, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "COMMIT_SECONDS_MAX", 0.1)
    disk.gate.clear()
    pending = store.enqueue("order/ACC1/1", reported("q:1"))
    assert disk.at_the_gate.wait(WAIT_SECONDS)
    with pytest.raises(Overloaded, match="not lost"):
        pending.result(0.05)
    disk.gate.set()
    assert len(pending.result(WAIT_SECONDS)) == 1
    check(store)


def slow(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each sync take as long as on a usual disk."""
    before = disk.before

    def delayed(operation: Any, file: str) -> None:  # noqa: ANN401 - handed on as it is
        if operation == "sync":
            time.sleep(SYNC_SECONDS)
        before(operation, file)

    monkeypatch.setattr(disk, "before", delayed)


def interrupt_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """Raise at the entry of a method, this once."""
    method = getattr(owner, name)

    def interrupted(*arguments: Any, **named: Any) -> object:  # noqa: ANN401 - handed on as it is
        monkeypatch.setattr(owner, name, method)
        raise Interruption

    monkeypatch.setattr(owner, name, interrupted)
