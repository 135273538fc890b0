"""SQLite files as older programs wrote them, made for these tests: Foxtrot's of two schemas, and a risk manager's."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

FOXTROT = """
CREATE TABLE orders (vt_orderid TEXT PRIMARY KEY, symbol TEXT, exchange TEXT, direction TEXT, offset TEXT, type TEXT,
  volume REAL, price REAL, status TEXT, datetime TEXT, reference TEXT, data_json TEXT, data_compressed BLOB,
  compression_level INTEGER DEFAULT 0, created_at TIMESTAMP, updated_at TIMESTAMP, version INTEGER DEFAULT 1);
CREATE TABLE trades (vt_tradeid TEXT PRIMARY KEY, vt_orderid TEXT, symbol TEXT, exchange TEXT, direction TEXT,
  offset TEXT, volume REAL, price REAL, commission REAL DEFAULT 0, datetime TEXT, data_json TEXT, data_compressed BLOB,
  created_at TIMESTAMP);
CREATE TABLE positions (vt_positionid TEXT PRIMARY KEY, symbol TEXT, exchange TEXT, direction TEXT, volume REAL,
  frozen REAL DEFAULT 0, price REAL, pnl REAL, data_json TEXT, created_at TIMESTAMP, updated_at TIMESTAMP);
CREATE TABLE account_snapshots (id INTEGER PRIMARY KEY, account_id TEXT, balance REAL, available REAL, frozen REAL,
  currency TEXT, snapshot_time TEXT, data_json TEXT, data_compressed BLOB);
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, description TEXT, applied_at TIMESTAMP);
CREATE TABLE system_config (key TEXT, value TEXT, updated_at TIMESTAMP);
"""
RISK = """
CREATE TABLE lockouts (account_id INTEGER PRIMARY KEY, is_locked INTEGER, reason TEXT, locked_at TEXT,
  locked_until TEXT, rule_id TEXT, updated_at TEXT);
CREATE TABLE daily_pnl (account_id INTEGER, date TEXT, realized_pnl REAL, last_updated TEXT, UNIQUE (account_id, date));
CREATE TABLE enforcement_log (timestamp TEXT, account_id INTEGER, rule_id TEXT, action TEXT, reason TEXT,
  success INTEGER, details TEXT);
CREATE TABLE trade_history (account_id INTEGER, timestamp TEXT, contract_id TEXT, pnl REAL);
CREATE TABLE reset_schedule (account_id INTEGER, last_reset_date TEXT, next_reset_time TEXT, timezone TEXT);
CREATE TABLE session_state (account_id INTEGER, session_start TEXT);
CREATE TABLE contract_cache (contract_id TEXT, tick_size REAL, tick_value REAL, symbol_id TEXT, name TEXT);
CREATE TABLE positions (id INTEGER, account_id INTEGER, contract_id TEXT, type INTEGER, size INTEGER,
  average_price REAL, created_at TEXT);
CREATE TABLE orders (id INTEGER, account_id INTEGER, contract_id TEXT, type INTEGER, side INTEGER, size INTEGER,
  limit_price REAL, stop_price REAL, state INTEGER);
"""


def database(path: Path, schema: str, rows: dict[str, list[dict[str, Any]]]) -> Path:
    """Write a SQLite file with rows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema)
        insert(connection, rows)
        connection.commit()
    return path


def insert(connection: sqlite3.Connection, rows: dict[str, list[dict[str, Any]]]) -> None:
    for table, values in rows.items():
        for row in values:
            marks = ", ".join("?" for _ in row)
            connection.execute(f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({marks})", [*row.values()])  # noqa: S608 - of this test


def add(path: Path, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Write further rows, replacing those with the same id, as the older programs did."""
    with closing(sqlite3.connect(path)) as connection:
        insert(connection, rows)
        connection.commit()


def order(id_: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - cells
    return {
        "vt_orderid": id_,
        "symbol": "IF2506",
        "exchange": "CFFEX",
        "direction": "Direction.LONG",
        "offset": "",
        "type": "LIMIT",
        "volume": 3.0,
        "price": 4000.2,
        "status": "PARTTRADED",
        "datetime": "2025-01-02 03:04:05",
        "updated_at": "2025-01-02 03:05:06",
    } | members


def trade(id_: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - cells
    return {
        "vt_tradeid": id_,
        "vt_orderid": "CTP.1",
        "symbol": "IF2506",
        "exchange": "CFFEX",
        "direction": "LONG",
        "offset": "",
        "volume": 1.0,
        "price": 4000.2,
        "commission": 0.1,
        "datetime": "2025-01-02T03:04:05.5+08:00",
    } | members


def oms_state(path: Path, states: dict[str, Any]) -> Path:
    """Write the oldest layout: one table of JSON objects by id."""
    rows = [{"key": key, "value": json.dumps(value)} for key, value in states.items()]
    return database(path, "CREATE TABLE oms_state (key TEXT PRIMARY KEY, value TEXT)", {"oms_state": rows})
