"""`state`, `as-of` and `diff`: the current state, a past one, and the changes in between."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import Event, Record
from eventstore.clock import format_time
from eventstore.trading import (
    AccountOpened,
    AdjustmentReason,
    EnforcementAction,
    EnforcementRequested,
    LockoutCleared,
    PositionAdjusted,
    PositionReported,
    Side,
    TradeBusted,
)
from projections.views.orders.view import OrdersState, OrdersView
from tests.cli.command import NINE, SECOND, Run, filled

NINE_O_CLOCK = "2025-11-19T09:00:10-06:00"


def record(data: Path, position: int) -> Record:
    with eventstore.open(data) as store:
        return next(store.read(after=position - 1, limit=1))


def test_state_tells_orders_positions_money_and_lockouts(run: Run, data: Path) -> None:
    state = run("state", "--at", NINE_O_CLOCK, "--data", data, "--json").document
    assert (state["log"], state["position"], state["at"]) == ("main", 8, "2025-11-19T15:00:10.000000000Z")
    orders = {order["order_id"]: order for order in state["orders"]}
    assert set(orders) == {"O-1", "O-4"}
    assert (orders["O-1"]["status"], orders["O-1"]["leaves"]) == ("PARTIALLY_FILLED", "1")
    assert (orders["O-1"]["average_price"], orders["O-1"]["broker_order_id"]) == ("6650.25", "77")
    held = {position["symbol"]: position for position in state["positions"]}
    assert (held["ESZ5"]["quantity"], held["ESZ5"]["realized"], held["ESZ5"]["fees"]) == ("1", "100.00", "4.50")
    assert (held["CLZ5"]["account"], held["CLZ5"]["realized"], held["CLZ5"]["multiplier"]) == ("ACC2", None, None)
    (lockout,) = state["lockouts"]
    assert (lockout["account"], lockout["rule_id"], lockout["reason"]) == ("ACC2", "daily-loss", "too much lost")
    assert lockout["until"] == "2025-11-19T16:00:00.000000000Z"
    assert lockout["cause"] == str(record(data, 7).uuid)


def test_state_tells_what_the_day_made_and_what_waits_for_an_answer(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        wanted = EnforcementRequested(rule_id="daily-loss", action=EnforcementAction.FLATTEN, reason="too much lost")
        store.append("enforcement/ACC1/E-1", wanted, occurred_at=NINE + 8 * SECOND)
    state = run("state", "--at", NINE_O_CLOCK, "--data", data, "--json").document
    # 1 sold 2 points above what it was bought for, 50 USD a point; ACC2 only opened a position.
    assert [(day["account"], day["trading_day"], day["realized"], day["trades"]) for day in state["days"]] == [
        ("ACC1", "2025-11-19", "100.00", 2),
        ("ACC2", "2025-11-19", "0", 1),
    ]
    [pending] = state["pending"]
    assert (pending["request_id"], pending["action"]) == ("E-1", "FLATTEN")
    assert pending["requested_at"] == "2025-11-19T15:00:08.000000000Z"
    output = run("state", "--at", NINE_O_CLOCK, "--data", data).out
    assert "Profit and loss of the trading day" in output
    assert "Pending enforcement requests" in output
    assert "FLATTEN" in output


def test_state_sums_money_by_account_and_currency(run: Run, data: Path) -> None:
    totals = run("state", "--data", data, "--json").document["totals"]
    assert totals == [
        {"account": "ACC1", "currency": "USD", "realized": "100.00", "fees": "4.50", "cash": "0", "net": "95.50"},
        {"account": "ACC2", "currency": "", "realized": "0", "fees": "2.25", "cash": "0", "net": "-2.25"},
    ]


def test_state_shows_equity_with_its_status_and_why(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        opened = AccountOpened(starting_balance=Decimal(50_000), currency="USD")
        store.append("account/ACC1/-", opened, occurred_at=NINE + 8 * SECOND)
    [equity] = run("state", "--data", data, "--json").document["equity"]
    assert (equity["account"], equity["balance"], equity["equity"]) == ("ACC1", "50095.50", "50095.50")
    why = "ESZ5 was not quoted since the book was opened"
    assert (equity["status"], equity["why"]) == ("UNKNOWN", why)
    assert f"ACC1 is UNKNOWN: {why}" in " ".join(run("state", "--data", data).out.split())
    with eventstore.open(data) as store:
        store.append("order/ACC1/O-5", filled("T-5", Side.SELL, 1, "6650.25"), occurred_at=NINE + 9 * SECOND)
    [equity] = run("state", "--data", data, "--json").document["equity"]
    assert (equity["equity"], equity["status"], equity["why"]) == ("50093.25", "KNOWN", "")


def test_state_names_anomalies(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("lockout/ACC2/daily-loss", LockoutCleared(by="an optimist"), occurred_at=NINE + 8 * SECOND)
    anomalies = run("state", "--data", data, "--json").document["anomalies"]
    assert {"account": "ACC1", "view": "orders", "kind": "UNKNOWN_ORDER", "count": 1, "positions": []} in anomalies
    assert any(anomaly["view"] == "lockouts" and anomaly["positions"] == [9] for anomaly in anomalies)


def test_state_as_tables_says_no_contract_where_there_is_none(run: Run, data: Path) -> None:
    ended = run("state", "--at", NINE_O_CLOCK, "--data", data)
    assert ended.code == 0
    assert "log main at position 8" in ended.out
    assert "no contract" in ended.out
    assert "6,650.25" in ended.out
    assert "too much lost" in ended.out
    assert "2025-11-19T16:00:00.000Z" in ended.out
    assert "\x1b" not in ended.out
    assert ended.err == ""


def test_a_broker_s_report_is_shown_with_its_time_and_its_difference_until_the_next_fill(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with eventstore.open(data) as store:
        reported = PositionReported(symbol="ESZ5", quantity=Decimal(3))
        store.append("position/ACC1/ESZ5", reported, occurred_at=NINE + 9 * SECOND)
    table = run("state", "--account", "ACC1", "--data", data).out.partition("Positions as the broker")[2].splitlines()
    assert table[3].split() == ["ACC1", "ESZ5", "3", "2025-11-19T15:00:09.000Z", "2"]
    [held] = run("state", "--account", "ACC1", "--data", data, "--json").document["positions"]
    assert (held["reported_at"], held["difference"]) == ("2025-11-19T15:00:09.000000000Z", "2")
    with eventstore.open(data) as store:
        store.append("order/ACC1/O-4", filled("T-9", Side.BUY, 1, "6650"), occurred_at=NINE + 10 * SECOND)
    table = run("state", "--account", "ACC1", "--data", data).out.partition("Positions as the broker")[2].splitlines()
    assert "reported before the last fill" in table[3]
    assert "2025-11-19T15:00:09.000Z" in table[3]
    [held] = run("state", "--account", "ACC1", "--data", data, "--json").document["positions"]
    assert (held["superseded"], held["difference"]) == (True, None)


def test_a_position_that_is_not_certain_is_shown_as_such_with_the_reasons(run: Run, data: Path) -> None:
    asked = ("state", "--account", "ACC1", "--at", NINE_O_CLOCK, "--data", data)
    assert "not certain" not in run(*asked).out
    with eventstore.open(data) as store:
        again = filled("T-1", Side.BUY, 3, "6650.25")
        store.append("order/ACC1/O-4", again, occurred_at=NINE + 8 * SECOND)
        expired = PositionAdjusted(symbol="ESZ5", quantity=Decimal(-1), reason=AdjustmentReason.EXPIRY)
        store.append("position/ACC1/ESZ5", expired, occurred_at=NINE + 9 * SECOND)
    state = run(*asked, "--json").document
    [held], [day] = state["positions"], state["days"]
    assert (held["quantity"], held["uncertain"], held["conflicts"], day["unpriced"]) == ("0", True, [4], 1)
    assert [(each["kind"], each["positions"]) for each in state["anomalies"] if each["view"] == "positions"] == [
        ("CONFLICTING", [9]),
        ("UNPRICED", [10]),
    ]
    assert [line for line in run(*asked).out.splitlines() if "not certain" in line] == [
        "not certain: ACC1 ESZ5: other figures or days reported of the trade at 4; UNPRICED by 10",
        "not certain: ACC1 2025-11-19: 1 change without a price",
    ]
    with eventstore.open(data) as store:
        for name in "abc":
            store.append(f"trade/ACC1/{name}", TradeBusted(trade_id=name))
    said = run(*asked).out
    assert "UNPRICED by 10; UNKNOWN_BUST by 11; and 2 more" in said


def test_state_of_one_account_leaves_the_others_out(run: Run, data: Path) -> None:
    state = run("state", "--account", "ACC2", "--at", NINE_O_CLOCK, "--data", data, "--json").document
    assert {thing["account"] for name in ("orders", "positions", "lockouts") for thing in state[name]} == {"ACC2"}
    assert run("state", "--account", "nobody", "--data", data, "--json").document["positions"] == []


def test_a_lockout_whose_time_has_passed_is_not_in_force(run: Run, data: Path) -> None:
    assert run("state", "--data", data, "--json").document["lockouts"] == []
    assert run("state", "--at", "2025-11-19T16:00:00Z", "--data", data, "--json").document["lockouts"] == []
    assert run("state", "--at", "8", "--data", data, "--json").document["lockouts"] != []


def test_a_table_is_cut_only_with_a_word(run: Run, data: Path) -> None:
    cut = run("state", "--rows", "1", "--data", data).out
    assert "Open orders (2)" in cut
    assert "… and 1 more" in cut
    assert "more" not in run("state", "--rows", "0", "--data", data).out


def test_as_of_a_position_is_what_was_known_then(run: Run, data: Path) -> None:
    then = run("as-of", "4", "--data", data, "--json").document
    assert then["position"] == 4
    (position,) = then["positions"]
    assert (position["symbol"], position["quantity"], position["realized"]) == ("ESZ5", "2", "0")
    assert run("as-of", "0", "--data", data, "--json").document["orders"] == []


def test_as_of_a_time_of_recording_includes_it(run: Run, data: Path) -> None:
    fifth = format_time(record(data, 5).recorded_at)
    assert run("as-of", fifth, "--data", data, "--json").document["position"] == 5


def test_as_of_a_position_asks_for_lockouts_when_its_record_happened(run: Run, data: Path) -> None:
    assert len(run("as-of", "8", "--data", data, "--json").document["lockouts"]) == 1
    assert run("as-of", "6", "--data", data, "--json").document["lockouts"] == []
    later = run("as-of", "8", "--at", "2026-01-01T00:00:00Z", "--data", data, "--json").document
    assert later["lockouts"] == []


def test_as_of_by_occurrence_is_what_was_true_then(run: Run, data: Path) -> None:
    at = "2025-11-19T09:00:04.5-06:00"
    true_then = run("as-of", at, "--occurred-at", "--data", data, "--json").document
    assert [position["quantity"] for position in true_then["positions"]] == ["2", "-1"]
    assert true_then["lockouts"] == []
    known_then = run("as-of", at, "--occurred-at", "--known-by", "3", "--data", data, "--json").document
    assert known_then["positions"] == []
    alone = run("as-of", at, "--known-by", "3", "--data", data)
    assert (alone.code, "requires --occurred-at" in alone.err) == (2, True)


@pytest.mark.parametrize("instant", ["99", "yesterday", "2025-11-19T09:61:00", "-1"])
def test_an_instant_that_is_none_is_refused(run: Run, data: Path, instant: str) -> None:
    ended = run("as-of", "--data", data, "--", instant)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("\n") == 1


def test_diff_names_what_changed_and_the_records_that_did_it(run: Run, data: Path) -> None:
    found = run("diff", "4", "7", "--data", data, "--json").document
    assert (found["first"], found["second"]) == (4, 7)
    changes = {(change["account"], change["view"], change["key"]): change for change in found["changes"]}
    held = changes["ACC1", "positions", "ESZ5/NET"]
    assert (held["before"]["quantity"], held["after"]["quantity"]) == ("2", "1")
    assert [record["position"] for record in held["records"]] == [6]
    assert held["records"][0]["data"]["trade_id"] == "T-3"
    assert changes["ACC2", "lockouts", "daily-loss"]["after"][0]["reason"] == "too much lost"
    assert run("diff", "7", "4", "--data", data, "--json").document == found


def test_diff_as_a_table_fits_one_account(run: Run, data: Path) -> None:
    ended = run("diff", "4", "8", "--account", "ACC2", "--data", data, "--zone", "America/Chicago")
    assert "after position 4 and up to 8" in ended.out
    assert "NOTHING until 2025-11-19T10:00:00.000-06:00" in ended.out
    assert "realized no contract" in ended.out
    assert "ACC1" not in ended.out


def test_figures_of_any_size_are_shown_in_a_readable_length(run: Run, data: Path) -> None:
    huge = '{"trade_id": "T", "symbol": "X", "side": "BUY", "quantity": 1e400, "price": 1e-300}'
    assert run("append", "order/ACC3/O-1", "OrderFilled", huge, "--data", data).code in {0, 2}
    assert len(run("state", "--data", data).out) < 10_000
    assert len(run("state", "--data", data, "--json").out) < 10_000


def test_what_has_stopped_is_said_and_the_rest_continues(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = OrdersView.apply

    def failing(self: OrdersView, state: OrdersState, event: Event, record: Record) -> None:
        if record.account == "ACC2":
            msg = "a mistake in the view"
            raise ValueError(msg)
        apply(self, state, event, record)

    monkeypatch.setattr(OrdersView, "apply", failing)
    ended = run("state", "--data", data, "--json")
    assert ended.code == 1
    assert {order["account"] for order in ended.document["orders"]} == {"ACC1"}
    assert {position["account"] for position in ended.document["positions"]} == {"ACC1", "ACC2"}
    (stopped,) = ended.document["parked"]
    assert "orders stopped for ACC2 at position 5" in stopped
    assert "stopped: view orders" in run("state", "--data", data).out
    assert run("doctor", "--data", data).code == 1


def test_a_snapshot_that_is_passed_over_is_a_note_on_stderr(run: Run, data: Path) -> None:
    (data / "main" / "snapshots.sqlite").write_bytes(b"no database at all" * 300)
    ended = run("state", "--data", data, "--json")
    assert (ended.code, ended.document["position"]) == (0, 8)
    assert ended.err.startswith("note: ")
    assert ended.err.count("\n") == 1
