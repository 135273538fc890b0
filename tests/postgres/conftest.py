"""Servers of several versions, a schema per test, and servers that a test may break."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest

from eventstore import InfluxSettings
from eventstore.journal import append
from eventstore.journals.postgres import Location, PostgresJournal
from eventstore.testing import batch
from tests.influx.api import Server
from tests.influx.conftest import go_without
from tests.influx.mirroring import settings_for
from tests.influx.servers import Absent, must_have_server, opened
from tests.postgres.desks import Desk
from tests.postgres.pairs import PostgresPair, running_pair
from tests.postgres.programs import DEBIANS, Programs
from tests.postgres.scenes import COMMIT_SECONDS, LOST_SECONDS, STREAM
from tests.postgres.schemas import OwnSchema, own_schema
from tests.postgres.servers import PostgresServer, running


@pytest.fixture(scope="session")
def postgres_16() -> Iterator[PostgresServer]:
    """A server as `postgres` is, of an older version."""
    with running(16) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_15() -> Iterator[PostgresServer]:
    """The same, of Debian's version, where that is installed."""
    if not Programs(DEBIANS).is_there:
        why = "Debian's PostgreSQL 15 is not installed: apt-get install postgresql-15"
        assert os.environ.get("CI") != "true", why
        pytest.skip(why)
    with running(DEBIANS) as server:
        yield server


@pytest.fixture
def postgres_16_url(postgres_16: PostgresServer) -> Iterator[str]:
    """The same, on the older version."""
    with own_schema(postgres_16) as url:
        yield url


@pytest.fixture
def schema(postgres: PostgresServer) -> Iterator[OwnSchema]:
    """A schema of the test's own; `url` is that of a log in it, which is not there yet."""
    schema = OwnSchema(postgres)
    yield schema
    schema.drop()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that the test may kill, pause and restart."""
    with running(18) as server:
        yield server


@pytest.fixture
def pair() -> Iterator[PostgresPair]:
    """A primary and its synchronous standby, which the test may break."""
    with running_pair(18) as pair:
        yield pair


@pytest.fixture(scope="session")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An InfluxDB of this worker, which its tests share."""
    try:
        with opened(tmp_path_factory.mktemp("influxd")) as server:
            yield server
            return
    except Absent as absent:
        reason = str(absent)
    go_without(reason, failing=must_have_server())


@pytest.fixture
def influx(influx_server: Server) -> Iterator[InfluxSettings]:
    """Settings of a bucket of the test's own."""
    bucket = influx_server.make_bucket()
    yield settings_for(influx_server, bucket)
    influx_server.delete_bucket(bucket)


@pytest.fixture
def opened_replicated(pair: PostgresPair) -> Iterator[Callable[[], PostgresJournal]]:
    """Open one more handle on a REPLICATED log, each as another process has it; all are closed at the end."""
    location = Location.of(pair.url(log="main", durability="replicated"))
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(
            contextlib.closing(PostgresJournal(location, commit_seconds=COMMIT_SECONDS, lost_seconds=LOST_SECONDS))
        )


@pytest.fixture
def replicated(opened_replicated: Callable[[], PostgresJournal]) -> PostgresJournal:
    """A log of one record, whose journal knows its types and its head."""
    journal = opened_replicated()
    append(journal, [batch(STREAM, "first")])
    return journal


@pytest.fixture
def desk(postgres_url: str) -> Iterator[Desk]:
    """Workers in this process that share the accounts of a log."""
    with contextlib.ExitStack() as stack:
        yield Desk(postgres_url, stack)
