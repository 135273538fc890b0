"""What is given to frames and what they are asked for is taken as what it says, or refused: never read as another."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from eventstore import Event, InvalidEvent, Unavailable
from eventstore import event as registered
from eventstore.trading import LimitsSet, OrderFilled, OrderSubmitted, Side
from projections import analysis
from projections.analysis import vectorised
from projections.analysis.archive import ArchiveReader, archive
from tests.analysis.recorded import draft, log_of
from tests.analysis.scenes import Scene, at, column, prices, rows

NINE = Decimal("1e-9")


def traded() -> Scene:
    scene = Scene()
    scene.buy("10:00:00", 1, 100)
    scene.buy("10:01:00", 2, 101)
    return scene


def fills(**members: Any) -> Any:  # noqa: ANN401 - a frame of pandas
    """Return one fill as a frame, with other members instead of its own."""
    instants = pd.to_datetime(["2025-06-16 10:00"], utc=True)
    usual = {"occurred_at": instants, "account": "A", "symbol": "X", "side": "BUY", "quantity": 1, "price": 2.0}
    return pd.DataFrame({**usual, **members})


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "all"])
def test_batches_of_no_size_are_refused_and_not_given_without_rows(size: Any) -> None:  # noqa: ANN401 - any argument
    with pytest.raises(InvalidEvent, match="size is a number of rows"):
        analysis.fills(traded().store).iter_batches(size)


def test_batches_have_every_row() -> None:
    frame = analysis.fills(traded().store)
    assert [batch.num_rows for batch in frame.iter_batches(1)] == [1, 1]


@pytest.mark.parametrize("figures", [vectorised.running, vectorised.equity, vectorised.round_trips])
def test_instants_without_a_zone_are_not_taken_for_utc(figures: Any) -> None:  # noqa: ANN401 - a function
    with pytest.raises(InvalidEvent, match="occurred_at has no time zone"):
        figures(fills(occurred_at=pd.to_datetime(["2025-06-16 10:00"])))


def test_prices_without_a_zone_or_without_a_symbol_are_refused() -> None:
    for wrong, what in (
        ({"at": pd.to_datetime(["2025-06-16 10:30"]), "symbol": ["X"]}, "at has no time zone"),
        ({"at": pd.to_datetime(["2025-06-16 10:30"], utc=True), "symbol": [None]}, "symbol is missing"),
    ):
        with pytest.raises(InvalidEvent, match=what):
            vectorised.equity(fills(), pd.DataFrame({**wrong, "price": [101.0]}))


def test_a_quantity_below_zero_is_not_a_sale() -> None:
    with pytest.raises(InvalidEvent, match="quantity is below zero"):
        vectorised.running(fills(side="SELL", quantity=-1))


@pytest.mark.parametrize("frame", [analysis.events, analysis.fills, analysis.days])
@pytest.mark.parametrize("start", ["1970-01-01T00:00Z", "1985-01-01T00:00Z"])
def test_a_range_that_begins_before_all_records_has_all(frame: Any, start: str) -> None:  # noqa: ANN401 - a function
    store = traded().store
    assert len(frame(store)) == len(frame(store, start=start, time="recorded")) > 0
    assert len(frame(store, stop=start, time="recorded")) == 0


@pytest.mark.parametrize("frame", [analysis.positions, analysis.equity, analysis.headroom, analysis.returns])
def test_what_is_not_an_account_has_no_equity_of_zero(frame: Any) -> None:  # noqa: ANN401 - a function
    with pytest.raises(InvalidEvent, match="'-' is not an account"):
        frame(traded().store, account="-")


def test_quotients_are_given_exactly_to_nine_decimals() -> None:
    scene = traded()
    scene.add("order/A/O1", OrderSubmitted(symbol="X", side=Side.BUY, quantity=Decimal(5)), at("10:02:00"))
    for number, price in enumerate((100, 101, 101)):
        fill = OrderFilled(trade_id=f"F{number}", symbol="X", side=Side.BUY, quantity=Decimal(1), price=Decimal(price))
        scene.add("order/A/O1", fill, at(f"10:03:0{number}"))
    limit = LimitsSet(rule_id="maximum-position", revision=1, parameters={"limit": "7"})
    scene.add("limits/A/maximum-position", limit, at("10:04:00"))
    then = at("10:05:00")
    (held,) = rows(analysis.positions(scene.store, at=then, exact=True))
    assert held["average_price"] == held["average_cost"] == Decimal("100.666666667")
    (order,) = rows(analysis.asof(scene.store, then, "orders", exact=True))
    assert order["average_price"] == Decimal("100.666666667")
    (room,) = rows(analysis.headroom(scene.store, "A", at=then, exact=True))
    assert room["share"] == (Decimal(-1) / 7).quantize(NINE)
    (worth,) = rows(analysis.equity(scene.store, "A", at=then, exact=True, prices=prices(("10:04:59", "X", 103))))
    assert worth["equity"] == 10_014


@registered(name="NumberedSymbol")
class NumberedSymbol(Event, frozen=True, kw_only=True):
    symbol: int = 0


def test_a_symbol_that_is_a_number_is_found_by_its_text() -> None:
    log = log_of(draft("NumberedSymbol", '{"symbol":5}', number=1), draft("NumberedSymbol", "{}", number=2))
    assert [row["symbol"] for row in rows(analysis.events(log, symbol="5"))] == [5]
    assert rows(analysis.events(log, symbol="X")) == []


def test_symbols_may_be_categories_of_polars() -> None:
    names = pl.Series(["X"], dtype=pl.Categorical)
    quotes = pl.DataFrame({"at": [at("10:00:00")], "symbol": names, "price": [7.0]})
    assert [row["quote"] for row in rows(analysis.with_prices(analysis.fills(traded().store), quotes))] == [7, 7]


def test_a_name_of_two_columns_is_refused() -> None:
    doubled = pa.table([pa.array(["X"]), pa.array(["Y"]), pa.array([1])], names=["symbol", "symbol", "at"])
    with pytest.raises(InvalidEvent, match="several columns symbol"):
        analysis.with_prices(doubled, prices())


def test_a_number_that_does_not_fit_does_not_matter_in_rows_that_are_left_out() -> None:
    scene = traded()
    scene.buy("10:02:00", 1, "0.12345678901", symbol="COIN")

    def found(**asked: Any) -> list[Decimal]:  # noqa: ANN401 - any argument of a frame
        return column(analysis.events(scene.store, types="TradeExecuted", exact=True, **asked), "price")

    for asked in ({"symbol": "X"}, {"stop": at("10:02:00")}, {"symbol": "X", "start": at("10:00:00")}):
        assert found(**asked) == [100, 101]
    assert found(start=at("10:03:00")) == []
    for asked in ({}, {"symbol": "COIN"}):
        with pytest.raises(InvalidEvent, match=r"price = 0\.12345678901 does not fit"):
            found(**asked)


def test_a_month_is_not_a_minute() -> None:
    for every in ("1M", "3M", " 1M "):
        with pytest.raises(InvalidEvent, match="every is a timedelta"):
            analysis.positions(traded().store, every=every)
    minutes = analysis.positions(traded().store, every="1min", start=at("10:01:00"), stop=at("10:04:00"))
    assert column(minutes, "at") == [at(f"10:0{minute}:00") for minute in (1, 2, 3)]


def test_from_an_archive_it_is_harmless_too(tmp_path: Path) -> None:
    log = log_of(
        draft("FrameSample", '{"instrument":"X","price":"3"}', number=1, schema=1),
        draft("FrameSample", '{"symbol":"COIN","price":"0.1234567891"}', number=2, schema=2),
    )
    archive(log, tmp_path / "archive", until=2)
    with ArchiveReader(tmp_path / "archive") as archived:
        for reader in (log, archived):
            assert column(analysis.events(reader, symbol="X", exact=True), "price") == [3]
            with pytest.raises(InvalidEvent, match="does not fit"):
                analysis.events(reader, symbol="COIN", exact=True).to_arrow()


def test_a_place_where_a_file_cannot_be_is_named(tmp_path: Path) -> None:
    frame = analysis.fills(traded().store)
    with pytest.raises(InvalidEvent, match="is a directory: name a file in it"):
        frame.to_parquet(tmp_path)
    with pytest.raises(Unavailable, match="cannot be written"):
        frame.to_parquet(tmp_path / ("x" * 300))
    assert list(tmp_path.iterdir()) == []
