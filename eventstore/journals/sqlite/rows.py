"""The journal's rows: how a record becomes one, and pages of them by position, stream, account and type."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import apsw
import msgspec
from msgspec.structs import replace

from eventstore.errors import CorruptJournal
from eventstore.journal import JoinedPage
from eventstore.journals.type_table import type_of
from eventstore.record import Record
from eventstore.streams import account_of, prefix_end

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from eventstore.journal import Query, TypeRow
    from eventstore.record import Row

# In the order of Record's members, but for the log, which is not stored with each row.
COLUMNS = (
    "id, stream, type, schema, occurred_at, CAST(data AS BLOB), actor, note, correlation_id, causation_id, "
    "position, version, recorded_at, digest"
)

_COLUMN_OF = dict(zip(Record.__struct_fields__, (*COLUMNS.split(", "), "?"), strict=True))
del _COLUMN_OF["log"]

INSERT = (
    "INSERT INTO event (id, stream, type, schema, occurred_at, data, actor, note, correlation_id, causation_id, "
    "position, version, recorded_at, digest, account) VALUES (?,?,?,?,?,CAST(? AS TEXT),?,?,?,?,?,?,?,?,?)"
)

INSERT_TYPE = "INSERT OR IGNORE INTO type VALUES (?, ?, ?, ?)"


def page(connection: apsw.Connection, log: str, query: Query) -> list[Record]:
    """Return one page of records, oldest first."""
    sql, values = _statement(connection, query, f"{COLUMNS}, ?")
    try:
        return list(itertools.starmap(Record, connection.execute(sql, [log, *values])))
    except UnicodeDecodeError as e:
        raise CorruptJournal(_not_text(connection, query.after), "the record's text is not UTF-8") from e


def columns(connection: apsw.Connection, query: Query, names: Sequence[str]) -> list[list[Any]]:
    """Return a list of each of the named members of one page of records; raise KeyError for one that records lack."""
    sql, values = _statement(connection, query, ", ".join([_COLUMN_OF[name] for name in names]))
    try:
        # No row outlives the next: as many tuples as the page has would cost as much again.
        flat = list(itertools.chain.from_iterable(connection.execute(sql, values)))
        return [flat[start :: len(names)] for start in range(len(names))]
    except UnicodeDecodeError as e:
        raise CorruptJournal(_not_text(connection, query.after), "the record's text is not UTF-8") from e


def lines(connection: apsw.Connection, query: Query, names: Sequence[str]) -> JoinedPage:
    """Return the named members of one page of records as SQLite joins them: one step, in which other threads run."""
    sql, values = _statement(connection, query, ", ".join(dict.fromkeys(["position", *names])))
    joined = "".join([f", CAST(group_concat({name}, char(10)) AS BLOB)" for name in names])
    try:
        found: Any = connection.execute(f"SELECT count(*), max(position){joined} FROM ({sql})", values).fetchone()  # noqa: S608 - no user's text
    except apsw.TooBigError:
        if query.limit == 1:
            raise
        return lines(connection, replace(query, limit=query.limit // 8 or 1), names)
    count, last, *texts = found
    until = query.until if query.until is not None and count < query.limit else last
    return JoinedPage(query.after, until or query.after, count, dict(zip(names, texts, strict=True)) if count else {})


def scan(connection: apsw.Connection, query: Query) -> Iterable[Row]:
    """Return an iterator over one page of records as rows; text that is not UTF-8 raises UnicodeDecodeError."""
    return connection.execute(*_statement(connection, query, COLUMNS))


def newest(
    connection: apsw.Connection, log: str, stream: str, version: int, *, types: Collection[str], limit: int
) -> list[Record]:
    """Return a stream's newest records of some types past a version, oldest first."""
    place = f"FROM event INDEXED BY event_by_stream WHERE stream = ? AND version > ? AND type IN ({_marks(types)})"
    values = (stream, version, *types)
    # Usually there are none, and to ask for one column takes half as long as for all of them.
    if connection.execute(f"SELECT position {place} LIMIT 1", values).get is None:
        return []
    sql = f"SELECT {COLUMNS}, ? {place} ORDER BY version DESC LIMIT ?"
    try:
        found = list(itertools.starmap(Record, connection.execute(sql, (log, *values, limit))))
    except UnicodeDecodeError as e:
        raise CorruptJournal(0, f"a record of {stream} has text that is not UTF-8: it was changed") from e
    found.reverse()
    return found


def _not_text(connection: apsw.Connection, after: int) -> int:
    """Return the first position past another whose record cannot be read."""
    sql = f"SELECT position, {COLUMNS} FROM event WHERE position > ? ORDER BY position LIMIT 1"  # noqa: S608 - constant
    position = after
    while True:
        try:
            row = connection.execute(sql, (position,)).fetchone()
        except UnicodeDecodeError:
            return int(connection.execute("SELECT min(position) FROM event WHERE position > ?", (position,)).get)
        if row is None:
            return position
        position = int(row[0])


