"""Prices beside rows: as a plain loop finds them, and never from the future."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import InvalidEvent
from projections import analysis
from tests.analysis.scenes import Scene, at, column, prices, rows


def joined(instants: list[Any], symbols: list[Any], given: Any, **asked: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - any argument of a frame
    frame = {"at": instants, "symbol": symbols, "size": list(range(len(instants)))}
    found = rows(analysis.with_prices(frame, given, **asked))
    assert [row["size"] for row in found] == frame["size"]
    return [(row["quote"], row["quote_at"]) for row in found]


def test_no_price_is_from_the_future() -> None:
    given = prices(("10:00:00", "X", 1), ("10:00:01", "X", 2))
    noon = at("10:00:00")
    assert joined([noon - 1, noon, noon + 1], ["X"] * 3, given) == [(None, None), (1, noon), (1, noon)]


def test_what_has_no_symbol_no_instant_or_no_price_is_null() -> None:
    given = prices(("10:00:00", "X", 1), ("10:30:00", "X", None), ("10:00:00", "Y", None))
    given["at"].append(None)
    given["symbol"].append("X")
    given["price"].append(Decimal(9))
    instants = [at("11:00:00"), None, at("11:00:00"), at("11:00:00"), at("11:00:00")]
    found = joined(instants, ["X", "X", None, "Y", "Z"], given)
    assert found == [(1, at("10:00:00")), *[(None, None)] * 4]


def test_of_several_at_one_instant_the_last_counts() -> None:
    given = prices(("10:00:00", "X", 1), ("10:00:00", "X", 2))
    assert joined([at("10:00:00")], ["X"], given) == [(2, at("10:00:00"))]


def test_a_price_that_is_too_old_is_not_taken() -> None:
    given = prices(("10:00:00", "X", 1))
    instants = [at("10:00:10"), at("10:00:10") + 1]
    assert joined(instants, ["X", "X"], given, tolerance=timedelta(seconds=10)) == [(1, at("10:00:00")), (None, None)]
    assert joined([at("10:00:00")], ["X"], given, tolerance=0) == [(1, at("10:00:00"))]


def test_empty_frames_join() -> None:
    assert joined([], [], prices()) == []
    assert joined([at("10:00:00")], ["X"], prices()) == [(None, None)]
    nothing = pa.table({"at": pa.array([], pa.timestamp("ns", "UTC")), "symbol": pa.array([], pa.string())})
    assert analysis.with_prices(nothing, prices(("10:00:00", "X", 1))).columns == ["at", "symbol", "quote", "quote_at"]


def test_nanoseconds_and_the_types_of_other_columns_are_kept() -> None:
    when = pd.Timestamp(at("10:00:00") + 1, tz="UTC")
    frame = pa.table({"at": pa.array([when.value], pa.timestamp("ns", "Europe/Berlin")), "symbol": ["X"], "n": [b"1"]})
    quotes = pl.DataFrame({"at": [when.value], "symbol": ["X"], "price": [0.1]})
    found = analysis.with_prices(frame, quotes)
    assert found.to_arrow().schema.field("at").type == pa.timestamp("ns", "Europe/Berlin")
    assert found.to_arrow().schema.field("n").type == pa.binary()
    assert found.to_pandas()["quote_at"][0] == when
    assert analysis.with_prices(frame, quotes, exact=True).to_arrow()["quote"].to_pylist() == [Decimal("0.1")]
    assert "<table" in found._repr_html_()


def test_frames_of_this_package_are_joined_by_their_own_instants() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    scene.buy("12:00:00", 2, 100)
    frame = analysis.positions(scene.store, every="trade", account="A")
    found = analysis.with_prices(frame, prices(("11:00:00", "X", 103)))
    assert column(found, "quote") == [None, 103]
    assert found.columns == [*frame.columns, "quote", "quote_at"]
    utc = datetime(2025, 6, 16, 11, tzinfo=UTC)
    fills = pd.DataFrame({"occurred_at": [utc], "symbol": ["X"], "price": [99.0]})
    assert column(analysis.with_prices(fills, prices(("11:00:00", "X", 103))), "price") == [99.0]


NOON = at("12:00:00")


@pytest.mark.parametrize(
    ("frame", "quotes", "asked", "message"),
    [
        ({"at": [1]}, prices(), {}, "frame has no column symbol"),
        ({"symbol": ["X"]}, prices(), {}, "name its column of instants"),
        ({"symbol": ["X"], "at": [at("10:00:00")]}, prices(), {"at": "when"}, "no column when"),
        ({"symbol": ["X"], "at": [at("10:00:00")], "quote": [1]}, prices(), {}, "a column quote already"),
        ({"symbol": ["X"], "at": [at("10:00:00")]}, {"at": [], "symbol": []}, {}, "quotes has no column price"),
        ({"symbol": ["X"], "at": [at("10:00:00")]}, [1], {}, "quotes is a frame"),
        (None, prices(), {}, "frame is a frame"),
        ({"symbol": ["X"], "at": [at("10:00:00")]}, prices(), {"tolerance": -1}, "a duration"),
        ({"symbol": ["X"], "at": [at("10:00:00")]}, prices(), {"exact": 1.0}, "exact is"),
        ({"symbol": [1.5], "at": [at("10:00:00")]}, {"at": [NOON], "symbol": [[1]], "price": [1]},
         {}, "give names as text"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_refused(frame: Any, quotes: Any, asked: dict[str, Any], message: str) -> None:  # noqa: ANN401 - any argument of a frame
    with pytest.raises(InvalidEvent, match=message):
        analysis.with_prices(frame, quotes, **asked)


INSTANTS = st.integers(at("10:00:00"), at("10:00:00") + 20)
SYMBOLS = st.sampled_from("XY")


@given(
    left=st.lists(st.tuples(INSTANTS, SYMBOLS), max_size=12),
    right=st.lists(st.tuples(INSTANTS, SYMBOLS, st.integers(1, 9)), max_size=12),
    tolerance=st.one_of(st.none(), st.integers(0, 10)),
)
def test_it_is_what_a_plain_loop_finds(
    left: list[tuple[int, str]], right: list[tuple[int, str, int]], tolerance: int | None
) -> None:
    expected: list[tuple[Any, Any]] = []
    for instant, symbol in left:
        best: tuple[Any, Any] = (None, None)
        for when, name, price in right:
            fits = name == symbol and when <= instant and (tolerance is None or instant - when <= tolerance)
            if fits and (best[1] is None or when >= best[1]):
                best = (price, when)
        expected.append(best)
    found = joined(
        [each for each, _ in left], [name for _, name in left], prices(*right_rows(right)), tolerance=tolerance
    )
    assert found == expected


def right_rows(right: list[tuple[int, str, int]]) -> list[tuple[object, str, object]]:
    return [(when, name, price) for when, name, price in right]
