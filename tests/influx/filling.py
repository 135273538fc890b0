"""Logs written to a bucket by tests: records at chosen times, as points, whole or in parts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from typing_extensions import override

from eventstore import InfluxSettings, Record
from eventstore.clock import format_time
from eventstore.ids import keyed_id
from eventstore.influx import claims
from eventstore.influx.client import Client, RawResponse
from eventstore.influx.points import Encoder
from eventstore.record import digest, digest_prefix
from tests.influx.api import Server

LOG_ID = bytes(range(16))
BEGAN_AT = 1_753_113_600_000_000_000
SECOND = 1_000_000_000
BATCH_BYTES = 4_000_000
VISIBLE_SECONDS_MAX, POLL_SECONDS = 20.0, 0.05
STREAMS = ("order/ACC1/O-1", "order/ACC2/O-2", "position/ACC1/ESZ5")
TYPES = ("Noted", "Changed")
_FIELD = re.compile(r"(position|stream|occurred_at|data|meta)=(\"(?:[^\"\\]|\\.)*\"|[^, ]+)")


def records_at(
    times: Iterable[int], *, after: int = 0, log: str = "main", log_id: bytes = LOG_ID, size: int = 0
) -> list[Record]:
    """Return a record for each time, of three streams and two types in turn, each with `size` bytes of text."""
    records = []
    for position, recorded_at in enumerate(times, after + 1):
        stream, type_ = STREAMS[position % len(STREAMS)], TYPES[position // len(STREAMS) % len(TYPES)]
        data = json.dumps({"text": f"{position}".ljust(size, "x")}).encode()
        version = len(range(position % len(STREAMS) or len(STREAMS), position + 1, len(STREAMS)))
        records.append(
            with_digest(
                Record(
                    keyed_id(stream, f"{position}"), stream, type_, 1, recorded_at, data, "tests", "", None, None,
                    position, version, recorded_at, b"", log,
                ),
                log_id,
            )
        )  # fmt: skip
    return records


def with_digest(record: Record, log_id: bytes = LOG_ID) -> Record:
    """Return a record with the digest of its members."""
    found = digest(digest_prefix(log_id, record), record.position, record.version, record.recorded_at, record)
    return msgspec.structs.replace(record, digest=found)


def seconds(count: int, *, after: int = 0) -> list[int]:
    """Return `count` times, a second apart."""
    return [BEGAN_AT + number * SECOND for number in range(after, after + count)]


def settings_of(server: Server, bucket: str, **changes: Any) -> InfluxSettings:  # noqa: ANN401 - members of all types
    return msgspec.structs.replace(InfluxSettings(server.url, server.org, bucket, server.token), **changes)


def lines_of(records: Sequence[Record], *, log_id: bytes = LOG_ID) -> list[str]:
    """Return the lines of records, as the mirror writes them."""
    return Encoder(records[0].log, log_id, lambda _type, _schema: ()).lines(records)


def claim(server: Server, bucket: str, log: str = "main", log_id: bytes = LOG_ID) -> None:
    """Claim a log's name, and wait until the claim can be read: InfluxDB may show later what its 204 has confirmed."""
    client = Client(settings_of(server, bucket))
    claims.write(client, log, log_id, "home", symbols=True, at=1)
    end = time.monotonic() + VISIBLE_SECONDS_MAX
    while claims.current(client, log) is None:
        assert time.monotonic() < end, f"the claim of {log} in {bucket} cannot be read"
        time.sleep(POLL_SECONDS)
    client.close()


def fill(server: Server, bucket: str, records: Sequence[Record], *, log_id: bytes = LOG_ID) -> None:
    """Claim the records' log and write them, some megabytes at a time."""
    claim(server, bucket, records[0].log, log_id)
    lines, size = [], 0
    for line in lines_of(records, log_id=log_id):
        lines.append(line)
        size += len(line)
        if size > BATCH_BYTES:
            write(server, bucket, lines)
            lines, size = [], 0
    write(server, bucket, lines)


def write(server: Server, bucket: str, lines: Sequence[str]) -> None:
    if lines:
        server.write(bucket, "\n".join(lines).encode())


def parts_of(line: str, *names: str) -> tuple[str, str]:
    """Return a point's line with these fields only, and the line with its other fields."""
    tags, at = line.split(" ", 1)[0], line.rsplit(" ", 1)[1]
    fields = dict(_FIELD.findall(line[len(tags) :]))
    first = ",".join(f"{name}={fields.pop(name)}" for name in names)
    rest = ",".join(f"{name}={value}" for name, value in fields.items())
    return f"{tags} {first} {at}", f"{tags} {rest} {at}"


def delete(server: Server, bucket: str, record: Record) -> None:
    """Delete the point of one record, as an administrator can."""
    at = format_time(record.recorded_at)
    server.delete_points(bucket, '_measurement="events"', start=at, stop=at)


class CountingClient(Client):
    """Records its queries and the sizes of the responses."""

    def __init__(self, settings: InfluxSettings) -> None:
        super().__init__(settings)
        self.queries: list[str] = []
        self.sizes: list[int] = []

    @override
    def fetch(self, query: str, values: Mapping[str, object] | None = None) -> RawResponse:
        self.queries.append(query)
        raw = super().fetch(query, values)
        self.sizes.append(len(raw.body))
        return raw


class JsonClient(Client):
    """Gets JSON, as from a server without MessagePack."""

    def __init__(self, settings: InfluxSettings) -> None:
        super().__init__(settings)
        send = self._pool.urlopen

        def urlopen(method: str, url: str, **given: Any) -> Any:  # noqa: ANN401 - as urllib3 has it
            return send(method, url, **{**given, "headers": {**given.get("headers", {}), "Accept": "application/json"}})

        self._pool.urlopen = urlopen  # type: ignore[method-assign, assignment]

    @override
    def fetch(self, query: str, values: Mapping[str, object] | None = None) -> RawResponse:
        raw = super().fetch(query, values)
        assert not raw.is_msgpack
        return raw
