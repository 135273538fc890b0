"""What callers give becomes drafts: ids of one count, and what is asked once of many events is not asked too seldom."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest
from msgspec.structs import replace

import eventstore
from eventstore import Batch, EventStore, EventTooLarge, InvalidEvent
from eventstore.batch import EncodedEvent
from eventstore.events import Event, encode
from eventstore.ids import NewIds, keyed_id, new_ids
from eventstore.journals.memory import MemoryJournal
from eventstore.preparation import prepare
from eventstore.trading import AccountReopened, OrderRejected
from tests.store.facts import AT, CONTRACT, ORDER, adjusted, contract, filled, rejected


@pytest.fixture
def store() -> Iterator[EventStore]:
    with EventStore(MemoryJournal()) as opened:
        yield opened


def encoded(stream: str, event: Event, key: str) -> EncodedEvent:
    kind, data = encode(event)
    return EncodedEvent(keyed_id(stream, key), kind.name, kind.schema, data)


@pytest.mark.parametrize("start", [0, 2**62 - 5, 2**63 - 5, 2**73 - 1], ids=hex)
def test_all_ids_of_an_append_continue_one_count(start: int) -> None:
    drawn = NewIds(AT, lambda size: start.to_bytes(size, "big"))
    parts = [drawn.take(count) for count in (1, 0, 3, 1, 7)]
    ids = [id_ for part in parts for id_ in part]
    assert ids == new_ids(12, AT, lambda size: start.to_bytes(size, "big")) == sorted(set(ids))
    assert {uuid.UUID(bytes=id_).version for id_ in ids} == {7}


def test_chance_is_asked_once_and_only_for_what_has_no_key() -> None:
    asked: list[int] = []

    def chance(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    drawn = NewIds(AT, chance)
    assert (drawn.take(0), asked) == ([], [])
    drawn.take(2)
    drawn.take(2)
    assert asked == [10]


def test_batches_without_keys_have_ids_that_increase_from_batch_to_batch(store: EventStore) -> None:
    batches = [Batch(f"order/A/{number}", [rejected(number), rejected(-number)]) for number in range(1, 30)]
    ids = [record.id for record in store.append_many(batches)]
    assert ids == sorted(set(ids))


def test_each_stream_of_a_row_of_like_events_is_looked_at(store: EventStore) -> None:
    right = [Batch(f"order/A/{number}", rejected(number)) for number in range(3)]
    with pytest.raises(InvalidEvent, match="OrderRejected belongs in the stream order/A/9"):
        store.append_many([*right, Batch("lockout/A/9", rejected()), *right])
    with pytest.raises(InvalidEvent, match="a stream is category/account/entity"):
        store.append_many([*right, Batch("order/A", rejected())])
    assert store.head() == 0


def test_each_writer_of_a_row_of_like_events_is_asked_for_its_name(store: EventStore) -> None:
    reopened = AccountReopened(starting_balance=Decimal(1), currency="USD", program="P", reason="again")
    named = Batch("account/A/-", reopened, actor="somebody")
    with pytest.raises(InvalidEvent, match="AccountReopened requires an actor"):
        store.append_many([named, Batch("account/B/-", reopened)])
    assert store.head() == 0


def test_numbers_that_are_none_are_refused_whatever_was_taken_before(store: EventStore) -> None:
    for quantity in ("1", "NaN", "-1", "1e101", "1"):
        if quantity == "1":
            store.append(ORDER, filled())
            continue
        with pytest.raises(InvalidEvent, match=r"OrderFilled\.quantity = "):
            store.append(ORDER, filled(quantity))


# What was encoded before


def test_what_was_encoded_before_is_appended_as_its_event_would_be() -> None:
    events = [(ORDER, rejected("a")), (CONTRACT, contract("b")), (ORDER, filled()), ("position/A/ES", adjusted())]
    plain = [
        Batch(stream, event, key=f"K{n}", occurred_at=AT + n, note="n") for n, (stream, event) in enumerate(events)
    ]
    before = [
        Batch(stream, encoded(stream, event, f"K{n}"), occurred_at=AT + n, note="n")
        for n, (stream, event) in enumerate(events)
    ]
    asked = {"durability": eventstore.SYNCED, "unchanged": None, "now": AT, "actor": "somebody"}
    (expected, count), found = prepare(plain, **asked), prepare(before, **asked)  # type: ignore[arg-type] # the same
    # The key of what was encoded before is not known any more, and no journal needs it.
    assert found == ([replace(batch, keys=()) for batch in expected], count)


def test_it_is_its_first_record_if_the_log_has_it(store: EventStore) -> None:
    (first,) = store.append(ORDER, rejected("a"), key="K")
    assert store.append_many([Batch(ORDER, encoded(ORDER, rejected("a"), "K"), expected=0)]) == [first]
    with pytest.raises(eventstore.DuplicateEvent):
        store.append_many([Batch(ORDER, encoded(ORDER, rejected("b"), "K"))])


@pytest.mark.parametrize(
    ("stream", "given", "why"),
    [
        ("lockout/A/1", encoded("lockout/A/1", rejected(), "K"), "OrderRejected belongs in the stream order/A/1"),
        ("order/A", encoded("order/A", rejected(), "K"), "a stream is category/account/entity"),
        (ORDER, EncodedEvent(bytes(16), "tested.Unknown", 1, b"{}"), "UnknownEvent is not registered"),
        (ORDER, EncodedEvent(bytes(16), "OrderRejected", 99, b"{}"), "UnknownEvent is not registered"),
        ("account/A/-", EncodedEvent(bytes(16), "AccountReopened", 1, b"{}"), "does not fit its class"),
    ],
)
def test_it_is_refused_where_its_event_would_be(store: EventStore, stream: str, given: EncodedEvent, why: str) -> None:
    right = Batch(ORDER, encoded(ORDER, rejected(), "R"))
    with pytest.raises(InvalidEvent, match=why):
        store.append_many([right, Batch(stream, given), right])
    assert store.head() == 0


def test_it_counts_as_an_event_and_its_data_counts(store: EventStore) -> None:
    data = encode(OrderRejected(reason="x" * 50_000))[1]
    batches = [
        Batch(ORDER, EncodedEvent(number.to_bytes(16, "big"), "OrderRejected", 1, data)) for number in range(1_300)
    ]
    with pytest.raises(EventTooLarge, match="the data of a batch"):
        store.append_many(batches)
    assert store.head() == 0
