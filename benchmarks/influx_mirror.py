"""The mirror: events per second from a journal into InfluxDB, against sending the same bytes prebuilt."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import influxdb_client
from influxdb_client.client.write_api import SYNCHRONOUS

from benchmarks.influx_server import (
    POLL_SECONDS,
    WAIT_SECONDS_MAX,
    apart,
    forget,
    fresh_bucket,
    settings_given,
    shipped,
    shipping,
    write_log,
)
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, ratio
from eventstore.influx.points import Encoder
from eventstore.influx.ship.batches import RECORDS_MAX
from eventstore.journal import Query
from eventstore.journals.sqlite import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.setting import Setting
    from eventstore import InfluxSettings
    from tests.influx.api import Server

PART_MIN = 0.60

OURS = "the mirror"
RAW = "prebuilt lines, only sent"


def measure(setting: Setting, server: Server) -> list[Row]:
    rounds, events = setting.scaled(7, 1), setting.scaled(100_000, 2 * RECORDS_MAX)
    setting.say(f"influx_mirror: writing {events:,} events")
    with setting.directory() as directory:
        folder = write_log(directory, events)

        def rate(way: Callable[[Path, InfluxSettings], float]) -> Callable[[], float]:
            def run() -> float:
                forget(folder)
                with fresh_bucket(server) as settings:
                    return way(folder, settings)

            return run

        ways = {OURS: rate(lambda folder, settings: _mirrored(folder, settings, events)), RAW: rate(_sent_apart)}
        figures = in_turns(rounds, ways, setting.rounds("influx_mirror", rounds))
    ours = figures.pop(OURS)
    return [
        row(
            "influx-mirror",
            "mirrored to InfluxDB",
            unit="events/s",
            figures=ours,
            beside=compared(ours, figures),
            target=f"≥ {PART_MIN:.0%} of prebuilt lines",
            met=ratio(ours, figures[RAW]) >= PART_MIN,
            note=(
                f"{events:,} events in the journal, a fresh bucket and a process for each round, from the first "
                "batch's confirmation to the last's; in the baseline influxdb-client sends the same lines in one loop"
            ),
        )
    ]


def _mirrored(folder: Path, settings: InfluxSettings, events: int) -> float:
    """Ship everything; return the rate from the first cursor to the last."""
    with shipping(folder, settings):
        end = time.monotonic() + WAIT_SECONDS_MAX
        marks = [(0.0, 0)]
        while marks[-1][1] < events:
            assert time.monotonic() < end, f"only {marks[-1][1]:,} events in {WAIT_SECONDS_MAX:g} s"
            time.sleep(POLL_SECONDS)
            if (position := shipped(folder)) > marks[-1][1]:
                marks.append((time.perf_counter(), position))
    (began, first), (ended, last) = marks[1], marks[-1]
    return (last - first) / (ended - began)


def _sent_apart(folder: Path, settings: InfluxSettings) -> float:
    return float(apart("benchmarks.influx_mirror", str(folder), settings=settings))


def main(folder: Path) -> float:
    """Send the lines of the mirror, as many per request; return the rate from the first response on."""
    settings, marks = settings_given(), []
    bodies = _bodies(folder)
    with influxdb_client.InfluxDBClient(settings.url, settings.secret(), org=settings.org) as client:
        write = client.write_api(write_options=SYNCHRONOUS).write
        for body in bodies:
            write(bucket=settings.bucket, record=body)
            marks.append(time.perf_counter())
    return (len(bodies) - 1) * RECORDS_MAX / (marks[-1] - marks[0])


def _bodies(folder: Path) -> list[bytes]:
    with closing(SqliteJournal(folder / "journal.db", log=folder.name)) as journal:
        measures = {(kind.name, kind.schema): kind.measures for kind in journal.types()}
        encoder = Encoder(journal.log, journal.log_id, lambda name, schema: measures[name, schema])
        return [
            "\n".join(encoder.lines(journal.read(Query(after=after, limit=RECORDS_MAX)))).encode()
            for after in range(0, journal.head(), RECORDS_MAX)
        ]


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
