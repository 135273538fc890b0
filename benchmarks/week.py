"""Memory over a simulated week: a trading process with its book, policies and readers, and a service with clients."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec

from benchmarks.machine import resident_bytes
from benchmarks.rows import Row, compared, row
from benchmarks.week_clients import Clients
from benchmarks.week_setting import ACCOUNTS, JUDGED, Week, WeekClock
from benchmarks.week_worker import HISTORY, WEEK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.setting import Setting

HOURS = 168
QUOTES, EVENTS = 10_000_000, 1_000_000
MIB = 1 << 20
GROWTH_MAX = 1.0
FIRST = "after its first hour"
TRADING, SERVICE = "the trading process", "the service"
NAMES = {TRADING: "week-trading", SERVICE: "week-service"}
PLOT = "week.png"


def measure(setting: Setting) -> list[Row]:
    if not Path("/proc/self/statm").exists():
        setting.say("week: left out: it needs /proc")
        return []
    hours = setting.scaled(HOURS // 20, 1, full=HOURS)
    # Both at the pace of the whole week.
    quotes, events = setting.scaled(QUOTES // HOURS, 6), setting.scaled(EVENTS // HOURS, 60)
    with setting.directory() as directory:
        week = Week(
            directory=str(directory), quotes=quotes, events=events, before=setting.scaled(50_000, 1_000, full=EVENTS)
        )
        sizes = _simulated(setting, week, hours)
    if setting.full:
        draw(sizes, Path(PLOT))
        setting.say(f"week: drawn in {PLOT}")
    return [_row(setting, name, found, week) for name, found in sizes.items()]


def _row(setting: Setting, name: str, sizes: Sequence[float], week: Week) -> Row:
    hours = len(sizes)
    note = (
        f"resident, after each of {hours} simulated hours, at most {max(sizes):.0f} MiB; "
        f"{week.quotes * hours:,} quotes, {week.events * hours:,} events and those of checks and clients; "
        f"{ACCOUNTS} accounts, {len(JUDGED)} of them judged by policies; {week.before:,} events precede it"
    )
    if not setting.full:
        note += f"; the target is for {HOURS} hours, with {EVENTS:,} events before them: --full"
    return row(
        NAMES[name],
        f"memory of {name} at the end",
        unit="MiB",
        figures=[sizes[-1]],
        beside=compared([sizes[-1]], {FIRST: [sizes[0]]}),
        target=f"≤ {GROWTH_MAX:g} × {FIRST}",
        met=sizes[-1] <= GROWTH_MAX * sizes[0] if setting.full else None,
        note=note,
    )


def draw(sizes: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw the sizes in MiB after each hour."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for name, found in sizes.items():
        axes.plot(range(1, len(found) + 1), found, label=name)
    axes.set(xlabel="simulated hours", ylabel="resident memory, MiB", ylim=(0, None))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def _simulated(setting: Setting, week: Week, hours: int) -> dict[str, list[float]]:
    """Return the resident memory of each process after each hour, in MiB."""
    clock = WeekClock(week.time)
    sizes: dict[str, list[float]] = {TRADING: [], SERVICE: []}
    setting.say(f"week: writing {week.before:,} events that precede it")
    subprocess.run(_command("week_worker", HISTORY, week), check=True)
    with (
        _started(_command("week_worker", WEEK, week)) as trading,
        _started([sys.executable, "-m", "benchmarks.week_service", week.directory, str(week.time)]) as service,
    ):
        _answer(trading)
        clients = Clients(_answer(service), clock, Random(13))
        for hour in range(hours):
            assert trading.stdin is not None
            trading.stdin.write("\n")
            trading.stdin.flush()
            clients.come(_answer(trading))
            for name, process in ((TRADING, trading), (SERVICE, service)):
                sizes[name].append(resident_bytes(process.pid) / MIB)
            sampled = ", ".join(f"{name} {found[-1]:.1f} MiB" for name, found in sizes.items())
            setting.say(f"week: hour {hour + 1} of {hours}: {sampled}")
    return sizes


def _command(module: str, what: str, week: Week) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}", what, msgspec.json.encode(week).decode()]


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _answer(process: subprocess.Popen[str]) -> int:
    """Return the number that a process answers with; what went wrong it says itself."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "a process of the week has ended"
    return int(line)
