"""The contracts of journals, sources and stores, for logs in PostgreSQL."""

from collections.abc import Iterator, Sequence

import pytest

import eventstore
from eventstore import EventStore
from eventstore.clock import ManualClock
from eventstore.journal import Query, append
from eventstore.journals.postgres import Location, PostgresJournal, ReadOnlyPostgres
from eventstore.record import Record
from eventstore.testing import EventStoreContract, MaintenanceContract, SourceContract
from eventstore.testing.drafts import HISTORY, OCCURRED_AT
from tests.postgres.schemas import own_schema
from tests.postgres.servers import PostgresServer


class TestPostgresJournal(MaintenanceContract):
    @pytest.fixture
    def journal(self, postgres_url: str, clock: ManualClock) -> Iterator[PostgresJournal]:
        journal = PostgresJournal(Location.of(postgres_url), clock=clock)
        yield journal
        journal.close()


class TestPostgresStore(EventStoreContract):
    @pytest.fixture
    def store(self, postgres_url: str) -> Iterator[EventStore]:
        with eventstore.open(postgres_url) as store:
            yield store


@pytest.fixture(scope="module", params=["postgres", "postgres_16", "postgres_15"])
def written(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sequence[Record]]]:
    """Return the URL and records of a log that has the history of the source contract, on each version."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, PostgresServer)
    with own_schema(server) as url:
        clock = ManualClock(OCCURRED_AT)
        journal = PostgresJournal(Location.of(url), clock=clock)
        for group in HISTORY:
            clock.advance(1_000)
            append(journal, group)
        yield url, journal.read(Query(limit=1_000))
        journal.close()


@pytest.mark.slow
class TestReadOnlyPostgres(SourceContract):
    @pytest.fixture
    def records(self, written: tuple[str, Sequence[Record]]) -> Sequence[Record]:
        return written[1]

    @pytest.fixture
    def source(self, written: tuple[str, Sequence[Record]]) -> Iterator[ReadOnlyPostgres]:
        source = ReadOnlyPostgres(Location.of(written[0]))
        yield source
        source.close()
