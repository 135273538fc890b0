"""A real InfluxDB per worker, a fresh bucket per test, and a separate server for tests that break it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

import eventstore
from eventstore import EventStore, InfluxSettings, Record
from eventstore.influx.read import queries
from eventstore.journal import Query, append
from eventstore.journals.memory import MemoryJournal
from eventstore.testing import HISTORY
from tests.influx import dashboards
from tests.influx.dashboards import DemoDay
from tests.influx.mirroring import fill, settings_for
from tests.influx.proxy import Proxy
from tests.influx.servers import Absent, LocalServer, Server, find_influxd, must_have_server, opened
from tests.once import made_once


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of this worker, which its tests share; each test writes to its own buckets."""
    try:
        with opened(tmp_path_factory.mktemp("influxd")) as server:
            yield server
            return
    except Absent as absent:
        reason = str(absent)
    go_without(reason, failing=must_have_server())


@pytest.fixture
def bucket(server: Server) -> Iterator[str]:
    """The name of a new bucket with infinite retention."""
    name = server.make_bucket()
    yield name
    server.delete_bucket(name)


@pytest.fixture
def settings(server: Server, bucket: str) -> InfluxSettings:
    """Settings of that bucket."""
    return settings_for(server, bucket)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The directory of a store, not created yet."""
    return tmp_path / "data"


@pytest.fixture
def store(data: Path) -> Iterator[EventStore]:
    """A store of ten events, not shipped yet."""
    with eventstore.open(data) as store:
        fill(store, 10)
        yield store


@pytest.fixture(scope="module")
def journal() -> MemoryJournal:
    """A journal with the history of the source contract."""
    journal = MemoryJournal()
    for group in HISTORY:
        append(journal, group)
    return journal


@pytest.fixture(scope="module")
def records(journal: MemoryJournal) -> Sequence[Record]:
    return list(journal.read(Query(limit=1000)))


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy to the server that can cut, refuse and answer requests."""
    with Proxy.before(server) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def demo_day(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoDay]:
    """The demo day, in a journal, which all workers share, and in a bucket."""
    day = DemoDay(made_once(tmp_path_factory, "live-demo-day", dashboards.play_demo_day), server.make_bucket())
    dashboards.fill_with_demo_day(server, day.bucket, day.directory)
    yield day
    server.delete_bucket(day.bucket)


@pytest.fixture
def demo(demo_day: DemoDay) -> str:
    """A bucket with the demo day."""
    return demo_day.bucket


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make readers wait only briefly for points that were seen before, which a crashed server may get again."""
    monkeypatch.setattr(queries, "GAP_SECONDS", 0.3)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server process that the test may kill, pause and restart."""
    try:
        server = LocalServer(find_influxd(), tmp_path / "influxd")
        try:
            server.start()
            yield server
            return
        finally:
            server.stop()
    except Absent as absent:
        reason = str(absent)
    go_without(reason, failing=os.environ.get("CI") == "true")


def go_without(reason: str, *, failing: bool) -> NoReturn:
    if failing:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
