"""On a terminal: lines as wide as it is, and progress bars on stderr."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.command import on_terminal


def test_on_a_terminal_records_are_cut_to_its_width(data: Path) -> None:
    screen = on_terminal(["tail", "-n", "2", "--data", str(data)], 60)
    assert screen.code == 0
    assert "LockoutSet  lockout/ACC2/daily-loss v1" in screen.out
    assert all(len(line) <= 60 for line in screen.out.split("\r\n"))
    assert "…" in screen.out
    assert json.loads(on_terminal(["tail", "-n", "1", "--data", str(data), "--json"], 60).out)["position"] == 8


def test_an_import_shows_bars_for_reading_and_appending(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    rows = [f"T{number},ESZ5,1,6650,{1_759_329_000 + number}" for number in range(2_500)]
    path.write_text("\n".join(["trade_id,symbol,quantity,price,time", *rows]) + "\n")
    arguments = ["import", "--format", "fills", str(path), "--account", "A1", "--data", str(tmp_path / "data")]
    screen = on_terminal(arguments, 80)
    assert screen.code == 0
    assert "surveying" in screen.out
    assert "reading" in screen.out
    assert "appending" in screen.out
    assert "added 2,501 events" in screen.out


def test_doctor_fits_the_terminal(data: Path) -> None:
    (data / "main" / "snapshots.sqlite").write_bytes(b"no database at all" * 300)
    screen = on_terminal(["doctor", "--data", str(data)], 60)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.out)  # the bar of what is verified comes and goes
    lines = [line for line in re.split(r"[\r\n]+", plain) if not line.startswith("note: ")]
    assert all(len(line) <= 60 for line in lines)
    assert "snapshots" in screen.out
    assert any(line.startswith(" " * 22) for line in lines)


def test_verifying_shows_a_bar(data: Path) -> None:
    screen = on_terminal(["verify", "--data", str(data)], 80)
    assert screen.code == 0
    assert "verifying" in screen.out
