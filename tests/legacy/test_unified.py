"""The names that older programs import: settings, take-over of a file at the start, what is not done and says so."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore import InvalidEvent, Unavailable
from gateways.legacy import (
    EnhancedTradingStateManager,
    StateManager,
    StateNotice,
    TradingStateManager,
    UnifiedStateManager,
    UnreadableState,
    create_backward_compatible_manager,
    create_enhanced_trading_state_manager,
    get_state_manager,
    migrate_existing_state,
    migrate_legacy_system,
    state_manager_context,
    unified,
)

STATE = {"active_positions": {"A-B": {"direction": "LONG"}}, "pair_states": {}, "portfolio_peak_value": 5.5}


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("TRADING_STATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EVENTSTORE_DATA", str(tmp_path / "data"))
    yield
    for manager in unified._managers.values():
        manager.shutdown()
    unified._managers.clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trading_state.json"
    path.write_text(json.dumps(STATE))
    return path


def test_a_file_is_taken_over_once_and_renamed(file: Path, tmp_path: Path) -> None:
    with UnifiedStateManager(legacy_state_path=file) as manager:
        assert manager.load_trading_state() == STATE
        manager.save_trading_state({}, {}, {})
    assert not file.exists()
    assert json.loads((tmp_path / "trading_state.json.migrated").read_text()) == STATE
    with UnifiedStateManager(legacy_state_path=file) as manager:
        assert manager.get_all_positions() == []


def test_a_file_that_a_killed_start_had_migrated_is_only_renamed(file: Path) -> None:
    content = file.read_bytes()
    with UnifiedStateManager(legacy_state_path=file) as manager:
        manager.save_trading_state({"NEW": 1}, {})
    file.write_bytes(content)
    with UnifiedStateManager(legacy_state_path=file) as manager:
        assert manager.load_position("NEW") == 1
    assert not file.exists()
    assert len(list(file.parent.glob("trading_state.json.migrated*"))) == 2


def test_a_file_does_not_replace_what_a_program_saved(file: Path) -> None:
    with UnifiedStateManager() as manager:
        manager.save_trading_state({"NEW": 1}, {})
    with (
        pytest.warns(StateNotice, match=r"was not migrated: account default of log main has a state that .* saved"),
        UnifiedStateManager(legacy_state_path=file) as manager,
    ):
        assert manager.load_trading_state() == {"active_positions": {"NEW": 1}, "pair_states": {}}
    assert file.exists()


def test_a_file_that_is_cut_off_keeps_the_manager_from_starting_empty(file: Path) -> None:
    file.write_text('{"active_positions": {"A-B": {"direc')
    manager = UnifiedStateManager(legacy_state_path=file)
    for _ in range(2):
        with pytest.raises(UnreadableState, match="line 1, column 31: the file is cut off"):
            manager.load_trading_state()
    assert file.exists()
    assert not manager.health_check()


def test_without_auto_migration_the_file_stays(file: Path) -> None:
    with UnifiedStateManager(auto_migrate=False, legacy_state_path=file) as manager:
        assert manager.load_trading_state() is None
        assert manager.migrate_from_file(file)
        assert manager.load_trading_state() == STATE
    assert file.exists()
    assert len(list(file.parent.glob("trading_state.json.backup.*"))) == 1


def test_the_file_manager_takes_over_its_own_file(file: Path) -> None:
    with TradingStateManager(str(file)) as manager:
        assert manager.load_trading_state() == STATE
        manager.save_trading_state({}, {}, {})
    with TradingStateManager(str(file)) as manager:
        assert manager.get_all_positions() == []
    assert json.loads(file.read_text()) == STATE


def test_the_process_has_one_manager() -> None:
    manager = get_state_manager()
    assert get_state_manager() is manager
    assert get_state_manager(legacy_state_path="other.json") is not manager
    manager.save_trading_state({"A": 1}, {})
    manager.shutdown()
    assert get_state_manager().load_position("A") == 1
    assert manager.enhanced_manager is manager


def test_the_adapter_has_the_calls_of_the_file_manager(file: Path) -> None:
    adapter = create_backward_compatible_manager(str(file))
    assert adapter.state_exists()
    assert adapter.load_trading_state() == STATE
    assert adapter.save_trading_state({"C": 2}, {}, {"peak": 1})
    assert adapter.get_portfolio_summary()["peak"] == 1


def test_the_context_shuts_down() -> None:
    async def use() -> StateManager:
        async with state_manager_context() as manager:
            assert manager.save_trading_state({"A": 1}, {})
            await manager.start_api_server()
        return manager

    assert not asyncio.run(use()).initialized


def test_what_does_something_else_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_STATE_DB_TYPE", "postgresql")
    monkeypatch.setenv("TRADING_STATE_API_ENABLED", "true")
    manager = UnifiedStateManager()
    with pytest.warns(StateNotice) as said:
        manager.initialize()
    assert [str(each.message).partition(":")[0] for each in said] == [
        "database_type is postgresql",
        "api.enabled is true, and a manager serves no HTTP interface itself",
    ]
    manager.save_trading_state({"A": 1}, {})
    status = manager.get_system_status()
    assert (status["api_enabled"], status["api_running"], status["mirrored"]) == (True, False, False)
    assert not manager.health_check()
    with pytest.raises(Unavailable, match="run `eventstore serve`"):
        manager.start_api_server_sync()
    with pytest.warns(StateNotice, match="deleted nothing"):
        assert manager.cleanup_old_states(30) is False
    assert manager.load_position("A") == 1
    manager.shutdown()


def test_the_manager_of_a_database(file: Path) -> None:
    with create_enhanced_trading_state_manager(fallback_file_path=file) as manager:
        assert manager.load_trading_state() == STATE
    with pytest.raises(InvalidEvent, match="database_config has 'hostname'"):
        EnhancedTradingStateManager("influxdb", {"hostname": "x"})
    with pytest.raises(InvalidEvent, match="database_type 'mongodb' is unknown"):
        EnhancedTradingStateManager("mongodb")
    with pytest.warns(StateNotice, match="postgresql is neither read nor written"):
        EnhancedTradingStateManager("postgresql")
    manager = EnhancedTradingStateManager("influxdb", {"url": "http://localhost:1", "token": "t"})
    assert manager._influx is not None
    assert manager._influx.bucket == "trading-states"


def test_files_and_directories_are_migrated_by_the_old_calls(file: Path, tmp_path: Path) -> None:
    assert migrate_existing_state(file)
    assert migrate_legacy_system(file)
    assert migrate_legacy_system(tmp_path)
    with UnifiedStateManager() as manager:
        assert manager.load_trading_state() == STATE
        assert [each["operation"] for each in manager.get_state_history()].count("snapshot") == 1
