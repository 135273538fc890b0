"""Bad input: each refused by a specific error that says what to do, and nothing is written."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from eventstore import Batch, Event, EventStore, EventTooLarge, InvalidEvent, ManualClock, StoreError, trading
from eventstore.clock import GIVEN_MIN, TIME_MAX, to_ns
from eventstore.events.codec import EVENT_BYTES_MAX
from eventstore.journal import BATCH_EVENTS_MAX
from tests.store.facts import CONTRACT, ORDER, OTHER, contract, filled, rejected


class Forgotten(Event, frozen=True, kw_only=True):
    """It is not registered."""


def refused(opened: EventStore, error: type[StoreError], advice: str, append: Callable[[], object]) -> None:
    """Check that an append raises exactly this error, in these words, and leaves nothing behind."""
    with pytest.raises(error, match=advice) as raised:
        append()
    assert raised.type is error
    opened.flush()
    assert (opened.head(), list(opened.read())) == (0, [])


STREAM_RULE = "category/account/entity, for example order/ACC1/O-1"
NAME_RULE = "1 to 64 of A-Z a-z 0-9"

STREAMS: dict[str, tuple[Any, str]] = {
    "nothing": ("", STREAM_RULE),
    "one part": ("order", STREAM_RULE),
    "two parts": ("order/ACC1", STREAM_RULE),
    "four parts": ("order/ACC1/O-1/2", "a slash inside the entity is written %2F"),
    "a slash at the end": ("order/ACC1/O-1/", "a slash inside the entity is written %2F"),
    "a slash at the beginning": ("/order/ACC1/O-1", STREAM_RULE),
    "an empty category": ("/ACC1/O-1", NAME_RULE),
    "an empty account": ("order//O-1", NAME_RULE),
    "an empty entity": ("order/ACC1/", "1 to 128 bytes of printable text"),
    "a blank in the category": ("my order/ACC1/O-1", NAME_RULE),
    "an umlaut in the account": ("order/KÖLN/O-1", NAME_RULE),
    "a long account": ("order/" + "A" * 65 + "/O-1", NAME_RULE),
    "a line break after the account": ("order/ACC1\n/O-1", NAME_RULE),
    "a long entity": ("order/ACC1/" + "x" * 200, "1 to 128 bytes"),
    "an entity just over its limit": ("order/ACC1/" + "x" * 129, "1 to 128 bytes"),
    "an entity of few signs and many bytes": ("order/ACC1/" + "漢" * 43, "1 to 128 bytes"),
    "a NUL": ("order/ACC1/a\0b", "printable"),
    "a line break": ("order/ACC1/a\nb", "printable"),
    "a line break at the end": ("order/ACC1/a\n", "printable"),
    "a tabulator": ("order/ACC1/a\tb", "printable"),
    "a delete": ("order/ACC1/a\x7fb", "printable"),
    "a right-to-left override": ("order/ACC1/a\u202eb", "printable"),
    "a lone surrogate": ("order/ACC1/\ud800", "printable"),
    "bytes": (b"order/ACC1/O-1", STREAM_RULE),
    "no text": (5, STREAM_RULE),
    "none": (None, STREAM_RULE),
    "a list": (["order/ACC1/O-1"], STREAM_RULE),
}


@pytest.mark.parametrize(("stream", "advice"), STREAMS.values(), ids=STREAMS)
def test_a_malformed_stream(store: EventStore, stream: Any, advice: str) -> None:  # noqa: ANN401 - anything wrong
    refused(store, InvalidEvent, advice, lambda: store.append(stream, rejected()))
    refused(store, InvalidEvent, advice, lambda: store.enqueue(stream, contract()))
    with pytest.raises(InvalidEvent, match=advice):
        store.version(stream)


@pytest.mark.parametrize("entity", ["x" * 128, "漢" * 42 + "ab", "a b%2Fc", "O-1:2@x", "-", "ü😀", "'\"\\;--"])
def test_a_stream_that_is_one(store: EventStore, entity: str) -> None:
    stream = f"order/ACC1/{entity}"
    store.append(stream, rejected("a"))
    assert [record.entity for record in store.read(stream=stream)] == [entity]
    assert [record.entity for record in store.read(stream="order/ACC1/")] == [entity]
    assert store.version(stream) == 1


EVENTS: dict[str, tuple[Any, str]] = {
    "a NaN quantity": (filled(quantity="NaN"), "OrderFilled.quantity = NaN: expected a finite number above 0"),
    "an infinite quantity": (filled(quantity="Infinity"), "finite number above 0"),
    "a quantity of zero": (filled(quantity="0"), "finite number above 0"),
    "a negative quantity": (filled(quantity="-1"), "finite number above 0"),
    "a NaN price": (filled(price="NaN"), "OrderFilled.price = NaN: expected a finite number"),
    "an infinite price": (filled(price="-Infinity"), "finite number"),
    "a quantity beyond all trading": (filled(quantity="1e400"), "too large or too small to compute with"),
    "a quantity next to none": (filled(quantity="1e-400"), "too large or too small to compute with"),
    "a price beyond all trading": (filled(price="-1e999999"), "too large or too small to compute with"),
    "a float price": (
        trading.OrderFilled(
            trade_id="1",
            symbol="ESZ5",
            side=trading.Side.BUY,
            quantity=Decimal(1),
            price=4500.25,  # type: ignore[arg-type]
        ),
        "is a float: give a Decimal made of text",
    ),
    "a lone surrogate": (rejected("\ud800"), "cannot be stored as JSON"),
    "an unregistered class": (Forgotten(), "decorate the class with @eventstore.event"),
    "a class for an event": (trading.OrderRejected, "expected an event or a sequence of events"),
    "a dictionary": ([{"reason": "a"}], "is not registered"),
    "text": ("OrderRejected", "expected an event or a sequence of events"),
    "none": (None, "expected an event or a sequence of events"),
    "a good one and a bad one": ([rejected(), filled(quantity="0")], "finite number above 0"),
}


@pytest.mark.parametrize(("events", "advice"), EVENTS.values(), ids=EVENTS)
def test_an_event_that_means_nothing(store: EventStore, events: Any, advice: str) -> None:  # noqa: ANN401 - anything wrong
    refused(store, InvalidEvent, advice, lambda: store.append(ORDER, events))
    refused(store, InvalidEvent, advice, lambda: store.append_many([Batch(CONTRACT, contract()), Batch(ORDER, events)]))


ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "a negative version": ({"expected": -1}, "expected is an int of 0 or more, not -1"),
    "a version of True": ({"expected": True}, "expected is an int of 0 or more"),
    "a version of 1.0": ({"expected": 1.0}, "expected is an int of 0 or more"),
    "a version of text": ({"expected": "1"}, "expected is an int of 0 or more"),
    "no key": ({"key": []}, "1 event.* and 0 key.*give one key for each event"),
    "two keys": ({"key": ["a", "b"]}, "give one key for each event"),
    "an empty key": ({"key": ""}, "a key is non-empty text"),
    "a key of bytes": ({"key": [b"a"]}, "a key is non-empty text"),
    "a key that is a number": ({"key": 5}, "key"),
    "a key that is a lone surrogate": ({"key": "\ud800"}, "give Unicode text"),
    "a long key": ({"key": "x" * 1025}, "at most 1024 bytes"),
    "a naive datetime": ({"occurred_at": datetime(2025, 1, 1)}, "has no time zone: give an aware datetime"),  # noqa: DTZ001 - refused
    "a time before 1970": ({"occurred_at": -1}, "before 1990, and it looks like no unit that I know"),
    "a time in milliseconds": ({"occurred_at": 1_753_099_200_000}, "milliseconds, in which it is 2025-07-21"),
    "a time after 2199": ({"occurred_at": TIME_MAX + 1}, "outside 1970 to 2199"),
    "a datetime before 1970": ({"occurred_at": datetime.fromisoformat("1969-12-31T23:59:59Z")}, "outside 1970"),
    "a datetime after 2199": ({"occurred_at": datetime.fromisoformat("2200-01-01T00:00:00Z")}, "outside 1970"),
    "a time in seconds": ({"occurred_at": 1_753_099_200.5}, "ISO 8601 text with a zone or an int of UNIX nanoseconds"),
    "a time of True": ({"occurred_at": True}, "an aware datetime, ISO"),
    "a time of text": ({"occurred_at": "2025-07-21"}, "has no time zone"),
    "an actor of bytes": ({"actor": b"me"}, "actor is Unicode text"),
    "a long actor": ({"actor": "x" * 5_000}, "actor is Unicode text of at most"),
    "a note with a lone surrogate": ({"note": "\udfff"}, "note is Unicode text"),
    "a note that is a number": ({"note": 5}, "note is Unicode text"),
    "a short correlation": ({"correlation_id": b"x" * 15}, "an id is a UUID or its 16 bytes"),
    "a causation of text": ({"causation_id": "6f0a6d3c-6b1e-5d0b-9a53-2f5f3a3c7e11"}, "an id is a UUID"),
}


@pytest.mark.parametrize(("given", "advice"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_an_argument_that_means_nothing(store: EventStore, given: dict[str, Any], advice: str) -> None:
    refused(store, InvalidEvent, advice, lambda: store.append(ORDER, rejected(), **given))
    refused(store, InvalidEvent, advice, lambda: store.enqueue(CONTRACT, contract(), **given))


def test_the_ends_of_time_are_taken(store: EventStore) -> None:
    for instant in ("1970-01-01T00:00:00Z", GIVEN_MIN, TIME_MAX, datetime.fromisoformat("2199-12-31T23:59:59.999999Z")):
        assert store.append(ORDER, rejected(), occurred_at=instant)[0].occurred_at == to_ns(instant)


# Sizes


def test_an_event_just_at_its_limit_is_taken(store: EventStore) -> None:
    room = EVENT_BYTES_MAX - len(b'{"reason":""}')
    (record,) = store.append(ORDER, rejected("x" * room))
    assert len(record.data) == EVENT_BYTES_MAX
    assert next(store.read()) == record


@pytest.mark.parametrize(
    "text", ["x" * (EVENT_BYTES_MAX - 12), "漢" * 20_000, "\x01" * 10_000], ids=["one over", "wide", "escaped"]
)
def test_an_event_over_its_limit(store: EventStore, text: str) -> None:
    refused(store, EventTooLarge, "60,000 is the limit: split it", lambda: store.append(ORDER, rejected(text)))
    with pytest.raises(EventTooLarge) as raised:
        store.append(ORDER, rejected(text))
    assert raised.value.limit == EVENT_BYTES_MAX < raised.value.size


def test_a_batch_over_its_number_of_events(store: EventStore) -> None:
    many: Sequence[Event] = [rejected()] * (BATCH_EVENTS_MAX + 1)
    refused(store, EventTooLarge, "100,000 is the limit: split it", lambda: store.append(ORDER, many))


def test_batches_that_are_too_many_events_together(store: EventStore) -> None:
    half: Sequence[Event] = [rejected()] * (BATCH_EVENTS_MAX // 2 + 1)
    together = [Batch(ORDER, half), Batch(OTHER, half)]
    refused(store, EventTooLarge, "100,000 is the limit: split it", lambda: store.append_many(together))


def test_a_batch_over_its_number_of_bytes(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstore.preparation.BATCH_BYTES_MAX", 1_000)
    big = [rejected("x" * 400)] * 3
    refused(store, EventTooLarge, "1,000 is the limit: split it", lambda: store.append(ORDER, big))


def test_a_clock_outside_of_all_times_is_refused() -> None:
    with pytest.raises(InvalidEvent):
        ManualClock(-1)
