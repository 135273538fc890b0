"""Foxtrot's tables: what is refused or left out, then what each row becomes; never a pickle, never an invented fill."""

from __future__ import annotations

import pickle  # noqa: TID251 - written, to see that nothing reads it
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import EventStore, InvalidEvent
from eventstore.clock import parse_time
from eventstore.trading import (
    AccountUpdated,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderType,
    PositionReported,
    PositionSide,
    Side,
    TradeExecuted,
)
from gateways.legacy import MigrationReport
from gateways.legacy.migration import migrate
from tests.legacy.old_databases import FOXTROT, add, database, oms_state, order, trade

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as store:
        yield store


def one(store: EventStore, path: Path, **choices: Any) -> MigrationReport:  # noqa: ANN401 - of migrate
    given: dict[str, Any] = {"account": "ACC1", "zone": SHANGHAI} | choices
    (report,) = migrate(store, path, **given)
    return report


def left(report: MigrationReport) -> dict[str, str]:
    return {f"{item.kind} {item.name}": item.why for item in report.unmigrated()}


# What is refused or left out


def test_what_the_tables_do_not_say_is_asked_all_at_once(store: EventStore, tmp_path: Path) -> None:
    path = database(
        tmp_path / "f.db",
        FOXTROT,
        {"orders": [order("CTP.1")], "trades": [trade("CTP.9", datetime="2025-01-02 03:04:05")]},
    )
    with pytest.raises(InvalidEvent) as refused:
        one(store, path, account=None, zone=None)
    message = str(refused.value)
    assert "table orders names no account: name it with --account" in message
    assert "table trades names no account" in message
    with pytest.raises(InvalidEvent, match="times of table trades have no zone, such as '2025-01-02 03:04:05'"):
        one(store, path, zone=None)
    assert store.head() == 0
    assert not list(tmp_path.glob("*.backup.*"))


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"direction": "NET"}, "direction 'NET' is neither long nor short"),
        ({"direction": None}, "direction is empty"),
        ({"volume": None}, "volume is empty"),
        ({"volume": 0}, "OrderFilled.quantity"),
        ({"volume": "1,000"}, "volume '1,000' is not a plain number"),
        ({"price": float("inf")}, "price is not a number"),
        ({"price": b"1"}, "price is not a number"),
        ({"datetime": "soon"}, "datetime 'soon' is not a time"),
        ({"datetime": None}, "datetime are empty"),
        ({"datetime": "1969-01-02T00:00:00+00:00"}, "outside 1970 to 2199"),
        ({"symbol": ""}, "symbol is empty"),
        ({"vt_tradeid": " "}, "trade_id"),
        ({"vt_orderid": "CTP\n1"}, "a stream is category/account/entity"),
        ({"vt_orderid": "x" * 129}, "a stream is category/account/entity"),
    ],
)
def test_a_trade_that_cannot_be_one_is_left_out_by_name(
    store: EventStore, tmp_path: Path, cells: dict[str, Any], why: str
) -> None:
    path = database(tmp_path / "f.db", FOXTROT, {"trades": [trade("CTP.1"), trade("CTP.2") | cells]})
    report = one(store, path)
    assert not report.complete
    (found,) = left(report).values()
    assert why in found
    assert [record.event.trade_id for record in store.read(types=OrderFilled)] == ["CTP.1"]  # type: ignore[attr-defined]


def test_a_local_time_that_the_clocks_skip_is_left_out(store: EventStore, tmp_path: Path) -> None:
    path = database(tmp_path / "f.db", FOXTROT, {"trades": [trade("CTP.1", datetime="2025-03-09 02:30:00")]})
    report = one(store, path, zone=ZoneInfo("America/Chicago"))
    assert "occurs never in America/Chicago" in left(report)["trades CTP.1"]


class Executed:
    """What runs when its pickle is read."""

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was read",)


