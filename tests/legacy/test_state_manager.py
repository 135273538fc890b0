"""`StateManager`: what it refuses, what it returns, and that nothing closed comes back as active."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import eventstore
import projections
from eventstore import EventTooLarge, InvalidEvent, ManualClock, StoreError
from eventstore.trading import LogContinued, PairStateSaved
from gateways.legacy import StateManager, StateNotice, TradingStateManager, documents

POSITION = {"direction": "LONG", "symbol1": "AAA", "symbol2": "BBB", "ticket1": 7, "entry_time": "2025-01-02T03:04:05"}
PAIR = {"symbol1": "AAA", "symbol2": "BBB", "position": None, "cooldown": 3, "unknown member": {"kept": True}}
PORTFOLIO = {"portfolio_peak_value": 10_000.5, "suspended_pairs": {"CCC-DDD"}, "portfolio_trading_suspended": False}


@pytest.fixture
def manager(tmp_path: Path) -> StateManager:
    return StateManager(tmp_path / "data", clock=ManualClock("2026-01-02T03:04:05Z"))


def saved(manager: StateManager) -> StateManager:
    assert manager.save_trading_state({"AAA-BBB": POSITION}, {"AAA-BBB": PAIR}, PORTFOLIO, user_id="bot")
    return manager


# What can be wrong


@pytest.mark.parametrize("given", [None, [], "AAA", 5, [("AAA-BBB", {})]])
def test_positions_that_are_not_a_dict_are_refused(manager: StateManager, given: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(InvalidEvent, match="active_positions is a dict by pair"):
        manager.save_trading_state(given, {})
    with pytest.raises(InvalidEvent, match="pair_states is a dict by pair"):
        manager.save_trading_state({}, given)
    assert manager.store.head() == 0


@pytest.mark.parametrize("name", ["active_positions", "pair_states"])
def test_a_portfolio_cannot_hide_positions(manager: StateManager, name: str) -> None:
    with pytest.raises(InvalidEvent, match=f"portfolio_data has a member {name}"):
        manager.save_trading_state({}, {}, {name: {}})


def test_a_refused_save_leaves_the_saved_state(manager: StateManager) -> None:
    before = saved(manager).load_trading_state()
    with pytest.raises(InvalidEvent, match="active_positions"):
        manager.save_trading_state({"AAA-BBB": {"broken": object()}}, {}, {"active_positions": 1})
    assert manager.load_trading_state() == before


def test_a_state_without_bound_is_refused(manager: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "STATE_BYTES_MAX", 1_000)
    with pytest.raises(EventTooLarge, match="pair_A has 1,"):
        manager.save_trading_state({}, {"A": "x" * 1_001})
    assert manager.load_trading_state() is None


def test_nothing_saved_is_none_and_not_an_empty_state(manager: StateManager) -> None:
    assert manager.load_trading_state() is None
    assert manager.get_latest_trading_state() is None
    assert manager.load_position("AAA-BBB") is None
    assert manager.get_all_positions() == []
    assert manager.get_portfolio_summary()["exists"] is False
    assert manager.get_state_info() == {"exists": False, "size": 0, "modified_time": None, "created_time": None}
    assert manager.get_state_history() == []
    with pytest.raises(InvalidEvent, match="nothing is saved yet"):
        manager.create_snapshot()
    manager.save_trading_state({}, {})
    assert manager.load_trading_state() == {"active_positions": {}, "pair_states": {}}


def test_what_was_loaded_can_be_changed_without_changing_what_is_saved(manager: StateManager) -> None:
    loaded = saved(manager).load_trading_state()
    assert loaded is not None
    loaded["active_positions"]["AAA-BBB"]["direction"] = "SHORT"
    assert manager.load_position("AAA-BBB") == POSITION


def test_history_refuses_unknown_types_and_limits(manager: StateManager) -> None:
    with pytest.raises(InvalidEvent, match="unknown state_type 'positions'"):
        manager.get_state_history("positions")
    with pytest.raises(InvalidEvent, match="limit is how many"):
        manager.get_state_history(limit=-1)


# What was saved


def test_a_state_comes_back_with_unknown_members(manager: StateManager) -> None:
    expected = {"active_positions": {"AAA-BBB": POSITION}, "pair_states": {"AAA-BBB": PAIR}} | PORTFOLIO
    assert saved(manager).load_trading_state() == expected
    manager.shutdown()
    assert manager.load_trading_state() == expected


def test_a_closed_pair_does_not_come_back(manager: StateManager) -> None:
    saved(manager)
    manager.save_trading_state({}, {}, PORTFOLIO)
    assert manager.get_all_positions() == []
    assert manager.load_position("AAA-BBB") is None
    operations = {each["state_id"]: each["operation"] for each in reversed(manager.get_state_history())}
    assert operations["position_AAA-BBB"] == "delete"
    # A reader of the log sees it as well.
    with projections.open(manager.store) as book:
        state = book.pairs.get("default", "position_AAA-BBB")
        assert state is not None
        assert state.state == documents.GONE


def test_the_book_has_the_positions_by_the_ids_of_older_programs(manager: StateManager) -> None:
    with projections.open(saved(manager).store) as book:
        state = book.pairs.get("default", "position_AAA-BBB")
        assert state is not None
        assert state.state == POSITION
        assert {each.name for each in book.pairs.of("default")} == {"position_AAA-BBB", "pair_AAA-BBB"}


def test_no_fill_and_no_report_is_made_of_a_position(manager: StateManager) -> None:
    manager.save_trading_state({"ESZ5": {"symbol": "ESZ5", "quantity": 2, "direction": "long"}}, {})
    assert manager.store.types() == ("PairStateSaved", "PortfolioSaved")


def test_a_portfolio_that_is_not_given_stands(manager: StateManager) -> None:
    saved(manager)
    manager.save_trading_state({}, {})
    assert manager.load_trading_state() == {"active_positions": {}, "pair_states": {}} | PORTFOLIO
    manager.save_trading_state({}, {}, {})
    assert manager.load_trading_state() == {"active_positions": {}, "pair_states": {}}


def test_only_what_changed_is_written_again(manager: StateManager) -> None:
    manager.save_trading_state({str(n): {"n": n} for n in range(50)}, {})
    head = manager.store.head()
    manager.save_trading_state({str(n): {"n": n or "other"} for n in range(50)}, {})
    assert manager.store.head() == head + 2
    assert manager.load_position("0") == {"n": "other"}


def test_series_of_a_thousand_prices_fit(manager: StateManager) -> None:
    index = pd.date_range("2025-01-01", periods=1_000, freq="min", tz="UTC")
    series = pd.Series([100 + number / 7 for number in range(1_000)], index=index, name="price1")
    manager.save_trading_state({}, {"AAA-BBB": {"price1": series, "price2": series * 1.1}})
    assert manager.store.head() == 2
    found = manager.load_trading_state()
    assert found is not None
    pd.testing.assert_series_equal(found["pair_states"]["AAA-BBB"]["price1"], series)
    pd.testing.assert_series_equal(found["pair_states"]["AAA-BBB"]["price2"], series * 1.1)


def test_what_is_larger_than_an_event_takes_several(manager: StateManager) -> None:
    large = {"price1": [number * 1.000_1 for number in range(40_000)]}
    manager.save_trading_state({"A": large}, {}, {"portfolio": large})
    assert manager.store.head() > 6
    manager.shutdown()
    assert manager.load_trading_state() == {"active_positions": {"A": large}, "pair_states": {}, "portfolio": large}
    assert [each["state_id"] for each in manager.get_state_history()] == ["portfolio_main", "position_A"]


def test_more_pairs_than_one_event_can_name(manager: StateManager) -> None:
    positions = {f"PAIR-{number:05d}": number for number in range(2_000)}
    manager.save_trading_state(positions, {})
    manager.shutdown()
    assert manager.load_trading_state() == {"active_positions": positions, "pair_states": {}}


def test_deeply_nested_states_are_kept(manager: StateManager) -> None:
    nested: Any = "core"
    for _ in range(150):
        nested = [nested]
    manager.save_trading_state({"A": nested}, {})
    assert manager.load_position("A") == nested


def test_changed_parts_of_a_large_state_are_noticed(manager: StateManager) -> None:
    large = [number * 1.000_1 for number in range(40_000)]
    manager.save_trading_state({"A": large}, {})
    record = next(manager.store.read(stream="pair/default/position_A~0"))
    forged = PairStateSaved(state={"$type": "part", "data": "QUFB"}, pair="position_A~0")
    manager.store.append(record.stream, forged)
    assert manager.load_position("A") == large


def test_odd_names_are_kept_apart(manager: StateManager) -> None:
    names = ("A/B", "A%2FB", "A~0", "A", "", " ", "\0", "\ud800", "x" * 500, "$type", ("A", "B"), 7, None)
    positions = {name: {"name": str(number)} for number, name in enumerate(names)}
    manager.save_trading_state(positions, {})
    manager.shutdown()
    assert manager.load_trading_state() == {"active_positions": positions, "pair_states": {}}


def test_save_position_leaves_the_rest(manager: StateManager) -> None:
    saved(manager)
    assert manager.save_position("CCC-DDD", {"direction": "SHORT"}, user_id="desk", description="by hand")
    assert manager.load_position("CCC-DDD") == {"direction": "SHORT"}
    assert manager.load_position("AAA-BBB") == POSITION
    newest = manager.get_state_history("position", limit=1)
    assert [(each["state_id"], each["user_id"], each["description"]) for each in newest] == [
        ("position_CCC-DDD", "desk", "by hand")
    ]


def test_history_is_newest_first_and_has_no_data(manager: StateManager) -> None:
    saved(manager)
    manager.create_snapshot("end of day")
    manager.save_trading_state({"AAA-BBB": POSITION | {"ticket1": 8}}, {"AAA-BBB": PAIR})
    history = manager.get_state_history()
    assert [(each["state_id"], each["operation"]) for each in history] == [
        ("position_AAA-BBB", "update"),
        ("SNAPSHOT", "snapshot"),
        ("portfolio_main", "create"),
        ("pair_AAA-BBB", "create"),
        ("position_AAA-BBB", "create"),
    ]
    assert history[1]["version_id"] == "trading_snapshot_20260102_030405"
    assert history[1]["description"] == "end of day"
    assert datetime.fromisoformat(history[0]["timestamp"]) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert set(history[0]) == {
        "version_id", "state_id", "state_type", "operation", "timestamp", "user_id", "description", "data_size",
    }  # fmt: skip
    assert len(manager.get_state_history("position")) == 2
    assert len(manager.get_state_history(limit=3)) == 3


def test_summary_and_status(manager: StateManager) -> None:
    assert not manager.health_check()
    summary = saved(manager).get_portfolio_summary()
    assert (summary["exists"], summary["active_positions_count"], summary["pair_states_count"]) == (True, 1, 1)
    assert (summary["portfolio_peak_value"], summary["suspended_pairs"]) == (10_000.5, {"CCC-DDD"})
    assert summary["positions_summary"]["AAA-BBB"]["direction"] == "LONG"
    assert summary["last_update"].startswith("2026-01-02T03:04:05")
    status = manager.get_system_status()
    assert (status["initialized"], status["active_positions"], status["pair_states"]) == (True, 1, 1)
    assert manager.health_check()
    info = manager.get_state_info()
    assert info["exists"]
    assert info["size"] > 100
    manager.shutdown()
    assert not manager.health_check()


def test_any_state_of_the_file_manager(manager: StateManager) -> None:
    assert manager.save_state({"anything": 1}, add_timestamp=False)
    assert manager.load_state() == {"anything": 1}
    assert manager.save_state({"active_positions": {"A": 1}, "x": 2})
    found = manager.load_state()
    assert found is not None
    assert found.pop("last_save_time").startswith("2026-01-02")
    assert found == {"active_positions": {"A": 1}, "x": 2}
    assert manager.state_exists()
    assert manager.delete_state()
    assert not manager.state_exists()
    assert manager.load_state() is None
    assert len(manager.get_state_history()) == 4


def test_a_store_that_was_given_stays_open(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        with StateManager(store, account="ACC1") as manager:
            manager.save_trading_state({"A": 1}, {})
        assert store.head() == 2
        assert StateManager(store, account="ACC2").load_trading_state() is None
        with pytest.raises(InvalidEvent, match="account"):
            StateManager(store, account="no/account").initialize()


def test_a_lock_that_was_given_is_held(tmp_path: Path) -> None:
    held = []

    class Lock:
        def __enter__(self) -> None:
            held.append(True)

        def __exit__(self, *_: object) -> None:
            held.pop()

    manager = StateManager(tmp_path, Lock())
    manager.register_serializer("Lock", lambda _: len(held))
    manager.save_trading_state({}, {})
    assert not held


def test_the_path_of_a_json_file_keeps_the_state_beside_it(tmp_path: Path) -> None:
    one, other = (TradingStateManager(str(tmp_path / f"{name}.json")) for name in ("one", "other"))
    with one, other:
        one.save_trading_state({"A": 1}, {})
        assert other.load_trading_state() is None
    assert (tmp_path / "one.eventstore" / "main" / "journal.db").is_file()


# Snapshots


def test_a_snapshot_is_restored_into_a_new_log(manager: StateManager) -> None:
    before = saved(manager).load_trading_state()
    manager.create_snapshot()
    manager.save_trading_state({}, {}, {})
    old = manager.store.log_id
    size = manager.store.head()
    assert manager.restore_snapshot("trading_snapshot_20260102_030405")
    assert manager.load_trading_state() == before
    assert manager.store.log == "main.2"
    first = next(manager.store.read(limit=1)).event
    assert isinstance(first, LogContinued)
    assert (first.previous.bytes, first.name, first.size) == (old, "main", 5)
    assert manager.store.directory is not None
    with eventstore.open(manager.store.directory.parent) as store:
        # The old log stays, and proves what was continued.
        assert (store.head(), store.root(first.size)[1].hex()) == (size + 1, first.root)
    assert manager.get_state_history()[0]["operation"] == "restore"
    assert [each["operation"] for each in manager.get_state_history()].count("snapshot") == 1


def test_every_manager_follows_to_the_new_log(manager: StateManager, tmp_path: Path) -> None:
    saved(manager).create_snapshot()
    with StateManager(tmp_path / "data") as other:
        other.save_position("X", 1)
        manager.restore_snapshot("trading_snapshot_20260102_030405")
        other.save_position("Y", 2)
        assert (other.load_position("X"), other.load_position("Y")) == (None, 2)
        assert manager.load_position("Y") == 2
        assert StateManager(tmp_path / "data").load_position("Y") == 2


def test_a_mark_of_the_log_can_be_restored(manager: StateManager) -> None:
    saved(manager)
    manager.store.append("mark/-/end-of-day", eventstore.trading.Marked(name="end-of-day"))
    manager.save_trading_state({}, {})
    manager.restore_snapshot("end-of-day")
    assert manager.load_position("AAA-BBB") == POSITION


def test_snapshots_of_one_second_have_ids_of_their_own(manager: StateManager) -> None:
    for number in range(3):
        manager.save_position("A", number)
        manager.create_snapshot()
    manager.restore_snapshot("trading_snapshot_20260102_030405_2")
    assert manager.load_position("A") == 1


@pytest.mark.parametrize("id_", ["", "unknown", "trading_snapshot_20260102_030405"])
def test_an_unknown_snapshot_changes_nothing(manager: StateManager, id_: str) -> None:
    saved(manager)
    head = manager.store.head()
    with pytest.raises(InvalidEvent, match="there is no snapshot or mark"):
        manager.restore_snapshot(id_)
    assert (manager.store.log, manager.store.head()) == ("main", head)


def test_a_mark_from_before_the_first_save_is_refused(manager: StateManager) -> None:
    manager.store.append("mark/-/early", eventstore.trading.Marked(name="early"))
    saved(manager)
    with pytest.raises(InvalidEvent, match="was saved yet at the mark early"):
        manager.restore_snapshot("early")


def test_a_restore_says_what_stays_in_the_old_log(manager: StateManager) -> None:
    saved(manager).store.append("lockout/ACC1/r", eventstore.trading.LockoutSet(rule_id="r"))
    manager.create_snapshot()
    with pytest.warns(StateNotice, match="log main also has LockoutSet: the new log has only this state"):
        manager.restore_snapshot("trading_snapshot_20260102_030405")


def test_a_log_that_a_killed_restore_began_is_used(manager: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(manager).create_snapshot()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    log = manager.log
    monkeypatch.setattr(log, "amend", killed)
    with pytest.raises(KeyboardInterrupt):
        manager.restore_snapshot("trading_snapshot_20260102_030405")
    monkeypatch.undo()
    assert manager.store.log == "main"
    manager.restore_snapshot("trading_snapshot_20260102_030405")
    assert manager.store.log == "main.2"


def test_a_state_in_memory_cannot_continue_in_another_log() -> None:
    from eventstore.journals.memory import MemoryJournal

    manager = StateManager(eventstore.EventStore(MemoryJournal()))
    saved(manager).create_snapshot()
    id_ = manager.get_state_history()[0]["version_id"]
    with pytest.raises(StoreError, match="a log in memory, or in PostgreSQL, has no other logs"):
        manager.restore_snapshot(id_)
