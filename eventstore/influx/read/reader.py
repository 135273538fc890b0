"""Reads a bucket: one log as an EventReader, the names of its logs, and several logs merged into one."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore.config import InfluxSettings
from eventstore.influx import claims
from eventstore.influx.client import Client
from eventstore.influx.read.roots import roots
from eventstore.influx.read.source import InfluxSource
from eventstore.reader import EventReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventstore.clock import Times
    from eventstore.record import Record


class InfluxReader(EventReader):
    """Reads a log from InfluxDB alone, as a store reads its journal, and the other logs of the bucket."""

    def __init__(self, client: Client, log: str) -> None:
        self._influx = InfluxSource(client, log, claims.log_id_of(client, log))
        super().__init__(self._influx)
        self._client = client

    # A caller that asks for the whole log must not silently get only what comes before a gap: these wait until points
    # that are being written have arrived. `follow` does not: it yields what is complete and continues later.

    @override
    def head(self) -> int:
        """Return the last position, after a short wait if points before it are still being written."""
        return self._influx.stable_head()

    @override
    def version(self, stream: str) -> int:
        self._influx.stable_head()
        return super().version(stream)

    @override
    def root(self, size: int | None = None) -> tuple[int, bytes]:
        self._influx.stable_head()
        return super().root(size)

    @override
    def _roots(self) -> Mapping[int, str]:
        return roots(self._client, self.log)

    def logs(self) -> tuple[str, ...]:
        """Return the names of the bucket's logs, sorted."""
        return claims.logs(self._client)

    def read_logs(
        self,
        *,
        after: Mapping[str, int] | None = None,
        start: Times | None = None,
        stop: Times | None = None,
    ) -> Iterator[Record]:
        """Yield the records of several logs merged into one sequence, by recorded_at, then by the log's name.

        `after` maps each log to read to its cursor, the position after which to begin; None reads all logs from their
        beginnings. A record's log and position are the cursor to resume from.
        """
        cursors = dict.fromkeys(self.logs(), 0) if after is None else dict(after)
        readers = {log: InfluxReader(Client(self._client.settings), log) for log in cursors}
        try:
            parts = [reader.read(after=cursors[log], start=start, stop=stop) for log, reader in readers.items()]
            yield from heapq.merge(*parts, key=lambda record: (record.recorded_at, record.log))
        finally:
            for reader in readers.values():
                reader.close()


def connect(
    url: str | None,
    *,
    org: str | None,
    bucket: str | None,
    token: str | None,
    log: str,
    settings: InfluxSettings | None,
) -> InfluxReader:
    """Return a reader; the arguments are those of `eventstore.connect`."""
    given: dict[str, object] = {
        name: value for name, value in (("url", url), ("org", org), ("bucket", bucket), ("token", token)) if value
    }
    if settings is not None:
        settings = msgspec.structs.replace(settings, **given)
    elif {"url", "org", "bucket"} <= set(given):
        settings = msgspec.convert(given, InfluxSettings)
    else:
        settings = InfluxSettings.load(given=given)
    client = Client(settings)
    try:
        client.check_bucket(writing=False)
        return InfluxReader(client, log)
    except BaseException:
        client.close()
        raise
