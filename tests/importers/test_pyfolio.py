"""pyfolio transactions: signed shares become trades, and six real years fold to the known cash."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore
from eventstore.clock import format_time, parse_time
from eventstore.trading import Side, TradeExecuted
from gateways.importers import BadRow, import_file

Write = Callable[..., Path]

HEADER = ",amount,price,sid,symbol,txn_dollars"


def test_a_row_is_a_trade_of_signed_shares(store: EventStore, write: Write) -> None:
    # The money is exact and the price beside it rounded, as in the data itself.
    path = write("txn.csv", HEADER, "2004-01-09 00:00:00+00:00,-448,4.82375000001,0,AMD,2161.04")
    report = import_file(store, path, "pyfolio", account="P1")
    (record,) = store.read(types=TradeExecuted)
    assert record.occurred_at == parse_time("2004-01-09T00:00:00Z")
    assert record.event == TradeExecuted(
        trade_id="2004-01-09 00:00:00+00:00-AMD-1",
        symbol="AMD",
        side=Side.SELL,
        quantity=Decimal(448),
        price=Decimal("4.82375"),
    )
    assert (report.contracts, report.added) == (("AMD",), 2)


def test_a_price_alone_is_taken_as_it_is(store: EventStore, write: Write) -> None:
    path = write("txn.csv", ",amount,price,symbol", "2004-01-09 00:00:00+00:00,-448,4.82375000001,AMD")
    import_file(store, path, "pyfolio", account="P1")
    assert [r.event.price for r in store.read(types=TradeExecuted)] == [Decimal("4.82375000001")]  # type: ignore[attr-defined]


def test_money_that_is_not_shares_by_price_is_named(store: EventStore, write: Write) -> None:
    path = write("txn.csv", HEADER, "2004-01-09 00:00:00+00:00,-448,4.82375000001,0,AMD,2161.05")
    with pytest.raises(BadRow, match="txn_dollars"):
        import_file(store, path, "pyfolio", account="P1")


def test_two_alike_at_the_same_instant_are_two(store: EventStore, write: Write) -> None:
    path = write("txn.csv", HEADER, *["2004-01-09 00:00:00+00:00,448,15.54,0,AMD,-6961.92"] * 2)
    assert import_file(store, path, "pyfolio", account="P1").types["TradeExecuted"] == 2
    assert import_file(store, path, "pyfolio", account="P1").added == 0


def test_a_commission_is_a_fee(store: EventStore, write: Write) -> None:
    row = "2004-01-09 00:00:00+00:00,1,15.54,0,AMD,-15.54"
    path = write("txn.csv", HEADER + ",commission", row + ",0.35", row + ",")
    import_file(store, path, "pyfolio", account="P1")
    assert [r.event.fee for r in store.read(types=TradeExecuted)] == [Decimal("0.35"), 0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        ("2004-01-09,448,15.54,0,AMD,x", "index", "2004-01-09"),
        ("2004-01-09 00:00:00+00:00,0,15.54,0,AMD,x", "amount", "0"),
        ("2004-01-09 00:00:00+00:00,1,,0,AMD,x", "price", ""),
        ("2004-01-09 00:00:00+00:00,1,15.54,0,,x", "symbol", ""),
        ("2004-01-09 00:00:00+00:00,1,15.54,0,AMD", "", ""),
    ],
)
def test_a_bad_cell_is_named(store: EventStore, write: Write, row: str, column: str, value: str) -> None:
    with pytest.raises(BadRow) as caught:
        import_file(store, write("txn.csv", HEADER, row), "pyfolio", account="P1")
    assert (caught.value.line, caught.value.column, caught.value.value) == (2, column, value)
    assert store.head() == 0


@pytest.fixture(scope="module")
def trades(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[TradeExecuted]]:
    by_day: dict[str, list[TradeExecuted]] = defaultdict(list)
    with eventstore.open(tmp_path_factory.mktemp("real") / "data") as store:
        report = import_file(store, real_data / "pyfolio" / "test_txn.csv.gz", "pyfolio", account="P1")
        assert (report.rows, report.types["TradeExecuted"], report.left_out) == (9_367, 9_367, ())
        assert report.contracts == ("AMD", "CERN", "COST", "DELL", "GPS", "INTC", "MMM")
        for record in store.read(types=TradeExecuted):
            if isinstance(record.event, TradeExecuted):
                by_day[format_time(record.occurred_at)[:10]].append(record.event)
        again = import_file(store, real_data / "pyfolio" / "test_txn.csv.gz", "pyfolio", account="P1")
        assert again.added == 0
    return by_day


@pytest.fixture(scope="module")
def days(real_data: Path) -> list[dict[str, str]]:
    with gzip.open(real_data / "pyfolio" / "test_pos.csv.gz", "rt", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def test_six_years_of_cash_are_the_strategy_s_on_every_day(
    trades: dict[str, list[TradeExecuted]], days: list[dict[str, str]]
) -> None:
    cash, worst = Decimal(100_000), Decimal(0)
    for day in days:
        for trade in trades.get(day["index"][:10], []):
            cash -= signed(trade) * trade.price + trade.fee
        worst = max(worst, abs(cash - Decimal(day["cash"])))
    assert len(days) == 1_506
    assert sum(map(len, trades.values())) == 9_367
    assert worst <= Decimal("4.2e-6")


def test_six_years_of_shares_are_long_and_short_where_the_strategy_is(
    trades: dict[str, list[TradeExecuted]], days: list[dict[str, str]]
) -> None:
    symbols = [name for name in days[0] if name not in {"index", "cash"}]
    shares: dict[str, Decimal] = defaultdict(Decimal)
    agree = 0
    for day in days:
        for trade in trades.get(day["index"][:10], []):
            shares[trade.symbol] += signed(trade)
        agree += sum(sign(shares[name]) == sign(Decimal(day[name] or 0)) for name in symbols)
    assert agree == 10_542


def signed(trade: TradeExecuted) -> Decimal:
    return trade.quantity if trade.side is Side.BUY else -trade.quantity


def sign(number: Decimal) -> int:
    return (number > 0) - (number < 0)
