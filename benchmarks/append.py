"""One durable append with one sync, against a bare write with a sync and against `eventsourcing`."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import eventstore
from benchmarks.rival import Rival, domain_event, originator_of
from benchmarks.rows import Row, compared, row
from benchmarks.timing import NS_PER_US, each_ns, in_turns, percentile, ratio, spread
from benchmarks.workload import submitted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting
    from eventstore import EventStore

BARE_BYTES = 300
ALLOCATED_BYTES = 1 << 20
RATIO_MAX = 1.4
MORE_US_MAX = 80.0
WARM_UP_MAX = 20_000

OURS = "store.append"
FRESH = "store.append, fresh store"
GROWING = "bare write + fdatasync, file growing"
WITHIN = "bare write + fdatasync, within a file"
RIVAL = "eventsourcing on SQLite"


def measure(setting: Setting) -> list[Row]:
    rounds, times = setting.scaled(9, 2), setting.scaled(500, 20)
    with setting.directory() as directory, eventstore.open(directory / "ours") as store:
        actions = {
            OURS: _appender(store),
            GROWING: writer(directory / "growing"),
            WITHIN: writer(directory / "allocated", ALLOCATED_BYTES),
            RIVAL: _rival(directory / "rival.db"),
        }
        warm = warm_up(actions[OURS], directory / "ours" / "main" / "journal.db-wal", setting.scaled(WARM_UP_MAX, 20))
        setting.say(f"append: {warm}")
        taken: dict[str, list[list[int]]] = {name: [] for name in (*actions, FRESH)}

        def once(name: str) -> Callable[[], float]:
            def run() -> float:
                taken[name].append(each_ns(actions[name], times))
                return 0.0

            return run

        def fresh() -> float:
            with eventstore.open(directory / f"fresh{len(taken[FRESH])}") as new:
                taken[FRESH].append(each_ns(_appender(new), times))
            return 0.0

        measures = {name: once(name) for name in actions} | {FRESH: fresh}
        in_turns(rounds, measures, setting.rounds("append", rounds))
    return _rows(taken, f"{times} appends a round; a bare write has {BARE_BYTES} bytes", warm)


def warm_up(action: Callable[[], object], log: Path, times_max: int) -> str:
    """Append until SQLite's write-ahead log has begun again from its beginning, and return after how many."""
    before = _restarts(log)
    for number in range(1, times_max + 1):
        action()
        if number % 100 == 0 and _restarts(log) != before:
            return f"warmed up by {number} appends, through the write-ahead log's first checkpoint"
    return f"warmed up by {times_max} appends; the write-ahead log has not begun again yet"


def _restarts(log: Path) -> bytes:
    """Return the checkpoint sequence number from the log's header (sqlite.org/fileformat2.html, section 4.1)."""
    with log.open("rb") as file:
        return file.read(16)[12:]


def _appender(store: EventStore) -> Callable[[], object]:
    numbers, event = itertools.count(), submitted(1)
    return lambda: store.append(f"order/ACC1/O-{next(numbers):08}", event)


def writer(path: Path, allocated: int = 0) -> Callable[[], object]:
    """Return a function that writes and syncs: at the end of a file, or over and over within what it has already."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(handle, bytes(allocated))
    os.fsync(handle)
    data, places = os.urandom(BARE_BYTES), itertools.count()
    within = allocated // BARE_BYTES

    def write() -> None:
        number = next(places)
        os.pwrite(handle, data, BARE_BYTES * (number % within if within else number))
        os.fdatasync(handle)

    return write


def _rival(path: Path) -> Callable[[], object]:
    rival, numbers, event = Rival(path), itertools.count(), submitted(1)
    assert rival.is_synced
    return lambda: rival.put([domain_event(event, originator_of(f"order/ACC1/O-{next(numbers):08}"), 1)])


def _rows(taken: dict[str, list[list[int]]], note: str, warm: str) -> list[Row]:
    rows = []
    of_stores = (
        ("", OURS, "one durable append", warm),
        ("-fresh", FRESH, "the first appends of a store", "no warm-up"),
    )
    for (name, part), (of, ours, what, how) in itertools.product((("p50", 0.5), ("p99", 0.99)), of_stores):
        figures = {each: [percentile(r, part) / NS_PER_US for r in rounds] for each, rounds in taken.items()}
        own = figures[ours]
        others = {each: found for each, found in figures.items() if each not in {OURS, FRESH}}
        met = None
        if name == "p50":
            more = spread(own).median - spread(others[GROWING]).median
            met = ratio(own, others[GROWING]) <= RATIO_MAX and more <= MORE_US_MAX
        rows.append(
            row(
                f"append-{name}{of}",
                f"{what}, {name}",
                unit="µs",
                figures=own,
                beside=compared(own, others),
                target=f"≤ {RATIO_MAX} × bare and ≤ bare + {MORE_US_MAX:.0f} µs" if name == "p50" else "",
                met=met,
                note=f"{note}; {how}" if name == "p50" else "",
            )
        )
    return rows
