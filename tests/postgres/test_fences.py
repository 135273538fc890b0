"""What a lock's epoch keeps out: appends and changes of a process whose lock somebody has taken since."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import eventstore
from eventstore import Batch, Fenced, InvalidEvent, Overloaded, ReadOnly, Unavailable, Unchanged
from eventstore.journals.postgres.side import PostgresSide
from eventstore.record import Fence
from tests.store.facts import ORDER, rejected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore import EventStore

LOCK = "a.lock"
OTHER = "order/ACC2/O-2"


def side_of(store: EventStore) -> PostgresSide:
    assert isinstance(store.side, PostgresSide)
    return store.side


@pytest.fixture
def two(postgres_url: str) -> Iterator[tuple[EventStore, EventStore]]:
    with eventstore.open(postgres_url) as first, eventstore.open(postgres_url) as second:
        yield first, second


def held_by(store: EventStore, name: str = LOCK) -> Fence:
    lock = side_of(store).lock(name)
    assert lock.take()
    return lock.fence


def taken_over(two: tuple[EventStore, EventStore]) -> Fence:
    """Return the fence of the first store's lock, which the second has taken since."""
    lock = side_of(two[0]).lock(LOCK)
    assert lock.take()
    lock.release()
    held_by(two[1])
    return lock.fence


def by(fence: Fence) -> Unchanged:
    return Unchanged(since=None, fence=fence)


def test_each_take_raises_the_epoch_of_its_lock_alone(two: tuple[EventStore, EventStore]) -> None:
    lock = side_of(two[0]).lock(LOCK)
    for epoch in (1, 2, 3):
        assert lock.take()
        assert lock.take(), "what is held is not taken again"
        assert lock.fence == Fence(LOCK, epoch)
        lock.release()
    assert held_by(two[1], "another.lock") == Fence("another.lock", 1)


def test_several_locks_are_taken_at_once_and_those_of_others_left(two: tuple[EventStore, EventStore]) -> None:
    held_by(two[1], "b")
    locks = [side_of(two[0]).lock(name) for name in "abc"]
    assert [lock.name for lock in side_of(two[0]).take_all(locks)] == ["a", "c"]
    assert [lock.is_held for lock in locks] == [True, False, True]


def test_a_lost_fence_keeps_a_whole_append_out(two: tuple[EventStore, EventStore]) -> None:
    fence = taken_over(two)
    with pytest.raises(Fenced, match="another process") as caught:
        two[0].append(ORDER, rejected(), unchanged=by(fence))
    assert (caught.value.lock, caught.value.epoch) == (LOCK, 1)
    with pytest.raises(Fenced):
        two[0].append_many([Batch(ORDER, rejected()), Batch(OTHER, rejected())], unchanged=by(fence))
    assert two[0].head() == 0


def test_a_held_fence_lets_appends_pass_again_and_again(two: tuple[EventStore, EventStore]) -> None:
    fence = held_by(two[0])
    for count in range(1, 4):
        assert two[0].append(ORDER, rejected(), unchanged=by(fence))[0].version == count
    assert two[1].append(OTHER, rejected(), unchanged=Unchanged(accounts=("ACC2",), since=3, fence=fence))
    assert two[0].verify().ok


def test_what_is_known_is_found_by_any_process_without_the_lock(two: tuple[EventStore, EventStore]) -> None:
    fence = held_by(two[0])
    (first,) = two[0].append(ORDER, rejected(), key="once", unchanged=by(fence))
    two[0].close()
    held_by(two[1])
    assert two[1].append(ORDER, rejected(), key="once", unchanged=by(fence)) == [first]


def test_a_fence_and_changed_accounts_are_both_looked_at(two: tuple[EventStore, EventStore]) -> None:
    fence = held_by(two[0])
    two[1].append(ORDER, rejected())
    with pytest.raises(eventstore.AccountChanged):
        two[0].append(ORDER, rejected(), unchanged=Unchanged(accounts=("ACC1",), since=0, fence=fence))


