"""What is wrong with a log's tables beside its digests: all that a read depends on, held against the records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.errors import CorruptJournal, StoreError
from eventstore.journal import Fault
from eventstore.journals.postgres import rows, tables
from eventstore.journals.type_table import type_faults
from eventstore.proofs import merkle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location

NAMED_MAX = 100
PATIENCE_SECONDS = 3_600.0
"""How long one of these questions may take: each walks through the whole log."""

COLUMNS = {
    "event": (
        "position bigint, stream text C, version bigint, type text C, schema bigint, recorded_at bigint, "
        "occurred_at bigint, id bytea, data text C, actor text C, note text C, correlation_id bytea?, "
        "causation_id bytea?, digest bytea, account text C"
    ),
    "head": "one bigint, position bigint, recorded_at bigint, frontier bytea",
    "meta": "key text C, value text C",
    "node": "level bigint, number bigint, hash bytea",
    "type": "name text C, schema bigint, durability text C, measures text C",
}
"""The columns of each table, in order, as `_columns_of` writes them: `?` for those that may be NULL."""
INDEXES = {
    "event_by_account": (False, "account, position"),
    "event_by_id": (True, "id"),
    "event_by_stream": (True, "stream, version"),
    "event_pkey": (True, "position"),
    "head_pkey": (True, "one"),
    "meta_pkey": (True, "key"),
    "node_pkey": (True, "level, number"),
    "type_pkey": (True, "name, schema"),
}
"""The indexes: whether each is unique, and what it has."""


class CanceledCheck(Exception):
    """The check was canceled by its caller."""


def faults(
    connection: Connection, location: Location, log_id: bytes, *, is_canceled: Callable[[], bool] | None = None
) -> list[Fault]:
    """Return what is wrong, at most some hundred faults; nothing, usually. A check that is canceled raises."""
    connection.patience = PATIENCE_SECONDS
    found: list[Fault] = []
    # One snapshot, so that others who append meanwhile do not make the parts disagree.
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        found += _definitions(connection, location)
        # Where a table is not what it should be, what is asked of it says nothing.
        checks = () if found else (_meta, _head, _nodes, _account, _versions, _types, _indexes)
        for check in checks:
            if is_canceled is not None and is_canceled():
                raise CanceledCheck
            found += _guarded(lambda check=check: check(connection, location, log_id))  # type: ignore[misc]
        return found
    finally:
        if not connection.is_lost:
            connection.execute("ROLLBACK")


def _guarded(check: Callable[[], Iterable[Fault]]) -> list[Fault]:
    """Return a check's faults; one that meets what it cannot read ends with that fault."""
    found: list[Fault] = []
    try:
        found.extend(check())
    except CorruptJournal as e:
        found.append(Fault(e.position, e.reason))
    # A position that no log has is none: the first one that is missing counts.
    return [Fault(max(fault.position, 0), fault.reason) for fault in found]


def check_definitions(connection: Connection, location: Location) -> None:
    """Raise CorruptJournal unless the tables are as this version made them."""
    for fault in _definitions(connection, location):
        raise CorruptJournal(0, f"{location}: {fault.reason}")


def _definitions(connection: Connection, location: Location) -> Iterator[Fault]:
    """Yield what is not as it was created: columns, indexes, and whatever would change what a statement does."""
    for table, columns in COLUMNS.items():
        if (there := _columns_of(connection, location, table)) != columns:
            yield Fault(0, f"table {table} has the columns {there or '(none)'}, not {columns}: it was changed")
    sql = (
        "SELECT i.relname, x.indisunique AND x.indimmediate, x.indisvalid AND x.indisready AND x.indislive AND "
        "x.indpred IS NULL AND x.indexprs IS NULL, "
        "(SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = x.indexrelid) "
        "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
        "JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace s ON s.oid = t.relnamespace "
        "WHERE s.nspname = %s AND t.relname = ANY(%s::text[])"
    )
    indexes = {name: rest for name, *rest in rows.rows_of(connection, sql, (location.schema, list(tables.TABLES)))}
    for name, (is_unique, columns) in INDEXES.items():
        if indexes.get(name) != [is_unique, True, columns]:
            yield Fault(0, f"the index {name} is missing, is not valid, or is not the one on {columns}: it was changed")
    yield from _added(connection, location)


def _columns_of(connection: Connection, location: Location, table: str) -> str:
    sql = (
        "SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || "
        "CASE WHEN l.collname IS NULL THEN '' ELSE ' ' || l.collname END || "
        "CASE WHEN a.attnotnull THEN '' ELSE '?' END, ', ' ORDER BY a.attnum) "
        "FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace s ON s.oid = t.relnamespace "
        "LEFT JOIN pg_collation l ON l.oid = a.attcollation "
        "WHERE s.nspname = %s AND t.relname = %s AND t.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"
    )
    ((found,),) = rows.rows_of(connection, sql, (location.schema, table))
    return found or ""