def _statement(connection: apsw.Connection, query: Query, columns: str) -> tuple[str, list[Any]]:
    where = ["position > ?"]
    values: list[Any] = [query.after]
    order = "position"
    if query.until is not None:
        where.append("position <= ?")
        values.append(query.until)
    account = query.account
    stream = query.stream
    # The table itself is in order. Never left to SQLite's planner, whose choice depends on statistics.
    source = "event NOT INDEXED"
    if stream is not None and stream.endswith("/"):
        account = account or _account_of_prefix(stream)
        where.append("stream >= ? AND stream < ?")
        values += [stream + query.account_prefix, prefix_end(stream, query.account_prefix)]
        if query.account_prefix:
            # Few accounts: found by their streams and sorted, without looking at each record in between.
            source = "event INDEXED BY event_by_stream"
    elif stream is not None:
        # Versions and positions grow together, and the index has the versions in order: no sort is needed.
        source, order = "event INDEXED BY event_by_stream", "version"
        where.append("stream = ? AND version > ?")
        values += [stream, _version_at(connection, stream, query.after)]
    if account is not None:
        where.append("account = ?")
        values.append(account)
        source = "event INDEXED BY event_by_account" if order == "position" else source
    for condition, given in _conditions(query):
        where.append(condition)
        values += given
    sql = f"SELECT {columns} FROM {source} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"  # noqa: S608 - no user's text
    return sql, [*values, query.limit]


def _conditions(query: Query) -> Iterator[tuple[str, Sequence[object]]]:
    """Yield what is asked of each row that an index gives."""
    if query.types is not None:
        yield f"type IN ({_marks(query.types)})", query.types
    if query.containing is not None:
        yield "instr(CAST(data AS BLOB), ?)", (query.containing,)


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _account_of_prefix(prefix: str) -> str | None:
    parts = prefix.split("/")
    return parts[1] or None


def _version_at(connection: apsw.Connection, stream: str, position: int) -> int:
    """Return a stream's version as of a position, by bisection: its positions grow with its versions."""
    if position <= 0:
        return 0
    row = connection.execute("SELECT stream, version FROM event WHERE position = ?", (position,)).fetchone()
    if row is not None and row[0] == stream:
        return _number(row[1], position)
    low, high = 0, version(connection, stream)
    while low < high:
        middle = (low + high + 1) // 2
        found = "SELECT position FROM event WHERE stream = ? AND version = ?"
        at = connection.execute(found, (stream, middle)).get
        if at is None:
            raise CorruptJournal(0, f"version {middle} of {stream} is missing")
        if at <= position:
            low = middle
        else:
            high = middle - 1
    return low


def row_of(record: Record) -> tuple[object, ...]:
    """Return the values that INSERT takes: the record's but for its log, and its account."""
    return (*msgspec.structs.astuple(record)[:-1], account_of(record.stream))


def version(connection: apsw.Connection | apsw.Cursor, stream: str) -> int:
    """Return a stream's version, 0 for one that is not there."""
    found = "SELECT version FROM event WHERE stream = ? ORDER BY version DESC LIMIT 1"
    number = connection.execute(found, (stream,)).get
    return 0 if number is None else _number(number)


def newest_position(connection: apsw.Connection, account: str) -> int:
    """Return the last position of an account, 0 without one: one look-up in the index, which has the positions."""
    sql = "SELECT position FROM event INDEXED BY event_by_account WHERE account = ? ORDER BY position DESC LIMIT 1"
    position = connection.execute(sql, (account,)).get
    return 0 if position is None else _number(position)


def head(connection: apsw.Connection) -> int:
    """Return the last position, 0 for an empty log."""
    return _number(connection.execute("SELECT position FROM head").get)


def digest_at(connection: apsw.Connection, position: int) -> object:
    """Return what stands as the digest of the record at a position, None without one."""
    return connection.execute("SELECT digest FROM event WHERE position = ?", (position,)).get


def types(connection: apsw.Connection) -> list[TypeRow]:
    """Return what is kept of each type and schema."""
    rows = connection.execute("SELECT name, schema, durability, measures FROM type ORDER BY name, schema")
    return [type_of(row) for row in rows]


def find(connection: apsw.Connection, log: str, ids: Sequence[bytes]) -> dict[bytes, Record]:
    """Return the records that are known under these ids."""
    sql = f"SELECT {COLUMNS} FROM event WHERE id = ?"  # noqa: S608 - constant text
    found = {}
    for id_ in ids:
        row: Any = connection.execute(sql, (id_,)).fetchone()
        if row is not None:
            found[id_] = Record(*row, log)  # type: ignore[call-arg] # as many as COLUMNS
    return found


def position_at(connection: apsw.Connection, recorded_at: int, head: int) -> int:
    """Return the last position recorded at or before an instant, by bisection: times grow with positions."""
    low, high = 0, head
    while low < high:
        middle = (low + high + 1) // 2
        found = connection.execute("SELECT recorded_at FROM event WHERE position = ?", (middle,)).get
        if found is not None and _number(found, middle) <= recorded_at:
            low = middle
        else:
            high = middle - 1
    return low


def _number(value: object, position: int = 0) -> int:
    """Return the value of an integer column; in a manipulated file it may be of any type."""
    if type(value) is not int:
        raise CorruptJournal(position, f"{value!r:.80} stands where a number belongs: the record was changed")
    return value
