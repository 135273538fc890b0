"""Points: the bytes of a record's line, parsed by an independent parser, and converted back to the record."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import InvalidEvent, Record, event
from eventstore.events import Event
from eventstore.ids import keyed_id
from eventstore.influx.points import Decoder, Encoder, ForeignPoint, PointRow
from tests.influx.filling import LOG_ID, with_digest

MEASURES = ("price", "quantity", "count")
Point = tuple[dict[str, str], dict[str, object], int]
"""Tags, fields and time."""


class Scan:
    """Parses a line by the protocol's reference, character by character, independently of the writer."""

    def __init__(self, line: str) -> None:
        self._line, self._at = line, 0

    def point(self) -> Point:
        assert self._text(", ") == "events"
        tags: dict[str, str] = {}
        fields: dict[str, object] = {}
        while self._next() == ",":
            name = self._text("=")
            tags[name] = self._after("=", ", ")
        name = self._text("=")
        fields[name] = self._value()
        while self._next() == ",":
            name = self._text("=")
            assert name not in fields
            fields[name] = self._value()
        return tags, fields, int(self._line[self._at :])

    def _next(self) -> str:
        self._at += 1
        return self._line[self._at - 1]

    def _after(self, sign: str, ends: str) -> str:
        assert self._next() == sign
        return self._text(ends)

    def _text(self, ends: str) -> str:
        found = ""
        while (sign := self._next()) not in ends:
            escaped = sign == "\\" and self._line[self._at] in ", ="
            found += self._next() if escaped else sign
        self._at -= 1
        return found

    def _value(self) -> object:
        assert self._next() == "="
        if self._line[self._at] != '"':
            text = self._text(", ")
            return int(text[:-1]) if text.endswith("i") else float(text)
        self._at += 1
        found = ""
        while (sign := self._next()) != '"':
            escaped = sign == "\\" and self._line[self._at] in '"\\'
            found += self._next() if escaped else sign
        return found


def record_of(data: bytes = b"{}", **changes: Any) -> Record:  # noqa: ANN401 - members of all types
    id_ = keyed_id("order/ACC1/O-1", "1")
    record = Record(id_, "order/ACC1/O-1", "Priced", 1, 5, data, "bob", "", None, None, 7, 3, 11, b"", "main")
    return with_digest(msgspec.structs.replace(record, **changes))


def encoder(*, symbols: bool = True) -> Encoder:
    return Encoder("main", LOG_ID, lambda _type, _schema: MEASURES, symbols=symbols)


def line_of(record: Record, *, symbols: bool = True) -> str:
    (line,) = encoder(symbols=symbols).lines([record])
    return line


def point_of(content: object) -> Point:
    return Scan(line_of(record_of(json.dumps(content).encode()))).point()


def row_of(point: Point) -> PointRow:
    tags, fields, at = point
    columns = [fields.get(name) for name in ("position", "stream", "occurred_at", "data", "meta")]
    return msgspec.convert([at, *columns, tags["type"]], PointRow)


def test_the_bytes_of_a_line_are_fixed() -> None:
    id_ = keyed_id("order/ACC1/O-1", "1").hex()
    line = line_of(record_of(b'{"symbol":"ES Z5","price":"1.50","text":"a\\"b"}', note='q"\\', causation_id=bytes(16)))
    assert line == (
        r"events,account=ACC1,category=order,log=main,symbol=ES\ Z5,type=Priced "
        r'position=7i,stream="order/ACC1/O-1",occurred_at=5i,'
        r'data="{\"symbol\":\"ES Z5\",\"price\":\"1.50\",\"text\":\"a\\\"b\"}",'
        rf'meta="{{\"id\":\"{id_}\",\"version\":3,\"schema\":1,\"log_id\":\"000102030405060708090a0b0c0d0e0f\",'
        r"\"actor\":\"bob\",\"note\":\"q\\\"\\\\\","
        r'\"causation_id\":\"00000000000000000000000000000000\"}",price=1.5 11'
    )


def test_the_same_record_gives_the_same_bytes_after_any_others() -> None:
    first, second = record_of(b'{"price":1}'), record_of(b'{"price":2}', note="n", position=8)
    one = encoder()
    assert one.lines([first, second]) == [line_of(first), line_of(second)]
    assert one.lines([second, first, second]) == [line_of(second), line_of(first), line_of(second)]


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ('"1.25"', 1.25),
        ('"-0.10"', -0.1),
        ("3", 3.0),
        ("-7", -7.0),
        ("2.5", 2.5),
        ("1e100", 1e100),
        ('"1e100"', 1e100),
        ("1" + "0" * 40, 1e40),
        ('"0.1234567890123456789012345678901234"', 0.12345678901234568),
        ("0", 0.0),
        ("null", None),
        ('"NaN"', None),
        ('"Infinity"', None),
        ('"-inf"', None),
        ('"1e999"', None),
        ('"five"', None),
        ('""', None),
        ("true", None),
        ("[1]", None),
        ('{"price":1}', None),
    ],
)
def test_a_measure_is_a_number_or_left_out(text: str, measured: float | None) -> None:
    line = line_of(record_of(f'{{"price":{text},"symbol":"ESZ5","quantity":"2"}}'.encode()))
    tags, fields, _ = Scan(line).point()
    assert fields.get("price") == measured
    assert fields["quantity"] == 2.0
    assert isinstance(fields["quantity"], float)
    assert tags["symbol"] == "ESZ5"


