"""Restart: from opening the directory to the first answer, and until every view was asked; against folding it all."""

from __future__ import annotations

import itertools
import random
import shutil
import time
from typing import TYPE_CHECKING

import eventstore
import projections
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, spread
from benchmarks.workload import append_all, lives
from projections.worker import CutPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting

FIRST_SECONDS_MAX, EVERY_SECONDS_MAX = 0.2, 1.2
KILLED_FIRST_SECONDS_MAX, KILLED_EVERY_SECONDS_MAX = 0.5, 3.0
ACCOUNTS = 100
# Orders of this mix have ten events each.
FILLS_MAX = 25

FIRST = "first answer"
EVERY = "every view of every account asked"
WHOLE = "every closed order and remembered trade read as well"
KILLED_FIRST = "first answer, killed just before the next cut"
KILLED_EVERY = "every view of every account asked, killed just before the next cut"
ZERO = "folding from zero"


def measure(setting: Setting) -> list[Row]:
    rounds, events = setting.scaled(3, 1), setting.scaled(1_000_000, 5_000)
    with setting.directory() as directory:
        orders = _build(setting, directory, events)
        snapshots = directory / "main" / "snapshots.sqlite"
        newest, older = directory / "newest", directory / "older"

        def restarted(start: Path | None, ask: Callable[[projections.Book], None]) -> float:
            # Opening writes a cut of its own after a long tail, so each round begins with the files as they were.
            for suffix in ("", "-wal", "-shm"):
                snapshots.with_name(snapshots.name + suffix).unlink(missing_ok=True)
            if start is not None:
                shutil.copyfile(start, snapshots)
            return _restart(directory, events, ask, from_zero=start is None)

        measures = {
            FIRST: lambda: restarted(newest, _ask_first),
            EVERY: lambda: restarted(newest, _ask_every),
            WHOLE: lambda: restarted(newest, _ask_whole),
            KILLED_FIRST: lambda: restarted(older, _ask_first),
            KILLED_EVERY: lambda: restarted(older, _ask_every),
            ZERO: lambda: restarted(None, _ask_every),
        }
        figures = in_turns(rounds, measures, setting.rounds("restart", rounds))
    many = f"{events:,} events, {orders:,} orders, {ACCOUNTS} accounts"
    stopped = f"{many}; from opening the journal on; stopped in order, with a last cut"
    asked = f"{stopped}; closed orders and remembered trades are read one by one when they are asked for"
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
        _row("restart", f"restart, {EVERY}", figures, measured=EVERY, most=EVERY_SECONDS_MAX, note=asked),
        _row("restart-whole", f"restart, {WHOLE}", figures, measured=WHOLE, most=None, note=stopped),
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
            f"restart after a kill at the worst moment, {EVERY}",
            figures,
            measured=KILLED_EVERY,
            most=KILLED_EVERY_SECONDS_MAX,
            note=killed,
        ),
    ]


def _row(name: str, what: str, figures: dict[str, list[float]], *, measured: str, most: float | None, note: str) -> Row:
    ours = figures[measured]
    return row(
        name,
        what,
        unit="s",
        figures=ours,
        beside=compared(ours, {ZERO: figures[ZERO]}),
        target="" if most is None else f"≤ {most:g} s",
        met=None if most is None else spread(ours).median <= most,
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


def _restart(directory: Path, events: int, ask: Callable[[projections.Book], None], *, from_zero: bool) -> float:
    began = time.perf_counter()
    with eventstore.open(directory) as store:
        book = projections.open(store, snapshots=False if from_zero else None)
        assert book.position == events
        assert from_zero is (book.recovery.cut == 0)
        ask(book)
        taken = time.perf_counter() - began
        # What a thread folds and writes meanwhile must not run into what is measured next.
        book.close()
    return taken


def _ask_first(book: projections.Book) -> None:
    _ask(book, next(name for name in book.partitions("executions") if name != projections.SHARED))


def _ask_every(book: projections.Book) -> None:
    for view in book.view_names:
        for partition in book.partitions(view):
            assert book.state(view, partition) is not None
    for account in book.partitions("executions"):
        _ask(book, account)


def _ask(book: projections.Book, account: str) -> None:
    assert book.positions.of(account) is not None
    assert book.orders.open(account) is not None
    assert not book.lockouts.active(account, book.now_ns())


def _ask_whole(book: projections.Book) -> None:
    _ask_every(book)
    for account in book.partitions("executions"):
        executions, orders = book.state("executions", account), book.state("orders", account)
        held = [executions.windows, executions.recent.newer, executions.recent.older]
        for values in (*held, orders.closed, orders.fills) if orders is not None else held:
            assert all(value is not None for value in values.values())
