"""The presets of exchanges and journals, each against a sample whose rows are read a second time, plainly."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eventstore import EventStore, InvalidEvent
from eventstore.trading import OrderCanceled, OrderFilled, OrderSubmitted
from gateways.importers import format_of, import_file, read_plan
from tests.importers.facts import NEW_YORK, SAMPLES, D, Fact, fact_of, ns, rows, signed


def binance_spot() -> Iterator[Fact]:
    for row in rows("binance-spot.csv"):
        coin = "BAT" if row["Pair"].startswith("BAT") else "SOL"
        fee_coin = next(each for each in ("BUSD", "USD", coin) if row["Fee"].endswith(each))
        yield Fact(
            row["Pair"],
            signed(row["Side"], row["Executed"].removesuffix(coin)),
            D(row["Price"].replace(",", "")),
            D(row["Fee"].removesuffix(fee_coin)),
            fee_coin,
            ns(row["Date(UTC)"]),
        )


def binance_spot_old() -> Iterator[Fact]:
    for row in rows("binance-spot-old.csv"):
        quantity = signed(row["Type"], row["Amount"])
        yield Fact(
            row["Market"], quantity, D(row["Price"]), D(row["Fee"]), row["Fee Coin"], ns(row["Date(UTC)"])
        )  # fmt: skip


def binance_futures() -> Iterator[Fact]:
    for row in rows("binance-futures.csv"):
        fee = row["Fee"].removesuffix("USDT").removesuffix("USDC")
        quantity = signed(row["Side"], row["Quantity"])
        yield Fact(row["Symbol"], quantity, D(row["Price"]), D(fee), row["Quote Asset"], ns(row["Date(UTC)"]))


def binance_income() -> Iterator[Fact]:
    kinds = {"FUNDING_FEE": "FUNDING", "TRANSFER": "TRANSFER", "COMMISSION_REBATE": "FEE"}
    for row in rows("binance-futures-income.csv"):
        if row["type"] in kinds:
            kind = kinds[row["type"]]
            amount = -D(row["Amount"]) if kind == "FEE" else D(row["Amount"])
            yield Fact(kind, amount, D(0), D(0), row["Asset"], ns(row["Date(UTC)"]))


def bybit() -> Iterator[Fact]:
    for row in rows("bybit.csv", skip=1):
        at = ns(row["Time"])
        if row["Type"] == "TRADE":
            quantity = signed(row["Direction"], row["Quantity"])
            price, fee = D(row["Filled Price"]), D(row["Fee Paid"])
            yield Fact(row["Contract"], quantity, price, fee, row["Currency"], at, row["Order ID"])
        else:
            kind = {"SETTLEMENT": "FUNDING", "TRANSFER_IN": "TRANSFER"}[row["Type"]]
            yield Fact(kind, D(row["Change"]), D(0), D(0), row["Currency"], at)


def ccxt_trades() -> Iterator[Fact]:
    for trade in json.loads((SAMPLES / "ccxt-trades.json").read_text("utf-8"), parse_float=D):
        fee = trade["fee"]
        quantity = signed(trade["side"], str(trade["amount"]))
        at = trade["timestamp"] * 1_000_000
        yield Fact(trade["symbol"], quantity, D(trade["price"]), fee["cost"], fee["currency"], at, trade["order"])


def kraken() -> Iterator[Fact]:
    yield from kraken_of("kraken.csv")


def kraken_2025() -> Iterator[Fact]:
    yield from kraken_of("kraken-2025.csv")


def kraken_of(name: str) -> Iterator[Fact]:
    for row in rows(name):
        whole, _, fraction = row["time"].partition(".")
        at = ns(whole) + int(fraction.ljust(9, "0"))
        yield Fact(
            row["pair"], signed(row["type"], row["vol"]), D(row["price"]), D(row["fee"]), None, at, row["ordertxid"]
        )


def coinbase_fills() -> Iterator[Fact]:
    for row in rows("coinbase-fills.csv"):
        at = ns(row["created at"][:19], "%Y-%m-%dT%H:%M:%S") + int(row["created at"][20:23]) * 1_000_000
        currency = row["price/fee/total unit"]
        yield Fact(row["product"], signed(row["side"], row["size"]), D(row["price"]), D(row["fee"]), currency, at)


def coinbase_transactions() -> Iterator[Fact]:
    for row in rows("coinbase-transactions.csv", skip=2):
        kind, at = row["Transaction Type"].split()[-1], ns(row["Timestamp"].removesuffix(" UTC"))
        if kind in {"Buy", "Sell"}:
            quantity, symbol = signed(kind, row["Quantity Transacted"]), f"{row['Asset']}/{row['Price Currency']}"
            price, fee = (
                D(row[name].strip("€").replace(",", "")) for name in ("Price at Transaction", "Fees and/or Spread")
            )
            yield Fact(symbol, quantity, price, fee, row["Price Currency"], at)
        elif kind in {"Deposit", "Withdrawal"}:
            yield Fact(kind.upper(), abs(D(row["Quantity Transacted"])), D(0), D(0), row["Asset"], at)


def hyperliquid() -> Iterator[Fact]:
    for row in rows("hyperliquid.csv"):
        bought = row["dir"].startswith(("Open Long", "Close Short", "Short > Long"))
        at = ns(row["time"], "%d/%m/%Y %H:%M:%S", NEW_YORK)
        yield Fact(row["coin"], D(row["sz"]) if bought else -D(row["sz"]), D(row["px"]), D(row["fee"]), None, at)


def hyperliquid_funding() -> Iterator[Fact]:
    for row in rows("hyperliquid-funding.csv"):
        yield Fact("FUNDING", D(row["payment"]), D(0), D(0), "USDC", ns(row["time"], "%d/%m/%Y %H:%M:%S", NEW_YORK))


def tradervue() -> Iterator[Fact]:
    names = {"ES 03-26": "ESH6"}
    for row in rows("tradervue.csv"):
        day = row["Date"]
        format = "%m/%d/%Y" if "/" in day else "%Y-%m-%d" if "-" in day else "%Y%m%d"
        fee = sum((D(row[name] or 0) for name in ("Commission", "TransFee", "ECNFee")), D(0))
        at = ns(f"{day} {row['Time']}", f"{format} %H:%M:%S", NEW_YORK)
        symbol = names.get(row["Symbol"], row["Symbol"])
        yield Fact(symbol, signed(row["Side"], row["Quantity"]), D(row["Price"]), fee, None, at)


def tradenote() -> Iterator[Fact]:
    for row in rows("tradenote.csv"):
        fee = sum((D(row[name]) for name in ("Comm", "SEC", "TAF", "NSCC", "Nasdaq", "ECN Remove", "ECN Add")), D(0))
        at = ns(f"{row['T/D']} {row['Exec Time']}", "%m/%d/%Y %H:%M:%S", NEW_YORK)
        yield Fact(row["Symbol"], signed(row["Side"], row["Qty"]), D(row["Price"]), fee, row["Currency"], at)


Case = tuple[str, str, Callable[[], Iterator[Fact]], str | None]
CASES: list[Case] = [
    ("binance-spot.csv", "binance-spot", binance_spot, None),
    ("binance-spot-old.csv", "binance-spot-old", binance_spot_old, None),
    ("binance-futures.csv", "binance-futures", binance_futures, None),
    ("binance-futures-income.csv", "binance-futures-income", binance_income, None),
    ("bybit.csv", "bybit", bybit, None),
    ("ccxt-trades.json", "ccxt-trades", ccxt_trades, None),
    ("kraken.csv", "kraken", kraken, None),
    ("kraken-2025.csv", "kraken", kraken_2025, None),
    ("coinbase-fills.csv", "coinbase-fills", coinbase_fills, None),
    ("coinbase-transactions.csv", "coinbase-transactions", coinbase_transactions, None),
    ("hyperliquid.csv", "hyperliquid", hyperliquid, "America/New_York"),
    ("hyperliquid-funding.csv", "hyperliquid-funding", hyperliquid_funding, "America/New_York"),
    ("tradervue.csv", "tradervue", tradervue, "America/New_York"),
    ("tradenote.csv", "tradenote", tradenote, "America/New_York"),
]


@pytest.mark.parametrize(("name", "preset", "truth", "zone"), CASES, ids=[name for name, *_ in CASES])
def test_each_row_of_a_sample_is_what_it_says(
    store: EventStore, name: str, preset: str, truth: Callable[[], Iterator[Fact]], zone: str | None
) -> None:
    path = SAMPLES / name
    assert format_of(path) == preset
    account = None if preset == "tradenote" else "A"
    if zone is not None:
        with pytest.raises(InvalidEvent, match=r"time\.zone"):
            read_plan(path, None, account=account)
    found = read_plan(path, None, account=account, zone=zone).items
    # Of rows with the same time, the file's order may be the newest first.
    assert sorted(map(fact_of, found), key=str) == sorted(truth(), key=str)
    assert [item.occurred_at for item in found] == sorted(item.occurred_at for item in found)
    report = import_file(store, path, None, account=account, zone=zone)
    assert (report.added, report.left_out, report.differing) == (report.events, (), ())
    again = import_file(store, path, None, account=account, zone=zone)
    assert again.added == 0


@pytest.fixture
def freqtrade(tmp_path: Path) -> Path:
    """A bot's database, as a version with shorts writes it."""
    path = tmp_path / "tradesv3.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript("""
            CREATE TABLE trades (id INTEGER PRIMARY KEY, exchange TEXT, pair TEXT, fee_open REAL, fee_close REAL,
              is_short BOOLEAN);
            CREATE TABLE orders (id INTEGER PRIMARY KEY, ft_trade_id INTEGER, ft_order_side TEXT, ft_pair TEXT,
              order_id TEXT, status TEXT, order_type TEXT, side TEXT, price REAL, average REAL, amount REAL,
              filled REAL, order_date DATETIME, order_filled_date DATETIME);
            INSERT INTO trades VALUES (1, 'binance', 'ABC/USDT', 0.001, 0.001, 0), (2, 'binance', 'XYZ/USDT:USDT', 0.0004, 0.0005, 1);
            INSERT INTO orders VALUES
              (1, 1, 'buy', 'ABC/USDT', '1', 'closed', 'limit', 'buy', 0.52, NULL, 38.4, 38.4, '2026-03-02 09:08:50', '2026-03-02 09:08:57.924451'),
              (2, 1, 'sell', 'ABC/USDT', '2', 'canceled', 'limit', 'sell', 0.6, NULL, 38.4, 0.0, '2026-03-02 10:00:00', NULL),
              (3, 1, 'stoploss', 'ABC/USDT', '3', 'closed', 'stoploss', 'sell', 0.53, 0.54, 38.4, 38.4, '2026-03-02 11:00:00', '2026-03-02 19:08:57.924451'),
              (4, 2, 'sell', 'XYZ/USDT:USDT', '1', 'closed', 'market', 'sell', 10, 10.5, 2.0, 2.0, '2026-03-03 11:00:00', '2026-03-03 11:00:01');
        """)  # noqa: E501 - a row a line
    return path


def test_the_orders_of_freqtrade(store: EventStore, freqtrade: Path) -> None:
    assert format_of(freqtrade) == "freqtrade"
    plan = read_plan(freqtrade, None, account="A")
    fills = [item for item in plan.items if isinstance(item.event, OrderFilled)]
    at = ns("2026-03-02 09:08:57") + 924_451_000
    expected = [
        Fact("ABC/USDT", D("38.4"), D("0.52"), D("0.0199680000"), None, at, "ABC/USDT-1"),
        Fact("ABC/USDT", D("-38.4"), D("0.54"), D("0.0207360000"), None, at + 36_000 * 10**9, "ABC/USDT-3"),
        Fact("XYZ/USDT:USDT", D(-2), D("10.5"), D("0.0084000000"), None, ns("2026-03-03 11:00:01"), "XYZ/USDT:USDT-1"),
    ]
    assert [fact_of(item) for item in fills] == expected
    assert sum(isinstance(item.event, OrderSubmitted) for item in plan.items) == 4
    assert sum(isinstance(item.event, OrderCanceled) for item in plan.items) == 1
    assert import_file(store, freqtrade, None, account="A").differing == ()


def test_an_older_version_has_no_shorts(freqtrade: Path) -> None:
    with sqlite3.connect(freqtrade) as database:
        database.execute("DELETE FROM trades WHERE id = 2")
        database.execute("DELETE FROM orders WHERE ft_trade_id = 2")
        database.execute("ALTER TABLE trades DROP COLUMN is_short")
    assert format_of(freqtrade) == "freqtrade"
    fills = [item for item in read_plan(freqtrade, None, account="A").items if isinstance(item.event, OrderFilled)]
    assert [fact_of(item).fee for item in fills] == [D("0.0199680000"), D("0.0207360000")]


def test_a_swap_of_ccxt_is_refused_without_its_size(tmp_path: Path) -> None:
    """Amounts count contracts, and no member of a trade says how large one is."""
    trades = json.loads((SAMPLES / "ccxt-trades.json").read_text("utf-8"))
    trades[0]["symbol"] = "BTC/USD:BTC"
    path = tmp_path / "trades.json"
    path.write_text(json.dumps(trades), "utf-8")
    with pytest.raises(InvalidEvent, match="BTC/USD:BTC"):
        read_plan(path, "ccxt-trades", account="A")
    table = tmp_path / "contracts.toml"
    table.write_text(
        '[contracts."BTC/USD:BTC"]\nmultiplier = 100\ncurrency = "USD"\nbase_currency = "BTC"\npayoff = "INVERSE"\n',
        "utf-8",
    )
    plan = read_plan(path, "ccxt-trades", account="A", contracts=table)
    assert plan.reader.contracts["BTC/USD:BTC"].result_currency == "BTC"


def test_a_spot_trade_of_hyperliquid_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text((SAMPLES / "hyperliquid.csv").read_text("utf-8").replace("Open Long", "Buy"), "utf-8")
    with pytest.raises(InvalidEvent, match=r"column dir"):
        read_plan(path, "hyperliquid", account="A", zone="UTC")


def test_a_pair_whose_end_could_be_another_coin_is_split_as_the_exchange_does(tmp_path: Path) -> None:
    path = tmp_path / "kraken.csv"
    path.write_text((SAMPLES / "kraken.csv").read_text("utf-8"), "utf-8")
    contracts = read_plan(path, "kraken", account="A").reader.contracts
    pairs = {symbol: (each.base_currency, each.currency) for symbol, each in contracts.items()}
    assert pairs == {"XXBTZEUR": ("BTC", "EUR"), "XTZEUR": ("XTZ", "EUR"), "BTC/USD": ("BTC", "USD")}
