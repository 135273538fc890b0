"""The source contract, on a real InfluxDB that holds a journal's records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from eventstore import InfluxSettings, Record
from eventstore.influx import claims
from eventstore.influx.client import Client
from eventstore.influx.points import Encoder
from eventstore.influx.read.source import InfluxSource
from eventstore.journals.memory import MemoryJournal
from eventstore.testing import SourceContract
from tests.influx.servers import Server


@pytest.fixture(scope="module")
def settings(server: Server, journal: MemoryJournal, records: Sequence[Record]) -> Iterator[InfluxSettings]:
    """Settings of a bucket with the history, and a point of another log after each of its points."""
    bucket = server.make_bucket()
    settings = InfluxSettings(server.url, server.org, bucket, server.token)
    client = Client(settings)
    for log, log_id in (("main", journal.log_id), ("other", bytes(16))):
        claims.write(client, log, log_id, "home", symbols=True, at=1)
        client.write("\n".join(Encoder(log, log_id, lambda _type, _schema: ()).lines(records)).encode())
    client.close()
    yield settings
    server.delete_bucket(bucket)


class TestInfluxSource(SourceContract):
    @pytest.fixture
    def source(self, settings: InfluxSettings) -> Iterator[InfluxSource]:
        client = Client(settings)
        source = InfluxSource(client, "main", claims.log_id_of(client, "main"))
        yield source
        source.close()