def _added(connection: Connection, location: Location) -> Iterator[Fault]:
    """Yield triggers, rules and row security: none of which a log has, and each of which changes what is read."""
    sql = (
        "SELECT t.relname, "
        "(SELECT string_agg(tgname, ', ') FROM pg_trigger WHERE tgrelid = t.oid AND NOT tgisinternal), "
        "(SELECT string_agg(rulename, ', ') FROM pg_rewrite WHERE ev_class = t.oid), t.relrowsecurity, "
        "EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = t.oid OR inhrelid = t.oid) "
        "FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace "
        "WHERE s.nspname = %s AND t.relname = ANY(%s::text[])"
    )
    for table, triggers, rules, is_secured, inherits in rows.rows_of(
        connection, sql, (location.schema, list(tables.TABLES))
    ):
        for what, there in (("trigger", triggers), ("rule", rules)):
            if there:
                yield Fault(0, f"table {table} has a {what} ({there}), which no log has: it was added")
        if is_secured:
            yield Fault(0, f"table {table} has row security, which hides rows: it was added")
        if inherits:
            yield Fault(0, f"table {table} inherits, or is inherited from: it was added")


def _meta(connection: Connection, location: Location, log_id: bytes) -> Iterator[Fault]:
    kept = dict(rows.rows_of(connection, "SELECT key, value FROM meta"))
    for key in sorted(kept.keys() - set(tables.META)):
        yield Fault(0, f"the meta table has an entry {key!r}, which no journal has: it was added")
    if not kept.get("created_at", "").isdigit():
        yield Fault(0, "the meta table's created_at is missing or malformed")
    try:
        identity = tables.identify(connection, location)
    except StoreError as e:
        yield Fault(0, str(e))
        return
    if identity.log_id != log_id:
        yield Fault(0, "the meta table names another log than the one that was opened")


def _head(connection: Connection, _location: Location, _log_id: bytes) -> Iterator[Fault]:
    head = rows.read_head(connection)
    sql = "SELECT position FROM event WHERE position < 1 OR position > %s ORDER BY position LIMIT 10"
    for (position,) in rows.rows_of(connection, sql, (head.position,)):
        yield Fault(position, "this record lies outside the log: it was inserted")
    found = rows.rows_of(connection, "SELECT recorded_at FROM event WHERE position = %s", (head.position,))
    if (found[0][0] if found else 0) != head.recorded_at:
        yield Fault(head.position, "the head does not have the last record's time")


def _nodes(connection: Connection, _location: Location, _log_id: bytes) -> Iterator[Fault]:
    size = rows.head(connection)
    wanted = {level: size >> level for level in range(merkle.STORED_LEVEL, size.bit_length())}
    sql = "SELECT level, count(*), min(number), max(number) FROM node GROUP BY level ORDER BY level"
    found = {level: rest for level, *rest in rows.rows_of(connection, sql)}
    for level, (count, first, last) in found.items():
        if level not in wanted or first < 0 or last >= wanted[level]:
            yield Fault(size, f"the tree has nodes of level {level} that do not belong to this log: inserted")
        elif count < wanted[level]:
            yield Fault(0, f"the tree has {count:,} of its {wanted[level]:,} nodes of level {level}: nodes are missing")
    for level in wanted.keys() - found.keys():
        if wanted[level]:
            yield Fault(0, f"the tree has none of its {wanted[level]:,} nodes of level {level}: nodes are missing")


def _account(connection: Connection, _location: Location, _log_id: bytes) -> Iterator[Fault]:
    # The account is what lies between the first two slashes.
    sql = (
        "SELECT position FROM event WHERE split_part(stream, '/', 2) IS DISTINCT FROM account "
        "ORDER BY position LIMIT %s"
    )
    for (position,) in rows.rows_of(connection, sql, (NAMED_MAX,)):
        yield Fault(position, "the account column is not the stream's")


def _versions(connection: Connection, _location: Location, _log_id: bytes) -> Iterator[Fault]:
    """A stream is read by its versions, which are without gaps and grow with the positions."""
    sql = (
        "SELECT position, stream FROM (SELECT position, stream, version, "
        "row_number() OVER by_stream AS number, lag(position) OVER by_stream AS before "
        "FROM event WINDOW by_stream AS (PARTITION BY stream ORDER BY version)) numbered "
        "WHERE version <> number OR before > position ORDER BY position LIMIT %s"
    )
    for position, stream in rows.rows_of(connection, sql, (NAMED_MAX,)):
        yield Fault(position, f"the versions of {stream} are not 1, 2, 3 and so on, in the order of its positions")


def _types(connection: Connection, _location: Location, _log_id: bytes) -> Iterator[Fault]:
    occurring = set(rows.rows_of(connection, "SELECT DISTINCT type, schema FROM event"))
    stored = rows.rows_of(connection, "SELECT name, schema, durability, measures FROM type")
    yield from type_faults(occurring, stored)


def _indexes(connection: Connection, _location: Location, _log_id: bytes) -> Iterator[Fault]:
    """Walk through each index of the events in its order: it has each record once, where its values belong."""
    ((count,),) = rows.rows_of(connection, "SELECT count(*) FROM event")
    for setting in ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_incremental_sort"):
        connection.execute(f"SET LOCAL {setting} = off")
    for name, (_, columns) in INDEXES.items():
        if not name.startswith("event_"):
            continue
        sql = (
            f"SELECT count(*), min(position) FILTER (WHERE NOT coalesce(before < this, true)) FROM "  # noqa: S608 - constants
            f"(SELECT position, ROW({columns}) AS this, lag(ROW({columns})) OVER (ORDER BY {columns}) AS before "
            "FROM event) walked"
        )
        walked: tuple[Any, ...]
        (walked,) = rows.rows_of(connection, sql)
        if walked != (count, None):
            why = f"the index {name} has {walked[0]:,} of {count:,} records, or one that is not where its values belong"
            yield Fault(walked[1] or 0, why)
