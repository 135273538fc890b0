"""Appending to a store: one event or many, under keys and versions, with who, when and why."""

import getpass
import socket
import sys
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import eventstore
from eventstore import Batch, Closed, DuplicateEvent, EventStore, InvalidEvent, ManualClock, VersionConflict
from eventstore.ids import NAMESPACE
from eventstore.journals.memory import MemoryJournal
from tests.store.facts import AT, HOUR, ORDER, OTHER, POSITION, adjusted, filled, rejected, texts


@pytest.fixture
def store(in_each_journal: EventStore) -> EventStore:
    return in_each_journal


# One and many


def test_one_event_is_appended_as_it_is(store: EventStore) -> None:
    (record,) = store.append(ORDER, filled())
    assert (record.position, record.version, record.stream, record.type) == (1, 1, ORDER, "OrderFilled")
    assert record.event == filled()
    assert list(store.read()) == [record]


def test_a_sequence_is_appended_in_its_order(store: EventStore) -> None:
    records = store.append(ORDER, (rejected("a"), rejected("b"), rejected("c")))
    assert [(record.position, record.version) for record in records] == [(1, 1), (2, 2), (3, 3)]
    assert texts(store) == ["a", "b", "c"]


def test_no_event_writes_nothing(store: EventStore) -> None:
    assert store.append(ORDER, []) == []
    assert store.append_many([]) == []
    assert store.head() == 0


def test_several_batches_are_written_together(store: EventStore) -> None:
    records = store.append_many([Batch(ORDER, rejected("a"), 0), Batch(POSITION, [adjusted("b"), adjusted("c")])])
    assert [(record.stream, record.position, record.version) for record in records] == [
        (ORDER, 1, 1),
        (POSITION, 2, 1),
        (POSITION, 3, 2),
    ]


def test_several_batches_are_refused_together(store: EventStore) -> None:
    with pytest.raises(VersionConflict):
        store.append_many([Batch(ORDER, rejected(), 0), Batch(POSITION, adjusted(), 4)])
    with pytest.raises(InvalidEvent):
        store.append_many([Batch(ORDER, rejected()), Batch(POSITION, filled(quantity=0))])
    assert (store.head(), store.version(ORDER)) == (0, 0)


def test_a_stale_writer_learns_where_the_stream_is(store: EventStore) -> None:
    store.append(ORDER, [rejected("a"), rejected("b")], expected=0)
    with pytest.raises(VersionConflict, match="read it again and decide again") as conflict:
        store.append(ORDER, rejected("c"), expected=1)
    assert (conflict.value.stream, conflict.value.expected, conflict.value.found) == (ORDER, 1, 2)
    assert (store.version(ORDER), store.version(OTHER)) == (2, 0)


# Keys and ids


def test_a_key_gives_the_id_that_anybody_can_compute(store: EventStore) -> None:
    stream = "order/ACC1/O-ü %2F 😀"
    records = store.append(stream, [rejected("a"), rejected("b")], key=["exec-1", "ü/2"])
    assert [record.uuid for record in records] == [
        uuid.uuid5(NAMESPACE, f"{stream}\0exec-1"),
        uuid.uuid5(NAMESPACE, f"{stream}\0ü/2"),
    ]


def test_the_same_key_in_another_stream_is_another_fact(store: EventStore) -> None:
    store.append(ORDER, rejected("a"), key="1")
    store.append(OTHER, rejected("b"), key="1")
    assert texts(store) == ["a", "b"]


def test_the_same_fact_under_its_key_is_recorded_once(store: EventStore, clock: ManualClock) -> None:
    first = store.append(ORDER, rejected("a"), key="1", expected=0)
    clock.advance(HOUR)
    assert store.append(ORDER, rejected("a"), key="1", expected=0, actor="another", note="again") == first
    assert store.head() == 1


def test_another_fact_under_a_known_key_is_refused(store: EventStore) -> None:
    (first,) = store.append(ORDER, rejected("a"), key="1")
    with pytest.raises(DuplicateEvent, match="give a new key to a new fact") as duplicate:
        store.append(ORDER, rejected("b"), key="1")
    assert (duplicate.value.id, duplicate.value.record) == (first.id, first)


def test_a_batch_that_is_partly_known_is_refused(store: EventStore) -> None:
    store.append(ORDER, rejected("a"), key="1")
    with pytest.raises(DuplicateEvent):
        store.append(ORDER, [rejected("a"), rejected("b")], key=["1", "2"])
    assert store.head() == 1


def test_a_key_twice_in_a_batch_is_refused(store: EventStore) -> None:
    with pytest.raises(DuplicateEvent, match="in this very batch"):
        store.append(ORDER, [rejected("a"), rejected("a")], key=["1", "1"])
    assert store.head() == 0


def test_without_a_key_the_same_content_is_a_new_fact(store: EventStore) -> None:
    store.append(ORDER, rejected("a"))
    store.append(ORDER, rejected("a"))
    assert texts(store) == ["a", "a"]


def test_ids_without_a_key_are_increasing_and_of_version_7(store: EventStore, clock: ManualClock) -> None:
    first = store.append(ORDER, [rejected() for _ in range(50)])
    clock.advance(HOUR)
    ids = [record.uuid for record in [*first, *store.append(ORDER, rejected())]]
    assert [id_.version for id_ in ids] == [7] * 51
    assert {id_.variant for id_ in ids} == {uuid.RFC_4122}
    assert ids == sorted(ids)
    assert ids[0].int >> 80 == AT // 1_000_000


