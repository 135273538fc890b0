"""Old records in today's classes, and records of types without a class."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import eventstore
from eventstore import Event, InvalidEvent, UnknownEvent, trading
from eventstore.record import Draft

Upcasters = dict[int, Callable[[dict[str, Any]], dict[str, Any]]]


def stored(name: str, schema: int, data: bytes) -> Draft:
    return Draft(bytes(16), "test/-/1", name, schema, 0, data, "", "", None, None)


def renamed(raw: dict[str, Any]) -> dict[str, Any]:
    return {"price": raw.pop("px"), **raw}


def split(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "symbol": raw["symbol"].split(":")[1]}


def registered(upcasters: Upcasters) -> type[Event]:
    @eventstore.event(schema=3, upcasters=upcasters, name="tested.Quoted")
    class Quoted(Event, frozen=True, kw_only=True):
        symbol: str
        price: Decimal

    return Quoted


OLD = {
    1: b'{"symbol":"CME:ESZ5","px":"4500.25"}',
    2: b'{"symbol":"CME:ESZ5","price":"4500.25"}',
    3: b'{"symbol":"ESZ5","price":"4500.25"}',
}


@pytest.mark.parametrize("schema", OLD)
def test_every_schema_reads_as_todays_class(schema: int) -> None:
    cls = registered({1: renamed, 2: split})
    assert stored("tested.Quoted", schema, OLD[schema]).event == cls(symbol="ESZ5", price=Decimal("4500.25"))


def test_reading_leaves_the_stored_bytes_alone() -> None:
    registered({1: renamed, 2: split})
    record = stored("tested.Quoted", 1, OLD[1])
    assert record.event == record.event
    assert (record.data, record.schema) == (OLD[1], 1)


def test_an_old_schema_without_an_upcaster_reads_as_unknown() -> None:
    registered({2: split})
    found = stored("tested.Quoted", 1, OLD[1]).event
    assert found == UnknownEvent(type="tested.Quoted", schema=1, data={"symbol": "CME:ESZ5", "px": "4500.25"})


def test_a_chain_that_breaks_off_reads_as_unknown_with_the_data_of_its_schema() -> None:
    registered({1: renamed})
    found = stored("tested.Quoted", 1, OLD[1]).event
    assert found == UnknownEvent(type="tested.Quoted", schema=1, data={"symbol": "CME:ESZ5", "px": "4500.25"})


def test_a_newer_schema_reads_as_unknown() -> None:
    found = stored("OrderRejected", 2, b'{"reasons":["a",1.5,null]}').event
    assert found == UnknownEvent(type="OrderRejected", schema=2, data={"reasons": ["a", 1.5, None]})


def test_an_unregistered_type_reads_as_unknown_with_its_data() -> None:
    found = stored("somebody.Else", 1, '{"a":{"b":"ü"}}'.encode()).event
    assert found == UnknownEvent(type="somebody.Else", schema=1, data={"a": {"b": "ü"}})


def test_a_member_that_came_later_takes_its_default() -> None:
    found = stored("LockoutSet", 1, b'{"rule_id":"daily-loss"}').event
    assert found == trading.LockoutSet(rule_id="daily-loss")


def test_an_unknown_member_is_ignored() -> None:
    assert stored("OrderRejected", 1, b'{"reason":"x","more":1}').event == trading.OrderRejected(reason="x")


@pytest.mark.parametrize("data", [b'{"reason":5}', b"[]", b'{"reason":'])
def test_data_that_does_not_fit_its_own_schema_is_reported(data: bytes) -> None:
    with pytest.raises(InvalidEvent, match="OrderRejected of schema 1 does not fit its class"):
        _ = stored("OrderRejected", 1, data).event


def test_invalid_data_from_an_upcaster_is_reported() -> None:
    registered({1: renamed, 2: lambda raw: {"symbol": raw["symbol"]}})
    with pytest.raises(InvalidEvent, match=r"tested\.Quoted of schema 1 does not fit its class"):
        _ = stored("tested.Quoted", 1, OLD[1]).event


def test_an_unknown_event_cannot_be_appended() -> None:
    with pytest.raises(InvalidEvent, match="UnknownEvent is not registered"):
        eventstore.events.encode(UnknownEvent(type="a", schema=1, data={}))
