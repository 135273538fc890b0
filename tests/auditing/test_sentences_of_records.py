"""The sentence of each record: one for every type of event, readable whatever the record holds."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import eventstore
from eventstore import Event, EventStore, Record, trading
from eventstore.clock import NANOSECONDS
from eventstore.events.registry import VOCABULARY
from projections import auditing
from projections.auditing.sentences import Said, has_sentence, sentence_of
from tests.projections.histories import history, store_of
from tests.projections.random_facts import START

EVENTS = sorted(
    (each for each in vars(trading).values() if isinstance(each, type) and issubclass(each, Event)),
    key=lambda each: each.__name__,
)


def record_of(kind: str, data: bytes, stream: str = "order/ACC1/O-17", schema: int = 1) -> Record:
    return Record(
        bytes(16), stream, kind, schema, START, data, "ana@desk/tool", "", None, None, 1, 1, START, bytes(32), "main"
    )  # fmt: skip


def example_of(cls: type[Event], *, sparse: bool) -> dict[str, Any]:
    """Return members of an event as JSON: the required ones, or each with some value."""
    fields = msgspec.structs.fields(cls)
    return {field.encode_name: _value(field.type) for field in fields if field.required or not sparse}


def _value(hint: Any) -> Any:  # noqa: ANN401 - any annotation
    return _example(_stripped(msgspec.inspect.type_info(hint)))


def _stripped(info: Any) -> Any:  # noqa: ANN401 - any type of msgspec's
    """Return a type without its metadata, and without None."""
    while isinstance(info, msgspec.inspect.Metadata | msgspec.inspect.UnionType):
        if isinstance(info, msgspec.inspect.Metadata):
            info = info.type
        else:
            info = next(each for each in info.types if not isinstance(each, msgspec.inspect.NoneType))
    return info


def _example(info: Any) -> Any:  # noqa: ANN401 - any type of msgspec's
    match info:
        case msgspec.inspect.EnumType():
            return next(iter(info.cls)).value
        case msgspec.inspect.VarTupleType():
            return [_example(_stripped(info.item_type))]
        case msgspec.inspect.StructType():
            return {field.encode_name: _value(field.type) for field in msgspec.structs.fields(info.cls)}
        case msgspec.inspect.DictType():
            inner = _stripped(info.value_type)
            is_open = isinstance(inner, msgspec.inspect.AnyType)
            return {"limit": "500.00", "symbols": ["ESZ5"]} if is_open else {"ESZ5": _example(inner)}
        case msgspec.inspect.StrType():
            return "12" * 32 if info.pattern else "text"
        case _:
            return EXAMPLES[type(info)]


EXAMPLES: dict[type[Any], Any] = {
    msgspec.inspect.AnyType: {"spread": "1.5"},
    msgspec.inspect.BoolType: True,
    msgspec.inspect.DateType: "2025-11-20",
    msgspec.inspect.DecimalType: "12.50",
    msgspec.inspect.IntType: 3 * NANOSECONDS,
    msgspec.inspect.UUIDType: "12345678-1234-5678-1234-567812345678",
}


@pytest.mark.parametrize("cls", EVENTS, ids=lambda each: each.__name__)
def test_every_event_of_the_vocabulary_has_a_sentence(cls: type[Event]) -> None:
    assert has_sentence(cls), f"{cls.__name__}: give it a sentence in projections/auditing/sentences/"


@pytest.mark.parametrize("sparse", [True, False], ids=["required", "all"])
@pytest.mark.parametrize("cls", EVENTS, ids=lambda each: each.__name__)
def test_a_sentence_names_no_missing_member_and_ends_without_a_full_stop(cls: type[Event], *, sparse: bool) -> None:
    event = msgspec.convert(example_of(cls, sparse=sparse), cls, strict=False)
    said = sentence_of(Said(record_of(cls.__name__, msgspec.json.encode(event))))
    assert said == said.strip()
    assert said[0].isupper() or said[0].isdigit() or said.startswith("text")
    assert not said.endswith((".", ":", ","))
    assert not any(word in said for word in ("None", "Decimal(", "<", "  ", ": :", "()"))
    assert "cannot be read" not in said


def test_a_type_that_is_not_registered_is_said_to_be_unread() -> None:
    said = sentence_of(Said(record_of("FundingRolled", b'{"rate":"0.0001"}')))
    assert said == (
        "A record of the type FundingRolled that cannot be read here (no class of this type and its schema 1 is "
        'registered here): {"rate":"0.0001"}'
    )


@pytest.mark.parametrize(
    ("kind", "data", "schema"),
    [
        ("OrderFilled", b"\xff\xfe", 1),
        ("OrderFilled", b"{}", 1),
        ("OrderFilled", b'{"trade_id":', 1),
        ("OrderFilled", b"{}", 99),
        ("LockoutSet", b"[1,2]", 1),
        ("NoteAdded", b"", 1),
    ],
)
def test_data_that_cannot_be_read_is_shown_and_breaks_nothing(kind: str, data: bytes, schema: int) -> None:
    said = sentence_of(Said(record_of(kind, data, schema=schema)))
    assert said.startswith(f"A record of the type {kind} that cannot be read here (")


def test_long_data_of_an_unread_record_is_cut() -> None:
    said = sentence_of(Said(record_of("Unheard", b'"' + b"x" * 50_000 + b'"')))
    assert len(said) < 500
    assert said.endswith("…")


def test_an_event_of_ones_own_lists_its_members() -> None:
    @eventstore.event(name="DeskRented")
    class DeskRented(Event, frozen=True, kw_only=True):
        desk: str
        rent: Decimal

    said = sentence_of(Said(record_of("DeskRented", b'{"desk":"12","rent":"99.50"}', "desk/ACC1/12")))
    assert said == "DeskRented in desk/ACC1/12: desk 12, rent 99.50"


def test_absurd_figures_are_said_too() -> None:
    for price in ("1E+6000", "-1E-6000", "0", "-0.00", "9" * 60):
        data = msgspec.json.encode({"trade_id": "T", "symbol": "ES", "side": "BUY", "quantity": "1", "price": price})
        assert sentence_of(Said(record_of("OrderFilled", data))).startswith("Bought 1 ES at ")
    for at in (0, 2**62, 7_258_118_399_999_999_999):
        data = msgspec.json.encode({"rule_id": "r", "until": at})
        assert sentence_of(Said(record_of("LockoutSet", data, "lockout/ACC1/r"))).startswith(
            "Locked account ACC1 until "
        )


def test_random_histories_are_said_without_exception() -> None:
    for seed in range(3):
        store: EventStore = store_of(history(random.Random(seed), 80))
        for entry in auditing.timeline(store):
            assert entry.sentence, (seed, entry.position)
            assert "None" not in entry.sentence.replace("NoneTaken", ""), (seed, entry)


def test_the_vocabulary_is_looked_through() -> None:
    assert VOCABULARY == "eventstore.trading"
    assert len(EVENTS) > 60