def test_a_fence_of_a_lock_that_nobody_ever_took_holds_nothing(two: tuple[EventStore, EventStore]) -> None:
    with pytest.raises(Fenced):
        two[0].append(ORDER, rejected(), unchanged=by(Fence("never", 1)))


def test_who_takes_a_lock_over_waits_for_a_change_that_rests_on_it(two: tuple[EventStore, EventStore]) -> None:
    fence = held_by(two[0])
    taken = threading.Event()

    def take() -> None:
        held_by(two[1])
        taken.set()

    with side_of(two[0]).transaction(fence) as connection:
        # As where the server has ended the session of the first: its lock is free, and its change not committed.
        next(lock for lock in side_of(two[0])._held.values()).release()
        thread = threading.Thread(target=take)
        thread.start()
        assert not taken.wait(0.3)
        connection.execute("INSERT INTO document VALUES ('x', 'y')")
    thread.join(5)
    assert taken.is_set()
    with pytest.raises(Fenced), side_of(two[0]).transaction(fence):
        pytest.fail("reached without the lock")
    assert side_of(two[1]).documents("x") == {"x": b"y"}


def test_a_change_that_fails_changes_nothing(two: tuple[EventStore, EventStore]) -> None:
    side = side_of(two[0])
    with pytest.raises(ZeroDivisionError), side.transaction() as connection:
        connection.execute("INSERT INTO document VALUES ('x', 'y')").rowcount / 0
    with side.transaction():
        assert side.documents("x") == {}


def test_a_log_opened_read_only_changes_nothing_beside_it(
    two: tuple[EventStore, EventStore], postgres_url: str
) -> None:
    with eventstore.open(postgres_url, read_only=True) as reader:
        with pytest.raises(ReadOnly), side_of(reader).transaction():
            pass
        with pytest.raises(ReadOnly):
            side_of(reader).lock(LOCK).take()


@pytest.mark.parametrize(
    "unchanged",
    [Unchanged(since=None), Unchanged(accounts=("ACC1",), since=None, fence=Fence(LOCK, 1))],
    ids=["neither", "accounts-alone"],
)
def test_a_condition_without_a_position_has_a_fence_and_no_accounts(
    two: tuple[EventStore, EventStore], unchanged: Unchanged
) -> None:
    with pytest.raises(InvalidEvent, match="since is an int"):
        two[0].append(ORDER, rejected(), unchanged=unchanged)


def test_a_fence_of_another_type_is_refused(two: tuple[EventStore, EventStore]) -> None:
    wrong: Any = (LOCK, 1)
    with pytest.raises(InvalidEvent, match="fence"):
        two[0].append(ORDER, rejected(), unchanged=msgspec.structs.replace(by(Fence(LOCK, 1)), fence=wrong))


def test_a_log_in_a_directory_has_no_fences(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        assert store.side is not None
        lock = store.side.lock(LOCK)
        assert lock.take()
        assert lock.fence is None
        with pytest.raises(InvalidEvent, match="fence"):
            store.append(ORDER, rejected(), unchanged=by(Fence(LOCK, 1)))
        assert store.head() == 0


def stand_still(two: tuple[EventStore, EventStore], fence: Fence) -> None:
    """Begin a change, and do as a paused process does until another has taken the lock; then go on."""
    with side_of(two[0]).transaction(fence) as connection:
        connection.execute("INSERT INTO document VALUES ('x', 'y')")
        side_of(two[0])._drop()
        lock = side_of(two[1]).lock(LOCK)
        end = time.monotonic() + 20
        while not lock.is_held:
            assert time.monotonic() < end, "the lock is kept"
            with contextlib.suppress(Overloaded):
                lock.take()
        connection.execute("INSERT INTO document VALUES ('z', 'y')")


@pytest.mark.slow
def test_a_process_that_stands_still_in_a_change_does_not_keep_its_lock(two: tuple[EventStore, EventStore]) -> None:
    fence = held_by(two[0])
    with pytest.raises(Unavailable):
        stand_still(two, fence)
    assert side_of(two[1]).documents("x") == {}
