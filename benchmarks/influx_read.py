"""Reading back: records per second from InfluxDB, ordered and verified, against influxdb-client's two ways."""

from __future__ import annotations

import datetime
from contextlib import closing
from typing import TYPE_CHECKING

import influxdb_client
from influxdb_client.client.util import date_utils

import eventstore
from benchmarks.influx_server import fresh_bucket, shipping, wait_for, write_log
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, ratio
from benchmarks.timing import seconds as seconds_of
from eventstore.clock import NANOSECONDS
from eventstore.influx.points import FIELDS, Decoder
from eventstore.influx.points import PointRow as Point

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting
    from eventstore import InfluxSettings, Record
    from tests.influx.api import Server

STREAM_TIMES_MIN, FRAME_TIMES_MIN = 2.5, 4.0
TIMEOUT_MS = 120_000

OURS = "connect(…).read()"
STREAM = "query_stream, the same records"
FRAME = "query_data_frame, no records"


def measure(setting: Setting, server: Server) -> list[Row]:
    rounds, events = setting.scaled(5, 1), setting.scaled(100_000, 2_000)
    setting.say(f"influx_read: writing and mirroring {events:,} events")
    with setting.directory() as directory, fresh_bucket(server) as settings:
        folder = write_log(directory, events)
        with shipping(folder, settings):
            wait_for(folder, events)
        _compare(directory, settings)
        figures = _figures(setting, settings, rounds, events)
    ours = figures.pop(OURS)
    beside = compared(ours, figures)
    return [
        row(
            "influx-read",
            "read back from InfluxDB",
            unit="records/s",
            figures=ours,
            beside=beside,
            target=f"≥ {STREAM_TIMES_MIN:g} × and ≥ {FRAME_TIMES_MIN:g} ×",
            met=ratio(ours, figures[STREAM]) >= STREAM_TIMES_MIN and ratio(ours, figures[FRAME]) >= FRAME_TIMES_MIN,
            note=(
                f"{events:,} points, from connecting to the last record; the rows of query_stream, pivoted by the "
                "server, become the same records, with digests, in order; the frame keeps its columns and microseconds"
            ),
        )
    ]


def _figures(setting: Setting, settings: InfluxSettings, rounds: int, events: int) -> dict[str, list[float]]:
    ways: dict[str, Callable[[InfluxSettings], object]] = {OURS: _ours, STREAM: _streamed, FRAME: _framed}

    def rate(way: Callable[[InfluxSettings], object]) -> Callable[[], float]:
        return lambda: events / seconds_of(lambda: way(settings))

    return in_turns(rounds, {name: rate(way) for name, way in ways.items()}, setting.rounds("influx_read", rounds))


def _compare(directory: Path, settings: InfluxSettings) -> None:
    """Check that both ways return the records of the journal."""
    with eventstore.open(directory) as store:
        expected = list(store.read())
    assert _ours(settings) == expected
    assert _streamed(settings) == expected


def _ours(settings: InfluxSettings) -> list[Record]:
    with eventstore.connect(settings=settings) as reader:
        return list(reader.read())


def _streamed(settings: InfluxSettings) -> list[Record]:
    with eventstore.connect(settings=settings) as reader:
        record_of = Decoder(reader.log, reader.log_id).record
    # The client's dates are limited to microseconds; here it accepts another parser.
    usual, date_utils.date_helper = date_utils.date_helper, Nanoseconds()
    try:
        with closing(_client(settings)) as client:
            rows = (row.values for row in client.query_api().query_stream(_flux(settings.bucket)))
            found = [
                record_of(
                    Point(
                        row["_time"], row["position"], row["stream"], row["occurred_at"],
                        row["data"], row["meta"], row["type"],
                    )
                )
                for row in rows
            ]  # fmt: skip
    finally:
        date_utils.date_helper = usual
    # The server returns series after series; sorting there would cost more.
    return sorted((record for record in found if record is not None), key=lambda record: record.position)


def _framed(settings: InfluxSettings) -> object:
    with closing(_client(settings)) as client:
        return client.query_api().query_data_frame(_flux(settings.bucket))


class Nanoseconds(date_utils.DateHelper):  # type: ignore[misc]
    """Parses the server's times to UNIX ns."""

    def parse_date(self, date_string: str) -> int:
        second, _, fraction = date_string[:-1].partition(".")
        return int(datetime.datetime.fromisoformat(second + "+00:00").timestamp()) * NANOSECONDS + int(
            fraction.ljust(9, "0")
        )


def _client(settings: InfluxSettings) -> influxdb_client.InfluxDBClient:
    return influxdb_client.InfluxDBClient(settings.url, settings.secret(), org=settings.org, timeout=TIMEOUT_MS)


def _flux(bucket: str) -> str:
    fields = " or ".join(f'r._field == "{name}"' for name in FIELDS)
    columns = ", ".join(f'"{name}"' for name in ("_time", "type", *FIELDS))
    return f"""
        from(bucket: "{bucket}")
            |> range(start: 0)
            |> filter(fn: (r) => r._measurement == "events" and r.log == "main" and ({fields}))
            |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
            |> keep(columns: [{columns}])
    """
