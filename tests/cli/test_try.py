"""`try`: what a program would have done to a file; the tables, the JSON, the exit codes, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateways.cli import files
from projections.risk import programs
from tests.cli.command import ROOT, Run, plain_environment

SAMPLE = ROOT / "examples" / "executions.csv"
APEX, TOPSTEP = "apex-legacy-50k", "topstep-combine-50k"
TRY = ("try", SAMPLE, "--format", "fills", "--account", "ACC1", "--program")
HEADER = "trade_id,symbol,side,quantity,price,time"


def many(path: Path, count: int) -> Path:
    """Write so many executions, a minute apart."""
    lines = [f"T{n},ESH6,{'sell' if n % 2 else 'buy'},1,{6000 + n % 7},{1_768_200_000 + 60 * n}" for n in range(count)]
    path.write_text("\n".join((HEADER, *lines)) + "\n")
    return path


# What it says


def test_it_shows_each_day_what_would_have_locked_and_by_which_executions(run: Run) -> None:
    ended = run(*TRY, TOPSTEP)
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 80
    lines = ended.out.splitlines()
    assert "2026-01-13      5    -787.50  37.80    -787.50  50,037.10  48,862.40  09:31:26" in lines
    assert "2026-01-13      6  09:31:26           0      5  KNOWN          -" in lines
    assert any(line.startswith("2026-01-14 09:36:48  trailing-drawdown  equity 48,161.90 USD") for line in lines)
    assert "  14  2026-01-14 09:36:48  1013  buy          4  ESH6    6,905.25" in lines
    said = " ".join(lines)
    assert "ACC1: lockouts on 2 of 4 trading days: maximum-contracts on 1, trailing-drawdown on 1" in said
    assert "ACC1: 2026-01-14 09:36:48 would have ended the account: trailing-drawdown" in said
    assert "`after it` is what the account realized then, net of fees, in USD" in said
    assert any(line.startswith("2026-01-14 09:36:48") and line.endswith("  -100.20") for line in lines)
    assert any(line.startswith("2026-01-13 09:31:26") and line.endswith("  -") for line in lines)
    assert "Without quotes an open position is valued at the newest execution of its contract" in said


def test_the_document_has_all_of_it(run: Run) -> None:
    document = run(*TRY, TOPSTEP, "--json").document
    assert (document["program"], document["published"]["firm"]) == (TOPSTEP, "Topstep")
    [account] = document["accounts"]
    assert (account["days_locked"], account["ended"]["rule_id"]) == (2, "trailing-drawdown")
    day = account["days"][2]
    assert (day["trading_day"], day["realized"], day["reported"], day["difference"]) == (
        *("2026-01-14", "-2700.00", "-2700.00", "0.00"),
    )
    [lock] = day["locks"]
    assert (lock["at"], lock["until"], lock["figure"], lock["limit"], lock["after"]) == (
        *("2026-01-14T15:36:48.000000000Z", None, "48161.90", "48862.40", "-100.20"),
    )
    assert [each["line"] for each in lock["executions"]] == [11, 12, 13, 14]
    assert lock["execution"] == {
        "line": 14,
        "trade_id": "1013",
        "at": "2026-01-14T15:36:48.000000000Z",
        "symbol": "ESH6",
        "side": "BUY",
        "quantity": "4",
        "price": "6905.25",
    }
    drawdown = day["limits"][1]
    assert (drawdown["worst"], drawdown["end"], drawdown["worst_limit"]) == ("3567.30", "3567.30", "2000")
    assert (drawdown["status"], drawdown["unjudged_ns"] > 0) == ("KNOWN", True)
    assert "10 s are allowed" in drawdown["why"]


def test_times_are_in_the_programs_zone_or_the_one_that_was_asked_for(run: Run) -> None:
    assert "2026-01-14 10:36:48  trailing-drawdown" in run(*TRY, APEX).out
    assert "2026-01-14 16:36:48  trailing-drawdown" in run(*TRY, APEX, "--zone", "Europe/Berlin").out
    assert "2026-01-14T10:36:48.000000000-05:00" in run(*TRY, APEX, "--exact").out
    document = run(*TRY, APEX, "--zone", "Europe/Berlin", "--json").document
    assert document["accounts"][0]["ended"]["at"] == "2026-01-14T16:36:48.000000000+01:00"


def test_a_figure_of_the_file_that_differs_is_marked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "changed.csv"
    path.write_text(SAMPLE.read_text().replace(",650.00", ",600.00"))
    ended = run("try", path, "--format", "fills", "--account", "ACC1", "--program", APEX)
    assert ended.code == 1
    assert "825.00 !" in ended.out
    assert "! 2026-01-12: the file's figure is -50.00 USD from ours" in ended.out


def test_a_file_without_figures_has_no_column_for_them(run: Run, tmp_path: Path) -> None:
    ended = run("try", many(tmp_path / "fills.csv", 4), "--format", "fills", "--account", "A", "--program", APEX)
    assert ended.code == 0
    assert "in file" not in ended.out
    assert "A would have been locked: none" in ended.out


def test_long_histories_are_cut_and_shown_whole_if_asked_for(run: Run) -> None:
    short, whole = run(*TRY, TOPSTEP, "--rows", "2").out, run(*TRY, TOPSTEP, "--rows", "0").out
    assert "… and 2 more: --rows 0 shows all" in short
    assert "2026-01-15" not in short
    assert "… and" not in whole


def test_executions_before_the_newest_are_counted(run: Run, tmp_path: Path) -> None:
    path = many(tmp_path / "fills.csv", 8)
    path.write_text(path.read_text() + f"T9,ESH6,buy,1,6006,{1_768_200_600}\nT10,ESH6,sell,1,5900,{1_768_200_660}\n")
    arguments = ("try", path, "--format", "fills", "--account", "A", "--program", APEX)
    assert "and 5 before them: --rows 0 shows all" in run(*arguments).out
    assert "before them" not in run(*arguments, "--rows", "0").out


def test_a_narrow_screen_gets_a_line_for_each_member(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = run(*TRY, APEX).out.splitlines()
    assert max(map(len, lines)) <= 60
    assert "realized:   -2,700.00" in lines


def test_a_file_that_fits_one_format_needs_none_given(run: Run) -> None:
    with_format, without = run(*TRY, APEX), run("try", SAMPLE, "--account", "ACC1", "--program", APEX)
    assert without.out == with_format.out
    assert without.code == with_format.code


# Misuse


def test_the_programs_are_listed_without_a_file(run: Run) -> None:
    ended = run("try", "--program", "?")
    assert (ended.code, ended.err) == (0, "")
    assert all(name in ended.out for name in programs.names())
    assert [each["name"] for each in run("try", "--program", "?", "--json").document] == list(programs.names())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "give FILE and --program NAME"),
        ((SAMPLE, "--format", "fills"), "--program ? lists the programs"),
        ((SAMPLE, "--program", APEX), "requires --account"),
        ((SAMPLE, "--program", APEX, "--date", "2026-01-05"), "fits no format by its header and first row: give the"),
        (("nowhere.csv", "--format", "fills", "--program", APEX), "there is no file nowhere.csv"),
        ((".", "--format", "fills", "--program", APEX), ". is a directory: give the file to try"),
        ((SAMPLE, "--format", "fills", "--program", "apex-50k"), "did you mean apex-legacy-50k?"),
        ((SAMPLE, "--format", "excel", "--program", APEX), "unknown format 'excel'"),
        ((SAMPLE, "--format", "fills", "--program", APEX), "requires --account"),
        ((SAMPLE, "--format", "fills", "--program", APEX, "--map", "Qty"), "write it like --map Qty=quantity"),
        ((SAMPLE, "--format", "fills", "--program", APEX, "--balance", "1,000"), "--balance '1,000' is not a plain"),
        ((SAMPLE, "--format", "fills", "--program", APEX, "--balance", "1", "--account", "A"), "not 1: its floors"),
        ((SAMPLE, "--format", "fills", "--program", APEX, "--data", "data"), "No such option"),
    ],
)
def test_a_wrong_use_is_one_line_and_exit_code_2(run: Run, arguments: tuple[object, ...], why: str) -> None:
    ended = run("try", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err
    assert ended.err.count("\n") == 1


def test_rows_left_out_are_listed_and_end_with_exit_code_1(run: Run, tmp_path: Path) -> None:
    path = many(tmp_path / "fills.csv", 4)
    path.write_text(path.read_text() + "T9,ESH6,buy,many,6000,1768200600\n")
    arguments = ("try", path, "--format", "fills", "--account", "A", "--program", APEX)
    assert run(*arguments).code == 2
    ended = run(*arguments, "--keep-going")
    assert ended.code == 1
    assert "Left out (1)" in ended.out
    assert run(*arguments, "--keep-going", "--json").document["left_out"][0]["value"] == "many"


# Nothing is left behind


class Places(NamedTuple):
    """Where a process could leave something: the file's folder, its own, the home and the temporary ones."""

    file: Path
    cwd: Path
    home: Path
    temporary: Path

    @property
    def settings(self) -> dict[str, str]:
        state = {name: str(self.home / name) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
        return {"HOME": str(self.home), "TMPDIR": str(self.temporary), **state}

    def left(self) -> list[str]:
        places = (self.file.parent, self.cwd, self.home, self.temporary)
        return sorted(str(path) for place in places for path in place.rglob("*") if path != self.file)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for name in ("files", "cwd", "home", "tmp"):
        (tmp_path / name).mkdir()
    file = many(tmp_path / "files" / "fills.csv", 6_000)
    return Places(file, tmp_path / "cwd", tmp_path / "home", tmp_path / "tmp")


def arguments_for(file: Path) -> list[str]:
    return ["try", str(file), "--format", "fills", "--account", "A", "--program", "alpha-one-100k"]


def test_a_run_leaves_nothing(places: Places) -> None:
    many(places.file, 20)
    done = subprocess.run(  # noqa: PLW1510 - the exit code is looked at
        [sys.executable, "-m", "eventstore", *arguments_for(places.file)],
        cwd=places.cwd,
        env=plain_environment() | places.settings,
        capture_output=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert places.left() == []


# A signal may hit coverage's own lock, and what is measured would then wait forever.
@pytest.mark.untraced
def test_an_interrupted_run_leaves_nothing_and_shows_how_far_it_was(places: Places) -> None:
    with trying_on_a_terminal(places) as (child, screen):
        said = b""
        # It is shown after two seconds, in the middle of the work.
        while b"trying" not in said:
            part = os.read(screen, 65_536)
            assert part, said
            said += part
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):
            while os.read(screen, 65_536):
                pass
        assert child.wait(timeout=60) == 130
    assert places.left() == []


@pytest.mark.untraced
def test_a_terminated_run_leaves_nothing(places: Places) -> None:
    with trying_on_a_terminal(places) as (child, _):
        # Only at work it takes a second of the processor's time.
        while processor_seconds(child.pid) < 1 and child.poll() is None:
            time.sleep(0.02)
        child.terminate()
        assert child.wait(timeout=60) == -signal.SIGTERM
    assert places.left() == []


def processor_seconds(pid: int) -> float:
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def trying_on_a_terminal(places: Places) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    environment = plain_environment() | places.settings | {"COLUMNS": "80", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "eventstore", *arguments_for(places.file)]
    try:
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=places.cwd, env=environment
        ) as child:
            os.close(theirs)
            try:
                yield child, ours
            finally:
                child.kill()
    finally:
        os.close(ours)


def test_progress_is_shown_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    @contextlib.contextmanager
    def bar(what: str) -> Iterator[object]:
        yield lambda done, total: shown.append(f"{what} {done} of {total}")

    monkeypatch.setattr(files, "bar", bar)
    with contextlib.ExitStack() as stack:
        files.Bars(stack, 3_600)("trying", 1, 2)
        assert shown == []
        at_once = files.Bars(stack, 0)
        at_once("reading", 1, None)
        at_once("trying", 2, 2)
    assert shown == ["reading 1 of None", "trying 2 of 2"]