def test_absent_nested_and_other_members_make_no_field() -> None:
    _, fields, _ = point_of({"other": 1, "inner": {"price": 2}})
    assert set(fields) == {"position", "stream", "occurred_at", "data", "meta"}


@pytest.mark.parametrize(
    "symbol",
    ["ESZ5", "ES Z5", "a,b", "a=b", ",= ,", "é漢😀", "BRK.B", "x" * 128, "'; DROP", '"q"', "é" * 64, "#1", "-"],
)
def test_a_symbol_with_any_printable_characters_becomes_a_tag(symbol: str) -> None:
    tags, fields, _ = point_of({"symbol": symbol})
    assert tags == {"account": "ACC1", "category": "order", "log": "main", "symbol": symbol, "type": "Priced"}
    assert json.loads(str(fields["data"])) == {"symbol": symbol}


@pytest.mark.parametrize("symbol", ["", "a\\b", "end\\", "x" * 129, "é" * 65, "a\nb", "a\tb", "\x00", None, 5, ["ES"]])
def test_a_symbol_that_cannot_be_a_tag_stays_in_the_data(symbol: object) -> None:
    tags, fields, _ = point_of({"symbol": symbol, "price": 1})
    assert "symbol" not in tags
    assert fields["price"] == 1.0
    assert json.loads(str(fields["data"])) == {"symbol": symbol, "price": 1}


def test_symbols_can_be_left_out_of_the_tags() -> None:
    record = record_of(b'{"symbol":"ESZ5","price":1}')
    assert "symbol" not in Scan(line_of(record, symbols=False)).point()[0]
    assert line_of(record).replace(",symbol=ESZ5", "") == line_of(record, symbols=False)


@pytest.mark.parametrize(
    "name",
    ["time", "position", "stream", "occurred_at", "data", "meta", "log", "category", "account", "type", "symbol"],
)
def test_a_measure_cannot_have_the_name_of_a_field(name: str) -> None:
    kind: Any = msgspec.defstruct(f"Measured{name}", [(name, int)], bases=(Event,), frozen=True, kw_only=True)
    with pytest.raises(InvalidEvent, match=name):
        event(measures=(name,))(kind)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ids = st.one_of(st.none(), st.binary(min_size=16, max_size=16))
records = st.builds(
    lambda text, **members: record_of(
        json.dumps({"text": text, "symbol": text}, ensure_ascii=False).encode(), **members
    ),
    texts,
    actor=texts,
    note=texts,
    schema=st.integers(1, 1 << 31),
    version=st.integers(1, 1 << 40),
    position=st.integers(1, 1 << 62),
    recorded_at=st.integers(0, 1 << 62),
    occurred_at=st.integers(0, 1 << 62),
    correlation_id=ids,
    causation_id=ids,
    stream=st.sampled_from(["order/ACC1/é 漢😀", 'a/-/"\\', "a:b/@.-/%2F ,=", "x/y/back\\"]),
)


@given(record=records)
def test_a_line_has_the_record_and_nothing_else(record: Record) -> None:
    tags, fields, at = point = Scan(line_of(record)).point()
    assert (at, fields["position"], fields["occurred_at"]) == (record.recorded_at, record.position, record.occurred_at)
    assert (fields["stream"], str(fields["data"]).encode()) == (record.stream, record.data)
    assert (tags["category"], tags["account"], tags["type"]) == (record.category, record.account, record.type)
    meta = json.loads(str(fields["meta"]))
    assert (bytes.fromhex(meta["id"]), meta["version"], meta["schema"]) == (record.id, record.version, record.schema)
    assert (meta.get("actor", ""), meta.get("note", "")) == (record.actor, record.note)
    assert Decoder("main", LOG_ID).record(row_of(point)) == record


@given(first=records, second=records)
def test_a_decoder_does_not_depend_on_earlier_records(first: Record, second: Record) -> None:
    decoder = Decoder("main", LOG_ID)
    for record in (first, second, first):
        assert decoder.record(row_of(Scan(line_of(record)).point())) == record


@pytest.mark.parametrize("name", ["position", "stream", "occurred_at", "data", "meta"])
def test_a_point_that_lacks_a_field_is_not_a_record_yet(name: str) -> None:
    tags, fields, at = Scan(line_of(record_of())).point()
    del fields[name]
    assert Decoder("main", LOG_ID).record(row_of((tags, fields, at))) is None


GOOD = {"id": "00" * 16, "version": 1, "schema": 1, "log_id": LOG_ID.hex()}


@pytest.mark.parametrize(
    "changes",
    [
        {"log_id": "ff" * 16},
        {"log_id": None},
        {"id": "00"},
        {"id": "xy" * 16},
        {"version": -1},
        {"version": 1 << 64},
        {"schema": -1},
        {"schema": 1 << 64},
        {"version": "1"},
        {"causation_id": "no"},
    ],
    ids=str,
)
def test_a_point_with_the_meta_of_another_log_is_foreign(changes: dict[str, object]) -> None:
    row = PointRow(11, 7, "order/ACC1/O-1", 5, "{}", json.dumps(GOOD | changes), "Priced")
    with pytest.raises(ForeignPoint, match="the point at 11"):
        Decoder("main", LOG_ID).record(row)
    assert Decoder("main", LOG_ID).record(msgspec.structs.replace(row, meta=json.dumps(GOOD))) is not None
