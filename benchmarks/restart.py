"""Restart: from opening the directory to a full book from snapshots, against folding from the first record."""

from __future__ import annotations

import itertools
import random
import shutil
from typing import TYPE_CHECKING

import eventstore
import projections
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, seconds, spread
from benchmarks.workload import append_all, lives
from projections.worker import CutPolicy

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.setting import Setting

SECONDS_MAX = 1.0
ACCOUNTS = 100
# Orders of this mix have ten events each.
FILLS_MAX = 25

OURS = "from snapshots"
WORST = "from snapshots, killed just before the next"
ZERO = "folding from zero"


def measure(setting: Setting) -> list[Row]:
    rounds, events = setting.scaled(3, 1), setting.scaled(1_000_000, 5_000)
    with setting.directory() as directory:
        orders = _build(setting, directory, events)
        snapshots = directory / "main" / "snapshots.sqlite"
        kept = {OURS: directory / "newest", WORST: directory / "older"}

        def restarted(start: Path | None) -> float:
            # Opening writes a cut of its own after a long tail, so each round begins with the files as they were.
            for suffix in ("", "-wal", "-shm"):
                snapshots.with_name(snapshots.name + suffix).unlink(missing_ok=True)
            if start is not None:
                shutil.copyfile(start, snapshots)
            return seconds(lambda: _restart(directory, events, from_zero=start is None))

        measures = {
            OURS: lambda: restarted(kept[OURS]),
            WORST: lambda: restarted(kept[WORST]),
            ZERO: lambda: restarted(None),
        }
        figures = in_turns(rounds, measures, setting.rounds("restart", rounds))
    ours, worst = figures[OURS], figures[WORST]
    many = f"{events:,} events, {orders:,} orders, {ACCOUNTS} accounts"
    every = CutPolicy().events
    target, zero = f"≤ {SECONDS_MAX:g} s", {ZERO: figures[ZERO]}
    return [
        row(
            "restart",
            "restart to a full book, from snapshots",
            unit="s",
            figures=ours,
            beside=compared(ours, zero),
            target=target,
            met=spread(ours).median <= SECONDS_MAX,
            note=f"{many}; from opening the journal on; stopped in order, with a last cut",
        ),
        row(
            "restart-killed",
            "restart after a kill, at the worst moment",
            unit="s",
            figures=worst,
            beside=compared(worst, zero),
            target=target,
            met=spread(worst).median <= SECONDS_MAX,
            note=f"{many}; a worker cuts every {every:,} events, and the next cut was due",
        ),
    ]


def _build(setting: Setting, directory: Path, events: int) -> int:
    """Write the log, keep the file of snapshots as of its end and as of one cut earlier; return how many orders."""
    setting.say(f"restart: writing {events:,} events")
    tail = min(CutPolicy().events, events // 10)
    lived = lives(random.Random(3), accounts=ACCOUNTS, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
    with eventstore.open(directory) as store:
        for name, until in (("older", events - tail), ("newest", events)):
            append_all(store, itertools.islice(lived, until - store.head()))
            setting.say(f"restart: folding to {until:,}")
            with projections.open(store) as book:
                book.snapshot()
            shutil.copyfile(directory / "main" / "snapshots.sqlite", directory / name)
        return sum(1 for _ in store.read(types=eventstore.trading.OrderSubmitted))


def _restart(directory: Path, events: int, *, from_zero: bool) -> None:
    with eventstore.open(directory) as store:
        book = projections.open(store, snapshots=False if from_zero else None)
        assert book.position == events
        assert from_zero is (book.recovery.cut == 0)
        # Not closed before the store: what closing writes is not part of a restart.
        book.freeze()
