"""What is damaged, taken, or in use by others: each is named, and nothing is lost or silently passed over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import eventstore
from eventstore import CorruptJournal, EventStore, InvalidEvent, ManualClock, Overloaded, Unavailable
from eventstore.trading import Marked, PortfolioSaved
from gateways.legacy import NewerState, StateManager, UnreadableState, contents, documents, state_log
from gateways.legacy.backups import back_up
from gateways.legacy.migration import migrate
from gateways.legacy.state_files import read_state_file
from tests.legacy.old_databases import FOXTROT, add, database, trade


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=ManualClock("2026-01-02T03:04:05Z")) as store:
        yield store


# The log


def test_a_save_that_names_what_is_not_there_is_damage(store: EventStore) -> None:
    state = {"positions": [["A", "position_A", 7]]}
    store.append(contents.stream("default"), PortfolioSaved(state=state, portfolio=contents.NAME))
    with pytest.raises(CorruptJournal, match=r"refers to this record, and the log does not have it"):
        StateManager(store).load_trading_state()


def test_a_save_that_names_another_event_is_damage(store: EventStore) -> None:
    store.append("mark/-/m", Marked(name="m"))
    state = {"positions": [["A", "position_A", 1]]}
    store.append(contents.stream("default"), PortfolioSaved(state=state, portfolio=contents.NAME))
    with pytest.raises(CorruptJournal, match="which is a Marked"):
        StateManager(store).load_trading_state()


def test_another_program_s_state_of_the_same_name_is_not_taken_for_one(store: EventStore) -> None:
    store.append(contents.stream("default"), PortfolioSaved(state={"positions": 5}, portfolio=contents.NAME))
    with pytest.raises(CorruptJournal, match="this is not a saved trading state"):
        StateManager(store).load_trading_state()


def test_parts_that_do_not_belong_together_are_damage(store: EventStore) -> None:
    *parts, head = documents.states_of(json.dumps([n * 1.000_1 for n in range(40_000)]).encode(), "it")
    assert parts
    for part in reversed(parts):
        store.append("pair/A/x", eventstore.trading.PairStateSaved(state=part, pair="x"))
    store.append("pair/A/x", eventstore.trading.PairStateSaved(state=head, pair="x"))
    with pytest.raises(CorruptJournal, match="the parts of a saved state"):
        documents.read_text(store, store.head())


def test_a_log_whose_continuation_was_deleted_is_not_begun_again(tmp_path: Path) -> None:
    with StateManager(tmp_path / "data") as manager:
        manager.save_trading_state({"A": 1}, {})
        manager.create_snapshot()
        manager.restore_snapshot(manager.get_state_history()[0]["version_id"])
    (tmp_path / "data" / "main.2").rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match=r"log main is continued by main\.2, which is empty"):
        StateManager(tmp_path / "data").load_trading_state()


def test_a_restore_takes_no_log_of_somebody_else(store: EventStore, tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data", log="main.2") as other:
        other.append("mark/-/m", Marked(name="m"))
    manager = StateManager(store)
    manager.save_trading_state({"A": 1}, {})
    manager.create_snapshot()
    manager.restore_snapshot("trading_snapshot_20260102_030405")
    assert manager.store.log == "main.3"
    manager.shutdown()


def test_a_save_that_was_overtaken_is_made_again(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    manager, other = StateManager(store), StateManager(store)
    log, current, overtaking = manager.log, manager.log.current, iter(["first", "second"])

    def overtaken() -> contents.Current:
        found = current()
        if (pair := next(overtaking, None)) is not None:
            other.save_position(pair, store.head())
        return found

    monkeypatch.setattr(log, "current", overtaken)
    manager.save_position("mine", 5)
    monkeypatch.undo()
    assert manager.load_trading_state() == {
        "active_positions": {"first": 0, "second": 2, "mine": 5},
        "pair_states": {},
    }


def test_a_state_that_others_never_stop_saving_is_overload(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_log, "ATTEMPTS_MAX", 3)
    manager, other = StateManager(store), StateManager(store)
    manager.save_trading_state({}, {})
    current = manager.log.current

    def overtaken() -> contents.Current:
        found = current()
        other.save_position("A", store.head())
        return found

    monkeypatch.setattr(manager.log, "current", overtaken)
    with pytest.raises(Overloaded, match="other processes saved the state of default 3 times"):
        manager.log.save(lambda _: state_log.Wanted((), (), None), state_log.Origin())


def test_a_save_while_a_file_is_copied_is_not_replaced(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, manager = tmp_path / "state.json", StateManager(store)
    path.write_text('{"active_positions": {"A": 1}}')

    def saving(*_: object) -> tuple[Path, ...]:
        manager.save_position("NEW", 2)
        return ()

    monkeypatch.setattr("gateways.legacy.backups.back_up", saving)
    with pytest.raises(NewerState):
        migrate(store, path)
    assert manager.get_all_positions() == [2]


# Files


def test_a_copy_never_replaces_another_one(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "s[1].json"
    names = []
    for content in ("one", "two", "two", "one"):
        path.write_text(content)
        (kept,) = back_up([path], store)
        names.append(kept.name)
        assert kept.read_text() == content
    assert names == [
        "s[1].json.backup.20260102_030405",
        "s[1].json.backup.20260102_030405_2",
        "s[1].json.backup.20260102_030405_2",
        "s[1].json.backup.20260102_030405",
    ]


def test_a_directory_that_takes_no_copy(store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"active_positions": {"A": 1}}')

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(InvalidEvent, match=r"cannot be copied .*No space left on device.*--no-backup"):
        migrate(store, path)
    assert store.head() == 0
    assert migrate(store, path, backup=False)[0].complete


def test_a_csv_of_versions_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "versions.csv"
    path.write_text('state_id,state_type,data\na,b,"{}')
    with pytest.raises(UnreadableState, match="it is not CSV"):
        read_state_file(path)
    path.write_text('state_id,state_type,data\na,b,"{""x"""\n')
    with pytest.raises(UnreadableState, match="line 2, column"):
        read_state_file(path)


