"""Files of older managers: what is refused and where, what counts where several files contradict one another."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventstore
from eventstore import EventStore, InvalidEvent
from eventstore.trading import PositionReported
from gateways.legacy import (
    BatchMigrator,
    ItemStatus,
    MigrationReport,
    NewerState,
    StateManager,
    StateMigrator,
    UnreadableState,
    validate_migration,
)
from gateways.legacy.migration import migrate
from gateways.legacy.state_files import FileKind, read_state_file
from tests.memory import directory_in_memory

POSITION = {
    "direction": "SHORT",
    "symbol1": "AAA",
    "symbol2": "BBB",
    "entry_time": "2025-01-02T03:04:05",
    "volume1": 0.1,
}
SERIES: dict[str, Any] = {
    "type": "series",
    "index": ["2025-01-02T03:04:05", "2025-01-02T03:05:05"],
    "values": [1.5, 2.5],
    "name": "p",
}
STATE: dict[str, Any] = {
    "active_positions": {"AAA-BBB": POSITION},
    "pair_states": {"AAA-BBB": {"symbol1": "AAA", "cooldown": 3, "mine": {"x": [1, "20250101"]}, "price1": SERIES}},
    "portfolio_peak_value": 10_000.25,
    "suspended_pairs": ["CCC-DDD"],
    "last_save_time": "2025-01-02T03:04:05.678",
}


def written(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as store:
        yield store


def one(reports: list[MigrationReport]) -> MigrationReport:
    (report,) = reports
    return report


def statuses(report: MigrationReport) -> dict[str, str]:
    return {f"{item.kind} {item.name}": str(item.status) for item in report.items}


# What is refused


TEXT = json.dumps(STATE)


@pytest.mark.parametrize("length", [1, 20, 60, len(TEXT) // 2, len(TEXT) - 1])
def test_a_file_that_is_cut_off_is_refused_with_the_place(store: EventStore, tmp_path: Path, length: int) -> None:
    path = written(tmp_path / "trading_state.json", TEXT[:length])
    with pytest.raises(UnreadableState) as refused:
        migrate(store, path)
    assert (refused.value.line, 1 <= refused.value.column <= length + 1) == (1, True)
    assert "cut off" in str(refused.value)
    assert "backup" not in str(refused.value)
    assert store.head() == 0
    written(tmp_path / "trading_state.json.backup", TEXT)
    with pytest.raises(UnreadableState, match=r"eventstore migrate .*trading_state\.json\.backup$"):
        migrate(store, path)
    report = one(migrate(store, tmp_path / "trading_state.json.backup"))
    assert report.complete
    assert StateManager(store).load_position("AAA-BBB") == POSITION


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "it is not JSON|cut off|ends in the middle"),
        ("[]", "this is not a state"),
        ("5", "this is not a state"),
        ('"text"', "this is not a state"),
        ('{"settings": {"a": 1}}', "this is not a state"),
        ('{"active_positions": []}', "active_positions is not an object by pair"),
        ('{"active_positions": {"A": 1, "A": 2}}', "the member 'A' is there twice"),
        ('{"active_positions": {}} {}', "Extra data"),
        ('{"active_positions": ' + "[" * 100_000, "cannot be read as a state|cut off"),
    ],
)
def test_what_is_not_a_state_is_refused(tmp_path: Path, content: str, named: str) -> None:
    with pytest.raises(UnreadableState, match=named):
        read_state_file(written(tmp_path / "state.json", content))


def test_bytes_that_are_not_text_are_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b'{"active_positions":\n {"\xff": 1}}')
    with pytest.raises(UnreadableState, match="line 2, column 4: byte 24 is not UTF-8"):
        read_state_file(path)


def test_a_missing_file_and_an_empty_directory_are_refused(store: EventStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match="there is no file"):
        migrate(store, tmp_path / "missing.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidEvent, match="has no file with a state"):
        migrate(store, tmp_path / "empty")


def test_one_file_cut_off_keeps_a_whole_directory_out(store: EventStore, tmp_path: Path) -> None:
    written(tmp_path / "trading_state.json", STATE)
    written(tmp_path / "position_fallback.json", '{"AAA-BBB": {"timestamp": "2025')
    with pytest.raises(UnreadableState, match="position_fallback"):
        migrate(store, tmp_path)
    assert store.head() == 0


def test_two_states_in_a_directory_are_refused(store: EventStore, tmp_path: Path) -> None:
    written(tmp_path / "one.json", STATE)
    written(tmp_path / "two.json", STATE)
    with pytest.raises(InvalidEvent, match="are 2 states, and an account has one"):
        migrate(store, tmp_path)


def test_a_file_does_not_take_the_place_of_a_saved_state(store: EventStore, tmp_path: Path) -> None:
    manager = StateManager(store)
    manager.save_trading_state({"NEW": 1}, {}, user_id="bot")
    path = written(tmp_path / "state.json", STATE)
    with pytest.raises(NewerState, match="has a state that bot saved at"):
        migrate(store, path)
    assert manager.load_position("NEW") == 1
    assert not list(tmp_path.glob("*.backup.*"))
    assert one(migrate(store, path, replace=True)).complete
    assert manager.load_position("NEW") is None


# What is migrated


def test_a_state_comes_back_as_the_file_has_it(store: EventStore, tmp_path: Path) -> None:
    path = written(tmp_path / "state.json", STATE)
    report = one(migrate(store, path))
    assert (report.complete, report.issues) == (True, ())
    assert statuses(report) == {
        "position AAA-BBB": "migrated",
        "pair_state AAA-BBB": "migrated",
        "portfolio portfolio_peak_value": "migrated",
        "portfolio suspended_pairs": "migrated",
        "portfolio last_save_time": "migrated",
        "position_report AAA": "set aside",
        "position_report BBB": "set aside",
    }
    loaded = StateManager(store).load_trading_state()
    assert loaded is not None
    # A series of the file is one again, as the old manager loaded it; texts stay texts.
    found = loaded["pair_states"]["AAA-BBB"].pop("price1")
    expected: Any = pd.Series([1.5, 2.5], index=pd.DatetimeIndex(SERIES["index"]), name="p")
    pd.testing.assert_series_equal(found, expected)
    pairs = {"AAA-BBB": {name: value for name, value in STATE["pair_states"]["AAA-BBB"].items() if name != "price1"}}
    assert loaded == STATE | {"pair_states": pairs}
    assert path.read_text() == json.dumps(STATE)
    assert (tmp_path / "state.json").exists()
    assert [Path(kept).read_text() for kept in report.backups] == [json.dumps(STATE)]


def test_numbers_that_json_does_not_have(store: EventStore, tmp_path: Path) -> None:
    path = written(tmp_path / "state.json", {"active_positions": {"A": {"x": math.inf, "y": 10**30}}, "z": -0.0})
    assert one(migrate(store, path)).complete
    assert StateManager(store).load_trading_state() == {"active_positions": {"A": {"x": math.inf, "y": 10**30}}, "z": 0}


def test_migrating_again_changes_nothing(store: EventStore, tmp_path: Path) -> None:
    path = written(tmp_path / "state.json", STATE)
    migrate(store, path)
    StateManager(store).save_trading_state({}, {}, {})
    head = store.head()
    report = one(migrate(store, path))
    assert (report.added, store.head(), report.complete) == (0, head, True)
    assert statuses(report)["position AAA-BBB"] == "known"
    assert StateManager(store).get_all_positions() == []
    assert len(list(tmp_path.glob("*.backup.*"))) == 1


def test_a_later_copy_of_the_file_takes_the_place_of_the_first(store: EventStore, tmp_path: Path) -> None:
    migrate(store, written(tmp_path / "state.json", STATE))
    later = STATE | {"active_positions": {}}
    assert one(migrate(store, written(tmp_path / "state.json", later))).added
    assert StateManager(store).get_all_positions() == []
    assert len(list(tmp_path.glob("*.backup.*"))) == 2


def test_a_dry_run_writes_nothing(store: EventStore, tmp_path: Path) -> None:
    path = written(tmp_path / "state.json", STATE)
    report = one(migrate(store, path, dry_run=True))
    assert (report.dry_run, report.added, store.head()) == (True, 0, 0)
    assert statuses(report)["position AAA-BBB"] == "migrated"
    assert [found.name for found in tmp_path.glob("state*")] == ["state.json"]


# Several files


@pytest.mark.parametrize(
    ("timestamp", "counts", "status"),
    [
        ("2025-01-02T03:04:06", True, ItemStatus.MIGRATED),
        ("2025-01-02T03:04:05", False, ItemStatus.SET_ASIDE),
        ("yesterday", False, ItemStatus.LEFT_OUT),
        ("2025-01-02T03:04:06+00:00", False, ItemStatus.LEFT_OUT),
    ],
)
def test_a_position_kept_when_the_database_failed_counts_if_it_is_newer(
    store: EventStore,
    tmp_path: Path,
    timestamp: str,
    counts: bool,
    status: ItemStatus,
) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    written(folder / "trading_state.json", STATE)
    written(folder / "trading_state.json.backup", "{")
    written(folder / "config.json", {"database": {}})
    fallback = {"AAA-BBB": {"direction": "LONG", "timestamp": timestamp}, "NEW": {"timestamp": timestamp}}
    written(folder / "position_fallback.json", fallback)
    reports = migrate(store, folder)
    expected = {"AAA-BBB": POSITION} | (fallback if counts else {})
    loaded = StateManager(store).load_trading_state()
    assert loaded is not None
    assert loaded["active_positions"] == expected
    assert [item.status for item in reports[0].items if item.kind == "position"][-2:] == [status] * 2
    assert {item.name: item.status for item in reports[1].items} == {
        "config.json": ItemStatus.SET_ASIDE,
        "trading_state.json.backup": ItemStatus.SET_ASIDE,
    }


def test_positions_kept_alone_are_the_state(store: EventStore, tmp_path: Path) -> None:
    path = written(
        tmp_path / "position_fallback.json", {"A": {"timestamp": "2025-01-02T03:04:05", "direction": "LONG"}}
    )
    assert read_state_file(path).kind is FileKind.FALLBACK
    migrate(store, path)
    assert StateManager(store).get_all_positions() == [{"timestamp": "2025-01-02T03:04:05", "direction": "LONG"}]


def test_holdings_are_reported_beside_the_state(store: EventStore, tmp_path: Path) -> None:
    positions = {"A": {"symbol": "ES", "quantity": 2, "direction": "short"}, "B": {"symbol": "NQ"}}
    report = one(migrate(store, written(tmp_path / "s.json", {"active_positions": positions}), account="ACC1"))
    (record,) = store.read(types=PositionReported)
    assert (record.stream, record.event) == ("position/ACC1/ES", PositionReported(symbol="ES", quantity=Decimal(-2)))
    assert statuses(report)["position_report NQ"] == "set aside"


# The old calls


def test_the_report_and_the_validation_of_the_old_calls(store: EventStore, tmp_path: Path) -> None:
    path, manager = written(tmp_path / "state.json", STATE), StateManager(store)
    assert validate_migration(path, manager)["valid"] is False
    migrator = StateMigrator(path, manager)
    assert migrator.get_migration_report()["total_items"] == 0
    assert migrator.migrate_trading_state()
    report = migrator.get_migration_report()
    assert (report["total_items"], report["failed_items"], report["success_rate"]) == (5, 0, 1.0)
    assert {entry["type"] for entry in report["migration_log"]} == {"position", "pair_state", "portfolio"}
    valid = validate_migration(path, manager)
    assert (valid["valid"], valid["issues"], valid["position_count_source"]) == (True, [], 1)
    manager.save_position("AAA-BBB", POSITION | {"volume1": 0.2})
    assert validate_migration(path, manager)["issues"] == ["position AAA-BBB differs"]
    manager.save_trading_state({"X": 1}, {}, {})
    assert validate_migration(path, manager)["issues"] == [
        "pair_state AAA-BBB is missing in the log",
        "position AAA-BBB is missing in the log",
        "position X is in the log alone",
        "the portfolio's members differ",
    ]


def test_a_file_without_a_state_is_nothing_to_migrate(store: EventStore, tmp_path: Path) -> None:
    assert StateMigrator(written(tmp_path / "state.json", {}), StateManager(store)).migrate_trading_state()
    assert store.head() == 0
    assert not list(tmp_path.glob("*.backup.*"))
    with pytest.raises(InvalidEvent, match="is not a directory"):
        BatchMigrator(StateManager(store)).migrate_directory(tmp_path / "none")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), JSON, max_size=3), st.dictionaries(st.text(), JSON, max_size=3), JSON, st.data())
def test_any_state_file_is_migrated_as_it_is_or_refused(
    positions: dict[str, Any], pairs: dict[str, Any], member: object, data: st.DataObject
) -> None:
    document = {"active_positions": positions, "pair_states": pairs, "member": member}
    text = json.dumps(document)
    with directory_in_memory() as directory:
        path = Path(directory) / "state.json"
        from eventstore.journals.memory import MemoryJournal

        store = eventstore.EventStore(MemoryJournal())
        path.write_text(text[: data.draw(st.integers(0, len(text) - 1))])
        with pytest.raises(UnreadableState):
            migrate(store, path)
        assert store.head() == 0
        path.write_text(text)
        report = one(migrate(store, path, backup=False))
        assert report.issues == ()
        assert StateManager(store).load_trading_state() == document
