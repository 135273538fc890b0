"""Statements that are sent together and fail leave a connection on which the next ones are executed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import eventstore
from eventstore import VersionConflict
from tests.postgres.schemas import OwnSchema
from tests.postgres.servers import PostgresServer
from tests.store.facts import ORDER, OTHER, rejected

# Only then has everything been sent when the server refuses the first statement, as it always has over a network.
_SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION slow()
"""


@pytest.fixture
def schema(postgres: PostgresServer) -> Iterator[OwnSchema]:
    schema = OwnSchema(postgres)
    yield schema
    schema.drop()


def test_a_repeated_append_is_found_and_the_next_ones_are_written(schema: OwnSchema) -> None:
    with eventstore.open(schema.url) as store, eventstore.open(schema.url) as other:
        # Afterwards, for nothing that does not belong to a log is opened.
        with schema.connect() as connection:
            connection.execute(_SLOW)
        first = other.append(OTHER, [rejected("a"), rejected("b")], key=["1", "2"])
        # Each statement is prepared from its second time on, a rollback too, and the one after that believes it.
        with pytest.raises(VersionConflict):
            store.append(ORDER, [rejected("c"), rejected("d")], expected=7)
        store.append(ORDER, [rejected("c"), rejected("d")])
        for _ in range(3):
            assert store.append(OTHER, [rejected("a"), rejected("b")], key=["1", "2"]) == first
        for number in range(3):
            assert store.append(ORDER, [rejected(number)] * 2)[-1].position == other.head() == 6 + 2 * number
