"""The tables of a log in PostgreSQL, named as they are in SQLite: how they are made and checked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import CorruptJournal, InvalidEvent, TargetExists, Unavailable, UnsupportedFormat
from eventstore.events import REPLICATED, SYNCED, Durability
from eventstore.journal import LOG_NAME

if TYPE_CHECKING:
    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location

FORMAT = 1

# Text is compared byte by byte, as prefixes and SQLite compare it, and not by a language's rules. `data` is text and
# not jsonb, which reorders members, drops repeated ones and writes numbers in another way: digests are of its bytes.
SCHEMA = """
CREATE TABLE meta (key TEXT COLLATE "C" PRIMARY KEY, value TEXT COLLATE "C" NOT NULL);
CREATE TABLE event (
  position BIGINT PRIMARY KEY,
  stream TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  type TEXT COLLATE "C" NOT NULL,
  schema BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  occurred_at BIGINT NOT NULL,
  id BYTEA NOT NULL,
  data TEXT COLLATE "C" NOT NULL,
  actor TEXT COLLATE "C" NOT NULL,
  note TEXT COLLATE "C" NOT NULL,
  correlation_id BYTEA,
  causation_id BYTEA,
  digest BYTEA NOT NULL,
  account TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX event_by_id ON event (id);
CREATE UNIQUE INDEX event_by_stream ON event (stream, version);
CREATE INDEX event_by_account ON event (account, position);
CREATE TABLE type (
  name TEXT COLLATE "C" NOT NULL, schema BIGINT NOT NULL, durability TEXT COLLATE "C" NOT NULL,
  measures TEXT COLLATE "C" NOT NULL, PRIMARY KEY (name, schema)
);
CREATE TABLE node (level BIGINT NOT NULL, number BIGINT NOT NULL, hash BYTEA NOT NULL, PRIMARY KEY (level, number));
CREATE TABLE head (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  position BIGINT NOT NULL, recorded_at BIGINT NOT NULL, frontier BYTEA NOT NULL
);
INSERT INTO head VALUES (1, 0, 0, '');
CREATE TABLE mark (
  name TEXT COLLATE "C" PRIMARY KEY, log_id TEXT NOT NULL, position BIGINT NOT NULL, digest TEXT NOT NULL,
  root TEXT NOT NULL
);
CREATE TABLE document (name TEXT COLLATE "C" PRIMARY KEY, content BYTEA NOT NULL);
CREATE TABLE lease (
  name TEXT COLLATE "C" PRIMARY KEY, owner TEXT NOT NULL, epoch BIGINT NOT NULL DEFAULT 1,
  taken_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE cut (
  log_id BYTEA NOT NULL, position BIGINT NOT NULL, digest BYTEA NOT NULL, kept BIGINT NOT NULL,
  PRIMARY KEY (log_id, position)
);
CREATE TABLE part (
  view TEXT COLLATE "C" NOT NULL, lineage BYTEA NOT NULL, position BIGINT NOT NULL, revision BIGINT NOT NULL,
  signer BYTEA NOT NULL, signature BYTEA NOT NULL, shared_in TEXT COLLATE "C", epoch BIGINT,
  PRIMARY KEY (view, lineage, position)
);
CREATE TABLE state (
  view TEXT COLLATE "C" NOT NULL, lineage BYTEA NOT NULL, partition TEXT COLLATE "C" NOT NULL, position BIGINT NOT NULL,
  digest BYTEA NOT NULL, size BIGINT NOT NULL, data BYTEA NOT NULL,
  PRIMARY KEY (view, lineage, partition, position)
);
ALTER TABLE state ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE member (
  worker_group TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL, who TEXT NOT NULL, url TEXT NOT NULL,
  joined_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), beat_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  position BIGINT NOT NULL, is_evicted BOOLEAN NOT NULL DEFAULT false, PRIMARY KEY (worker_group, id)
);
CREATE VIEW event_json AS
  SELECT position, stream, version, type, schema, to_timestamp(recorded_at / 1e9) AS recorded,
    to_timestamp(occurred_at / 1e9) AS occurred, encode(id, 'hex')::uuid AS id, data::json AS data, actor, note,
    encode(correlation_id, 'hex')::uuid AS correlation_id, encode(causation_id, 'hex')::uuid AS causation_id, account
  FROM event;
"""
TABLES = ("event", "head", "meta", "node", "type")
"""Those that a read depends on."""
BESIDE = ("cut", "document", "lease", "mark", "member", "part", "state")
"""Those of what processes keep beside the log."""
META = ("created_at", "durability", "format", "log", "log_id")
PREVIOUS = "previous"
"""The document beside a log that names the schema of the log before it."""
# Schemas that this role may look into, and whose names need no quotes within quotes: a log's has none.
_OTHERS = (
    "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = 'document' "
    "AND c.relkind = 'r' AND n.nspname <> %s AND position('\"' IN n.nspname) = 0 "
    "AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') "
    "AND EXISTS (SELECT 1 FROM pg_class h WHERE h.relnamespace = n.oid AND h.relname = 'head') ORDER BY n.nspname"
)
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


class StoredIdentity(NamedTuple):
    """What a log's tables say that it is."""

    log_id: bytes
    durability: Durability


def unproved() -> tuple[str, ...]:
    """Return what is stored and derives from nothing."""
    return (LOG_NAME, "created_at, the time at which the log was created", "durability, of the log as a whole")


def prepare(connection: Connection, location: Location, log_id: bytes | None, created_at: int) -> StoredIdentity:
    """Create a log's tables where there are none, and return what they say; `log_id` is a new log's, None for any.

    One process at a time: the others wait, and find them. Raises as `identify` does.
    """
    with connection.transaction():
        connection.execute(_LOCK, (location.schema,))
        if not is_there(connection, location):
            _check_not_lost(connection, location)
            _create(connection, location, log_id or os.urandom(16), created_at)
    return identify(connection, location)


def create_once(connection: Connection, location: Location, log_id: bytes, created_at: int) -> None:
    """Create a log's tables within a transaction that has begun; raise TargetExists where they exist.

    All others who open the log wait until that transaction has ended.
    """
    connection.execute(_LOCK, (location.schema,))
    check_new(connection, location)
    _create(connection, location, log_id, created_at)


def check_new(connection: Connection, location: Location) -> None:
    """Raise TargetExists where a log's tables exist."""
    if is_there(connection, location):
        msg = f"{location} exists already: name a new schema, or another database"
        raise TargetExists(msg)


def is_there(connection: Connection, location: Location) -> bool:
    """Return whether a log's tables exist."""
    sql = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'meta'"
    return connection.execute(sql, (location.schema,)).fetchone() is not None


def _check_not_lost(connection: Connection, location: Location) -> None:
    """Raise Unavailable where a log would begin under the name of one that others continue after rotations."""
    sql = (
        "SELECT schemaname FROM pg_tables WHERE tablename = 'meta' AND starts_with(schemaname, %s) ORDER BY schemaname"
    )
    beginning = f"{location.schema}."
    found = [name for (name,) in connection.execute(sql, (beginning,)).fetchall()]
    if numbered := [name for name in found if name.removeprefix(beginning).isdecimal()]:
        msg = (
            f"there is no {location}, but schemas {', '.join(numbered)} of logs after it: open the last one by its "
            "name, or put this one back"
        )
        raise Unavailable(msg)
    for (name,) in connection.execute(_OTHERS, (location.schema,)).fetchall():
        # Whichever name it was given. Only a new log costs this look.
        sql = f'SELECT 1 FROM "{name}".document WHERE name = %s AND content = %s'  # noqa: S608 - one of the server's
        if connection.execute(sql, (PREVIOUS, location.schema.encode())).fetchone() is not None:
            msg = (
                f"there is no {location}, but schema {name} of a log that continues it: open that one by its name, or "
                "put this one back"
            )
            raise Unavailable(msg)


def _create(connection: Connection, location: Location, log_id: bytes, created_at: int) -> None:
    sql = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = ANY(%s::text[])"
    if connection.execute(sql, (location.schema, list(TABLES))).fetchone() is not None:
        raise CorruptJournal(0, f"{location}: its table meta is missing, and others are there: it was dropped")
    durability = location.durability or SYNCED
    # Asked first: to create one that exists needs the same right, which a role with a schema of its own may lack.
    sql = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
    if connection.execute(sql, (location.schema,)).fetchone() is None:
        connection.execute(f'CREATE SCHEMA "{location.schema}"')
    connection.execute(SCHEMA)
    values = (str(created_at), durability.name, str(FORMAT), location.log, log_id.hex())
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO meta VALUES (%s, %s)", list(zip(META, values, strict=True)))


def identify(connection: Connection, location: Location) -> StoredIdentity:
    """Return what the tables say; raise InvalidEvent where it is not what the location names.

    Raises UnsupportedFormat for tables of a newer version, CorruptJournal where they do not say what they are.
    """
    meta = {key: value for key, value in connection.execute("SELECT key, value FROM meta")}  # noqa: C416 - typed rows
    if not meta.get("format", "").isdigit():
        raise CorruptJournal(0, f"{location} does not say which format its tables have")
    if int(meta["format"]) > FORMAT:
        msg = f"{location} is of format {meta['format']}, this version reads up to {FORMAT}: update eventstore"
        raise UnsupportedFormat(msg)
    if meta.get("log") != location.log:
        msg = f"schema {location.schema} has log {meta.get('log')!r}, not {location.log!r}: open it under its own name"
        raise InvalidEvent(msg)
    try:
        log_id, durability = bytes.fromhex(meta["log_id"]), Durability[meta["durability"]]
    except (KeyError, ValueError) as e:
        raise CorruptJournal(0, f"{location} does not say which log it is") from e
    if len(log_id) != 16 or durability not in {SYNCED, REPLICATED}:  # noqa: PLR2004 - a UUID's size
        raise CorruptJournal(0, f"{location} does not say which log it is")
    if location.durability is not None and location.durability is not durability:
        msg = f"{location} is {durability.name} from its creation, not {location.durability.name}: leave it out"
        raise InvalidEvent(msg)
    return StoredIdentity(log_id, durability)


def created_at(connection: Connection) -> int:
    """Return when the log was created; raise CorruptJournal where the tables do not say."""
    found = connection.execute("SELECT value FROM meta WHERE key = 'created_at'").fetchone()
    if found is None or not found[0].isdigit():
        raise CorruptJournal(0, "the meta table's created_at is missing or malformed")
    return int(found[0])


def stored_bytes(connection: Connection) -> int:
    """Return how much the server stores in the schema: its tables with their indexes."""
    sql = (
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind = 'r'"
    )
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def others(connection: Connection, location: Location) -> list[str]:
    """Return the names of the tables in a log's schema that are not the log's own, sorted."""
    sql = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> ALL(%s::text[]) ORDER BY tablename"
    return [name for (name,) in connection.execute(sql, (location.schema, [*TABLES, *BESIDE])).fetchall()]


def check_durable(connection: Connection, location: Location, durability: Durability) -> None:
    """Raise Unavailable unless a commit on this server outlives what its log's durability promises.

    A commit of a REPLICATED log waits until a standby has flushed it, one of a SYNCED log for this server's own disk
    alone, also where the server has standbys.
    """
    sql = (
        "SELECT pg_is_in_recovery(), current_setting('fsync'), current_setting('full_page_writes'), "
        "current_setting('synchronous_standby_names')"
    )
    row = connection.execute(sql).fetchone()
    assert row is not None
    in_recovery, fsync, whole_pages, standbys = row
    if in_recovery:
        msg = f"{location}: this server is a standby: name the primary, or both in the URL"
        raise Unavailable(msg)
    if fsync != "on" or whole_pages != "on":
        msg = f"{location}: fsync or full_page_writes is off, so a commit may be lost: turn them on"
        raise Unavailable(msg)
    if durability is REPLICATED:
        if not standbys.strip():
            msg = f"{location} is REPLICATED, and synchronous_standby_names of this server is empty: name its standby"
            raise Unavailable(msg)
        connection.execute("SET synchronous_commit = on")
    else:
        connection.execute("SET synchronous_commit = local")


def timeline(connection: Connection) -> int:
    """Return the server's timeline, which each promotion raises; 0 for a standby."""
    sql = "SELECT CASE WHEN pg_is_in_recovery() THEN '0' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END"
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0], 16)


def channel_of(log_id: bytes) -> str:
    """Return the channel on which a log's commits are notified."""
    return f"eventstore_{log_id.hex()}"
