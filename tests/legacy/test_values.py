"""Values of a state: what is read equals what was given, and what cannot be kept is refused, saying where it is."""

from __future__ import annotations

import datetime
import enum
import math
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore import InvalidEvent
from gateways.legacy.values import Codec

UTC = datetime.UTC
CHICAGO = zoneinfo.ZoneInfo("America/Chicago")


def again(value: object, codec: Codec | None = None) -> Any:  # noqa: ANN401 - whatever was given
    """Encode a value, write it as JSON and read it back."""
    codec = codec or Codec()
    return codec.decode(msgspec.json.decode(msgspec.json.encode(codec.encode(value))))


class Color(enum.StrEnum):
    RED = "red"


class Size(enum.Enum):
    LARGE = "large"


class Tick:
    def __init__(self, price: float) -> None:
        self.price = price


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), "active_positions, A, entry is a object"),
        (Size.LARGE, "active_positions, A, entry is a Size"),
        (1 + 2j, "active_positions, A, entry is a complex"),
        (Tick(1.0), "register_serializer('Tick', …)"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_place(value: object, named: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        Codec().encode({"active_positions": {"A": {"entry": value}}})
    assert named in str(refused.value)


def test_a_state_that_contains_itself_is_refused() -> None:
    state: dict[str, Any] = {}
    state["self"] = state
    with pytest.raises(InvalidEvent, match="contains itself"):
        Codec().encode(state)


def test_a_time_of_day_in_a_zone_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="its offset depends on the day"):
        Codec().encode(datetime.time(9, tzinfo=CHICAGO))


@pytest.mark.parametrize("text", ["20250101", "2025-01-02T03:04:05", "2025-01-02", "NaN", "null", "0x10", "1e5"])
def test_a_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert again({"k": text}) == {"k": text}


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2025, 1, 2, 3, 4, 5, 678),  # noqa: DTZ001 - older programs have times without zones
        datetime.datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime.datetime(2025, 11, 2, 1, 30, tzinfo=CHICAGO, fold=1),
        datetime.datetime(2025, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
        datetime.date(2025, 1, 2),
        datetime.time(9, 30, 0, 1, fold=1),
        datetime.timedelta(days=-1, microseconds=1),
        Decimal("1.10"),
        Decimal("-0.0"),
        uuid.UUID(int=7),
        b"\0\xff",
        10**40,
        -(2**63) - 1,
        math.inf,
        -math.inf,
        5e-324,
        1e22,
        {1: "a", (2, "b"): None, None: True, 1.5: []},
        {"$type": "datetime", "value": "x"},
        {"$type": "packed"},
        {1, 2, 3},
        frozenset({"a", ("b", 1)}),
        (1, [2, (3,)], {"k": (4,)}),
        "a\0b",
        "\ud800",
        {"a\0": 1, "\udfff": 2},
        "",
        {"": {"": ""}},
    ],
)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    found = again({"k": value})["k"]
    assert (found, type(found)) == (value, type(value))
    assert repr(found) == repr(value) or isinstance(value, set | frozenset)
    if isinstance(value, datetime.datetime | datetime.time):
        assert (found.fold, found.utcoffset()) == (value.fold, value.utcoffset())


def test_a_zone_comes_back_as_a_zone() -> None:
    found = again(datetime.datetime(2025, 3, 8, 12, tzinfo=CHICAGO))
    assert found + datetime.timedelta(days=1) == datetime.datetime(2025, 3, 9, 12, tzinfo=CHICAGO)
    assert found.tzinfo.key == "America/Chicago"


def test_not_a_number_comes_back_and_zero_keeps_its_sign() -> None:
    found = again([math.nan, -0.0, Decimal("NaN")])
    assert math.isnan(found[0])
    assert math.copysign(1, found[1]) == -1
    assert found[2].is_nan()


def test_a_word_of_an_enum_is_its_text() -> None:
    assert again({"color": Color.RED}) == {"color": Color.RED}


def test_equal_sets_have_the_same_bytes_in_every_process() -> None:
    words = [f"word {number}" for number in range(50)]
    codec = Codec()
    assert codec.encode(set(words)) == codec.encode({*words[25:], *words[:25]})
    assert [item for item in codec.encode(set(words))["items"]] == sorted(words)  # noqa: C416 - a list of a list