def test_no_pickle_is_ever_read(store: EventStore, tmp_path: Path) -> None:
    stored = pickle.dumps(Executed())
    row = order("CTP.1", data_json=None, data_compressed=stored)
    report = one(store, database(tmp_path / "f.db", FOXTROT, {"orders": [row]}))
    assert left(report) == {
        "orders 1 row": "their objects are pickles, which are never read: what their columns say is migrated"
    }
    assert report.complete
    (record,) = store.read(types=OrderReported)
    assert isinstance(record.event, OrderReported)
    assert record.event.filled_quantity is None


def test_a_file_that_only_begins_like_a_database(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    path.write_bytes(b"SQLite format 3\0" + b"x" * 200)
    with pytest.raises(InvalidEvent, match="cannot be read as a SQLite database"):
        one(store, path)


def test_unknown_tables_and_views_do_nothing(store: EventStore, tmp_path: Path) -> None:
    path = database(tmp_path / "f.db", FOXTROT, {"system_config": [{"key": "a"}], "trades": [trade("CTP.1")]})
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE notes (a TEXT); INSERT INTO notes VALUES ('x'); CREATE VIEW every AS SELECT * FROM orders;"
            'CREATE TABLE "odd ""name" (a TEXT);'
        )
    report = one(store, path)
    found = left(report)
    assert "--mapping" in found["notes 1 rows"]
    assert "no place here" in found["system_config 1 row"]
    assert set(found) == {"notes 1 rows", "system_config 1 row"}
    assert not report.complete


def test_a_trade_with_other_content_is_reported(store: EventStore, tmp_path: Path) -> None:
    path = database(tmp_path / "f.db", FOXTROT, {"trades": [trade("CTP.1")]})
    one(store, path)
    add(path, {"trades": [trade("CTP.1", price=5.0), trade("CTP.2")]})
    report = one(store, path)
    assert left(report) == {"trades CTP.1": "the log has it with other content, at position 2"}
    assert (report.added, report.issues) == (1, ())


def test_a_trade_that_is_there_twice_counts_once(store: EventStore, tmp_path: Path) -> None:
    rows = [trade("CTP.1"), trade("CTP.1"), trade("CTP.1", price=5.0)]
    report = one(store, database(tmp_path / "f.db", FOXTROT.replace(" PRIMARY KEY", ""), {"trades": rows}))
    assert [(str(item.status), item.why) for item in report.items] == [
        ("migrated", ""),
        ("set aside", "it repeats an earlier row"),
        ("left out", "an earlier row has the same id and other content"),
    ]
    assert sum(1 for _ in store.read(types=OrderFilled)) == 1


# What the rows become


