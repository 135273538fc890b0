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
from tests.importers import exchange_truths as truths
from tests.importers.facts import SAMPLES, D, Fact, Rows, fact_of, ns, rows_of

Truth = Callable[[Rows], Iterator[Fact]]
Case = tuple[str, str, Truth, str | None]
CASES: list[Case] = [
    ("binance-spot.csv", "binance-spot", truths.binance_spot, None),
    ("binance-spot-old.csv", "binance-spot-old", truths.binance_spot_old, None),
    ("binance-futures.csv", "binance-futures", truths.binance_futures, None),
    ("binance-futures-income.csv", "binance-futures-income", truths.binance_income, None),
    ("bybit.csv", "bybit", truths.bybit, None),
    ("ccxt-trades.json", "ccxt-trades", truths.ccxt_trades, None),
    ("kraken.csv", "kraken", truths.kraken, None),
    ("kraken-2025.csv", "kraken", truths.kraken, None),
    ("coinbase-fills.csv", "coinbase-fills", truths.coinbase_fills, None),
    ("coinbase-transactions.csv", "coinbase-transactions", truths.coinbase_transactions, None),
    ("hyperliquid.csv", "hyperliquid", truths.hyperliquid, "America/New_York"),
    ("hyperliquid-funding.csv", "hyperliquid-funding", truths.hyperliquid_funding, "America/New_York"),
    ("tradervue.csv", "tradervue", truths.tradervue, "America/New_York"),
    ("tradenote.csv", "tradenote", truths.tradenote, "America/New_York"),
]


@pytest.mark.parametrize(("name", "preset", "truth", "zone"), CASES, ids=[name for name, *_ in CASES])
def test_each_row_of_a_sample_is_what_it_says(
    store: EventStore, name: str, preset: str, truth: Truth, zone: str | None
) -> None:
    path = SAMPLES / name
    assert format_of(path) == preset
    account = None if preset == "tradenote" else "A"
    if zone is not None:
        with pytest.raises(InvalidEvent, match=r"time\.zone"):
            read_plan(path, None, account=account)
    found = read_plan(path, None, account=account, zone=zone).items
    # Of rows with the same time, the file's order may be the newest first.
    assert sorted(map(fact_of, found), key=str) == sorted(truth(rows_of(name)), key=str)
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
