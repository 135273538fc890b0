"""What a journal's file defines: its header, tables and indexes, compared with what this format creates."""

from __future__ import annotations

import contextlib
import functools

import apsw

from eventstore.errors import CorruptJournal
from eventstore.journals.sqlite import schema
from eventstore.trading.logs import LOG_ENDED

# Statistics for SQLite's planner, which ANALYZE and PRAGMA optimize keep: no answer depends on them.
STATISTICS = {
    "sqlite_stat1": "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "sqlite_stat2": "CREATE TABLE sqlite_stat2(tbl,idx,sampleno,sample)",
    "sqlite_stat3": "CREATE TABLE sqlite_stat3(tbl,idx,neq,nlt,ndlt,sample)",
    "sqlite_stat4": "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
}


@functools.cache
def definitions() -> dict[str, tuple[str, str, str]]:
    """Return what `sqlite_schema` holds of a journal: type, table and SQL of each object, by its name."""
    with contextlib.closing(apsw.Connection(":memory:")) as connection:
        connection.execute(schema.SCHEMA)
        rows = connection.execute("SELECT name, type, tbl_name, sql FROM sqlite_schema").fetchall()
    return {str(name): (str(kind), str(table), str(sql)) for name, kind, table, sql in rows}


def check_definitions(connection: apsw.Connection) -> None:
    """Raise CorruptJournal unless tables and indexes are exactly a journal's, and nothing else is defined.

    A trigger rewrites what is appended, a view stands in for a table, a column may compare or default otherwise.
    """
    # As bytes: a manipulated `sqlite_schema` need not hold text.
    columns = ", ".join(f"CAST({name} AS BLOB)" for name in ("type", "name", "tbl_name", "sql"))
    missing = dict(definitions())
    for row in connection.execute(f"SELECT {columns} FROM sqlite_schema"):  # noqa: S608 - constant names
        kind, name, table, sql = [(value or b"").decode("utf-8", "backslashreplace") for value in row]
        if (kind, table, sql) == ("table", name, STATISTICS.get(name)):
            continue
        expected = missing.pop(name, None)
        if expected is None:
            raise CorruptJournal(0, f"the {kind} {name!r} does not belong to a journal: it was added")
        if (kind, table, sql) != expected:
            raise CorruptJournal(0, f"the {expected[0]} {name} is not defined as a journal has it: it was changed")
    for name, (kind, _, _) in missing.items():
        raise CorruptJournal(0, f"the {kind} {name} is missing")


def check_settings(connection: apsw.Connection) -> None:
    """Raise CorruptJournal unless the file's header says what a journal's says."""
    number = schema.FORMAT
    # Asked only then: of a file whose tables are not checked yet.
    if connection.pragma("user_version") == schema.ENDED_FORMAT and _has_ended(connection):
        number = schema.ENDED_FORMAT
    settings = {"application_id": schema.APPLICATION_ID, "user_version": number, "encoding": "UTF-8"}
    for name, expected in settings.items():
        found = connection.pragma(name)
        if found != expected:
            raise CorruptJournal(0, f"the file's {name} is {found!r} and must be {expected!r}: its header was changed")


def _has_ended(connection: apsw.Connection) -> bool:
    """Return whether the last record ends the log: only then its format may be that of an ended one."""
    try:
        return bool(connection.execute("SELECT type FROM event ORDER BY position DESC LIMIT 1").get == LOG_ENDED)
    except apsw.SQLError:
        # What is missing is named once the tables are checked.
        return False
