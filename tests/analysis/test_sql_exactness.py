"""Figures and instants come out of SQL as they went into the log: to the last digit and nanosecond, in every form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventstore
from eventstore import Event, EventStore, InvalidEvent, ManualClock
from eventstore import event as registered
from eventstore.events import Duration
from eventstore.trading import OrderFilled
from projections import analysis
from tests.analysis.queried import START, fill
from tests.memory import directory_in_memory
from tests.proving import examples

COUNT = 1_000


@registered(name="SqlMeasured")
class Measured(Event, frozen=True, kw_only=True):
    value: Decimal
    other: Decimal | None = None
    took: Duration | None = None
    count: int = 0


@pytest.fixture(scope="module")
def store() -> Iterator[EventStore]:
    """Fills with times 1 ns apart."""
    with directory_in_memory() as directory, eventstore.open(directory, clock=ManualClock(START)) as store:
        store.append("order/A1/O-1", [fill(number) for number in range(COUNT)])
        yield store


def ns_of(rows: pa.Table | pa.RecordBatch) -> list[int]:
    numbers: list[int] = rows.column("t").cast(pa.int64()).to_pylist()
    return numbers


def as_pandas(frame: analysis.Frame) -> list[int]:
    times = frame.to_pandas()["t"]
    assert str(times.dtype) == "datetime64[ns, UTC]"
    return [each.value for each in times]


def as_polars(frame: analysis.Frame) -> list[int]:
    times = frame.to_polars()["t"]
    assert times.dtype == pl.Datetime("ns", "UTC")
    numbers: list[int] = times.cast(pl.Int64).to_list()
    return numbers


def as_arrow(frame: analysis.Frame) -> list[int]:
    assert frame.to_arrow().schema.field("t").type == pa.timestamp("ns", "UTC")
    return ns_of(frame.to_arrow())


def as_batches(frame: analysis.Frame) -> list[int]:
    return [value for batch in frame.iter_batches(7) for value in ns_of(batch)]


def as_stream(frame: analysis.Frame) -> list[int]:
    return ns_of(pa.table(frame))


def as_parquet(frame: analysis.Frame) -> list[int]:
    with directory_in_memory() as directory:
        table = pq.read_table(frame.to_parquet(Path(directory) / "t.parquet"))
    assert table.schema.field("t").type == pa.timestamp("ns", "UTC")
    return ns_of(table)


@pytest.mark.parametrize("converted", [as_pandas, as_polars, as_arrow, as_batches, as_stream, as_parquet])
@pytest.mark.parametrize(
    "query",
    [
        "select recorded_at as t from order_filled order by t",
        "select max(recorded_at) as t from order_filled group by position order by t",
        "select recorded_at + interval 1 day - interval 1 day as t from events order by t",
    ],
)
def test_instants_keep_their_nanoseconds_and_zone(
    store: EventStore, query: str, converted: Callable[[analysis.Frame], list[int]]
) -> None:
    expected = [record.recorded_at for record in store.read()]
    assert len(set(expected)) == COUNT
    assert converted(analysis.sql(store, query)) == expected


def test_instants_of_microseconds_are_given_in_nanoseconds_as_well(store: EventStore) -> None:
    frame = analysis.sql(store, "select date_trunc('hour', recorded_at) as t from order_filled limit 1")
    assert as_pandas(frame) == as_polars(frame) == as_arrow(frame) == [START // 3_600_000_000_000 * 3_600_000_000_000]


def test_an_instant_is_compared_to_the_nanosecond(store: EventStore) -> None:
    some = list(store.read(limit=500))[-1]
    at = pd.Timestamp(some.recorded_at, tz="UTC").isoformat()
    query = f"select count(*) n, min(position) p from order_filled where recorded_at >= '{at}'"  # noqa: S608 - the test's
    assert analysis.sql(store, query).to_arrow().to_pylist() == [{"n": COUNT - 499, "p": 500}]


def measured(events: list[Measured], query: str, *, exact: bool | str = True) -> list[dict[str, Any]]:
    with directory_in_memory() as directory, eventstore.open(directory, clock=ManualClock(START)) as log:
        if events:
            log.append("news/-/x", events)
        rows: list[dict[str, Any]] = analysis.sql(log, query, exact=exact).to_arrow().to_pylist()
        return rows


def test_a_value_of_more_than_nine_decimals_is_an_error_that_names_it() -> None:
    events = [Measured(value=Decimal("1.5")), Measured(value=Decimal("0.1234567891"))]
    with pytest.raises(InvalidEvent, match=r"value = 0.1234567891 does not fit.*exact='text'"):
        measured(events, "select sum(value) from sql_measured")
    assert measured(events, "select value from sql_measured order by position", exact="text")[1] == {
        "value": "0.1234567891"
    }
    assert measured(events, "select sum(value) s from sql_measured", exact=False) == [
        {"s": pytest.approx(1.6234567891)}
    ]


def test_what_is_missing_is_null_and_no_zero() -> None:
    events = [Measured(value=Decimal(0)), Measured(value=Decimal(1), other=Decimal(3))]
    query = "select count(other) n, sum(other) s, avg(other) a, count(took) t from sql_measured"
    assert measured(events, query) == [{"n": 1, "s": Decimal(3), "a": 3.0, "t": 0}]
    query = "select sum(other) s, count(*) n from sql_measured where other is null"
    assert measured(events, query) == [{"s": None, "n": 1}]


def test_durations_are_whole_nanoseconds() -> None:
    events = [Measured(value=Decimal(0), took=3), Measured(value=Decimal(0), took=90_000_000_001)]
    assert measured(events, "select took from sql_measured order by took") == [{"took": 3}, {"took": 90_000_000_001}]
    assert measured(events, "select sum(took) s, max(took) m from sql_measured") == [
        {"s": 90_000_000_004, "m": 90_000_000_001}
    ]


def test_a_product_of_two_figures_is_exact() -> None:
    events = [Measured(value=Decimal("123456789.123456789"), other=Decimal("-0.000000001"))]
    assert measured(events, "select value * other p from sql_measured") == [{"p": Decimal("-0.123456789123456789")}]


figures = st.decimals(-(10**15), 10**15, allow_nan=False, places=9)


@settings(max_examples=examples(test=12, prove=1_000))
@given(
    st.lists(st.builds(Measured, value=figures, other=st.none() | figures, count=st.integers(0, 1 << 62)), max_size=8)
)
def test_sums_are_those_of_plain_arithmetic(events: list[Measured]) -> None:
    query = "select sum(value) v, sum(other) o, sum(count) c, max(value) m, count(distinct value) d from sql_measured"
    others = [each.other for each in events if each.other is not None]
    assert measured(events, query) == [
        {
            "v": sum(each.value for each in events) if events else None,
            "o": sum(others) if others else None,
            "c": sum(each.count for each in events) if events else None,
            "m": max((each.value for each in events), default=None),
            "d": len({each.value for each in events}),
        }
    ]


def test_floats_are_the_nearest_ones_of_what_was_written(store: EventStore) -> None:
    events = [each.event for each in store.read()]
    fees = {float(each.fee) for each in events if isinstance(each, OrderFilled)}
    found = analysis.sql(store, "select distinct fee from order_filled").to_arrow().column("fee").to_pylist()
    assert set(found) == fees
