"""Many threads, one event each: group commit on the disk as it is, and with slow syncs."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import apsw
from typing_extensions import override

from benchmarks.append import GROWING, writer
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, ratio, spread
from benchmarks.workload import submitted
from eventstore.journals.sqlite import SqliteJournal
from eventstore.store import EventStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting

SLOW, SLOW_SECONDS = "slow-disk", 0.002
RATE_MIN, BARE_TIMES_MIN = 10_000, 1.8
TIMES_MIN_OF_64 = 3.5
SLOW_TIMES_MIN = 10.0
WARM_UP_SECONDS = 1.5


class SlowFile(apsw.VFSFile):
    """A file whose syncs take 2 ms longer, as those of a usual disk do."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)

    @override
    def xSync(self, flags: int) -> None:
        time.sleep(SLOW_SECONDS)
        super().xSync(flags)


class SlowDisk(apsw.VFS):
    """The system's own files, but for their syncs."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> Any:
        return SlowFile(name, flags)


def measure(setting: Setting) -> list[Row]:
    rounds = setting.scaled(5, 2)
    long = 1.0 if not setting.quick else 0.05
    with setting.directory() as directory:
        with _store(directory / "quick") as store:
            rate(store, 16, WARM_UP_SECONDS if not setting.quick else long)
            bare = _bare_rate(directory / "bare", long)
            rates = _in_turns(setting, store, (1, 16, 64), rounds, long, bare=bare)
        # A VFS lives as long as the connections that use it.
        disk = SlowDisk(SLOW)
        with _store(directory / "slow", SLOW) as store:
            rate(store, 16, long)
            slow = _in_turns(setting, store, (1, 16), rounds, long)
        disk.unregister()
    return [
        _usual_row(rates),
        _row("threads-64", "64 threads, one event each", rates["64"], rates["1"], TIMES_MIN_OF_64),
        _row("threads-16-slow", "16 threads, 2 ms added to each sync", slow["16"], slow["1"], SLOW_TIMES_MIN),
    ]


def _usual_row(rates: dict[str, list[float]]) -> Row:
    many, bare = rates["16"], rates[GROWING]
    return row(
        "threads-16",
        "16 threads, one event each",
        unit="events/s",
        figures=many,
        beside=compared(many, {"one thread": rates["1"], GROWING: bare}),
        target=f"≥ {RATE_MIN:,} or ≥ {BARE_TIMES_MIN} × bare",
        met=spread(many).median >= RATE_MIN or ratio(many, bare) >= BARE_TIMES_MIN,
    )


def _row(name: str, what: str, many: list[float], one: list[float], least: float) -> Row:
    return row(
        name,
        what,
        unit="events/s",
        figures=many,
        beside=compared(many, {"one thread": one}),
        target=f"≥ {least:g} × one thread",
        met=ratio(many, one) >= least,
    )


def _store(directory: Path, vfs: str | None = None) -> contextlib.closing[EventStore]:
    return contextlib.closing(EventStore(SqliteJournal(directory / "journal.db", vfs=vfs)))


def _in_turns(
    setting: Setting,
    store: EventStore,
    counts: tuple[int, ...],
    rounds: int,
    long: float,
    *,
    bare: Callable[[], float] | None = None,
) -> dict[str, list[float]]:
    def at(count: int) -> Callable[[], float]:
        return lambda: rate(store, count, long)

    measures = {f"{count}": at(count) for count in counts}
    if bare is not None:
        measures[GROWING] = bare
    return in_turns(rounds, measures, setting.rounds(f"threads {', '.join(measures)}", rounds))


def _bare_rate(path: Path, long: float) -> Callable[[], float]:
    """Return what writes and syncs for a while, alone, and returns the syncs per second."""
    write = writer(path)

    def syncs() -> float:
        began = time.perf_counter()
        written = 0
        while time.perf_counter() - began < long:
            write()
            written += 1
        return written / (time.perf_counter() - began)

    return syncs


def rate(store: EventStore, count: int, long: float) -> float:
    """Append from some threads for a while, each to a stream of its own, and return the events per second."""
    start, stop = threading.Barrier(count + 1), threading.Event()
    done = [0] * count

    def append(index: int) -> None:
        stream, event, appended = f"order/ACC1/T-{index:02}", submitted(index), 0
        start.wait()
        while not stop.is_set():
            store.append(stream, event)
            appended += 1
        done[index] = appended

    threads = [threading.Thread(target=append, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    time.sleep(long)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)
