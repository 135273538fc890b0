"""SQLite: tables and single SELECTs, read and never written; hostile schemas and damaged files."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from eventstore import InvalidEvent
from gateways.importers.archives import BYTES_MAX
from gateways.importers.base import TableRow
from gateways.importers.containers import Read, Table, container_of, open_tables, sqlite_tables

SCHEMA = """
CREATE TABLE trades (id INTEGER PRIMARY KEY, pair TEXT, amount REAL, note);
INSERT INTO trades VALUES (3, 'ABC/USDT', 38.4, NULL), (1, 'XYZ', 1e22, x'00ff'), (2, 'ü', 5.0, 9223372036854775807);
CREATE INDEX by_pair ON trades (pair, amount, note);
"""
ROWS = [
    (1, ["1", "XYZ", "1e+22", "X'00FF'"]),
    (2, ["2", "ü", "5.0", "9223372036854775807"]),
    (3, ["3", "ABC/USDT", "38.4", ""]),
]
Create = Callable[..., Path]


@pytest.fixture
def create(tmp_path: Path) -> Create:
    def create(*statements: str, name: str = "bot.sqlite") -> Path:
        path = tmp_path / name
        connection = apsw.Connection(str(path))
        for sql in statements or (SCHEMA,):
            for _ in connection.execute(sql):
                pass
        connection.close()
        return path

    return create


def opened(path: Path, read: Read | None = None) -> Table:
    (table,) = open_tables(path, read or Read(), bytes_max=BYTES_MAX)
    return table


def beside(path: Path) -> list[str]:
    return sorted(found.name for found in path.parent.iterdir())


def rows_in(table: Table) -> list[tuple[int, list[str]]]:
    return [(row.line, [row.optional(column) or "" for column in table.columns]) for row in table.rows()]


def test_a_table_s_rows_are_text_in_the_order_of_their_ids(create: Create) -> None:
    path = create()
    table = opened(path)
    assert (container_of(path), table.name, list(table.columns)) == (
        "sqlite",
        "trades",
        ["id", "pair", "amount", "note"],
    )
    assert rows_in(table) == rows_in(table) == ROWS
    assert beside(path) == [path.name]


def test_a_file_with_several_tables_asks_which(create: Create) -> None:
    path = create(SCHEMA, "CREATE TABLE orders (id); CREATE VIEW big AS SELECT pair FROM trades WHERE amount > 10")
    with pytest.raises(InvalidEvent, match=r"state one as read\.table, .* Its tables: big, orders, trades"):
        opened(path)
    with pytest.raises(InvalidEvent, match="has no table 'Trade'"):
        opened(path, Read(table="Trade"))
    assert rows_in(opened(path, Read(table="orders"))) == []
    assert [cells for _, cells in rows_in(opened(path, Read(table="big")))] == [["XYZ"], ["ABC/USDT"]]
    with pytest.raises(InvalidEvent, match=r"has no table: .* Its tables: none"):
        opened(create("CREATE TABLE a (b); DROP TABLE a", name="empty.db"))


def test_a_query_is_a_single_select(create: Create) -> None:
    path = create()
    query = "WITH t AS (SELECT * FROM trades) SELECT id, amount * 2 AS twice FROM t WHERE id < 3 ORDER BY id DESC;"
    assert rows_in(opened(path, Read(query=query))) == [(1, ["2", "10.0"]), (2, ["1", "2e+22"])]
    assert list(opened(path, Read(query="SELECT pair FROM trades WHERE 0")).columns) == ["pair"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "not a single SELECT"),
        ("SELECT 1; SELECT 2", "not a single SELECT"),
        ("SELECT 1; DROP TABLE trades", "not a single SELECT"),
        ("SELECT 1 \0; DROP TABLE trades", "not a single SELECT"),
        ("EXPLAIN SELECT 1", "not a single SELECT"),
        ("DELETE FROM trades RETURNING id", "more than select"),
        ("PRAGMA journal_mode = DELETE", "more than select"),
        ("ATTACH 'other.db' AS o", "more than select"),
        ("SELECT load_extension('x')", "cannot be read as a SQLite file: .*not authorized|more than select|no such"),
        ("SELECT * FROM pragma_table_list", "more than select"),
        ("SELECT id, id FROM trades", "'id' occurs more than once in the header"),
        ("SELECT missing FROM trades", "no such column: missing"),
        ("SELECT ?", "1 bindings"),
        ("SELECT zeroblob(2000000)", "too big"),
        ("SELECT CAST(x'ff' AS TEXT) AS t", "row 1: a text is not UTF-8"),
        ("SELECT", "incomplete input"),
    ],
)
def test_a_query_that_is_something_else_is_refused(create: Create, query: str, why: str) -> None:
    path = create()
    before = path.read_bytes()
    with pytest.raises(InvalidEvent, match=why) as caught:
        rows_in(opened(path, Read(query=query)))
    assert "bot.sqlite" in str(caught.value)
    assert (path.read_bytes(), beside(path)) == (before, [path.name])


def test_a_query_without_end_is_ended(create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_tables, "STEPS_MAX", 100_000)
    monkeypatch.setattr(sqlite_tables, "_STEPS_AT_ONCE", 10_000)
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(InvalidEvent, match="takes too long to reach its next row"):
        rows_in(opened(create(), Read(query=endless)))
    many = opened(create(name="b.db"), Read(query=endless.replace("count(*)", "i") + " LIMIT 20000"))
    assert sum(1 for _ in many.rows()) == 20_000


def test_nothing_in_a_schema_is_executed(create: Create) -> None:
    path = create(
        SCHEMA,
        """
        CREATE TRIGGER spy AFTER INSERT ON trades BEGIN DELETE FROM trades; END;
        CREATE VIEW reading AS SELECT writefile('stolen', note) AS w FROM trades;
        CREATE VIEW loading AS SELECT load_extension('evil') AS w FROM trades;
        CREATE VIRTUAL TABLE found USING fts5 (text);
        """,
    )
    assert rows_in(opened(path, Read(table="trades"))) == ROWS
    for view in ("reading", "loading"):
        with pytest.raises(InvalidEvent, match=r"bot\.sqlite"):
            rows_in(opened(path, Read(table=view)))
    with pytest.raises(InvalidEvent, match="has no table 'found'"):
        opened(path, Read(table="found"))
    assert beside(path) == [path.name]


def test_names_are_quoted_and_columns_may_be_called_rowid(create: Create) -> None:
    path = create('CREATE TABLE "a""; DROP" (rowid, "oid" TEXT); INSERT INTO "a""; DROP" VALUES (9, \'x\'), (1, \'y\')')
    assert rows_in(opened(path)) == [(1, ["9", "x"]), (2, ["1", "y"])]
    all_taken = create("CREATE TABLE t (rowid, oid, _rowid_); INSERT INTO t VALUES (9, 1, 1), (1, 2, 2)", name="all.db")
    assert [cells[0] for _, cells in rows_in(opened(all_taken))] == ["9", "1"]
    without = create(
        "CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES ('b'), ('a')", name="wr.db"
    )
    assert rows_in(opened(without)) == [(1, ["a"]), (2, ["b"])]


def test_a_write_ahead_log_belongs_to_the_file(create: Create) -> None:
    path = create("PRAGMA journal_mode = WAL", SCHEMA)
    assert beside(path) == [path.name]
    before = path.read_bytes()
    assert rows_in(opened(path)) == ROWS
    assert (path.read_bytes(), beside(path)) == (before, [path.name])
    link = path.with_name("link.db")
    link.symlink_to(path)
    with_writer = apsw.Connection(str(path))
    with_writer.execute("INSERT INTO trades (id) VALUES (7)")
    for given in (path, link):
        assert [cells[0] for _, cells in rows_in(opened(given))] == ["1", "2", "3", "7"]
    # What a killed program leaves behind.
    copied = path.with_name("copy")
    copied.mkdir()
    for suffix in ("", "-wal"):
        (copied / f"bot.sqlite{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    with_writer.close()
    assert [cells[0] for _, cells in rows_in(opened(copied / path.name))] == ["1", "2", "3", "7"]
    # SQLite needs the shared memory that the program had.
    assert beside(copied / path.name) == [f"bot.sqlite{suffix}" for suffix in ("", "-shm", "-wal")]
    assert (copied / "bot.sqlite").read_bytes() == before


def test_a_file_that_changes_while_it_is_read_without_locks_is_refused(create: Create) -> None:
    path = create("PRAGMA journal_mode = WAL", SCHEMA)
    rows = opened(path).rows()
    assert isinstance(next(rows), TableRow)
    writer = apsw.Connection(str(path))
    writer.execute("CREATE TABLE more AS SELECT * FROM trades, trades AS t, trades AS u")
    writer.close()
    with pytest.raises(InvalidEvent, match=r"bot\.sqlite changed while it was read"):
        list(rows)


def test_an_interrupted_write_is_not_read_as_if_it_were_done(create: Create) -> None:
    path = create()
    writer = apsw.Connection(str(path))
    writer.execute(
        "PRAGMA cache_size = 1; BEGIN; UPDATE trades SET amount = 0; CREATE TABLE big AS SELECT zeroblob(50000)"
    )
    journal = path.with_name(path.name + "-journal")
    torn = path.with_name("torn")
    torn.mkdir()
    (torn / path.name).write_bytes(path.read_bytes())
    (torn / journal.name).write_bytes(journal.read_bytes())
    writer.close()
    try:
        found = rows_in(opened(torn / path.name, Read(table="trades")))
    except InvalidEvent:
        found = ROWS
    assert found == ROWS


def test_a_packed_or_damaged_file(create: Create, tmp_path: Path) -> None:
    path = create(SCHEMA, "CREATE TABLE filler AS SELECT zeroblob(30000) AS z")
    data = path.read_bytes()
    packed = tmp_path / "bot.sqlite.gz"
    packed.write_bytes(gzip.compress(data))
    assert rows_in(opened(packed, Read(table="trades"))) == ROWS
    with pytest.raises(InvalidEvent, match="expands to more than 1,000 bytes"):
        open_tables(packed, Read(), bytes_max=1_000)
    packed.write_bytes(gzip.compress(data)[:-20])
    with pytest.raises(InvalidEvent, match=r"bot\.sqlite\.gz cannot be read"):
        opened(packed)
    for broken in (data[:4_096], data[:20], data[:16], data[:100] + os.urandom(4_000), b"a,b\n1,2\n"):
        path.write_bytes(broken)
        with pytest.raises(InvalidEvent, match=r"bot\.sqlite"):
            rows_in(opened(path, Read(container="sqlite", table="trades")))
