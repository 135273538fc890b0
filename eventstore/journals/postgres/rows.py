"""Pages of records and look-ups in PostgreSQL's tables."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.errors import CorruptJournal, InvalidEvent
from eventstore.journals.heads import Head
from eventstore.journals.type_table import type_of
from eventstore.proofs import merkle
from eventstore.record import Record
from eventstore.streams import account_of, prefix_end
from eventstore.trading.logs import LOG_ENDED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from eventstore.journal import Query, TypeRow
    from eventstore.journals.postgres.connection import Connection

# In the order of Record's members, but for the log, which is not stored with each row.
COLUMNS = (
    "id, stream, type, schema, occurred_at, convert_to(data, 'UTF8'), actor, note, correlation_id, causation_id, "
    "position, version, recorded_at, digest"
)
_EXPRESSIONS = (
    "id", "stream", "type", "schema", "occurred_at", "convert_to(data, 'UTF8')", "actor", "note", "correlation_id",
    "causation_id", "position", "version", "recorded_at", "digest",
)  # fmt: skip
_COLUMN_OF = dict(zip(Record.__struct_fields__[:-1], _EXPRESSIONS, strict=True))

NAMES = (
    "id, stream, type, schema, occurred_at, data, actor, note, correlation_id, causation_id, position, version, "
    "recorded_at, digest, account"
)
# Text of the client is in UTF-8, which is checked on the way in, so a record's data is passed on as it is.
INSERT = f"INSERT INTO event ({NAMES}) VALUES ({', '.join(['%s'] * 15)})"  # noqa: S608 - constant text
COPY = f"COPY event ({NAMES}) FROM STDIN (FORMAT BINARY)"
# Of text the server stores each 64 KB while more comes; of the binary format only each 1,000 rows.
COPY_AS_TEXT = f"COPY event ({NAMES}) FROM STDIN"
KINDS = (
    "bytea", "text", "text", "int8", "int8", "text", "text", "text", "bytea", "bytea", "int8", "int8", "int8", "bytea",
    "text",
)  # fmt: skip
INSERT_TYPE = "INSERT INTO type VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
INSERT_NODE = "INSERT INTO node VALUES (%s, %s, %s)"
VERSIONS = (
    "SELECT s.stream, coalesce((SELECT e.version FROM event e WHERE e.stream = s.stream "
    "ORDER BY e.version DESC LIMIT 1), 0) FROM unnest(%s::text[]) AS s(stream)"
)
LAST = "SELECT digest, type = %s FROM event WHERE position = (SELECT position FROM head)"
UPDATE_HEAD = "UPDATE head SET position = %s, recorded_at = %s, frontier = %s WHERE one = 1"


def rows_of(connection: Connection, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Return all rows of an answer, sent in binary."""
    return connection.execute(sql, values, binary=True).fetchall()


def _one(connection: Connection, sql: str, values: Sequence[object] = ()) -> Any:  # noqa: ANN401 - a column's
    """Return the first column of the first row, None without one."""
    row = connection.execute(sql, values, binary=True).fetchone()
    return None if row is None else row[0]


def page(connection: Connection, log: str, query: Query) -> list[Record]:
    """Return one page of records, oldest first."""
    sql, values = _statement(query, COLUMNS)
    return [Record(*row, log) for row in rows_of(connection, sql, values)]  # type: ignore[call-arg] # as many as COLUMNS


def columns(connection: Connection, query: Query, names: Sequence[str]) -> list[list[Any]]:
    """Return a list of each of the named members of one page of records; raise KeyError for one that records lack."""
    sql, values = _statement(query, ", ".join([_COLUMN_OF[name] for name in names]))
    flat = list(itertools.chain.from_iterable(rows_of(connection, sql, values)))
    return [flat[start :: len(names)] for start in range(len(names))]


def _statement(query: Query, columns: str) -> tuple[str, list[object]]:
    where, order = ["position > %s"], "position"
    given: list[object] = [query.after]
    if query.until is not None:
        where.append("position <= %s")
        given.append(query.until)
    stream, account = query.stream, query.account
    if stream is not None and stream.endswith("/"):
        account = account or stream.split("/")[1] or None
        where.append("stream >= %s AND stream < %s")
        given += [stream + query.account_prefix, prefix_end(stream, query.account_prefix)]
    elif stream is not None:
        # Versions and positions grow together, and the index has the versions in order. Usually the page before this
        # one ended at a record of the stream: then the index is entered there.
        where.append(
            "stream = %s AND version > coalesce((SELECT version FROM event WHERE position = %s AND stream = %s), 0)"
        )
        given += [stream, query.after, stream]
        order = "version"
    if account is not None:
        where.append("account = %s")
        given.append(account)
    if query.types is not None:
        where.append("type = ANY(%s::text[])")
        given.append(list(query.types))
    if query.containing is not None:
        where.append("position(%s IN convert_to(data, 'UTF8')) > 0")
        given.append(query.containing)
    sql = f"SELECT {columns} FROM event WHERE {' AND '.join(where)} ORDER BY {order} LIMIT %s"  # noqa: S608 - no user's text
    return sql, [*given, query.limit]


