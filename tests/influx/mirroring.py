"""Shared by tests of the mirror: events to ship, a server's points, and what the journal expects them to be."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from eventstore import Batch, Event, EventStore, InfluxSettings, Record
from eventstore.influx.points import Encoder, type_line
from eventstore.influx.ship.shipper import Shipper
from eventstore.journals.sqlite import SqliteJournal
from eventstore.side import FileSide
from eventstore.trading import OrderAccepted, OrderRejected, OrderSubmitted, Side
from tests.influx.api import Server
from tests.reliability.checking import ROOT, environment

WAIT_SECONDS = 60.0
PATIENCE_SECONDS = 20.0
WORKER = [sys.executable, "-m", "tests.influx.shipping_worker"]
INTEGERS = {"position", "occurred_at"}

Point = tuple[dict[str, str], dict[str, object]]
"""A point's tags and fields."""


def settings_for(server: Server, bucket: str, url: str | None = None, **changes: Any) -> InfluxSettings:  # noqa: ANN401 - members of all types
    """Return the settings of a test's bucket, through a proxy if `url` is given."""
    return msgspec.structs.replace(
        InfluxSettings(url or server.url, server.org, bucket, server.token, wait_seconds=WAIT_SECONDS), **changes
    )


def event(number: int) -> Event:
    """Return an event: several types in turn, with and without a symbol and measures."""
    match number % 4:
        case 0 | 1:
            price, quantity = Decimal(number) / 4, Decimal(number + 1)
            return OrderSubmitted(
                symbol=f"S {number % 3}", side=Side.SELL, quantity=quantity, limit_price=price, reference='ä"\\'
            )
        case 2:
            return OrderAccepted(broker_order_id=f"B={number},")
        case _:
            return OrderRejected(reason=f"too\nmuch {number}")


def batches(first: int, count: int) -> list[Batch]:
    """Return events of three accounts, one per batch, some with notes and causes."""
    return [
        Batch(
            f"order/ACC{number % 3}/é{number % 50}%2F",
            event(number),
            note="by hand" if number % 7 == 0 else "",
            causation_id=number.to_bytes(16) if number % 5 == 0 else None,
        )
        for number in range(first, first + count)
    ]


def fill(store: EventStore, count: int, size: int = 500) -> None:
    """Append `count` events, some hundred at a time."""
    head = store.head()
    for first in range(head, head + count, size):
        store.append_many(batches(first, min(size, head + count - first)))


def ship(directory: Path, settings: InfluxSettings, *, log: str = "main", seconds: float = PATIENCE_SECONDS) -> int:
    """Ship a log in this process until it is caught up; raise the last error after so many seconds."""
    journal = SqliteJournal(directory / log / "journal.db", log=log)
    try:
        return Shipper(journal, FileSide(journal.path.parent), settings).run(once=True, patience_seconds=seconds)
    finally:
        journal.close()


# A server's points


def points(server: Server, bucket: str, measurement: str = "events", log: str = "main") -> dict[object, Point]:
    """Return all points of a log by time and tags, from the server's own API."""
    query = f'SELECT * FROM "{measurement}" WHERE "log" = \'{log}\' GROUP BY *'  # noqa: S608 - a test's own names
    (result,) = server.influxql(bucket, query)["results"]
    found: dict[object, Point] = {}
    for series in result.get("series", []):
        tags = {name: value for name, value in series["tags"].items() if value}
        for at, *values in series["values"]:
            named = zip(series["columns"][1:], values, strict=True)
            fields = {name: _field(name, value) for name, value in named if value is not None}
            found[at, *sorted(tags.items())] = (tags, fields)
    return found


def count(server: Server, bucket: str, log: str = "main") -> int:
    """Return the number of points of a log in `events`."""
    (result,) = server.influxql(bucket, f"SELECT count(meta) FROM events WHERE \"log\" = '{log}'")["results"]  # noqa: S608 - a test's own name
    return int(result["series"][0]["values"][0][1]) if "series" in result else 0


def _field(name: str, value: object) -> object:
    return float(value) if isinstance(value, int) and name not in INTEGERS else value


# The expected points


def expected_points(store: EventStore, *, symbols: bool = True) -> dict[object, Point]:
    """Return the points that the encoder makes of a journal, parsed by an independent parser of line protocol."""
    journal = store._journal
    measures = {(kind.name, kind.schema): kind.measures for kind in journal.types()}
    encoder = Encoder(store.log, store.log_id, lambda name, schema: measures[name, schema], symbols=symbols)
    return dict(map(_parsed, encoder.lines(store.read())))


def expected_types(store: EventStore) -> dict[object, Point]:
    first = next(store.read(limit=1)).recorded_at
    return dict(
        _parsed(
            type_line(store.log, kind.name, kind.schema, durability=kind.durability, measures=kind.measures, at=first)
        )
        for kind in store._journal.types()
    )


_TAG = re.compile(r",(\w+)=((?:[^\\, ]|\\.)*)")
_FIELD = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(-?\d+)i|([^," ]+))(?:,|$)', re.DOTALL)


def _parsed(line: str) -> tuple[object, Point]:
    head = re.compile(r"(?:[^\\ ]|\\.)*").match(line)
    assert head is not None
    tags = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _TAG.findall(head[0])}
    rest, _, at = line[head.end() + 1 :].rpartition(" ")
    fields: dict[str, object] = {}
    end = 0
    for found in _FIELD.finditer(rest):
        assert found.start() == end, rest
        end = found.end()
        name, text, integer, number = found.groups()
        fields[name] = (
            re.sub(r'\\(["\\])', r"\1", text) if text is not None else int(integer) if integer else float(number)
        )
    assert end == len(rest), rest
    return (int(at), *sorted(tags.items())), (tags, fields)


# Other processes


@contextmanager
def worker(settings: InfluxSettings, *arguments: object, alone: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Start a process of tests/influx/shipping_worker.py, with `alone` in its own session; kill it at the end."""
    with subprocess.Popen(
        [*WORKER, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=ROOT,
        start_new_session=alone,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(settings).decode() + "\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def run_worker(settings: InfluxSettings, *arguments: object) -> list[str]:
    """Run such a process to its end; return the lines it prints."""
    with worker(settings, *arguments) as process:
        answer, _ = process.communicate(timeout=WAIT_SECONDS)
        assert process.returncode == 0, arguments
        return answer.splitlines()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def as_lines(records: Sequence[Record]) -> list[str]:
    """Return each record with all its members as text, to compare byte for byte."""
    return [msgspec.json.encode(record).decode() for record in records]
