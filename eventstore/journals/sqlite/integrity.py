"""What is wrong with a journal's file beside its digests: everything that a read depends on, held against the records.

All of it is SQL, which SQLite runs without the interpreter's lock: `verify` lets it run beside the digests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import apsw

from eventstore.errors import CorruptJournal
from eventstore.journal import Fault
from eventstore.journals.sqlite.definitions import check_definitions, check_settings
from eventstore.journals.sqlite.maintenance import read_head
from eventstore.journals.type_table import type_faults
from eventstore.proofs import merkle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

NAMED_MAX = 100
LEVEL_MAX = 62
"""No tree has a higher node: positions are integers of 64 bits."""
# SQLite runs this many instructions between two checks of whether the caller has canceled.
STEPS = 100_000

META = {"log": str, "log_id": bytes, "created_at": int}
INDEXES = {
    "event_by_id": ("id", "by its id"),
    "event_by_stream": ("stream, version", "by stream"),
    "event_by_account": ("account", "by account"),
}


def faults(
    connection: apsw.Connection, log: str, log_id: bytes, *, is_canceled: Callable[[], bool] | None = None
) -> list[Fault]:
    """Return what is wrong, at most some hundred faults; nothing, usually. A check that is canceled raises."""
    if is_canceled is not None:
        connection.set_progress_handler(is_canceled, STEPS)
    # One read transaction, so that others who append meanwhile do not make the parts disagree.
    connection.execute("BEGIN")
    try:
        defined = [*_guarded(lambda: check_settings(connection)), *_guarded(lambda: check_definitions(connection))]
        if defined:
            # Where a table is not what it should be, what is asked of it says nothing.
            return defined
        checks = (_meta, _head, _nodes, _account, _sqlite, _versions, _types)
        found: list[Fault] = []
        for check in checks:
            found += _guarded(lambda check=check: check(connection, log, log_id))  # type: ignore[misc]
        return found
    finally:
        connection.execute("ROLLBACK")
        connection.set_progress_handler(None)


def _guarded(check: Callable[[], Iterable[Fault] | None]) -> list[Fault]:
    """Return a check's faults; one that meets a damaged page or invalid text ends with that fault."""
    found: list[Fault] = []
    try:
        found.extend(check() or ())
    except CorruptJournal as e:
        found.append(Fault(e.position, e.reason))
    except apsw.CorruptError as e:
        found.append(Fault(0, f"the file is damaged ({e})"))
    except UnicodeDecodeError:
        found.append(Fault(0, "text in the file's own tables is not UTF-8"))
    return found


def _meta(connection: apsw.Connection, log: str, log_id: bytes) -> Iterator[Fault]:
    kept = dict(connection.execute("SELECT key, value FROM meta"))
    for key in sorted(kept.keys() | META.keys(), key=repr):
        if key not in META:
            yield Fault(0, f"the meta table has an entry {key!r}, which no journal has: it was added")
        elif type(kept.get(key)) is not META[key]:
            yield Fault(0, f"the meta table's {key} is missing or malformed")
    if (kept.get("log"), kept.get("log_id")) != (log, log_id):
        yield Fault(0, "the meta table names another log than the one that was opened")


def _head(connection: apsw.Connection, _log: str, _log_id: bytes) -> Iterator[Fault]:
    if connection.execute("SELECT count(*) FROM head").get != 1:
        yield Fault(0, "the head's table has more than its one row: rows were added")
    head = read_head(connection)
    sql = "SELECT position FROM event NOT INDEXED WHERE position < 1 OR position > ? ORDER BY position LIMIT 10"
    for (position,) in connection.execute(sql, (head.position,)):
        yield Fault(position, "this record lies outside the log: it was inserted")
    recorded_at = connection.execute("SELECT recorded_at FROM event WHERE position = ?", (head.position,)).get
    if recorded_at != head.recorded_at and (head.position or head.recorded_at):
        yield Fault(head.position, "the head does not have the last record's time")


def _nodes(connection: apsw.Connection, _log: str, _log_id: bytes) -> Iterator[Fault]:
    size = read_head(connection).position
    sql = (
        "SELECT level, number FROM node WHERE level NOT BETWEEN ? AND ? OR number < 0 OR number >= (? >> level) "
        "ORDER BY level, number LIMIT 10"
    )
    for level, number in connection.execute(sql, (merkle.STORED_LEVEL, LEVEL_MAX, size)):
        yield Fault(size, f"the tree's node {number} of level {level} does not belong to this log: it was inserted")
    for level in range(merkle.STORED_LEVEL, size.bit_length()):
        count = connection.execute("SELECT count(*) FROM node WHERE level = ?", (level,)).get
        if count < size >> level:
            yield Fault(0, f"the tree has {count:,} of its {size >> level:,} nodes of level {level}: nodes are missing")


def _account(connection: apsw.Connection, _log: str, _log_id: bytes) -> Iterator[Fault]:
    # The account is what lies between the first two slashes.
    differs = "instr(stream, '/' || account || '/') IS NOT instr(stream, '/')"
    sql = f"SELECT position FROM event NOT INDEXED WHERE {differs} ORDER BY position LIMIT {NAMED_MAX}"  # noqa: S608 - constant
    for (position,) in connection.execute(sql):
        yield Fault(position, "the account column is not the stream's")


