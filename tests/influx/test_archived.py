"""A log in InfluxDB and its archive: frames are the journal's, and an archive of either is the same one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import EventReader, EventStore
from eventstore.influx.client import Client
from eventstore.influx.read.reader import InfluxReader
from projections import analysis
from tests.analysis.archive_log import contents, write_log
from tests.influx import filling
from tests.influx.servers import Server


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    directory = tmp_path_factory.mktemp("archived") / "data"
    write_log(directory)
    with eventstore.open(directory, read_only=True) as store:
        yield store


@pytest.fixture(scope="module")
def mirrored(server: Server, store: EventStore) -> Iterator[EventReader]:
    """A reader of a bucket with the same log."""
    bucket = server.make_bucket()
    filling.fill(server, bucket, list(store.read()), log_id=store.log_id)
    reader = InfluxReader(Client(filling.settings_of(server, bucket)), "main")
    yield reader
    reader.close()
    server.delete_bucket(bucket)


def test_a_frame_of_archive_and_influxdb_is_the_journal_s(
    store: EventStore, mirrored: EventReader, tmp_path: Path
) -> None:
    analysis.archive(store, tmp_path / "a", until=store.head() // 3)
    with analysis.with_archive(mirrored, tmp_path / "a") as mixed:
        assert [record.position for record in mixed.read()] == list(range(1, store.head() + 1))
        for exact in (False, True, "text"):
            types = ("OrderFilled", "OrderSubmitted", "Divided")
            assert (
                analysis.events(mixed, types=types, exact=exact)
                .to_arrow()
                .equals(analysis.events(store, types=types, exact=exact).to_arrow())
            )
        everything = analysis.events(mixed).to_arrow()
        assert everything.to_pylist() == analysis.events(store).to_arrow().to_pylist()
        assert everything.schema == analysis.events(store).to_arrow().schema


def test_an_archive_of_influxdb_is_that_of_the_journal(
    store: EventStore, mirrored: EventReader, tmp_path: Path
) -> None:
    analysis.archive(store, tmp_path / "a")
    analysis.archive(mirrored, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert analysis.check_archive(tmp_path / "b", store=store).ok
    assert analysis.check_archive(tmp_path / "a", store=mirrored).ok
