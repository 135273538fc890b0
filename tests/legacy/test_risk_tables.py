"""A risk manager's tables: what is asked, what is left out and why, and that a lockout comes over in force."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent
from eventstore.clock import parse_time
from eventstore.trading import NoteAdded, OrderReported, OrderStatus, OrderType, PositionReported, Side
from gateways.legacy import MigrationReport
from gateways.legacy.migration import migrate
from tests.legacy.old_databases import RISK, database

CHICAGO = ZoneInfo("America/Chicago")
LOCKED = {
    "account_id": 123, "is_locked": 1, "reason": "Daily loss -501.50", "locked_at": "2025-01-02 10:00:00.123456",
    "locked_until": "2199-01-02 17:00:00", "rule_id": "RULE-003", "updated_at": "2025-01-02 10:00:00",
}  # fmt: skip
ORDER = {
    "id": 7, "account_id": 123, "contract_id": "CON.F.US.MNQ.U25", "type": 1, "side": 1, "size": 2,
    "limit_price": 21_000.25, "stop_price": None, "state": 2,
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as store:
        yield store


def one(store: EventStore, path: Path, **choices: Any) -> MigrationReport:  # noqa: ANN401 - of migrate
    given: dict[str, Any] = {"zone": CHICAGO, "states": "gateway"} | choices
    (report,) = migrate(store, path, **given)
    return report


def why(report: MigrationReport) -> dict[str, str]:
    return {f"{item.kind} {item.name}": f"{item.status}: {item.why}" for item in report.unmigrated()}


def test_zone_and_numbering_are_asked_together(store: EventStore, tmp_path: Path) -> None:
    path = database(tmp_path / "state.db", RISK, {"lockouts": [LOCKED], "orders": [ORDER]})
    with pytest.raises(InvalidEvent) as refused:
        one(store, path, zone=None, states=None)
    assert "times of table lockouts have no zone" in str(refused.value)
    assert "--states gateway or --states risk-manager" in str(refused.value)
    with pytest.raises(InvalidEvent, match="states is gateway or risk-manager, not 'fix'"):
        one(store, path, states="fix")
    assert store.head() == 0


@pytest.mark.parametrize(
    ("states", "state", "status"),
    [
        ("gateway", 1, OrderStatus.NEW),
        ("gateway", 2, OrderStatus.FILLED),
        ("gateway", 6, OrderStatus.PENDING_NEW),
        ("gateway", 8, OrderStatus.UNKNOWN),
        ("risk-manager", 2, OrderStatus.NEW),
        ("risk-manager", 3, OrderStatus.FILLED),
        ("risk-manager", 1, OrderStatus.UNKNOWN),
    ],
)
def test_an_order_by_either_numbering(
    store: EventStore, tmp_path: Path, states: str, state: int, status: OrderStatus
) -> None:
    path = database(tmp_path / "state.db", RISK, {"orders": [ORDER | {"state": state}]})
    assert one(store, path, states=states).complete
    (record,) = store.read(types=OrderReported)
    assert record.stream == "order/123/7"
    assert record.event == OrderReported(
        status=status, raw_status=str(state), broker_order_id="7", symbol="CON.F.US.MNQ.U25", side=Side.SELL,
        order_type=OrderType.LIMIT, quantity=Decimal(2), limit_price=Decimal("21000.25"),
    )  # fmt: skip


def test_a_lockout_is_in_force_and_a_cleared_one_is_not(store: EventStore, tmp_path: Path) -> None:
    rows = {
        "lockouts": [
            LOCKED,
            LOCKED | {"account_id": 124, "locked_until": None},
            LOCKED | {"account_id": 125, "is_locked": 0},
            LOCKED | {"account_id": 126, "rule_id": None},
            LOCKED | {"account_id": 127, "rule_id": "R5", "is_locked": None},
            LOCKED | {"account_id": 128, "rule_id": "R6", "is_locked": 2},
        ]
    }
    report = one(store, database(tmp_path / "state.db", RISK, rows))
    assert why(report) == {
        "lockouts RULE-003": "set aside: it was cleared: is_locked is 0",
        "lockouts row 4": "left out: rule_id is empty",
        "lockouts R5": "left out: is_locked is empty",
        "lockouts R6": "left out: is_locked is 2, neither 0 nor 1: lock the account by hand if it was locked",
    }
    now = parse_time("2026-01-01T00:00:00Z")
    with projections.open(store) as book:
        (lockout,) = book.lockouts.active("123", now)
        assert (lockout.rule_id, lockout.reason) == ("RULE-003", "Daily loss -501.50")
        assert lockout.until == parse_time("2199-01-02T17:00:00-06:00")
        assert lockout.set_at == parse_time("2025-01-02T10:00:00.123456-06:00")
        assert book.lockouts.active("124", now)[0].until is None
        assert not book.lockouts.active("125", now)


def test_positions_are_reported_with_their_side(store: EventStore, tmp_path: Path) -> None:
    row = {"id": 1, "account_id": 123, "contract_id": "CON.F.US.MNQ.U25", "type": 2, "size": 3, "average_price": 21.5}
    row["created_at"] = "2025-01-02T10:00:00+00:00"
    rows = {"positions": [row, row | {"contract_id": "X", "type": 0}, row | {"contract_id": "Y", "size": -1}]}
    report = one(store, database(tmp_path / "state.db", RISK, rows))
    assert [text.partition(": ")[2] for text in why(report).values()] == [
        "size -1 is below zero, and type says the side"
    ]
    (record,) = store.read(types=PositionReported)
    assert record.event == PositionReported(
        symbol="CON.F.US.MNQ.U25", quantity=Decimal(-3), average_price=Decimal("21.5")
    )
    assert record.occurred_at == parse_time("2025-01-02T10:00:00Z")


def test_what_was_only_noted_becomes_notes(store: EventStore, tmp_path: Path) -> None:
    rows = {
        "daily_pnl": [
            {"account_id": 123, "date": "2025-01-02", "realized_pnl": -501.5, "last_updated": "2025-01-02 10:00:00"},
            {"account_id": 123, "date": "someday", "realized_pnl": 1.0, "last_updated": "2025-01-02 10:00:00"},
        ],
        "enforcement_log": [
            {"timestamp": "2025-01-02 10:00:00", "account_id": 123, "rule_id": "RULE-003", "action": "FLATTEN",
             "reason": "loss", "success": 1, "details": '{"a": 1}'},
        ] * 2,
        "trade_history": [{"account_id": 123, "timestamp": "2025-01-02 10:00:00", "contract_id": None, "pnl": 5.0}] * 3,
        "contract_cache": [{"contract_id": "X", "tick_size": 0.25, "tick_value": 0.5}],
    }  # fmt: skip
    report = one(store, database(tmp_path / "state.db", RISK, rows))
    found = why(report)
    assert found["trade_history 3 rows"].startswith("set aside: its rows have no trade ids")
    assert found["contract_cache 1 row"].startswith("set aside: it does not say the contracts' currency")
    assert found["daily_pnl row 2"] == "left out: date 'someday' is not a day"
    notes = [record.event for record in store.read(types=NoteAdded)]
    assert notes[0] == NoteAdded(
        target="day/123/2025-01-02",
        text="the risk manager's realized result of this day of its machine: -501.5",
        tags=("migrated", "daily-pnl"),
    )
    # Two equal rows may be two enforcements.
    assert len(notes) == 3
    assert isinstance(notes[1], NoteAdded)
    assert notes[1].target == "lockout/123/RULE-003"
    assert notes[1].text == 'action: FLATTEN; reason: loss; success: 1; details: {"a": 1}'
    assert one(store, tmp_path / "state.db").added == 0