def _versions(connection: apsw.Connection, _log: str, _log_id: bytes) -> Iterator[Fault]:
    """A stream is read by its versions, which are without gaps and grow with the positions."""
    sql = (
        "SELECT stream, count(*) FROM event INDEXED BY event_by_stream GROUP BY stream HAVING min(version) <> 1 "
        "OR max(version) <> count(*) OR min(typeof(version)) <> 'integer' OR max(typeof(version)) <> 'integer' LIMIT 10"
    )
    for stream, count in connection.execute(sql):
        places = "SELECT position, version FROM event INDEXED BY event_by_stream WHERE stream = ? ORDER BY version"
        numbered = enumerate(connection.execute(places, (stream,)), 1)
        wrong = (place for number, (place, version) in numbered if type(version) is not int or version != number)
        yield Fault(next(wrong, 0), f"the versions of {stream} are not 1 to {count:,}")
    sql = (
        "SELECT min(position) FROM event later INDEXED BY event_by_stream WHERE version > 1 AND NOT EXISTS (SELECT 1 "
        "FROM event before INDEXED BY event_by_stream WHERE before.stream = later.stream "
        "AND before.version = later.version - 1 AND before.position < later.position)"
    )
    position = connection.execute(sql).get
    if position is not None:
        yield Fault(position, "the version before this one is not at an earlier position")


def _types(connection: apsw.Connection, _log: str, _log_id: bytes) -> Iterator[Fault]:
    """Mirrors and processes without a type's class go by the type table."""
    occurring = set(connection.execute("SELECT DISTINCT type, schema FROM event NOT INDEXED"))
    stored = list(connection.execute("SELECT name, schema, durability, measures FROM type"))
    yield from type_faults(occurring, stored)


# SQLite's own check

_MISSING = re.compile(r"row (-?\d+) missing from index (event_by_\w+)")
_OF_INDEX = re.compile(r"(?:wrong # of entries in|non-unique entry in) index (event_by_\w+)")
_AT_ROW = re.compile(r"row (-?\d+)\b.* index (event_by_\w+)")
_COLUMN = re.compile(r"(NULL|non-\w+) value in event\.(\w+)")
_TREE = re.compile(r"Tree (\d+)")


def _sqlite(connection: apsw.Connection, _log: str, _log_id: bytes) -> Iterator[Fault]:
    """Yield what SQLite's own check finds, in other words, and then the error that it ends with on a damaged page."""
    lines: list[str] = []
    ended = None
    try:
        for (line,) in connection.execute(f"PRAGMA integrity_check({NAMED_MAX})"):
            # One row may hold several faults of the b-trees, a line each.
            lines += [part for part in str(line).splitlines() if part != "ok" and not part.startswith("***")]
    except apsw.CorruptError as e:
        ended = e
    for line in lines:
        yield from _explained(connection, line)
    if ended is not None:
        raise ended


def _explained(connection: apsw.Connection, line: str) -> Iterator[Fault]:
    """Yield the fault that a line of SQLite's check stands for, with the position where one can be found."""
    if match := _MISSING.search(line):
        index = match[2]
        yield Fault(int(match[1]), f"the index {index} lacks this record: a read {INDEXES[index][1]} does not find it")
    elif match := _OF_INDEX.search(line):
        index = match[1]
        why = f"the index {index} has an entry that is not this record's: a read {INDEXES[index][1]} is misled"
        yield Fault(_guarded_position(lambda: _foreign_entry(connection, index)), why)
    elif match := _AT_ROW.search(line):
        yield Fault(int(match[1]), f"the entry of this record in the index {match[2]} is damaged")
    elif match := _COLUMN.search(line):
        column = match[2]
        yield Fault(
            _guarded_position(lambda: _mistyped(connection, column)),
            f"the {column} column is not of the kind that it is declared: it was changed",
        )
    else:
        yield Fault(0, f"the file is damaged: {_named(connection, line)}")


def _guarded_position(find: Callable[[], int]) -> int:
    try:
        return find()
    except apsw.CorruptError:
        return 0


def _foreign_entry(connection: apsw.Connection, index: str) -> int:
    """Return the first position whose entry in an index does not match its record, or is duplicated."""
    columns = INDEXES[index][0].split(", ")
    same = " AND ".join(f"e.{name} IS i.{name}" for name in columns)
    sql = (
        f"SELECT min(i.position) FROM event i INDEXED BY {index} LEFT JOIN event e NOT INDEXED "  # noqa: S608 - constants
        f"ON e.position = i.position AND {same} WHERE e.position IS NULL"
    )
    found = connection.execute(sql).get
    if found is None:
        sql = f"SELECT position FROM event INDEXED BY {index} GROUP BY position HAVING count(*) > 1 ORDER BY 1 LIMIT 1"  # noqa: S608 - the same
        found = connection.execute(sql).get
    return found or 0


def _mistyped(connection: apsw.Connection, column: str) -> int:
    """Return the first position where a column, of those that the table has, is of another kind than it declares."""
    kinds = dict(connection.execute("SELECT name, lower(type) FROM pragma_table_info('event')"))
    sql = f"SELECT min(position) FROM event NOT INDEXED WHERE typeof({column}) NOT IN (?, ?)"  # noqa: S608 - a column's name
    may_be_none = column in {"correlation_id", "causation_id"}
    return connection.execute(sql, (kinds[column], "null" if may_be_none else kinds[column])).get or 0


def _named(connection: apsw.Connection, line: str) -> str:
    """Return a line of SQLite's check with the table or index in the place of its root page's number."""
    objects = connection.execute("SELECT rootpage, type || ' ' || name FROM sqlite_schema")
    roots = {root: str(name) for root, name in objects}
    return _TREE.sub(lambda match: roots.get(int(match[1]), match[0]), line)