def test_orders_trades_positions_and_snapshots(store: EventStore, tmp_path: Path) -> None:
    rows = {
        "orders": [
            order("CTP.1", data_json='{"traded": 1.0}'),
            order("CTP.2", status="Status.ALLTRADED", type="STOP", direction="SHORT", price=3990.0),
            order("CTP.3", status="Expired", type="RFQ", price=None, updated_at=None),
        ],
        "trades": [trade("CTP.7"), trade("CTP.8", vt_orderid=None, direction="SHORT", offset="CLOSE")],
        "positions": [
            {"vt_positionid": "IF2506.CFFEX.SHORT", "symbol": "IF2506", "exchange": "CFFEX", "direction": "SHORT",
             "volume": 2.0, "frozen": 1.0, "price": 4001.0, "updated_at": "2025-01-02 03:04:05"},
            {"vt_positionid": "X.SSE.NET", "symbol": "X", "exchange": "SSE", "direction": "净", "volume": -5.0,
             "price": 1.5, "updated_at": "2025-01-02 03:04:05"},
        ],
        "account_snapshots": [
            {"id": 1, "account_id": "ACC1", "balance": 100_000.5, "available": 90_000.0, "frozen": 0.0,
             "currency": "CNY", "snapshot_time": "2025-01-02 11:00:00"},
            {"id": 2, "account_id": "ACC9", "balance": 1.0, "snapshot_time": "2025-01-02 11:00:00"},
            {"id": 3, "account_id": "ACC1", "currency": "yuan", "snapshot_time": "2025-01-02 11:00:00"},
        ],
    }  # fmt: skip
    report = one(store, database(tmp_path / "f.db", FOXTROT, rows))
    assert left(report) == {
        "account_snapshots 2": "it is of account ACC9, and --account is ACC1",
        "account_snapshots 3": "currency 'yuan' is not a code such as USD",
    }
    assert report.issues == ()
    events = {record.stream: record.event for record in store.read()}
    assert events["order/ACC1/CTP.2"] == OrderReported(
        status=OrderStatus.FILLED, raw_status="Status.ALLTRADED", broker_order_id="CTP.2", symbol="IF2506",
        side=Side.SELL, order_type=OrderType.STOP, quantity=Decimal("3.0"), stop_price=Decimal("3990.0"),
    )  # fmt: skip
    unknown = events["order/ACC1/CTP.3"]
    assert isinstance(unknown, OrderReported)
    assert (unknown.status, unknown.raw_status, unknown.order_type) == (OrderStatus.UNKNOWN, "Expired", None)
    assert events["trade/ACC1/CTP.8"] == TradeExecuted(
        trade_id="CTP.8", symbol="IF2506", side=Side.SELL, quantity=Decimal("1.0"), price=Decimal("4000.2"),
        fee=Decimal("0.1"), position_side=PositionSide.LONG,
    )  # fmt: skip
    assert events["position/ACC1/IF2506"] == PositionReported(
        symbol="IF2506", quantity=Decimal("-2.0"), average_price=Decimal("4001.0"), frozen=Decimal("1.0"),
        position_side=PositionSide.SHORT,
    )  # fmt: skip
    assert events["position/ACC1/X"] == PositionReported(
        symbol="X", quantity=Decimal("-5.0"), average_price=Decimal("1.5"), frozen=Decimal("0.0")
    )
    assert events["account/ACC1/-"] == AccountUpdated(
        balance=Decimal("100000.5"), available=Decimal("90000.0"), frozen=Decimal("0.0"), currency="CNY"
    )


def test_the_book_has_what_was_executed_and_when(store: EventStore, tmp_path: Path) -> None:
    rows = {"orders": [order("CTP.1", data_json='{"traded": 1.0}')], "trades": [trade("CTP.7")]}
    report = one(store, database(tmp_path / "f.db", FOXTROT, rows))
    assert report.shadow == ("ACC1",)
    with projections.open(store) as book:
        found = book.orders.get("ACC1", "CTP.1")
        assert found is not None
        assert (found.status, found.cumulative) == (OrderStatus.PARTIALLY_FILLED, Decimal(1))
        (executed,) = book.trades.of("ACC1")
        assert executed.occurred_at == parse_time("2025-01-02T03:04:05.5+08:00")
        assert book.positions.get("ACC1", "IF2506").quantity == 1
    (record,) = store.read(types=OrderReported)
    # SQLite's own times are in UTC.
    assert record.occurred_at == parse_time("2025-01-02T03:05:06Z")


def test_one_symbol_on_two_exchanges_is_two(store: EventStore, tmp_path: Path) -> None:
    rows = {"trades": [trade("CTP.1", exchange="A"), trade("CTP.2", exchange="Exchange.B"), trade("CTP.3", symbol="Z")]}
    one(store, database(tmp_path / "f.db", FOXTROT, rows))
    symbols = [record.event.symbol for record in store.read(types=OrderFilled)]  # type: ignore[attr-defined]
    assert sorted(symbols) == ["IF2506.A", "IF2506.B", "Z"]


