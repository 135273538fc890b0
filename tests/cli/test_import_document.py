"""docs/IMPORT.md names each format and one command for it, which does as it says when it is typed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from pathlib import Path

import pytest

import eventstore
from gateways.importers import FORMATS
from tests.cli.command import ROOT, Run
from tests.importers.facts import SAMPLES

ROW = re.compile(r"\| (?P<export>.+?) \| `eventstore import (?P<command>[^`]+)` \| `(?P<format>[a-z0-9-]+)` \|")
COMMANDS = [
    (row["format"], shlex.split(row["command"]))
    for row in ROW.finditer((ROOT / "docs" / "IMPORT.md").read_text("utf-8"))
]
TEXTS = {
    "trades_export.csv": (
        "Id,ContractName,EnteredAt,ExitedAt,EntryPrice,ExitPrice,Fees,PnL,Size,Type,TradeDay,TradeDuration\n"
        "1,MNQH6,03/02/2026 15:32:03 +01:00,03/02/2026 15:33:31 +01:00,24748.5,24785.5,11.1,-1110,15,Short,"
        "03/02/2026 00:00:00 -06:00,00:01:27.7\n"
    ),
    "orders_export.csv": (
        "Id,AccountName,ContractName,Status,Type,Size,Side,CreatedAt,TradeDay,FilledAt,CancelledAt,StopPrice,LimitPrice,"
        "ExecutePrice,PositionDisposition,CreationDisposition,RejectionReason,ExchangeOrderId,PlatformOrderId\n"
        "2,ACC-1,MNQZ5,Filled,Market,2,Ask,10/09/2025 09:38:48 -04:00,10/09/2025 00:00:00 -05:00,"
        "10/09/2025 09:38:48 -04:00,,,,25294.25,Opening,Trader,,,\n"
    ),
    "bitvavo.csv": (
        "Timezone,Date,Time,Type,Currency,Amount,Quote Currency,Quote Price,Received / Paid Currency,"
        "Received / Paid Amount,Fee currency,Fee amount,Status,Transaction ID\n"
        "Europe/Amsterdam,2026-03-03,11:24:44.529,buy,ETH,0.01,EUR,1800,EUR,-18.00,EUR,0.04,Completed,t2\n"
    ),
    "transactions.csv": ",amount,price,symbol,txn_dollars\n2026-03-02 15:00:00+00:00,10,20.5,XYZ,-205.0\n",
    "GOOG_2012-06-21_34200000_57600000_message_10.csv": "34200.1,1,7,18,5853300,1\n",
    "fills.csv": "time,symbol,quantity,price\n2026-03-02T15:00:00Z,MNQH6,1,21000\n",
    "my.csv": "time,Ticker,Qty,price\n2026-03-02T15:00:00Z,MNQH6,1,21000\n",
    "lots.toml": (
        '[contracts.gbpjpy]\nmultiplier = 100000\ncurrency = "JPY"\n'
        '[contracts.EURUSD]\nmultiplier = 100000\ncurrency = "USD"\n'
    ),
}
ORDER = {
    "order_id": "1",
    "ft_pair": "ABC/USDT",
    "side": "buy",
    "status": "closed",
    "filled": 38.4,
    "average": None,
    "price": 0.52,
    "order_filled_date": "2026-03-02 09:08:57.924451",
}


def write_database(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.executescript("""
            CREATE TABLE trades (id INTEGER PRIMARY KEY, fee_open REAL, fee_close REAL);
            CREATE TABLE orders (id INTEGER PRIMARY KEY, ft_trade_id INTEGER, ft_pair TEXT, order_id TEXT, status TEXT,
              order_type TEXT, side TEXT, price REAL, average REAL, amount REAL, filled REAL, order_date TEXT,
              order_filled_date TEXT);
            INSERT INTO trades VALUES (1, 0.001, 0.001);
            INSERT INTO orders VALUES (1, 1, 'ABC/USDT', '1', 'closed', 'limit', 'buy', 0.52, NULL, 38.4, 38.4,
              '2026-03-02 09:08:50', '2026-03-02 09:08:57.924451');
        """)


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """A directory with a file of each export, named as in the document."""
    directory = tmp_path / "exports"
    shutil.copytree(SAMPLES, directory)
    for name, text in TEXTS.items():
        (directory / name).write_text(text, "utf-8")
    (directory / "orders.json").write_text(json.dumps([ORDER]), "utf-8")
    write_database(directory / "tradesv3.sqlite")
    return directory


def test_each_format_has_a_command() -> None:
    assert {format for format, _ in COMMANDS} == set(FORMATS)


@pytest.mark.parametrize(("format", "arguments"), COMMANDS, ids=[arguments[0] for _, arguments in COMMANDS])
def test_a_command_that_is_typed_imports_the_export(
    run: Run, exports: Path, monkeypatch: pytest.MonkeyPatch, format: str, arguments: list[str]
) -> None:
    monkeypatch.chdir(exports)
    ended = run("import", *arguments, "--data", exports / "data")
    assert ended.code == 0, ended.err + ended.out
    assert f"as {format}" in ended.out
    with eventstore.open(exports / "data", read_only=True) as store:
        assert store.head() > 1


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"lobster", "pyfolio"}))
def test_the_mapping_of_a_format_reads_what_the_format_reads(
    run: Run, exports: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    """What --show-mapping prints is a mapping."""
    monkeypatch.chdir(exports)
    shown = run("import", "--show-mapping", format)
    (exports / "mine.toml").write_text(shown.out, "utf-8")
    arguments = next(each for name, each in COMMANDS if name == format)
    without = [each for each in arguments if each != "--yes"]
    ended = run("import", *without, "--mapping", "mine.toml", "--dry-run", "--data", exports / "data")
    assert (shown.code, ended.code) == (0, 0), ended.err + ended.out
