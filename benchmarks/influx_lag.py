"""Latency to InfluxDB: one event that waits for its confirmation, and the lag behind a steady stream."""

from __future__ import annotations

import contextlib
import itertools
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import influxdb_client
import msgspec
from influxdb_client.client.write_api import SYNCHRONOUS

import eventstore
from benchmarks.influx_server import ACCOUNTS, ALIVE, FILLS_MAX, fresh_bucket, settings_given
from benchmarks.rows import Row, compared, row
from benchmarks.timing import NS_PER_US, each_ns, percentile, spread
from benchmarks.workload import lives, submitted
from eventstore import MIRRORED, Batch, SystemClock
from eventstore.influx import status
from eventstore.influx.points import Encoder
from eventstore.journal import Query
from eventstore.journals.sqlite import SqliteJournal
from eventstore.side import FileSide

if TYPE_CHECKING:
    from benchmarks.setting import Setting
    from eventstore import InfluxSettings, Record
    from tests.influx.api import Server

    Sampled = list[tuple[int, int]]

LAG_MS_MAX = 1_000.0
NS_PER_MS = 1_000 * NS_PER_US
RATE = 5_000
COMMIT_EVENTS = 50
SAMPLE_SECONDS = 0.003
BARE_TIMES = 200

MIRRORED_ONE = "append, MIRRORED"
BARE_ONE = "a bare write of one point"
BARE_MANY = f"a bare write of {COMMIT_EVENTS} points, p99"


class Paced(msgspec.Struct, frozen=True):
    """The result of the appending process: the positions before and after its run, and how long it took."""

    first: int
    last: int
    seconds: float


def measure(setting: Setting, server: Server) -> list[Row]:
    return [_confirmed(setting, server), _lag(setting, server)]


def _confirmed(setting: Setting, server: Server) -> Row:
    rounds, times = setting.scaled(5, 2), setting.scaled(40, 5)
    taken: dict[str, list[float]] = {MIRRORED_ONE: [], BARE_ONE: []}
    with contextlib.ExitStack() as stack:
        settings, bare = (stack.enter_context(fresh_bucket(server)) for _ in range(2))
        directory = stack.enter_context(setting.directory())
        store = stack.enter_context(eventstore.open(directory, influx=settings))
        writer = stack.enter_context(closing(_Bare(bare)))
        numbers, event = itertools.count(), submitted(1)

        def append() -> list[Record]:
            return store.append(f"order/ACC1/O-{next(numbers):08}", event, durability=MIRRORED)

        # The first append waits for the start of the process and the claim of the log.
        line = _lines(store.log_id, append())[0].rpartition(" ")[0]

        def write() -> None:
            writer.write(f"{line} {SystemClock.now_ns()}")

        write()
        for number in range(rounds):
            pairs = [(each_ns(append, 1), each_ns(write, 1)) for _ in range(times)]
            for name, each in zip(taken, zip(*pairs, strict=True), strict=True):
                taken[name].append(percentile(list(itertools.chain(*each)), 0.5) / NS_PER_MS)
            setting.say(f"influx_lag: confirmed: round {number + 1} of {rounds}")
    ours = taken.pop(MIRRORED_ONE)
    return row(
        "influx-confirmed",
        "one event, MIRRORED, p50",
        unit="ms",
        figures=ours,
        beside=compared(ours, taken),
        note=f"{times} of each per round, alternating; the bare write by influxdb-client, synchronous",
    )


def _lag(setting: Setting, server: Server) -> Row:
    rounds, stretch = setting.scaled(3, 1), setting.scaled(10_000, 200) / 1_000
    lags: list[float] = []
    bare: list[float] = []
    rates: list[float] = []
    for number in range(rounds):
        with setting.directory() as directory, fresh_bucket(server) as settings:
            paced, records, sampled = _stretch(directory, settings, stretch)
            rates.append((paced.last - paced.first) / paced.seconds)
            lags.append(percentile(_lags(records, sampled), 0.99) / NS_PER_MS)
        with fresh_bucket(server) as settings:
            bare.append(percentile(_bare_writes(settings, records), 0.99) / NS_PER_MS)
        setting.say(f"influx_lag: {RATE:,} events/s: round {number + 1} of {rounds}")
    return row(
        "influx-lag",
        f"lag behind {RATE:,} events/s, p99",
        unit="ms",
        figures=lags,
        beside=compared(lags, {BARE_MANY: bare}),
        target=f"≤ {LAG_MS_MAX:,.0f} ms",
        met=spread(lags).median <= LAG_MS_MAX,
        note=(
            f"{COMMIT_EVENTS} events per commit for {stretch:g} s by another process, at least {min(rates):,.0f} per "
            f"second; from recorded_at to a cursor at or past it, sampled every {SAMPLE_SECONDS * 1_000:g} ms"
        ),
    )


