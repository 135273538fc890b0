"""The benchmarks run from end to end, tiny: every row is printed and in the file; figures are not judged."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

import benchmarks
from benchmarks import timing, umadb, week
from benchmarks.run import NAMES, Results
from tests.influx.conftest import go_without
from tests.influx.servers import must_have_server

ROWS = [
    "append-p50",
    "append-p50-fresh",
    "append-p99",
    "append-p99-fresh",
    "batches",
    "batches-streams",
    "batches-stream",
    "umadb-append",
    "umadb-batch",
    "postgres-append",
    "postgres-batches",
    "postgres-threads",
    "postgres-read",
    "postgres-follow",
    "postgres-processes",
    "group-workers",
    "group-join",
    "group-leave",
    "group-death",
    "postgres-promoted",
    "postgres-silent",
    "threads-16",
    "threads-64",
    "threads-16-slow",
    "aio-stall",
    "aio-append",
    "replay",
    "fold-five",
    "fold-mix",
    "fold-five-two",
    "fold-mix-two",
    "lookup-orders",
    "lookup-positions",
    "lookup-lockouts",
    "quotes",
    "restart-first",
    "restart",
    "restart-whole",
    "restart-killed-first",
    "restart-killed",
    "past-order",
    "past-account",
    "past-holdings",
    "past-book",
    "past-book-every",
    "past-uncut",
    "past-busy",
    "why",
    "tiers-memory",
    "tiers-decoded",
    "tiers-compressed",
    "tiers-log",
    "tiers-hits-recent",
    "tiers-hits-shuffled",
    "tiers-restart",
    "risk-again",
    "risk-quote",
    "risk-order",
    "risk-fill",
    "risk-headroom",
    "risk-headroom-fill",
    "judging",
    "frame-journal",
    "vectorised-equity",
    "vectorised-round-trips",
    "archive",
    "archive-size",
    "checkpoint",
    "verify-one",
    "verify-two",
    "verify-indexes",
    "verify",
    "proof",
    "bundle-export",
    "bundle-verify",
    "sql-archive",
    "import",
    "import-memory",
    "http-append-p50",
    "http-append-p99",
    "http-follow-p99",
    "http-state-p99",
    "http-submit-p50",
    "http-timeline-p50",
    "week-trading",
    "week-service",
]
# Those that need an InfluxDB, and the one that needs one that it may kill.
INFLUX_ROWS = [
    "influx-mirror",
    "influx-read",
    "influx-confirmed",
    "influx-lag",
    "influx-memory",
    "influx-append-p50",
    "influx-append-p99",
    "influx-lookup-p99",
]
KILLING_ROWS = {"influx-memory"}
LEFT_OUT = "bench: influx: not measured: "


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    directory = tmp_path / "scratch"
    directory.mkdir()
    return directory


@pytest.mark.slow
@pytest.mark.untraced
def test_a_quick_run_prints_and_writes_every_row(
    tmp_path: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "bench.json"
    assert benchmarks.main(["--quick", "--output", str(output), "--scratch", str(scratch)]) == 0
    printed = capsys.readouterr()
    results = msgspec.json.decode(output.read_bytes(), type=Results)
    left_out = [line.removeprefix(LEFT_OUT) for line in printed.err.splitlines() if line.startswith(LEFT_OUT)]
    without = set(INFLUX_ROWS if left_out else KILLING_ROWS if "influx_memory: left out" in printed.err else ())
    assert [row.name for row in results.rows] == [name for name in ROWS + INFLUX_ROWS if name not in without]
    for row in results.rows:
        assert row.what in printed.out
        assert 0 < row.min <= row.figure <= row.max
        assert row.figure == row.median
        assert row.rounds >= 1
        assert all(beside.figure > 0 and beside.ratio > 0 for beside in row.beside)
    assert printed.out.startswith("QUICK")
    assert "bench: tiers" in printed.err
    assert list(scratch.iterdir()) == []
    if left_out:
        (reason,) = left_out
        go_without(reason, failing=must_have_server())


def test_without_a_server_its_rows_are_left_out_with_one_line_that_says_how_to_have_one(
    tmp_path: Path, scratch: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSTORE_TEST_INFLUX", "url")
    monkeypatch.delenv("EVENTSTORE_TEST_INFLUX_URL", raising=False)
    output = tmp_path / "bench.json"
    arguments = ["--only", "influx_mirror", "--only", "influx_lag", "--quick"]
    assert benchmarks.main([*arguments, "--output", str(output), "--scratch", str(scratch)]) == 0
    assert msgspec.json.decode(output.read_bytes(), type=Results).rows == []
    lines = [line for line in capsys.readouterr().err.splitlines() if "influx" in line]
    assert lines == [f"{LEFT_OUT}EVENTSTORE_TEST_INFLUX_URL is not set"]


def test_the_file_says_what_was_measured_on_and_names_nobody(tmp_path: Path, scratch: Path) -> None:
    output = tmp_path / "bench.json"
    arguments = ["--only", "lookup", "--quick", "--output", str(output), "--scratch", str(scratch)]
    assert benchmarks.main(arguments) == 0
    raw = msgspec.json.decode(output.read_bytes())
    assert raw.keys() == {"format", "scale", "seconds", "machine", "rows"}
    assert raw["scale"] == "quick"
    assert {"cores", "python", "sqlite_of_apsw", "sqlite_of_python", "file_system"} <= raw["machine"].keys()
    assert [row["name"] for row in raw["rows"]] == ["lookup-orders", "lookup-positions", "lookup-lockouts"]
    assert raw["rows"][0].keys() == {
        "name", "what", "figure", "unit", "beside", "ratio", "target", "met", "rounds", "min", "median", "max", "note",
    }  # fmt: skip
    # At a size that shows only that it works, nothing was reached and nothing was missed.
    assert {row["met"] for row in raw["rows"]} == {None}
    assert str(tmp_path) not in output.read_text()


def test_a_server_that_cannot_be_started_is_named_with_the_reason(tmp_path: Path) -> None:
    with umadb.served(tmp_path / "uma.db", (sys.executable, "-c", "raise SystemExit('no room')")) as why:
        assert why == "its server cannot be started (no room)"


def test_the_sizes_of_a_week_are_drawn(tmp_path: Path) -> None:
    week.draw({week.TRADING: [150.0, 151.0], week.SERVICE: [140.0, 139.0]}, tmp_path / "week.png")
    assert (tmp_path / "week.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmarks.main(["--only", "speed"])
    assert ended.value.code == 2
    assert ", ".join(repr(name) for name in NAMES) in capsys.readouterr().err.replace("choose from ", "")


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [30, 10, 20, 40]
    assert [timing.percentile(values, part) for part in (0.0, 0.25, 0.5, 0.99, 1.0)] == [10, 10, 20, 40, 40]


def test_rounds_take_turns_and_every_second_one_goes_back() -> None:
    order: list[str] = []
    done: list[int] = []

    def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    figures = timing.in_turns(2, {"a": lambda: measure("a"), "b": lambda: measure("b")}, done.append)
    assert order == ["a", "b", "b", "a"]
    assert figures == {"a": [1.0, 4.0], "b": [2.0, 3.0]}
    assert done == [1, 2]


def test_a_ratio_compares_within_each_round() -> None:
    assert timing.ratio([2.0, 20.0, 6.0], [1.0, 10.0, 2.0]) == 2.0
