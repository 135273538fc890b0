"""A journal's file defines exactly a journal's tables and indexes: opening refuses anything else."""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import CorruptJournal, Verification
from eventstore.journals.sqlite import schema
from tests.store.facts import ORDER, rejected

JOURNAL = Path("main") / "journal.db"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A closed journal in the hands of somebody who may change anything."""
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected())
    with closing(sqlite3.connect(tmp_path / JOURNAL, isolation_level=None)) as connection:
        yield connection


def refusal(directory: Path) -> str:
    with pytest.raises(CorruptJournal) as caught:
        eventstore.open(directory)
    assert caught.value.position == 0
    return caught.value.reason


FOREIGN = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON event BEGIN UPDATE event SET note = 'x'; END",
    "a table": "CREATE TABLE notes (text TEXT)",
    "a view": "CREATE VIEW latest AS SELECT * FROM event",
    "an index": "CREATE INDEX event_by_type ON event (type)",
    "a virtual table": "CREATE VIRTUAL TABLE words USING fts5(text)",
    "a table named like statistics": "CREATE TABLE sqlitestat1 (tbl, idx, stat)",
}


@pytest.mark.parametrize("sql", FOREIGN.values(), ids=FOREIGN)
def test_what_does_not_belong_is_refused_on_opening(journal: sqlite3.Connection, tmp_path: Path, sql: str) -> None:
    journal.execute(sql)
    journal.close()
    assert re.search(r"the (table|view|index|trigger) '\w+' does not belong to a journal", refusal(tmp_path))


MISSING = ["DROP INDEX event_by_account", "DROP INDEX event_by_id", "DROP TABLE node", "DROP TABLE type"]


@pytest.mark.parametrize("sql", MISSING)
def test_what_is_missing_is_refused_on_opening(journal: sqlite3.Connection, tmp_path: Path, sql: str) -> None:
    journal.execute(sql)
    journal.close()
    name = sql.rpartition(" ")[2]
    assert re.search(rf"{name} is missing", refusal(tmp_path))


REDEFINED = {
    "another collation": ("event", "stream TEXT NOT NULL", "stream TEXT NOT NULL COLLATE NOCASE"),
    "a default": ("event", "note TEXT NOT NULL", "note TEXT NOT NULL DEFAULT 'x'"),
    "a table that is not strict": ("event", ") STRICT", ")"),
    "an index of a part": ("event_by_account", "(account)", "(account) WHERE position < 300"),
    "an index that is not unique": ("event_by_id", "CREATE UNIQUE", "CREATE"),
    "an index of another column": ("event_by_account", "(account)", "(type)"),
    "a blank": ("head", "PRIMARY KEY CHECK", "PRIMARY KEY  CHECK"),
}


@pytest.mark.parametrize(("name", "old", "new"), REDEFINED.values(), ids=REDEFINED)
def test_a_changed_definition_is_refused_on_opening(
    journal: sqlite3.Connection, tmp_path: Path, name: str, old: str, new: str
) -> None:
    journal.execute("PRAGMA writable_schema = ON")
    changed = journal.execute("UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ?", (old, new, name))
    assert changed.rowcount == 1
    journal.close()
    assert f"{name} is not defined as a journal has it" in refusal(tmp_path)


@pytest.mark.parametrize("column", ["type", "tbl_name"])
def test_a_definition_under_another_name_is_refused(journal: sqlite3.Connection, tmp_path: Path, column: str) -> None:
    journal.execute("PRAGMA writable_schema = ON")
    journal.execute(f"UPDATE sqlite_schema SET {column} = 'other' WHERE name = 'event_by_id'")  # noqa: S608 - a test's own text
    journal.close()
    assert "event_by_id" in refusal(tmp_path)


def test_a_definition_that_is_not_utf8_is_refused(journal: sqlite3.Connection, tmp_path: Path) -> None:
    journal.execute("PRAGMA writable_schema = ON")
    journal.execute("UPDATE sqlite_schema SET sql = CAST(sql || ' -- ' || x'ff' AS TEXT) WHERE name = 'head'")
    journal.close()
    assert "head is not defined as a journal has it" in refusal(tmp_path)


def test_statistics_of_the_planner_are_ignored(journal: sqlite3.Connection, tmp_path: Path) -> None:
    journal.execute("ANALYZE")
    journal.execute("UPDATE sqlite_stat1 SET stat = 'unordered 1 1 1'")
    journal.close()
    with eventstore.open(tmp_path) as store:
        assert store.verify() == Verification(ok=True, checked=1)


@pytest.mark.parametrize("kind", ["table", "trigger"])
def test_a_trigger_that_is_named_like_statistics_is_refused(
    journal: sqlite3.Connection, tmp_path: Path, kind: str
) -> None:
    journal.execute("CREATE TRIGGER t AFTER INSERT ON event BEGIN UPDATE event SET note = 'x'; END")
    journal.execute("PRAGMA writable_schema = ON")
    changed = "type = ?, name = 'sqlite_stat1', sql = replace(sql, 'TRIGGER t', 'TRIGGER sqlite_stat1')"
    journal.execute(f"UPDATE sqlite_schema SET {changed} WHERE name = 't'", (kind,))  # noqa: S608 - a test's own text
    journal.close()
    assert "sqlite_stat1" in refusal(tmp_path)


@pytest.mark.parametrize("number", [0, -1, schema.ENDED_FORMAT])
def test_a_format_that_is_not_the_logs_is_refused(journal: sqlite3.Connection, tmp_path: Path, number: int) -> None:
    journal.execute(f"PRAGMA user_version = {number}")
    journal.close()
    assert "user_version" in refusal(tmp_path)


def test_a_journal_whose_tables_were_all_dropped_does_not_start_again(
    journal: sqlite3.Connection, tmp_path: Path
) -> None:
    for name in ("event", "head", "meta", "node", "type"):
        journal.execute(f"DROP TABLE {name}")
    journal.close()
    shutil.rmtree(tmp_path / "main" / "watermarks")
    assert "has no tables: they were dropped" in refusal(tmp_path)


def test_a_trigger_that_comes_while_the_journal_is_open_rewrites_nothing(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected("before"))
        # By the same library: another one's close would drop the store's locks.
        with closing(apsw.Connection(str(tmp_path / JOURNAL))) as other:
            other.execute("CREATE TRIGGER t AFTER INSERT ON event BEGIN UPDATE event SET note = 'x'; END")
        store.append(ORDER, rejected("after"))
        assert [record.note for record in store.read()] == ["", ""]
        found = store.verify()
        assert (found.ok, found.first_bad) == (False, 0)
        assert found.reason == "the trigger 't' does not belong to a journal: it was added"
