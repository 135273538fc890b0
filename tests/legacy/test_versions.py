"""Versions exported from a database: they never say that a position was closed, so that is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import EventStore, InvalidEvent
from gateways.legacy import StateManager
from gateways.legacy.migration import migrate
from gateways.legacy.state_files import read_state_file
from tests.legacy.test_state_files import POSITION, STATE, one, statuses, written


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as store:
        yield store


def version(id_: str, type_: str, data: object, at: int, operation: str = "update") -> dict[str, Any]:
    row = {"state_id": id_, "state_type": type_, "operation": operation, "data": data}
    return row | {"version_id": f"{id_}_{at}", "timestamp": f"2025-01-02T03:04:{at:02d}+00:00"}


VERSIONS = [
    version("position_A", "position", {"q": 2}, 3),
    version("position_A", "position", {"q": 1}, 1),
    version("position_B", "position", {"q": 9}, 2),
    version("position_C", "position", {"deleted": True}, 5, "delete"),
    version("position_C", "position", {"q": 7}, 4),
    version("pair_A", "pair_state", {"cooldown": 1}, 2),
    version("portfolio_main", "portfolio", {"peak": 5}, 2),
    version("portfolio_main", "portfolio", {"peak": 4, "_snapshot_id": "s"}, 9, "update"),
    version("SNAPSHOT", "portfolio", {"snapshot_id": "s"}, 9, "snapshot"),
    version("x", "strategy", {"a": 1}, 2),
]


def test_positions_of_a_database_alone_are_asked_about(store: EventStore, tmp_path: Path) -> None:
    path = written(tmp_path / "versions.json", VERSIONS)
    with pytest.raises(InvalidEvent, match=r"these may be closed: A, B\. Say whether they are active with --positions"):
        migrate(store, path)
    assert store.head() == 0
    report = one(migrate(store, path, positions="closed"))
    assert statuses(report) == {
        "position A": "set aside",
        "position B": "set aside",
        "pair_state A": "migrated",
        "portfolio portfolio_main": "migrated",
        "strategy x": "left out",
    }
    expected = {"active_positions": {}, "pair_states": {"A": {"cooldown": 1}}, "peak": 5}
    assert StateManager(store).load_trading_state() == expected
    with pytest.raises(InvalidEvent, match="positions is active or closed"):
        migrate(store, path, positions="open")


def test_positions_of_a_database_that_are_stated_to_be_active(store: EventStore, tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(row) for row in VERSIONS)
    migrate(store, written(tmp_path / "versions.jsonl", lines), positions="active")
    loaded = StateManager(store).load_trading_state()
    assert loaded is not None
    assert loaded["active_positions"] == {"A": {"q": 2}, "B": {"q": 9}}


@pytest.mark.parametrize("separator", ["\u2028", "\x85"])
def test_a_line_of_json_may_have_other_separators_of_lines(tmp_path: Path, separator: str) -> None:
    row = VERSIONS[0] | {"state_id": f"one{separator}id"}
    path = tmp_path / "versions.jsonl"
    text = "\r\n".join(json.dumps(each, ensure_ascii=False) for each in (row, row))
    path.write_text(text, encoding="utf-8", newline="")
    assert read_state_file(path).document == [row, row]


def test_versions_as_csv(store: EventStore, tmp_path: Path) -> None:
    rows = "version_id,state_id,state_type,operation,data,timestamp\n"
    rows += 'v,pair_A,pair_state,update,"{""cooldown"": 1}",2025-01-02 03:04:05+00\n'
    migrate(store, written(tmp_path / "versions.csv", rows))
    assert StateManager(store).load_trading_state() == {"active_positions": {}, "pair_states": {"A": {"cooldown": 1}}}


def test_beside_a_state_file_the_database_says_nothing(store: EventStore, tmp_path: Path) -> None:
    written(tmp_path / "state.json", STATE)
    written(tmp_path / "versions.json", VERSIONS)
    report = one(migrate(store, tmp_path))
    loaded = StateManager(store).load_trading_state()
    assert loaded is not None
    assert loaded["active_positions"] == {"AAA-BBB": POSITION}
    assert "peak" not in loaded
    assert statuses(report)["position B"] == "set aside"


def test_versions_without_a_time_are_refused(store: EventStore, tmp_path: Path) -> None:
    path = written(tmp_path / "versions.json", [VERSIONS[0], VERSIONS[5] | {"timestamp": None}])
    with pytest.raises(InvalidEvent, match="version 2 has no valid timestamp"):
        migrate(store, path, positions="active")