def test_a_later_state_of_an_order_is_added_and_an_earlier_one_is_not(store: EventStore, tmp_path: Path) -> None:
    path = database(tmp_path / "f.db", FOXTROT, {"orders": [order("CTP.1", status="NOTTRADED")]})
    early = path.read_bytes()
    one(store, path)
    add(path, {"orders": [order("CTP.1", status="CANCELLED", updated_at="2025-01-02 04:00:00")]})
    assert one(store, path).added == 1
    (tmp_path / "g.db").write_bytes(early)
    assert one(store, tmp_path / "g.db").added == 0
    with projections.open(store) as book:
        found = book.orders.get("ACC1", "CTP.1")
        assert found is not None
        assert found.status is OrderStatus.CANCELED


def test_the_oldest_layout(store: EventStore, tmp_path: Path) -> None:
    states = {
        "orders": {"CTP.1": {key: value for key, value in order("CTP.1").items() if key != "updated_at"}},
        "trades": {"CTP.7": {
            "tradeid": "7", "orderid": "1", "adapter_name": "CTP", "symbol": "IF2506", "exchange": "CFFEX",
            "direction": "LONG", "offset": "OPEN", "volume": 1, "price": 4000.2, "datetime": "2025-01-02 03:04:05",
        }},
        "positions": {"IF2506.CFFEX.LONG": {"symbol": "IF2506", "exchange": "CFFEX", "direction": "LONG", "volume": 1}},
        "accounts": {},
    }  # fmt: skip
    path = oms_state(tmp_path / "f.db", states)
    report = one(store, path)
    assert "--mapping" in left(report)["oms_state accounts"]
    filled = next(store.read(types=OrderFilled))
    assert (filled.stream, filled.occurred_at) == ("order/ACC1/CTP.1", parse_time("2025-01-02T03:04:05+08:00"))
    assert isinstance(filled.event, OrderFilled)
    assert (filled.event.trade_id, filled.event.position_side) == ("CTP.7", PositionSide.LONG)
    (held,) = store.read(types=PositionReported)
    assert held.stream == "position/ACC1/IF2506"
    add(path, {"oms_state": [{"key": "orders", "value": "{"}, {"key": "trades", "value": None}]})
    found = left(one(store, path))
    assert "its value is not JSON" in found["oms_state orders"]
    assert found["oms_state trades"] == "its value is not text"


# Once, whatever happens


def test_migrating_again_adds_nothing_and_a_database_in_use_is_read(store: EventStore, tmp_path: Path) -> None:
    path = database(tmp_path / "f.db", FOXTROT, {"trades": [trade(f"CTP.{n}") for n in range(5)]})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE trades SET volume = 2 WHERE vt_tradeid = 'CTP.4'")
        connection.commit()
        assert path.with_name("f.db-wal").exists()
        assert one(store, path).added == 5
        (kept,) = (each for each in tmp_path.glob("f.db.backup.*") if not each.name.endswith("-wal"))
        with closing(sqlite3.connect(f"file:{kept}?mode=ro", uri=True)) as copy:
            assert copy.execute("SELECT max(volume) FROM trades").fetchone() == (2,)
    head = store.head()
    assert one(store, path).added == 0
    assert store.head() == head
    quantities = [record.event.quantity for record in store.read(types=OrderFilled)]  # type: ignore[attr-defined]
    assert sorted(quantities) == [1, 1, 1, 1, 2]


def test_an_interrupted_migration_resumes(store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"trades": [trade(f"CTP.{n}") for n in range(25)], "orders": [order("CTP.1")]}
    path = database(tmp_path / "f.db", FOXTROT, rows)
    monkeypatch.setattr("gateways.legacy.table_migration.BATCH", 10)
    append, calls = store.append_many, iter([True, False])

    def killed(*given: Any, **more: Any) -> Any:  # noqa: ANN401 - as append_many takes it
        if next(calls):
            return append(*given, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "append_many", killed)
    with pytest.raises(KeyboardInterrupt):
        one(store, path)
    monkeypatch.setattr(store, "append_many", append)
    assert one(store, path, dry_run=True).added == 0
    report = one(store, path)
    assert (report.added, report.issues) == (16, ())
    assert sum(1 for _ in store.read(types=OrderFilled)) == 25
    assert len(list(tmp_path.glob("f.db.backup.*"))) == 1