def test_registered_functions_keep_the_objects_of_a_class() -> None:
    codec = Codec()
    codec.register("Tick", serialize=lambda tick: {"price": tick.price}, deserialize=lambda found: Tick(found["price"]))
    assert again([Tick(1.5)], codec)[0].price == 1.5
    with pytest.raises(InvalidEvent, match=r"register_deserializer\('Tick', …\) before"):
        Codec().decode(codec.encode(Tick(1.5)))


def test_a_value_of_a_newer_version_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="a value of type 'quaternion'"):
        Codec().decode({"$type": "quaternion"})


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.text(st.characters())
    | st.binary(max_size=8)
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.dates()
    | st.timedeltas()
    | st.uuids()
)
KEYS = st.text() | st.integers() | st.tuples(st.text(), st.integers()) | st.just("$type")
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.tuples(inner, inner)
        | st.frozensets(st.text() | st.integers(), max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=60)
@given(ANYTHING)
def test_any_value_comes_back(value: object) -> None:
    found = again(value)
    assert found == value
    assert type(found) is type(value)


# pandas and numpy


INDEXES = [
    pd.RangeIndex(3),
    pd.Index([5, 6, 9], name="number"),
    pd.Index(["a", "b", "20250101"]),
    pd.Index([1.5, 2.5, float("nan")]),
    pd.date_range("2025-03-08", periods=3, freq="D", tz="America/New_York", name="time"),
    pd.DatetimeIndex(["2025-01-01", "2025-01-03", "2025-01-04T00:00:00.123456789"]),
    pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["letter", None]),
    pd.Index([("a", 1), "b", None], tupleize_cols=False),
]


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: type(index).__name__)
def test_a_series_comes_back_with_its_index(index: pd.Index[Any]) -> None:
    series = pd.Series([1.5, float("nan"), -3.25], index=index, name="price1")
    pd.testing.assert_series_equal(again({"s": series})["s"], series)


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2, 3], dtype="int32"),
        pd.Series([True, False, True]),
        pd.Series(["a", None, "2025-01-01"], dtype=object),
        pd.Series([1, None, "x", (2, 3)], dtype=object, name=("two", 1)),
        pd.Series(["a", None, "c"], dtype="string"),
        pd.Series([1, None, 3], dtype="Int64"),
        pd.Series(pd.DatetimeIndex(["2025-01-01", "NaT", "2025-01-03"])),
        pd.Series(pd.DatetimeIndex(["2025-01-01", "NaT"]).tz_localize("Europe/Berlin")),
        pd.Series(pd.to_timedelta(["1D", None])),
        pd.Series([], dtype="float64"),
    ],
    ids=lambda series: str(series.dtype),
)
def test_a_series_comes_back_with_its_type(values: pd.Series[Any]) -> None:
    pd.testing.assert_series_equal(again(values), values)


@pytest.mark.parametrize(
    "values", [pd.Series(["a", "b"], dtype="category"), pd.Series([1], index=pd.period_range("2025", periods=1))]
)
def test_a_series_that_would_change_is_refused(values: pd.Series[Any]) -> None:
    with pytest.raises(InvalidEvent, match="cannot be kept"):
        Codec().encode(values)


def test_a_frame_comes_back_with_columns_of_one_name() -> None:
    frame = pd.DataFrame([[1, 2.5, "x"], [3, None, "y"]], columns=["a", "b", "a"], index=["r1", "r2"])
    pd.testing.assert_frame_equal(again({"f": frame})["f"], frame)
    empty = pd.DataFrame({"a": []})
    pd.testing.assert_frame_equal(again(empty), empty)


def test_times_of_pandas_keep_their_nanoseconds_and_zone() -> None:
    at = pd.Timestamp("2025-01-01T00:00:00.123456789", tz="America/Chicago")
    found = again([at, pd.Timestamp("2025-01-01"), pd.Timedelta(1, "ns"), pd.NaT])
    assert found[:3] == [at, pd.Timestamp("2025-01-01"), pd.Timedelta(1, "ns")]
    assert str(found[0].tz) == "America/Chicago"
    assert found[3] is pd.NaT


def test_numbers_and_arrays_of_numpy_come_back_equal() -> None:
    found = again({"f": np.float64(0.1), "i": np.int32(7), "b": np.bool_(True), "a": np.arange(6.0).reshape(2, 3)})
    assert (found["f"], found["i"], found["b"]) == (0.1, 7, True)
    np.testing.assert_array_equal(found["a"], np.arange(6.0).reshape(2, 3))
    with pytest.raises(InvalidEvent, match="cannot be kept"):
        Codec().encode(np.array([object()]))
