"""Tables with anything in their cells: each row is migrated or left out with the reason, and never a traceback."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import eventstore
from eventstore import EventStore
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import OrderFilled, TradeExecuted
from gateways.legacy import ItemStatus
from gateways.legacy.rows import TableChoices
from gateways.legacy.table_migration import migrate_tables
from tests.legacy.old_databases import FOXTROT, RISK, database, oms_state, order, trade
from tests.legacy.test_risk_tables import LOCKED, ORDER
from tests.memory import directory_in_memory

JSON_CELLS = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["LONG", "NET", "2025-01-02 03:04:05", "20250102", "2025-01-02T03:04:05+01:00", "1e400", "0x1", "多"]
    )
)
CELLS = JSON_CELLS | st.binary(max_size=4)
CHOICES = TableChoices(account="ACC1", zone=UTC, states="gateway")


def mutated(row: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return rows with some cells replaced by anything; the id too, now and then."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(row, CELLS)).map(lambda changed: row | changed)


TABLES = st.fixed_dictionaries(
    {
        "orders": st.lists(mutated(order("CTP.1")), max_size=3),
        "trades": st.lists(mutated(trade("CTP.7")), max_size=3),
    }
)
RISK_TABLES = st.fixed_dictionaries(
    {"lockouts": st.lists(mutated(LOCKED), max_size=2), "orders": st.lists(mutated(ORDER), max_size=2)}
)


def check(path: Path, rows: int) -> None:
    store = EventStore(MemoryJournal())
    report = migrate_tables(store, path, CHOICES, backup=False)
    assert report.issues == ()
    assert sum(item.count for item in report.items) == rows
    assert all(item.why for item in report.items if item.status is ItemStatus.LEFT_OUT)
    head = store.head()
    again = migrate_tables(store, path, CHOICES, backup=False)
    assert (again.added, store.head()) == (0, head)
    assert {item.status for item in again.items} <= {ItemStatus.KNOWN, ItemStatus.LEFT_OUT, ItemStatus.SET_ASIDE}


@settings(max_examples=60)
@given(TABLES, st.booleans())
def test_any_cells_of_orders_and_trades(tables: dict[str, list[dict[str, Any]]], by_key: bool) -> None:
    with directory_in_memory() as directory:
        path = Path(directory) / "f.db"
        schema = FOXTROT.replace(" PRIMARY KEY", "") if by_key else FOXTROT
        database(path, schema, tables)
        with closing(sqlite3.connect(path)) as connection:
            rows = sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)  # noqa: S608 - of this test
        check(path, rows)


@settings(max_examples=40)
@given(RISK_TABLES)
def test_any_cells_of_a_risk_manager(tables: dict[str, list[dict[str, Any]]]) -> None:
    with directory_in_memory() as directory:
        schema = RISK.replace(" PRIMARY KEY", "").replace("INTEGER", "")
        check(database(Path(directory) / "s.db", schema, tables), sum(map(len, tables.values())))


JSON = st.recursive(
    JSON_CELLS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
MEMBERS = [*sorted(trade("")), "tradeid", "orderid", "adapter_name"]


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(MEMBERS), JSON), JSON)
def test_any_objects_of_the_oldest_layout(members: dict[str, Any], other: object) -> None:
    with directory_in_memory() as directory:
        states = {"trades": {"CTP.7": trade("CTP.7") | members, "CTP.8": other}, "orders": other}
        path = oms_state(Path(directory) / "f.db", states)
        store = EventStore(MemoryJournal())
        report = migrate_tables(store, path, CHOICES, backup=False)
        assert report.issues == ()


def test_executions_are_those_of_the_table_in_any_order() -> None:
    """The truth by plain arithmetic: what was bought less what was sold, for each symbol."""
    chance = random.Random(11)
    trades = []
    for number in range(60):
        cells = {"symbol": chance.choice("XYZ"), "direction": chance.choice(["LONG", "SHORT"])}
        trades.append(trade(f"CTP.{number}", volume=chance.randrange(1, 9), **cells))
    chance.shuffle(trades)
    held: dict[str, int] = {}
    for row in trades:
        held[row["symbol"]] = held.get(row["symbol"], 0) + (1 if row["direction"] == "LONG" else -1) * row["volume"]
    with directory_in_memory() as directory, eventstore.open(Path(directory) / "data") as store:
        migrate_tables(store, database(Path(directory) / "f.db", FOXTROT, {"trades": trades}), CHOICES)
        found: dict[str, int] = {}
        for record in store.read(types=(OrderFilled, TradeExecuted)):
            event = record.event
            assert isinstance(event, OrderFilled | TradeExecuted)
            sign = 1 if event.side == "BUY" else -1
            found[event.symbol] = found.get(event.symbol, 0) + sign * int(event.quantity)
    assert found == held