def _stretch(directory: Path, settings: InfluxSettings, stretch: float) -> tuple[Paced, list[Record], Sampled]:
    """Append at RATE for some seconds; return what was appended, and the sampled cursor with its times."""
    command = [sys.executable, "-m", "benchmarks.influx_lag", str(directory), str(stretch)]
    # There is a log before its cursor is asked for.
    eventstore.open(directory).close()
    folder, sampled = directory / "main", []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(settings))
        process.stdin.close()
        seen = 0
        while process.poll() is None:
            mark = status.read_cursor(FileSide(folder))
            if mark is not None and mark.position > seen:
                seen = mark.position
                sampled.append((seen, SystemClock.now_ns()))
            time.sleep(SAMPLE_SECONDS)
        paced = msgspec.json.decode(process.stdout.read(), type=Paced)
    with closing(SqliteJournal(folder / "journal.db", log=folder.name)) as journal:
        records: list[Record] = []
        while page := journal.read(Query(after=paced.first + len(records), limit=5_000)):
            records += page
    return paced, records, sampled


def _lags(records: list[Record], sampled: Sampled) -> list[int]:
    """Return for each record the time from its recorded_at to the first sampled cursor at or past it."""
    marks = iter(sampled)
    position, at = next(marks)
    lags = []
    for record in records:
        while position < record.position:
            position, at = next(marks)
        lags.append(at - record.recorded_at)
    return lags


def _bare_writes(settings: InfluxSettings, records: list[Record]) -> list[int]:
    """Return the duration of a synchronous write of each group of lines, one after the other."""
    lines = _lines(b"", records)
    parts = itertools.cycle([lines[at : at + COMMIT_EVENTS] for at in range(0, len(lines), COMMIT_EVENTS)])
    with closing(_Bare(settings)) as writer:
        return each_ns(lambda: writer.write("\n".join(next(parts))), min(BARE_TIMES, len(lines) // COMMIT_EVENTS))


def _lines(log_id: bytes, records: list[Record]) -> list[str]:
    return Encoder("main", log_id, lambda *_: ()).lines(records)


class _Bare:
    """The synchronous write of influxdb-client."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._bucket = settings.bucket
        self._client = influxdb_client.InfluxDBClient(settings.url, settings.secret(), org=settings.org)
        self._write = self._client.write_api(write_options=SYNCHRONOUS).write

    def write(self, lines: str) -> None:
        self._write(bucket=self._bucket, record=lines)

    def close(self) -> None:
        self._client.close()


def main(directory: Path, stretch: float) -> Paced:
    """Append at RATE for some seconds; return when InfluxDB has confirmed everything."""
    events = lives(random.Random(8), accounts=ACCOUNTS, alive=ALIVE, fills_max=FILLS_MAX)
    commits = [
        [Batch(stream, event) for stream, event in itertools.islice(events, COMMIT_EVENTS)]
        for _ in range(int(stretch * RATE / COMMIT_EVENTS))
    ]
    with eventstore.open(directory, influx=settings_given()) as store:
        # Starts the process and claims the log before the measurement.
        store.append("order/ACC1/first", submitted(1), durability=MIRRORED)
        first, began = store.head(), time.perf_counter()
        for number, commit in enumerate(commits):
            time.sleep(max(began + number * COMMIT_EVENTS / RATE - time.perf_counter(), 0.0))
            store.append_many(commit)
        seconds = time.perf_counter() - began
        assert store.mirror.wait()
        # The sampling process sees the last cursor before this process ends.
        time.sleep(SAMPLE_SECONDS * 20)
        return Paced(first, store.head(), seconds)


if __name__ == "__main__":
    print(msgspec.json.encode(main(Path(sys.argv[1]), float(sys.argv[2]))).decode())
