"""Durability by verb: what may be enqueued, when it is on disk, and where its failure is raised."""

import threading

import pytest

import eventstore
from eventstore import (
    MIRRORED,
    QUEUED,
    VOLATILE,
    Batch,
    Closed,
    DuplicateEvent,
    Durability,
    EventStore,
    InvalidEvent,
    Overloaded,
    Unavailable,
    VersionConflict,
    commits,
)
from eventstore.testing import in_time
from tests.places import Place
from tests.store.facts import CONTRACT, ORDER, Ticked, contract, rejected, texts

pytestmark = pytest.mark.in_each_place


def test_what_is_enqueued_is_recorded_soon(store: EventStore) -> None:
    pending = store.enqueue(CONTRACT, [contract("a"), contract("b")], key=["1", "2"], note="n")
    records = pending.result(5)
    assert [(record.position, record.note) for record in records] == [(1, "n"), (2, "n")]
    assert list(store.read()) == records
    assert pending.done
    assert pending.error is None
    assert store.waiting == 0


def test_it_is_written_without_being_asked_for(store: EventStore) -> None:
    store.enqueue(CONTRACT, contract("a"))
    assert in_time(lambda: store.wait(0, 5.0))
    assert texts(store) == ["a"]


def test_any_number_of_threads_may_ask_for_one_result(store: EventStore) -> None:
    pending = store.enqueue(CONTRACT, contract("a"))
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(pending.result(5)[0].position)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8


def test_an_append_first_writes_what_was_enqueued_before_it(store: EventStore) -> None:
    for number in range(20):
        store.enqueue(CONTRACT, contract(f"queued {number}"))
        store.enqueue(CONTRACT, Ticked(number=number))
        store.append(ORDER, rejected(f"appended {number}"))
    assert texts(store) == [text for number in range(20) for text in (f"queued {number}", number, f"appended {number}")]


def test_after_a_flush_all_is_recorded(store: EventStore) -> None:
    pendings = [store.enqueue(CONTRACT, contract(number)) for number in range(100)]
    store.flush()
    assert all(pending.done for pending in pendings)
    assert texts(store) == [str(number) for number in range(100)]


def test_closing_writes_what_is_enqueued(place: Place) -> None:
    with eventstore.open(place) as store:
        for number in range(100):
            store.enqueue(CONTRACT, contract(number))
    with eventstore.open(place) as store:
        assert texts(store) == [str(number) for number in range(100)]


# Failures


def test_a_failure_is_raised_by_result(store: EventStore) -> None:
    pending = store.enqueue(CONTRACT, contract(), expected=3)
    with pytest.raises(VersionConflict) as conflict:
        pending.result(5)
    assert (conflict.value.expected, conflict.value.found) == (3, 0)
    assert pending.error is conflict.value
    store.flush()


def test_flush_raises_the_first_failure_that_was_not_asked_for(store: EventStore) -> None:
    store.enqueue(CONTRACT, contract("a"), key="1")
    store.enqueue(CONTRACT, contract("b"), key="1")
    store.enqueue(CONTRACT, contract("c"), expected=9)
    store.enqueue(CONTRACT, contract("d"))
    with pytest.raises(DuplicateEvent) as failure:
        store.flush()
    assert any("1 more" in note for note in failure.value.__notes__)
    assert texts(store) == ["a", "d"]
    store.flush()


def test_close_raises_a_failure_that_was_not_asked_for_and_closes_all_the_same(place: Place) -> None:
    store = eventstore.open(place)
    store.enqueue(CONTRACT, contract("a"), expected=9)
    with pytest.raises(VersionConflict):
        store.close()
    with pytest.raises(Closed):
        store.head()


def test_a_failure_does_not_touch_its_neighbours(store: EventStore) -> None:
    first = store.enqueue(CONTRACT, contract("a"))
    wrong = store.enqueue(CONTRACT, contract("b"), expected=9)
    last = store.enqueue(CONTRACT, contract("c"))
    assert (first.result(5)[0].position, last.result(5)[0].position) == (1, 2)
    with pytest.raises(VersionConflict):
        wrong.result(5)


def test_a_result_asked_for_too_early_does_not_count_as_asked_for(store: EventStore) -> None:
    with store._journal._lock:  # type: ignore[attr-defined] # holds every commit back, as a slow disk does
        pending = store.enqueue(CONTRACT, contract("a"), expected=9)
        with pytest.raises(Overloaded, match="ask again"):
            pending.result(0.02)
    with pytest.raises(VersionConflict):
        store.flush()


def test_what_waits_is_counted_and_shown(store: EventStore) -> None:
    with store._journal._lock:  # type: ignore[attr-defined] # the same
        pending = store.enqueue(CONTRACT, [contract("a"), contract("b")])
        assert store.waiting == 2
        assert not pending.done
        assert repr(pending) == "<Pending 2 event(s), waiting>"
    pending.result(5)
    assert repr(pending) == "<Pending 2 event(s), done>"


def test_a_full_queue_waits_and_then_refuses(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "WAITING_EVENTS_MAX", 3)
    monkeypatch.setattr(commits, "WAIT_SECONDS", 0.05)
    with store._journal._lock:  # type: ignore[attr-defined] # the same
        store.enqueue(CONTRACT, [contract(number) for number in range(3)])
        with pytest.raises(Overloaded, match="nothing was written"):
            store.enqueue(CONTRACT, contract("too many"))
    store.flush()
    store.enqueue(CONTRACT, contract("later")).result(5)
    assert texts(store) == ["0", "1", "2", "later"]


# Verbs and levels


def test_a_type_that_must_be_synced_is_not_enqueued(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match="OrderRejected must be at least SYNCED, not QUEUED: append it"):
        store.enqueue(ORDER, rejected())
    with pytest.raises(InvalidEvent):
        store.enqueue(CONTRACT, [contract(), rejected()])
    store.flush()
    assert store.head() == 0


def test_what_may_wait_may_also_be_appended(store: EventStore) -> None:
    store.append(CONTRACT, [contract("a"), Ticked(number=1)])
    assert texts(store) == ["a", 1]


@pytest.mark.parametrize("level", [QUEUED, VOLATILE])
def test_append_cannot_be_weakened(store: EventStore, level: Durability) -> None:
    with pytest.raises(InvalidEvent, match="use enqueue"):
        store.append(CONTRACT, contract(), durability=level)
    with pytest.raises(InvalidEvent, match="use enqueue"):
        store.append_many([Batch(CONTRACT, contract())], durability=level)
    assert store.head() == 0


def test_mirrored_needs_a_mirror(store: EventStore) -> None:
    with pytest.raises(Unavailable, match="influx="):
        store.append(ORDER, rejected(), durability=MIRRORED)
    assert store.head() == 0


def test_a_type_that_must_be_mirrored_is_not_merely_synced(store: EventStore) -> None:
    @eventstore.event(durability=MIRRORED, name="tested.Vital")
    class Vital(eventstore.Event, frozen=True, kw_only=True):
        pass

    with pytest.raises(InvalidEvent, match=r"tested\.Vital must be at least MIRRORED"):
        store.append(ORDER, Vital())


def test_threads_that_append_at_once_each_get_their_own_records(store: EventStore) -> None:
    outcomes: dict[int, object] = {}

    def append(number: int) -> None:
        try:
            outcomes[number] = store.append(ORDER, rejected(number), expected=0)[0].position
        except VersionConflict as conflict:
            outcomes[number] = conflict.found

    threads = [threading.Thread(target=append, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == list(range(16))
    assert set(outcomes.values()) == {1}
    assert store.head() == 1