def test_a_file_that_is_too_large_for_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    path.write_text("{}")
    monkeypatch.setattr("gateways.legacy.state_files.BYTES_MAX", 1)
    with pytest.raises(UnreadableState, match="more than 1 bytes"):
        read_state_file(path)
    with pytest.raises(InvalidEvent, match="cannot be read"):
        read_state_file(tmp_path / "missing.json")


def test_series_of_a_file_without_pandas_stay_as_they_are(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = {"type": "dataframe", "index": ["a", "b"], "values": [[1, 2], [3, 4]], "columns": ["x", "y"]}
    mixed = {"type": "series", "index": ["2025-01-02T03:04:05", "2025-01-02T03:04:05Z"], "values": [1, 2], "name": None}
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"pair_states": {"A": {"frame": frame, "mixed": mixed}}}))
    migrate(store, path)
    loaded: Any = StateManager(store).load_trading_state()
    found = loaded["pair_states"]["A"]
    expected = pd.DataFrame([[1, 2], [3, 4]], index=["a", "b"], columns=["x", "y"])
    pd.testing.assert_frame_equal(found["frame"], expected)
    assert list(found["mixed"].index) == mixed["index"]

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("gateways.legacy.pandas_values._library", missing)
    loaded = StateManager(store).load_trading_state()
    assert loaded["pair_states"]["A"] == {"frame": frame, "mixed": mixed}


def test_a_database_that_changes_while_it_is_read_without_locks_is_refused(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path / "f.db", "PRAGMA journal_mode = WAL;" + FOXTROT, {"trades": [trade("CTP.1")]})
    assert not path.with_name("f.db-wal").exists()
    before = sorted(each.name for each in tmp_path.iterdir())
    assert migrate(store, path, account="A", dry_run=True)[0].complete
    assert sorted(each.name for each in tmp_path.iterdir()) == before

    from gateways.legacy import foxtrot_tables

    plan = foxtrot_tables.PLANNERS["trades"]

    def changed(row: Any) -> Any:  # noqa: ANN401 - as the planner takes it
        add(path, {"trades": [trade("CTP.2")]})
        return plan(row)

    monkeypatch.setitem(foxtrot_tables.PLANNERS, "trades", changed)
    with pytest.raises(InvalidEvent, match="changed while it was read"):
        migrate(store, path, account="A")
    assert store.head() == 0
