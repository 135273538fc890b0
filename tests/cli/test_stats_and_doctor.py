"""`stats`, `doctor` and `bench`: contents of a log, health of its directory, and speed."""

from __future__ import annotations

import shutil
import sys
import types
from pathlib import Path

import pytest

import eventstore
from gateways.alerting import checks
from gateways.cli.doctor import sync_check
from tests.cli.command import Run, flip


def test_stats_count_by_type_category_and_account(run: Run, data: Path) -> None:
    counted = run("stats", "--data", data, "--json").document
    assert (counted["events"], counted["streams"]) == (8, 6)
    assert counted["types"]["OrderFilled"] == 3
    assert counted["categories"] == {"contract": 1, "order": 6, "lockout": 1}
    assert counted["accounts"] == {"-": 1, "ACC1": 5, "ACC2": 2}
    assert counted["first_occurred_at"] == "2025-11-19T15:00:00.000000000Z"
    assert counted["last_occurred_at"] == "2025-11-19T15:00:07.000000000Z"
    assert counted["bytes"] > 8_000
    assert counted["events_per_second"] > 0
    assert len(counted["log_id"]) == 36


def test_stats_as_tables(run: Run, data: Path) -> None:
    ended = run("stats", "--data", data, "--zone", "America/Chicago")
    assert "8 events in 6 streams" in ended.out
    assert "occurred 2025-11-19T09:00:00.000-06:00" in ended.out
    assert "37.5 %" in ended.out
    assert ended.err == ""


def test_stats_of_an_empty_log(run: Run, tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    counted = run("stats", "--data", tmp_path, "--json").document
    assert (counted["events"], counted["first_recorded_at"], counted["events_per_second"]) == (0, None, None)
    assert run("stats", "--data", tmp_path).code == 0
    assert run("state", "--data", tmp_path).code == 0
    assert run("tail", "--data", tmp_path).code == 0
    assert run("verify", "--data", tmp_path).code == 0
    assert run("doctor", "--data", tmp_path).code == 0


def test_doctor_finds_nothing_wrong_with_a_sound_log(run: Run, data: Path) -> None:
    ended = run("doctor", "--data", data, "--json")
    assert (ended.code, ended.document["ok"]) == (0, True)
    names = {check["name"]: check["status"] for check in ended.document["checks"]}
    assert {"opening", "storage", "records", "watermarks", "snapshots", "disk space", "disk sync"} <= set(names)
    assert "wrong" not in names.values()
    lines = run("doctor", "--data", data).out.splitlines()
    assert len(lines) == len(names)
    assert all(line.split()[0] in {"ok", "warning"} for line in lines)


def test_doctor_says_where_a_log_was_changed(run: Run, data: Path) -> None:
    flip(data, 4)
    ended = run("doctor", "--data", data)
    assert ended.code == 1
    assert "wrong    opening      position 4" in ended.out


def test_doctor_finds_a_damaged_snapshots_file_and_continues(run: Run, data: Path) -> None:
    (data / "main" / "snapshots.sqlite").write_bytes(b"no database at all" * 300)
    ended = run("doctor", "--data", data)
    assert ended.code == 0
    assert "warning  snapshots" in ended.out


def test_doctor_finds_an_unreadable_watermark(run: Run, data: Path) -> None:
    eventstore.open(data).close()
    (data / "main" / "watermarks" / "mirror").write_bytes(b"{}")
    ended = run("doctor", "--data", data)
    assert ended.code in {1, 2}
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("kind", "free", "status", "code"),
    [
        ("ext4", 10**12, "ok", 0),
        ("tmpfs", 10**12, "warning", 0),
        ("ext4", 10**8, "warning", 0),
        ("ext4", 10**6, "wrong", 1),
    ],
)
def test_doctor_judges_the_place(  # noqa: PLR0917 - a case's members
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, kind: str, free: int, status: str, code: int
) -> None:
    monkeypatch.setattr(checks, "file_system", lambda _: kind)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(total=10**12, used=0, free=free))
    ended = run("doctor", "--data", data, "--json")
    statuses = {check["status"] for check in ended.document["checks"] if check["name"] in {"file system", "disk space"}}
    assert (ended.code, ended.document["ok"]) == (code, code == 0)
    assert status in statuses


def test_a_network_file_system_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "file_system", lambda _: "nfs4")
    assert next(checks.directory_checks(tmp_path)).status == "wrong"


def test_a_disk_that_answers_too_quickly_is_warned_of() -> None:
    assert sync_check([2_000] * 49 + [90_000_000]).status == "warning"
    assert sync_check([60_000] * 50).status == "ok"


def test_bench_says_that_it_needs_a_checkout(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "benchmarks", None)
    ended = run("bench")
    assert (ended.code, ended.out) == (2, "")
    assert "in a checkout" in ended.err


def test_bench_hands_its_arguments_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def main(arguments: list[str]) -> int:
        given.extend(arguments)
        return 1

    module = types.ModuleType("benchmarks")
    module.main = main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "benchmarks", module)
    ended = run("bench", "--only", "append", "--json")
    assert ended.code == 1
    assert given == ["--only", "append", "--json"]