def newest(
    connection: Connection, log: str, stream: str, version: int, *, types: Collection[str], limit: int
) -> list[Record]:
    """Return a stream's newest records of some types past a version, oldest first."""
    sql = (
        f"SELECT {COLUMNS} FROM event WHERE stream = %s AND version > %s AND type = ANY(%s::text[]) "  # noqa: S608 - constant text
        "ORDER BY version DESC LIMIT %s"
    )
    found = rows_of(connection, sql, (stream, version, sorted(types), limit))
    return [Record(*row, log) for row in reversed(found)]  # type: ignore[call-arg] # as many as COLUMNS


def row_of(record: Record) -> tuple[object, ...]:
    """Return the values that INSERT takes: the record's but for its log, its data as text, and its account."""
    values = msgspec.structs.astuple(record)
    return (*values[:5], record.data.decode(), *values[6:-1], account_of(record.stream))


def check_text(position: int, texts: Sequence[str], data: bytes) -> None:
    """Raise InvalidEvent, naming the position, for a record's text that PostgreSQL does not store."""
    if "\0" in "".join(texts) or b"\0" in data:
        msg = f"position {position}: its text has a NUL character, which SQLite stores and PostgreSQL does not"
        raise InvalidEvent(msg)
    try:
        data.decode()
    except UnicodeDecodeError as e:
        msg = f"position {position}: its data is not UTF-8, which PostgreSQL needs of a text"
        raise InvalidEvent(msg) from e


def head(connection: Connection) -> int:
    """Return the last position, 0 for an empty log."""
    position = _one(connection, "SELECT position FROM head")
    if position is None:
        raise CorruptJournal(0, "the head's row is missing")
    return int(position)


def version(connection: Connection, stream: str) -> int:
    """Return a stream's version, 0 for one that is not there."""
    sql = "SELECT version FROM event WHERE stream = %s ORDER BY version DESC LIMIT 1"
    return _one(connection, sql, (stream,)) or 0


def versions(connection: Connection, streams: Collection[str]) -> dict[str, int]:
    """Return the version of each stream, 0 for one that is not there: one question for all of them."""
    return dict(rows_of(connection, VERSIONS, (list(streams),)))


def newest_position(connection: Connection, account: str) -> int:
    """Return the last position of an account, 0 without one."""
    sql = "SELECT position FROM event WHERE account = %s ORDER BY position DESC LIMIT 1"
    return _one(connection, sql, (account,)) or 0


def read_head(connection: Connection) -> Head:
    """Return the head's row with the digest of the record there; raise CorruptJournal where they do not meet."""
    sql = (
        "SELECT h.position, h.recorded_at, e.digest, h.frontier, e.type = %s FROM head h "
        "LEFT JOIN event e USING (position)"
    )
    found = rows_of(connection, sql, (LOG_ENDED,))
    return Head.of(found[0] if found else None)


def last_position(connection: Connection) -> int:
    """Return the highest position that a record has, 0 without one."""
    return int(_one(connection, "SELECT coalesce(max(position), 0) FROM event"))


def read_digest(connection: Connection, position: int) -> bytes | None:
    """Return the digest of the record at a position, None without one."""
    digest: bytes | None = _one(connection, "SELECT digest FROM event WHERE position = %s", (position,))
    return digest


def read_last(connection: Connection, position: int) -> tuple[bytes | None, bool]:
    """Return the digest of a log's last record, None without one, and whether that record ends the log."""
    found = rows_of(connection, "SELECT digest, type = %s FROM event WHERE position = %s", (LOG_ENDED, position))
    return found[0] if found else (None, False)


def position_at(connection: Connection, recorded_at: int, head: int) -> int:
    """Return the last position recorded at or before an instant, by bisection: times grow with positions."""
    low, high = 0, head
    while low < high:
        middle = (low + high + 1) // 2
        found = _one(connection, "SELECT recorded_at FROM event WHERE position = %s", (middle,))
        if found is not None and found <= recorded_at:
            low = middle
        else:
            high = middle - 1
    return low


def find(connection: Connection, log: str, ids: Sequence[bytes]) -> dict[bytes, Record]:
    """Return the records that are known under these ids."""
    sql = f"SELECT {COLUMNS} FROM event WHERE id = ANY(%s::bytea[])"  # noqa: S608 - constant text
    return {row[0]: Record(*row, log) for row in rows_of(connection, sql, (list(ids),))}  # type: ignore[call-arg] # as many as COLUMNS


def nodes(connection: Connection, level: int, first: int, last: int) -> list[merkle.Node]:
    """Return the stored nodes of a level whose number is from `first` to `last`."""
    sql = "SELECT level, number, hash FROM node WHERE level = %s AND number BETWEEN %s AND %s ORDER BY number"
    return [merkle.Node(*row) for row in rows_of(connection, sql, (level, first, last))]


def types(connection: Connection) -> list[TypeRow]:
    """Return what is kept of each type and schema."""
    found = rows_of(connection, "SELECT name, schema, durability, measures FROM type ORDER BY name, schema")
    return [type_of(row) for row in found]
