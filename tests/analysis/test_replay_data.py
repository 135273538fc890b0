"""Bars of the user's own: which frames are read, what becomes of them, and at which price orders are filled."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from eventstore import InvalidEvent
from eventstore.trading import (
    OrderFilled,
    QuoteReceived,
)
from projections.analysis import Replay, events
from tests.analysis.replaying import (
    BEGINS,
    MINUTE,
    bar_of,
    bars,
    begun,
    prices,
    table,
    trading_desk,
)

if TYPE_CHECKING:
    from collections.abc import Callable


# What cannot be read as bars


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([1, 2], "data is a frame of pandas or polars.* with columns at, symbol, not 'list'"),
        ("bars.csv", "data is a frame"),
        (pa.table({"time": [1]}), "data has no column at, symbol, only time"),
        (
            pa.table({"at": [BEGINS], "symbol": ["ES"], "open": [1.0]}),
            "data has no column high, low, close, only at, symbol, open",
        ),
        (
            prices(1).set_column(0, "at", pa.array([None], pa.timestamp("ns", "UTC"))),
            "row 0 of data has no at: each price needs both",
        ),
        (
            prices(1).set_column(0, "at", pa.array([BEGINS], pa.timestamp("ns"))),
            "column at of data has no time zone: give timestamps in a zone",
        ),
        (
            prices(1).set_column(0, "at", pa.array([datetime.date(2025, 1, 1)])),
            "column at of data is date32.*: give timestamps",
        ),
        (prices(1).set_column(0, "at", pa.array([1_700_000_000])), "looks like seconds"),
        (prices(1).set_column(0, "at", pa.array(["yesterday"])), "is not an ISO 8601 time"),
        (prices(1).set_column(1, "symbol", pa.array([""])), "row 0 of data has no symbol: each price needs both"),
        (
            prices(1).set_column(1, "symbol", pa.array([None], pa.string())),
            "row 0 of data has no symbol: each price needs both",
        ),
        (prices(1).set_column(2, "price", pa.array(["many"])), "price of data is 'many': give numbers"),
        (prices(float("inf")), "price of data is Infinity: give numbers that are finite"),
        (bars((10, 9, 8, 9)), "ES at 2025-11-19T15:01:00.* has open 10.0, high 9.0, low 8.0, close 9.0"),
    ],
)
def test_what_cannot_be_read_as_bars_is_refused(data: object, says: str) -> None:
    with pytest.raises(InvalidEvent, match=says):
        Replay(data=data)


def test_given_together_what_means_nothing_is_refused() -> None:
    store = trading_desk().store
    with pytest.raises(InvalidEvent, match="give either prices, or data"):
        Replay(store, data=prices(1), prices=prices(1))
    with pytest.raises(InvalidEvent, match="give its store as well"):
        Replay(data=prices(1), without=[1])
    with pytest.raises(InvalidEvent, match="give prices, not data"):
        Replay(store, data=prices(1), without=[1])
    with pytest.raises(InvalidEvent, match="nothing to replay"):
        Replay(prices=prices(1))
    with pytest.raises(InvalidEvent, match="no original to compare with"):
        Replay(data=prices(1)).run().compare()


def test_without_bars_there_is_nothing_to_observe() -> None:
    for data in (table([]), prices(), prices(None, float("nan"))):
        replay = begun(data)
        replay.on(QuoteReceived, lambda *_: pytest.fail("called"))
        replay.run()


# Frames

VALUES = (5_000.25, None, 5_001.5)


def _texts(_given: pa.Table) -> pd.DataFrame:
    texts = ["2025-11-19T09:01:00-06:00", "2025-11-19T09:02:00-06:00", "2025-11-19T09:03:00-06:00"]
    return pd.DataFrame({"at": texts, "symbol": "ES", "price": VALUES})


def _exact(given: pa.Table) -> pa.Table:
    column = pa.array([Decimal("5000.25"), None, Decimal("5001.5")], pa.decimal128(38, 9))
    return given.set_column(2, "price", column)


def _in_zone(given: pa.Table) -> object:
    frame = given.to_pandas()
    return frame.assign(at=frame["at"].dt.tz_convert("America/Chicago"))


def _with_at(kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return lambda given: given.set_column(0, "at", given.column("at").cast(kind))


FRAMES: dict[str, Callable[[pa.Table], object]] = {
    "arrow": lambda given: given,
    "pandas": lambda given: given.to_pandas(),
    "polars": pl.from_arrow,
    "zone": _in_zone,
    "text": _texts,
    "microseconds": _with_at(pa.timestamp("us", "UTC")),
    "integers": _with_at(pa.int64()),
    "exact": _exact,
    "categories": lambda given: given.to_pandas().astype({"symbol": "category"}),
    "backwards": lambda given: given.to_pandas().iloc[::-1],
}


@pytest.mark.parametrize("make", list(FRAMES))
def test_any_frame_of_the_same_bars_gives_the_same_quotes(make: str) -> None:
    replay = begun(FRAMES[make](prices(*VALUES)))
    found: list[tuple[int, Decimal]] = []
    replay.on(QuoteReceived, lambda event, record, _book: found.append((record.occurred_at, event.last)))
    replay.run()
    # Nothing is known where there is no price: it is not 0.
    assert found == [(BEGINS + MINUTE, Decimal("5000.25")), (BEGINS + 3 * MINUTE, Decimal("5001.5"))]
    assert replay.now == BEGINS + 3 * MINUTE


def test_a_frame_of_this_package_is_one_too() -> None:
    desk = trading_desk(2)
    fills = events(desk.store, types=OrderFilled, columns=["occurred_at", "symbol", "price"]).to_polars()
    replay = begun(fills.rename({"occurred_at": "at"}))
    found: list[Decimal] = []
    replay.on(QuoteReceived, lambda event, _record, _book: found.append(event.last))
    replay.run()
    assert found == [Decimal(5_000), Decimal(5_001)]


def test_start_and_stop_bound_the_bars() -> None:
    found: list[int] = []
    replay = Replay(None, BEGINS + 2 * MINUTE, BEGINS + 3 * MINUTE, data=prices(1, 2, 3, 4))
    replay.on(QuoteReceived, lambda _event, record, _book: found.append(bar_of(record)))
    replay.run()
    assert found == [2]