# Who, when and why


def test_the_actor_is_the_user_the_host_and_the_program(store: EventStore) -> None:
    # `python -m pytest` runs a __main__.py, and is known by its package.
    path = Path(sys.argv[0])
    program = path.parent.name if path.name == "__main__.py" else path.name
    (record,) = store.append(ORDER, rejected())
    assert record.actor == f"{getpass.getuser()}@{socket.gethostname()}/{program}"
    assert record.note == ""
    assert (record.correlation_id, record.causation_id) == (None, None)


def test_actor_and_note_are_kept(store: EventStore) -> None:
    (record,) = store.append(ORDER, rejected(), actor="desk ü", note="why – 😀")
    assert next(store.read()) == record
    assert (record.actor, record.note) == ("desk ü", "why – 😀")


@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "UUID"])
def test_correlation_and_causation_are_kept_as_bytes(store: EventStore, as_bytes: bool) -> None:
    correlation, causation = uuid.UUID(int=7), uuid.UUID(int=2**128 - 1)
    store.append(
        ORDER,
        rejected(),
        correlation_id=correlation.bytes if as_bytes else correlation,
        causation_id=causation.bytes if as_bytes else causation,
    )
    record = next(store.read())
    assert (record.correlation_id, record.causation_id) == (correlation.bytes, causation.bytes)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_record_is_found_by_its_id(store: EventStore, as_bytes: bool) -> None:
    cause, effect = store.append(ORDER, [filled(), rejected()])
    [caused] = store.append(OTHER, filled(), causation_id=effect.id)
    assert caused.causation_id is not None
    assert store.find(caused.causation_id if as_bytes else uuid.UUID(bytes=caused.causation_id)) == effect
    assert store.find(cause.id) == cause
    assert store.find(uuid.UUID(int=1)) is None


def test_what_a_batch_says_is_its_own(store: EventStore) -> None:
    store.append_many(
        [
            Batch(ORDER, rejected("a"), actor="me", note="one", occurred_at=AT - 5, key="k"),
            Batch(POSITION, adjusted("b"), causation_id=bytes(16)),
        ]
    )
    first, second = store.read()
    assert (first.actor, first.note, first.occurred_at, first.causation_id) == ("me", "one", AT - 5, None)
    assert (second.note, second.occurred_at, second.causation_id) == ("", AT, bytes(16))
    assert store.verify().ok


def test_occurred_at_is_now_by_default(store: EventStore) -> None:
    (record,) = store.append(ORDER, rejected())
    assert (record.occurred_at, record.recorded_at) == (AT, AT)


@pytest.mark.parametrize(
    "instant",
    [
        1_753_099_200_123_456_000,
        datetime(2025, 7, 21, 12, 0, 0, 123_456, tzinfo=UTC),
        datetime(2025, 7, 21, 16, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=4))),
    ],
    ids=["int", "UTC", "+04:00"],
)
def test_occurred_at_may_be_ns_or_an_aware_datetime(store: EventStore, instant: datetime | int) -> None:
    store.append(ORDER, rejected(), occurred_at=instant)
    assert next(store.read()).occurred_at == 1_753_099_200_123_456_000


def test_every_nanosecond_of_occurred_at_is_kept(store: EventStore) -> None:
    store.append(ORDER, rejected(), occurred_at=1_753_099_200_123_456_789)
    assert next(store.read()).occurred_at == 1_753_099_200_123_456_789


def test_a_clock_set_back_makes_no_record_earlier(store: EventStore, clock: ManualClock) -> None:
    store.append(ORDER, rejected("a"))
    clock.set(AT - HOUR)
    store.append(ORDER, [rejected("b"), rejected("c")])
    assert [record.recorded_at for record in store.read()] == [AT, AT + 1, AT + 2]
    assert [record.occurred_at for record in store.read()] == [AT, AT - HOUR, AT - HOUR]


# Opening and closing


def test_a_store_closes_at_the_end_of_its_block(store: EventStore) -> None:
    with store as same:
        assert same is store
        store.append(ORDER, rejected())
    with pytest.raises(Closed):
        store.head()


def test_a_closed_store_does_nothing_and_says_so(store: EventStore) -> None:
    store.close()
    for call in (
        lambda: store.append(ORDER, rejected()),
        lambda: store.append_many([Batch(ORDER, rejected())]),
        lambda: store.enqueue(ORDER, rejected()),
        store.flush,
        store.head,
        store.root,
        store.verify,
        lambda: store.version(ORDER),
        lambda: list(store.read()),
        lambda: next(store.follow()),
        lambda: store.backup("nowhere"),
    ):
        with pytest.raises(Closed, match="closed"):
            call()


def test_closing_twice_does_nothing(store: EventStore) -> None:
    store.close()
    store.close()


def test_a_store_shows_what_it_is(store: EventStore) -> None:
    assert "EventStore" in repr(store)
    assert "main" in repr(store)
    assert store.log == "main"


def test_the_root_is_that_of_the_digests(store: EventStore) -> None:
    assert store.root() == (0, eventstore.proofs.merkle.EMPTY_ROOT)
    (record,) = store.append(ORDER, rejected())
    assert store.root() == (1, record.digest)
    assert store.verify() == eventstore.Verification(ok=True, checked=1)


def test_a_log_in_memory_has_nothing_to_copy(tmp_path: Path) -> None:
    with (
        EventStore(MemoryJournal()) as store,
        pytest.raises(InvalidEvent, match="a journal in memory cannot be copied"),
    ):
        store.backup(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
