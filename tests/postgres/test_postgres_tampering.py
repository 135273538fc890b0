"""What somebody changes in the tables of a log is found: on opening, by verifying, or by the check of the storage."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

import eventstore
from eventstore import StoreError
from tests.postgres.servers import PostgresServer
from tests.store.facts import rejected

_numbers = itertools.count(1)

RECORDS = 600
"""More than two tiles of the tree: opening checks the newest of them, `verify` all."""

IN_RECORDS = {
    "UPDATE event SET data = replace(data, 'text', 'test') WHERE position = 3": 3,
    "UPDATE event SET data = data || ' ' WHERE position = 4": 4,
    "UPDATE event SET note = 'x' WHERE position = 5": 5,
    "UPDATE event SET actor = actor || ' ' WHERE position = 6": 6,
    "UPDATE event SET type = 'OrderFilled' WHERE position = 7": 7,
    "UPDATE event SET schema = 2 WHERE position = 8": 8,
    "UPDATE event SET recorded_at = recorded_at + 1 WHERE position = 9": 9,
    "UPDATE event SET occurred_at = occurred_at - 1 WHERE position = 10": 10,
    "UPDATE event SET id = decode(md5('x'), 'hex') WHERE position = 11": 11,
    "UPDATE event SET correlation_id = id WHERE position = 12": 12,
    "UPDATE event SET causation_id = id WHERE position = 13": 13,
    "UPDATE event SET digest = sha256(digest) WHERE position = 14": 14,
    "UPDATE event SET account = 'ACC9' WHERE position = 15": 15,
    "UPDATE event SET stream = replace(stream, 'ACC1', 'ACC2') WHERE position = 16": 16,
    "UPDATE event SET version = version + 1000 WHERE position = 17": 17,
    "DELETE FROM event WHERE position = 18": 18,
    "DELETE FROM event WHERE position < 20": 1,
    "UPDATE event SET position = -position WHERE position = 21": 21,
    "DELETE FROM event WHERE position = 600": 600,
    "INSERT INTO event SELECT 601, stream, version + 1, type, schema, recorded_at + 1, occurred_at, sha256(id), data, "
    "actor, note, NULL, NULL, sha256(digest), account FROM event WHERE position = 600": 601,
    "UPDATE node SET hash = sha256(hash) WHERE level = 8 AND number = 0": 1,
    "DELETE FROM node WHERE number = 0": 1,
}
"""Changes of what the digests cover, or the tree, and the first position that is reported."""

BESIDE_RECORDS = [
    "INSERT INTO node VALUES (12, 7, sha256('x'))",
    "UPDATE head SET position = 599",
    "UPDATE head SET recorded_at = recorded_at + 1",
    "UPDATE head SET frontier = frontier || sha256('x')",
    "DELETE FROM head",
    "UPDATE type SET durability = 'VOLATILE'",
    "UPDATE type SET measures = '[\"price\"]'",
    "DELETE FROM type",
    "INSERT INTO type VALUES ('Unheard', 1, 'SYNCED', '[]')",
    "UPDATE meta SET value = repeat('0', 32) WHERE key = 'log_id'",
    "UPDATE meta SET value = 'x' WHERE key = 'created_at'",
    "UPDATE meta SET value = 'other' WHERE key = 'log'",
    "UPDATE meta SET value = '99' WHERE key = 'format'",
    "UPDATE meta SET value = 'QUEUED' WHERE key = 'durability'",
    "DELETE FROM meta WHERE key = 'format'",
    "INSERT INTO meta VALUES ('x', 'y')",
    "DROP INDEX event_by_account",
    "DROP INDEX event_by_stream; CREATE INDEX event_by_stream ON event (stream, version)",
    "DROP INDEX event_by_id; CREATE UNIQUE INDEX event_by_id ON event (id) WHERE position > 300",
    "DROP INDEX event_by_account; CREATE INDEX event_by_account ON event (account, recorded_at)",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'event_by_id'::regclass",
    "ALTER TABLE event ADD COLUMN more text",
    "DROP VIEW event_json; ALTER TABLE event ALTER COLUMN data TYPE varchar",
    'DROP VIEW event_json; ALTER TABLE event ALTER COLUMN stream TYPE text COLLATE "POSIX"',
    "ALTER TABLE event ALTER COLUMN note DROP NOT NULL",
    "ALTER TABLE event ENABLE ROW LEVEL SECURITY",
    "CREATE RULE quiet AS ON INSERT TO event DO INSTEAD NOTHING",
    (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
        "CREATE TRIGGER quiet BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION f()"
    ),
    "CREATE TABLE more () INHERITS (event)",
    "ALTER TABLE event RENAME TO events; CREATE VIEW event AS SELECT * FROM events WHERE position <> 7",
    "DROP TABLE meta",
    "DROP TABLE node",
]
"""Changes that no digest covers, and a read depends on."""


@pytest.fixture(scope="module")
def written(postgres: PostgresServer) -> Iterator[str]:
    """The schema of a log of RECORDS records, which is copied for each change."""
    schema = "tampered"
    with eventstore.open(postgres.url(log="main", schema=schema)) as store:
        for number in range(RECORDS // 50):
            store.append(f"order/ACC1/O-{number}", [rejected(f"text {each}") for each in range(50)], actor="me")
        assert store.verify().ok
    yield schema
    postgres.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest.fixture
def copied(postgres: PostgresServer, written: str) -> Iterator[str]:
    """The schema of a copy of the log."""
    schema = f"copied_{next(_numbers)}"
    with eventstore.open(postgres.url(log="main", schema=schema)):
        pass
    change(
        postgres,
        schema,
        "; ".join(
            f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {written}.{table}"  # noqa: S608 - names of this test
            for table in ("event", "head", "meta", "node", "type")
        ),
    )
    yield schema
    postgres.execute(f"DROP SCHEMA {schema} CASCADE".encode())


def change(server: PostgresServer, schema: str, statements: str) -> None:
    with server.connect() as connection:
        connection.execute(f"SET search_path = {schema}".encode())
        connection.execute(statements.encode())


def found_in(server: PostgresServer, schema: str, *, read_only: bool) -> tuple[list[str], int | None]:
    """Return what opening, verifying and the check of the storage find, and the first position that they name."""
    try:
        with eventstore.open(server.url(log="main", schema=schema), read_only=read_only) as store:
            verdict = store.verify()
            faults = store.doctor()
    except StoreError as e:
        return [str(e)], getattr(e, "position", 0)
    return [*faults, *([] if verdict.ok else [str(verdict.reason)])], verdict.first_bad


def test_an_unchanged_copy_is_sound(postgres: PostgresServer, copied: str) -> None:
    for read_only in (False, True):
        assert found_in(postgres, copied, read_only=read_only) == ([], None)


@pytest.mark.parametrize("statements", IN_RECORDS)
def test_what_is_changed_in_a_record_is_found_at_its_position(
    postgres: PostgresServer, copied: str, statements: str
) -> None:
    change(postgres, copied, statements)
    found, position = found_in(postgres, copied, read_only=True)
    assert found
    assert position == IN_RECORDS[statements]
    assert found_in(postgres, copied, read_only=False)[0]


@pytest.mark.parametrize("statements", BESIDE_RECORDS)
def test_what_is_changed_beside_the_records_is_found(postgres: PostgresServer, copied: str, statements: str) -> None:
    change(postgres, copied, statements)
    for read_only in (True, False):
        assert found_in(postgres, copied, read_only=read_only)[0]
