"""Events as columns: whatever stands in the data, a frame says what decoding event by event says."""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from eventstore import EventReader, InvalidEvent
from projections import analysis
from projections.analysis import decoding
from projections.analysis.columns import Column, Kind, members_of
from tests.analysis.recorded import START, Sample, draft, log_of, plain, samples, texts
from tests.proving import examples

SAMPLE = '{"symbol":"ESZ5","price":"5000.25"}'


def column(reader: EventReader, name: str, **given: Any) -> list[Any]:  # noqa: ANN401 - any argument of a frame
    found: list[Any] = analysis.events(reader, progress=False, **given).to_arrow().column(name).to_pylist()
    return found


@pytest.fixture
def is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where events are decoded one by one."""

    def refuse(*_: object) -> None:
        pytest.fail("decoded one by one")

    monkeypatch.setattr(decoding.PageDecoder, "_one_by_one", refuse)


def test_a_number_without_quotes_is_what_the_class_reads() -> None:
    reader = samples('{"symbol":"A","price":1.5}', SAMPLE, '{"symbol":"A","price":7}')
    assert column(reader, "price", exact=True) == [Decimal("1.5"), Decimal("5000.25"), Decimal(7)]
    assert column(reader, "price", exact="text") == ["1.5", "5000.25", "7"]


def test_unknown_members_are_left_out() -> None:
    reader = samples('{"symbol":"A","price":"1","new":{"a":[1,"x"]},"colour":"blue"}', SAMPLE)
    frame = analysis.events(reader, progress=False)
    assert "new" not in frame.columns
    assert frame.to_arrow().column("colour").to_pylist() == ["blue", "red"]


def test_older_schemas_are_upcast() -> None:
    reader = log_of(draft("FrameSample", '{"instrument":"OLD","price":"1"}', number=1, schema=1))
    assert column(reader, "symbol") == ["OLD"]


def test_a_newer_schema_has_null_members() -> None:
    reader = log_of(
        draft("FrameSample", SAMPLE, number=1, schema=2), draft("FrameSample", '{"price":9}', number=2, schema=3)
    )
    assert column(reader, "price") == [5000.25, None]
    assert column(reader, "fee") == [0.0, None]


def test_a_type_without_a_class_is_a_row_without_members() -> None:
    reader = log_of(draft("Nobody", '{"price":"1"}', number=1), draft("FrameSample", SAMPLE, number=2, schema=2))
    assert column(reader, "type") == ["Nobody", "FrameSample"]
    assert column(reader, "price") == [None, 5000.25]
    assert analysis.events(reader, types="Nobody").columns == [each.name for each in analysis.columns.RECORD]


def test_members_that_are_called_like_a_records_have_names_of_their_own() -> None:
    reader = log_of(draft("FrameNamed", '{"position":"7","account":"other"}', number=1))
    table = analysis.events(reader).to_arrow()
    assert table.column("position").to_pylist() == [1]
    assert table.column("event_position").to_pylist() == [7.0]
    assert table.column("account").to_pylist() == ["ACC1"]
    assert table.column("event_account").to_pylist() == ["other"]


def test_an_unknown_value_of_an_enum_is_refused_as_its_class_refuses_it() -> None:
    with pytest.raises(InvalidEvent, match="green"):
        analysis.events(samples(SAMPLE, '{"symbol":"A","price":"1","colour":"green"}')).to_arrow()


def test_a_required_member_that_is_missing_is_not_null() -> None:
    with pytest.raises(InvalidEvent, match="price"):
        analysis.events(samples('{"symbol":"A"}')).to_arrow()


def test_a_null_where_none_may_be_is_not_the_default() -> None:
    with pytest.raises(InvalidEvent, match="fee"):
        analysis.events(samples('{"symbol":"A","price":"1","fee":null}')).to_arrow()


def test_a_null_that_may_be_is_null() -> None:
    assert column(samples('{"symbol":"null","price":"1","limit": null}', SAMPLE), "limit") == [None, None]


def test_null_and_left_out_may_be_two_values() -> None:
    drafts = [
        draft("FrameAmbiguous", data, number=number) for number, data in enumerate(["{}", '{"level":null}'], start=1)
    ]
    assert column(log_of(*drafts), "level") == [5, None]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"text"', b'{"symbol":"A","price":"1"', b'{"symbol":1}'])
def test_data_that_is_not_such_an_event_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidEvent, match="FrameSample"):
        analysis.events(samples(SAMPLE, data)).to_arrow()


def test_data_on_several_lines_is_read() -> None:
    reader = samples('{\n"symbol":"A",\n"price":"1"\n}', SAMPLE, '{"symbol":"B","price":"2"}\n')
    assert column(reader, "symbol") == ["A", "ESZ5", "B"]


def test_lines_that_add_up_are_not_mistaken_for_events() -> None:
    with pytest.raises(InvalidEvent):
        analysis.events(samples(f"{SAMPLE}\n{SAMPLE}", "")).to_arrow()


def test_of_a_member_given_twice_the_last_counts() -> None:
    assert column(samples('{"symbol":"A","price":"1","price":"2"}'), "price") == [2.0]


def test_escaped_text_is_read() -> None:
    symbol = 'a"\\/\b\n\tü漢😀\u2028'
    data = json.dumps({"symbol": symbol, "price": "1"})
    assert column(samples(data, SAMPLE), "symbol") == [symbol, "ESZ5"]


def test_a_nul_in_text_stays() -> None:
    assert column(samples('{"symbol":"a\\u0000b","price":"1"}'), "symbol") == ["a\0b"]


@pytest.mark.parametrize("number", ["1E+2", "-0", "1e-9", "0.1", "1234567890123456789.123456789", "1.10"])
def test_decimals_are_kept_in_each_form(number: str) -> None:
    reader = samples(f'{{"symbol":"A","price":"{number}"}}')
    assert column(reader, "price") == [float(number)]
    assert column(reader, "price", exact=True) == [Decimal(number)]
    assert column(reader, "price", exact="text") == [number]


def test_exact_decimals_are_of_38_digits_with_9_decimals() -> None:
    schema = analysis.events(samples(SAMPLE), exact=True).schema
    assert str(schema.field("price").type) == "decimal128(38, 9)"


@pytest.mark.parametrize("number", ["0.0000000001", "1." + "1" * 59, "1" * 30, "1E+40", "-1E-10"])
def test_a_number_that_does_not_fit_is_named_and_text_is_offered(number: str) -> None:
    reader = samples(SAMPLE, f'{{"symbol":"A","price":"{number}"}}')
    with pytest.raises(InvalidEvent, match=r"price = .*exact='text'") as caught:
        analysis.events(reader, exact=True).to_arrow()
    assert str(Decimal(number)) in str(caught.value)
    assert column(reader, "price", exact="text")[1] == number
    assert column(reader, "price")[1] == float(number)


def test_ten_decimals_that_are_nine_and_a_zero_fit() -> None:
    assert column(samples('{"symbol":"A","price":"1.1234567890"}'), "price", exact=True) == [Decimal("1.123456789")]


def test_a_60_digit_number_is_exact_as_text() -> None:
    number = "1" * 30 + "." + "3" * 30
    assert column(samples(f'{{"symbol":"A","price":"{number}"}}'), "price", exact="text") == [number]


def test_an_integer_past_64_bits_is_named() -> None:
    with pytest.raises(InvalidEvent, match=r"count = .*64 bits"):
        analysis.events(samples(f'{{"symbol":"A","price":"1","count":{2**70}}}')).to_arrow()


def test_missing_members_are_null_and_defaults_are_what_they_are() -> None:
    row = analysis.events(samples(SAMPLE), exact=True).to_arrow().to_pylist()[0]
    nulls = {name for name, value in row.items() if value is None}
    assert nulls == {"limit", "side", "share", "is_open", "at", "took", "day"}
    assert (row["fee"], row["count"], row["colour"]) == (Decimal(0), 0, "red")


def test_each_kind_of_member_has_its_type(is_whole: None) -> None:
    data = {
        "symbol": "A", "price": "1", "side": "SELL", "colour": "blue", "count": 3, "share": 0.5, "is_open": False,
        "at": START, "took": 5, "day": "2026-01-31",
    }  # fmt: skip
    table = analysis.events(samples(json.dumps(data))).to_arrow()
    types = {field.name: str(field.type) for field in table.schema}
    assert {name: types[name] for name in ("price", "count", "share", "is_open", "at", "took", "day")} == {
        "price": "double", "count": "int64", "share": "double", "is_open": "bool", "at": "timestamp[ns, tz=UTC]",
        "took": "duration[ns]", "day": "date32[day]",
    }  # fmt: skip
    assert types["side"].startswith("dictionary")
    assert table.column("day").to_pylist() == [datetime.date(2026, 1, 31)]
    assert table.column("at").cast("int64").to_pylist() == [START]
    assert table.column("side").to_pylist() == ["SELL"]


def test_members_of_two_kinds_under_one_name_are_text() -> None:
    reader = log_of(
        draft("FrameSample", '{"symbol":"A","price":"1","count":3}', number=1, schema=2),
        draft("FrameNamed", '{"position":"1","count":"many"}', number=2),
    )
    assert column(reader, "count") == ["3", "many"]


def test_nested_members_are_json() -> None:
    reader = log_of(
        draft("FrameNested", '{"parts":[{"name":"a","size":"1.50"}],"by_name":{"x":1}}', number=1),
        draft("FrameNested", "{}", number=2),
    )
    assert column(reader, "parts") == ['[{"name":"a","size":"1.50"}]', "[]"]
    assert column(reader, "by_name") == ['{"x":1}', "{}"]


def test_a_frame_of_nothing_has_its_columns() -> None:
    frame = analysis.events(samples(SAMPLE), types=[Sample], start=START + 10**12)
    assert len(frame) == 0
    assert frame.to_arrow().schema == frame.schema
    assert "price" in frame.columns


def test_a_page_of_many_types_keeps_the_logs_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstore.reader.COLUMNS_PAGE", 7)
    chance = random.Random(1)
    kinds: list[tuple[str, Callable[[int], str], int]] = [
        ("FrameSample", lambda n: f'{{"symbol":"S{n}","price":"{n}"}}', 2),
        ("FrameSample", lambda n: f'{{"instrument":"S{n}","price":"{n}"}}', 1),
        ("FrameNamed", lambda n: f'{{"position":"{n}","symbol":"S{n}"}}', 1),
        ("Nobody", lambda n: f'{{"symbol":"S{n}"}}', 1),
        ("FrameNested", lambda _: "{}", 1),
    ]
    drafts = []
    for number in range(100):
        name, data, schema = chance.choice(kinds)
        drafts.append(
            draft(name, data(number), number=number, schema=schema, stream=f"test/A{number % 3}/x%2F{number}")
        )
    reader = log_of(*drafts)
    records = list(reader.read())
    table = analysis.events(reader, columns=["symbol", "entity", "account", "category", "type", "stream"]).to_arrow()
    assert table.column("symbol").to_pylist() == plain(records, "symbol")
    assert table.column("entity").to_pylist() == [f"x/{number}" for number in range(100)]
    assert table.column("account").to_pylist() == [record.account for record in records]
    assert table.column("category").to_pylist() == ["test"] * 100
    assert table.column("type").to_pylist() == [record.type for record in records]
    assert table.column("stream").to_pylist() == [record.stream for record in records]


_NUMBERS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["1E+2", "-0.0", "1e5", " 1", "1_0", "NaN", "", "\u0661", "0x1", "+1", ".5", "1.", "Infinity"]),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.integers(-(2**70), 2**70),
    st.none(),
)
_ANY = st.one_of(st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.text(max_size=5), st.just([]), st.just({}))
_DATA = st.fixed_dictionaries(
    {"symbol": st.one_of(st.text(max_size=5), st.just("ESZ5"))},
    optional={
        "price": _NUMBERS,
        "fee": _NUMBERS,
        "limit": _NUMBERS,
        "side": st.sampled_from(["BUY", "SELL", "buy", None, 1]),
        "colour": st.sampled_from(["red", "blue", "green"]),
        "count": st.one_of(st.integers(-5, 5), st.just(1.0), st.just("1"), _ANY),
        "share": st.one_of(st.floats(allow_nan=False, allow_infinity=False), _ANY),
        "is_open": st.one_of(st.booleans(), _ANY),
        "at": st.one_of(st.integers(0, 2**63 - 1), _ANY),
        "took": st.one_of(st.integers(0, 100), _ANY),
        "day": st.sampled_from(["2026-01-31", "2026-02-31", "20260131", "1600-01-01", None]),
        "what": _ANY,
    },
)


@hypothesis.settings(max_examples=examples(test=100, prove=5_000))
@hypothesis.given(st.lists(_DATA.map(lambda data: {"price": "1", **data}), min_size=1, max_size=3))
def test_a_frame_has_what_each_event_has(data: list[dict[str, Any]]) -> None:
    reader = samples(*[json.dumps(each) for each in data])
    records = list(reader.read())
    try:
        expected = {
            member.column.name: (member.column, plain(records, member.name)) for member in members_of("FrameSample")
        }
    except InvalidEvent:
        with pytest.raises(InvalidEvent):
            analysis.events(reader).to_arrow()
        return
    frame = analysis.events(reader, exact="text")
    if any(not -(2**63) <= (number or 0) < 2**63 for name in ("count", "at", "took") for number in expected[name][1]):
        with pytest.raises(InvalidEvent, match="64 bits"):
            frame.to_arrow()
        return
    table = frame.to_arrow()
    floats = analysis.events(reader).to_arrow()
    for name in ("price", "fee", "limit"):
        numbers = [None if number is None else float(number) for number in expected[name][1]]
        assert repr(floats.column(name).to_pylist()) == repr(numbers), name
    for name, (kind, values) in expected.items():
        assert _same(kind, table.column(name), values), (name, table.column(name), values)


def _same(kind: Column, found: Any, values: list[Any]) -> bool:  # noqa: ANN401 - a column of Arrow's
    match kind.kind:
        case Kind.INSTANT | Kind.DURATION:
            return bool(found.cast("int64").to_pylist() == values)
        case Kind.DECIMAL:
            # As written, or as a Decimal writes it: the same number in the end, its digits included.
            return [str(Decimal(each)) if each is not None else None for each in found.to_pylist()] == texts(values)
        case Kind.ENUM:
            return bool(found.to_pylist() == texts(values))
        case _:
            return bool(found.to_pylist() == values)


def test_usual_data_is_parsed_as_a_whole(is_whole: None, tmp_path: Path) -> None:
    reader = samples(*[f'{{"symbol":"S{n}","price":"{n}.5"}}' for n in range(50)], path=tmp_path / "journal.db")
    assert column(reader, "price") == [n + 0.5 for n in range(50)]
    reader.close()
