"""Many threads, one event each: group commit on the disk as it is, and with slow syncs."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import apsw
from typing_extensions import override

from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, ratio
from benchmarks.workload import submitted
from eventstore.journals.sqlite import SqliteJournal
from eventstore.store import EventStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting

SLOW, SLOW_SECONDS = "slow-disk", 0.002
TIMES_MIN = {16: 2.8, 64: 3.5}
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
            rates = _in_turns(setting, store, (1, 16, 64), rounds, long)
        # A VFS lives as long as the connections that use it.
        disk = SlowDisk(SLOW)
        with _store(directory / "slow", SLOW) as store:
            rate(store, 16, long)
            slow = _in_turns(setting, store, (1, 16), rounds, long)
        disk.unregister()
    rows = [
        _row(f"threads-{count}", f"{count} threads, one event each", rates[f"{count}"], rates["1"], least)
        for count, least in TIMES_MIN.items()
    ]
    name, what = "threads-16-slow", "16 threads, 2 ms added to each sync"
    return [*rows, _row(name, what, slow["16"], slow["1"], SLOW_TIMES_MIN)]


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
    setting: Setting, store: EventStore, counts: tuple[int, ...], rounds: int, long: float
) -> dict[str, list[float]]:
    def at(count: int) -> Callable[[], float]:
        return lambda: rate(store, count, long)

    measures = {f"{count}": at(count) for count in counts}
    return in_turns(rounds, measures, setting.rounds(f"threads {', '.join(measures)}", rounds))


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
