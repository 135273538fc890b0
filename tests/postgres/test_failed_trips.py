"""Statements that are sent together and fail leave a connection on which the next ones are executed."""

from __future__ import annotations

import pytest

import eventstore
from eventstore import Batch, VersionConflict
from tests.postgres.schemas import OwnSchema
from tests.postgres.servers import PostgresServer
from tests.store.facts import ORDER, OTHER, rejected

MANY = 1_000
# Only then has everything been sent when the server refuses the first statement, as it always has over a network.
_SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION slow()
"""


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


def test_a_stream_that_is_not_known_is_presumed_to_be_new_and_refused_without_an_error_of_the_server(
    schema: OwnSchema, postgres: PostgresServer
) -> None:
    with eventstore.open(schema.url) as first, eventstore.open(schema.url) as second:
        first.append(ORDER, rejected("a"), key="1")
        # From here on this one knows the head, and not the stream.
        second.append(OTHER, rejected("b"))
        refusals = refused(postgres)
        [record] = second.append(ORDER, rejected("c"))
        assert (record.position, record.version) == (3, 2)
        with pytest.raises(VersionConflict):
            second.append("order/ACC1/O-9", rejected("d"), expected=3)
        assert second.append("order/ACC1/O-9", rejected("e"), expected=0)[0].version == 1
        assert refused(postgres) == refusals
        # A repeated key is found by its id, whatever its stream was taken for.
        assert first.append(ORDER, rejected("a"), key="1")[0].position == 1
        with eventstore.open(schema.url) as third:
            third.append(OTHER, rejected("f"))
            assert third.append(ORDER, rejected("a"), key="1")[0].position == 1
            with pytest.raises(VersionConflict):
                third.append(ORDER, rejected("g"), expected=0)
            assert [each.version for each in third.read(stream=ORDER)] == [1, 2]
        assert first.verify().ok


def test_a_large_batch_that_the_server_refuses_while_it_is_copied_leaves_nothing(
    schema: OwnSchema, postgres: PostgresServer
) -> None:
    """Its rows are sent while others are placed: the index refuses one of the first before the last ones are sent."""
    with eventstore.open(schema.url) as store, eventstore.open(schema.url) as other:
        keys = [f"k{number}" for number in range(MANY)]
        first = other.append(OTHER, [rejected(key) for key in keys], key=keys)
        refusals = refused(postgres)
        assert store.append(OTHER, [rejected(key) for key in keys], key=keys) == first
        streams = [f"order/ACC1/N-{number}" for number in range(MANY)]
        other.append(streams[3], rejected("taken"))
        new = [Batch(stream, (rejected(stream),), expected=0) for stream in streams]
        with pytest.raises(VersionConflict) as caught:
            store.append_many(new)
        assert caught.value.stream == streams[3]
        assert refused(postgres) == refusals + 2, "the second runs look all of them up"
        assert store.head() == MANY + 1
        del new[3]
        found = store.append_many(new)
        assert [record.position for record in found] == list(range(MANY + 2, 2 * MANY + 1))
        assert [record.version for record in found] == [1] * len(new)
        assert store.append(OTHER, [rejected("more")] * MANY)[-1].version == 2 * MANY
        assert store.verify().ok
        assert list(other.read(after=MANY + 1, limit=len(found))) == list(found)


def test_any_text_is_copied_as_it_is(schema: OwnSchema) -> None:
    """What PostgreSQL's text format of a COPY gives a meaning to: its separators, its escapes, its end."""
    texts = [
        "\\N",
        "\\.",
        "\\",
        "\\\\x41",
        "a\tb\nc\rd\be\vf",
        '"',
        "\x01\x1f\x7f",
        "é漢\U0001f600\u2028",
        " ",
        "\\n",
        "''",
    ]
    events = [rejected(text) for text in texts]
    with eventstore.open(schema.url) as store:
        for note in texts:
            copied = store.append(ORDER, events * 2, note=note, actor=f"desk {note}")
            assert list(store.read(after=copied[0].position - 1)) == list(copied)
            assert [record.event for record in copied] == events * 2
        singly = [store.append(OTHER, event)[0] for event in events]
        assert [record.data for record in singly] == [record.data for record in store.read(limit=len(events))]
        assert store.verify().ok


def refused(postgres: PostgresServer) -> int:
    """Return how many times the server's indexes have refused a row."""
    return postgres.log.read_text(encoding="utf-8").count("duplicate key value")
