"""Restart: from opening the directory to the first answer, and to every account's, against folding the whole log."""

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

FIRST_SECONDS_MAX, EACH_SECONDS_MAX = 0.2, 1.2
KILLED_FIRST_SECONDS_MAX, KILLED_EACH_SECONDS_MAX = 0.5, 3.0
ACCOUNTS = 100
# Orders of this mix have ten events each.
FILLS_MAX = 25

FIRST = "first answer"
EACH = "every account asked once"
KILLED_FIRST = "first answer, killed just before the next cut"
KILLED_EACH = "every account asked once, killed just before the next cut"
ZERO = "folding from zero"


def measure(setting: Setting) -> list[Row]:
    rounds, events = setting.scaled(3, 1), setting.scaled(1_000_000, 5_000)
    with setting.directory() as directory:
        orders = _build(setting, directory, events)
        snapshots = directory / "main" / "snapshots.sqlite"
        newest, older = directory / "newest", directory / "older"

        def restarted(start: Path | None, *, each: bool = True) -> float:
            # Opening writes a cut of its own after a long tail, so each round begins with the files as they were.
            for suffix in ("", "-wal", "-shm"):
                snapshots.with_name(snapshots.name + suffix).unlink(missing_ok=True)
            if start is not None:
                shutil.copyfile(start, snapshots)
            return seconds(lambda: _restart(directory, events, each=each, from_zero=start is None))

        measures = {
            FIRST: lambda: restarted(newest, each=False),
            EACH: lambda: restarted(newest),
            KILLED_FIRST: lambda: restarted(older, each=False),
            KILLED_EACH: lambda: restarted(older),
            ZERO: lambda: restarted(None),
        }
        figures = in_turns(rounds, measures, setting.rounds("restart", rounds))
    many = f"{events:,} events, {orders:,} orders, {ACCOUNTS} accounts"
    stopped = f"{many}; from opening the journal on; stopped in order, with a last cut"
    killed = f"{many}; a worker cuts every {CutPolicy().events:,} events, and the next cut was due"
    return [
        _row(
            "restart-first",
            "restart to the first answer",
            figures,
            measured=FIRST,
            most=FIRST_SECONDS_MAX,
            note=stopped,
        ),
        _row(
            "restart", "restart, every account asked once", figures, measured=EACH, most=EACH_SECONDS_MAX, note=stopped
        ),
        _row(
            "restart-killed-first",
            "restart after a kill at the worst moment, to the first answer",
            figures,
            measured=KILLED_FIRST,
            most=KILLED_FIRST_SECONDS_MAX,
            note=killed,
        ),
        _row(
            "restart-killed",
            "restart after a kill at the worst moment, every account asked once",
            figures,
            measured=KILLED_EACH,
            most=KILLED_EACH_SECONDS_MAX,
            note=killed,
        ),
    ]


def _row(name: str, what: str, figures: dict[str, list[float]], *, measured: str, most: float, note: str) -> Row:
    ours = figures[measured]
    return row(
        name,
        what,
        unit="s",
        figures=ours,
        beside=compared(ours, {ZERO: figures[ZERO]}),
        target=f"≤ {most:g} s",
        met=spread(ours).median <= most,
        note=note,
    )


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


def _restart(directory: Path, events: int, *, each: bool, from_zero: bool) -> None:
    with eventstore.open(directory) as store:
        book = projections.open(store, snapshots=False if from_zero else None)
        assert book.position == events
        assert from_zero is (book.recovery.cut == 0)
        now = store.clock.now_ns()
        accounts = [name for name in book.partitions("executions") if name != projections.SHARED]
        # A state is decoded when its account is first asked for.
        for account in accounts if each else accounts[:1]:
            assert book.positions.of(account) is not None
            assert book.orders.open(account) is not None
            assert not book.lockouts.active(account, now)
        # Not closed before the store: what closing writes is not part of a restart.
        book.freeze()
