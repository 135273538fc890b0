"""The memory journal is the specification of the one in PostgreSQL."""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import settings
from typing_extensions import override

from eventstore.journals.postgres import Location, PostgresJournal
from tests.postgres.schemas import OwnSchema
from tests.postgres.servers import PostgresServer
from tests.proving import examples
from tests.store.same_answers import SameAnswers

# What it runs over and over is covered elsewhere, and would take twice as long.
pytestmark = [pytest.mark.untraced, pytest.mark.slow]


class TheSameInPostgres(SameAnswers):
    """With a log in a schema of its own; the two handles take turns as two processes would."""

    server: ClassVar[PostgresServer]

    @override
    def begin(self) -> None:
        self.schema = OwnSchema(self.server)

    @override
    def opened(self) -> PostgresJournal:
        return PostgresJournal(Location.of(self.schema.url), clock=self.clock)

    @override
    def end(self) -> None:
        self.schema.drop()


@pytest.fixture(scope="module", autouse=True)
def _server(postgres: PostgresServer) -> Iterator[None]:
    TheSameInPostgres.server = postgres
    yield
    del TheSameInPostgres.server


TheSameInPostgres.TestCase.settings = settings(max_examples=examples(test=10, prove=500), stateful_step_count=25)
TestTheSameInPostgres = TheSameInPostgres.TestCase
