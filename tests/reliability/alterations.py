"""Random alterations of a journal's file: cells of any table, entries of any index, definitions, single bytes."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests.reliability.pages import Column, File, Page, Value, column, columns, record, value_of, wide

TABLES = ("event", "type", "node", "head", "meta")
INDEXES = ("event_by_id", "event_by_stream", "event_by_account")


class Alteration(NamedTuple):
    """What was done, and whether a check must find it: bytes that no read depends on need not be found."""

    what: str
    must_be_found: bool


class Altering:
    """Alters copies of one sound file."""

    def __init__(self, sound: bytes, target: Path) -> None:
        self._sound, self._target = sound, target
        self._file = File(sound)
        target.write_bytes(sound)
        with closing(sqlite3.connect(target)) as connection:
            self._roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))
            self._ids = [row[0] for row in connection.execute("SELECT id FROM event")]
            self._texts = [
                row[0] for row in connection.execute("SELECT stream FROM event UNION SELECT account FROM event")
            ]
            self._head = connection.execute("SELECT position FROM head").fetchone()[0]

    def alter(self, chance: random.Random) -> Alteration:
        """Alter a fresh copy in one way."""
        self._file = File(self._sound)
        while True:
            found = chance.choice([self._cell, self._entry, self._entry, self._schema, self._byte, self._row])(chance)
            if found is not None:
                return found

    def _write(self) -> None:
        self._target.write_bytes(self._file.data)

    # A cell of a table, given a value of any storage class by its bytes

    def _cell(self, chance: random.Random) -> Alteration | None:
        table = chance.choice(TABLES)
        page = chance.choice(
            [page for page in self._file.pages(self._roots[table]) if page.cells and page.cells[0].payload]
        )
        at = chance.randrange(len(page.cells))
        parts = columns(page.cells[at].payload)
        number = chance.randrange(len(parts))
        if table in {"event", "head"} and number == 0:
            return None  # the rowid's place, in which nothing is stored
        old = value_of(parts[number])
        parts[number] = column(self._value(chance, old))
        if value_of(parts[number]) == old and type(value_of(parts[number])) is type(old):
            return None
        key = value_of(parts[0]) if table == "meta" else None
        is_proved = not (table == "meta" and number == 1 and key in {"created_at", "log"})
        return self._replaced(
            page, at, parts, f"{table}, page {page.number}, cell {at}, column {number}: {old!r:.40}", is_proved
        )

    def _replaced(
        self, page: Page, at: int, parts: Sequence[Column], what: str, must_be_found: bool
    ) -> Alteration | None:
        page.cells[at] = page.cells[at]._replace(payload=record(parts))
        if not self._file.put(page):
            return None
        self._write()
        return Alteration(f"{what} became {value_of(parts[0])!r:.30} ...", must_be_found)

    def _value(self, chance: random.Random, old: Value) -> Value:
        """Return another value, often one that looks like the old one."""
        near: list[Value] = [None, 0, 1, "", b"", -1, 1 << 62, 1.5, "x", b"\0", self._head, self._head + 1]
        near += [chance.choice(self._texts), chance.choice(self._ids)]
        if isinstance(old, str):
            near += [old.encode(), old + "\0", old.swapcase(), old[:-1], old + " "] * 3
        elif isinstance(old, bytes):
            near += [old[:-1], old + b"\0", bytes(len(old)), old[::-1]] * 3
            near += ["x" * len(old)]
        elif isinstance(old, int):
            near += [old + 1, old - 1, -old, float(old), str(old)] * 3
        return chance.choice(near)

    # An entry of an index

    def _entry(self, chance: random.Random) -> Alteration | None:
        index = chance.choice(INDEXES)
        page = chance.choice([page for page in self._file.pages(self._roots[index]) if len(page.cells) > 1])
        at = chance.randrange(len(page.cells))
        other = chance.choice([number for number in range(len(page.cells)) if number != at])
        what = f"{index}, page {page.number}, entry {at}"
        edit: Callable[..., Alteration | None] = chance.choice([
            self._dropped, self._doubled, self._swapped, self._retargeted, self._retargeted, self._rekeyed,
            self._rekeyed, self._as_real, self._widened, self._longer, self._exchanged,
        ])  # fmt: skip
        return edit(chance, page, at, other, f"{what}: {edit.__name__[1:]}")

    def _dropped(self, _chance: random.Random, page: Page, at: int, _other: int, what: str) -> Alteration | None:
        if page.right is not None:
            return None  # its child would be lost with it
        del page.cells[at]
        return self._put(page, what)

    def _doubled(self, _chance: random.Random, page: Page, at: int, _other: int, what: str) -> Alteration | None:
        if page.right is not None:
            return None
        page.cells.insert(at, page.cells[at])
        return self._put(page, what)

    def _swapped(self, _chance: random.Random, page: Page, at: int, other: int, what: str) -> Alteration | None:
        """Two entries in each other's place, each with its old child: out of order."""
        one, two = page.cells[at], page.cells[other]
        page.cells[at], page.cells[other] = one._replace(payload=two.payload), two._replace(payload=one.payload)
        return self._put(page, what)

    def _exchanged(self, _chance: random.Random, page: Page, at: int, other: int, what: str) -> Alteration | None:
        """Two entries with each other's rowid, in order."""
        one, two = columns(page.cells[at].payload), columns(page.cells[other].payload)
        one[-1], two[-1] = two[-1], one[-1]
        page.cells[at] = page.cells[at]._replace(payload=record(one))
        page.cells[other] = page.cells[other]._replace(payload=record(two))
        return self._put(page, what)

    def _retargeted(self, chance: random.Random, page: Page, at: int, _other: int, what: str) -> Alteration | None:
        parts = columns(page.cells[at].payload)
        old = value_of(parts[-1])
        new = chance.choice([chance.randint(1, self._head), self._head + 1, 0, -1, None, "1", b"1"])
        parts[-1] = column(new)
        return None if new == old else self._replaced(page, at, parts, f"{what} to {new!r}", must_be_found=True)

    def _rekeyed(self, chance: random.Random, page: Page, at: int, _other: int, what: str) -> Alteration | None:
        parts = columns(page.cells[at].payload)
        number = chance.randrange(len(parts) - 1)
        old = value_of(parts[number])
        new = self._value(chance, old)
        if new == old and type(new) is type(old):
            return None
        parts[number] = column(new)
        return self._replaced(page, at, parts, f"{what} from {old!r:.40} to {new!r:.40}", must_be_found=True)

    def _as_real(self, _chance: random.Random, page: Page, at: int, _other: int, what: str) -> Alteration | None:
        parts = columns(page.cells[at].payload)
        number = len(parts) - 2
        old = value_of(parts[number])
        if not isinstance(old, int):
            return None
        parts[number] = column(float(old))
        return self._replaced(page, at, parts, what, must_be_found=True)

    def _widened(self, _chance: random.Random, page: Page, at: int, _other: int, what: str) -> Alteration | None:
        """The same number with more bytes: a reader cannot see the difference."""
        parts = columns(page.cells[at].payload)
        old = value_of(parts[-1])
        assert isinstance(old, int)
        parts[-1] = wide(old)
        return self._replaced(page, at, parts, what, must_be_found=False)

    def _longer(self, chance: random.Random, page: Page, at: int, _other: int, what: str) -> Alteration | None:
        """One column more than the index has, or one less."""
        parts = columns(page.cells[at].payload)
        parts = [*parts, column(chance.randint(1, self._head))] if chance.random() < 0.5 else parts[:-1]
        return self._replaced(page, at, parts, what, must_be_found=True)

    def _put(self, page: Page, what: str) -> Alteration | None:
        if not self._file.put(page):
            return None
        self._write()
        return Alteration(what, must_be_found=True)

    # Definitions

    def _schema(self, chance: random.Random) -> Alteration | None:
        self._write()
        with closing(sqlite3.connect(self._target, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            rows = connection.execute("SELECT rowid, * FROM sqlite_schema").fetchall()
            rowid, kind, name, table, root, sql = chance.choice(rows)
            what = chance.choice(["delete", "type", "name", "tbl_name", "rootpage", "sql", "add", "double"])
            if what == "delete":
                connection.execute("DELETE FROM sqlite_schema WHERE rowid = ?", (rowid,))
            elif what == "add":
                connection.execute(chance.choice(ADDED))
            elif what == "double":
                row = (kind, f"{name}2", table, root, sql.replace(name, f"{name}2", 1))
                connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)
            else:
                old = {"type": kind, "name": name, "tbl_name": table, "rootpage": root, "sql": sql}[what]
                new = self._defined(chance, what, old, [row[4] for row in rows])
                if new == old:
                    return None
                connection.execute(f"UPDATE sqlite_schema SET {what} = ? WHERE rowid = ?", (new, rowid))  # noqa: S608 - a column
            return Alteration(f"sqlite_schema, {name}: {what}", must_be_found=True)

    def _defined(self, chance: random.Random, what: str, old: str | int, roots: Sequence[int]) -> str | int | None:
        if what == "rootpage":
            pages: list[int] = [*roots, 0, 1, -1, 10_000, len(self._sound) // self._file.page_bytes]
            return chance.choice(pages)
        text = str(old)
        at = chance.randrange(len(text))
        letter = chance.choice(" xX,()'\"1\n")
        changed: list[str] = [
            text[:at] + text[at + 1 :], text[:at] + letter + text[at:], text[:at] + letter + text[at + 1 :],
            text.swapcase(), text.replace("NOT NULL", ""), text.replace("STRICT", ""), text.replace("UNIQUE ", ""),
            text.replace("TEXT", "TEXT COLLATE NOCASE"), text + " WHERE position < 100", text + " -- x", "",
        ]  # fmt: skip
        return chance.choice(changed)

    # A whole row, through SQL

    def _row(self, chance: random.Random) -> Alteration | None:
        self._write()
        with closing(sqlite3.connect(self._target, isolation_level=None)) as connection:
            table = chance.choice(TABLES)
            name = chance.choice(KEYS[table])
            key = chance.choice(connection.execute(f"SELECT {name} FROM {table}").fetchall())[0]  # noqa: S608 - constants
            sql = chance.choice(ROWS[table]).format(table=table, name=name, at=_AT, new=_NEW)
            try:
                count = connection.execute(sql, {"key": key, "other": chance.randint(-1, self._head + 2)}).rowcount
            except sqlite3.IntegrityError:
                return None
            return Alteration(f"{sql} with {key!r}", must_be_found=True) if count else None

    # A byte of the file

    def _byte(self, chance: random.Random) -> Alteration | None:
        at = chance.randrange(HEADER_SEARCH) if chance.random() < 0.1 else chance.randrange(len(self._sound))
        self._file.data[at] ^= chance.randrange(1, 256) if chance.random() < 0.5 else 1 << chance.randrange(8)
        self._write()
        return Alteration(f"byte {at} became {self._file.data[at]:#x}", must_be_found=False)


HEADER_SEARCH = 100
KEYS = {"event": ["position"], "type": ["name"], "node": ["level", "number"], "head": ["one"], "meta": ["key"]}

ADDED = [
    "CREATE TRIGGER t AFTER INSERT ON event BEGIN UPDATE event SET note = 'x'; END",
    "CREATE TABLE other (a)",
    "CREATE VIEW v AS SELECT * FROM event",
    "CREATE INDEX i ON event (type)",
    "CREATE UNIQUE INDEX i ON event (recorded_at)",
    "CREATE INDEX i ON event (account) WHERE version = 1",
    "CREATE VIRTUAL TABLE w USING fts5(a)",
    "CREATE TABLE s (a INTEGER PRIMARY KEY AUTOINCREMENT)",
]

_AT = "1 + abs(:other) % 500"
_NEW = (
    "(SELECT max(position) + 1 FROM event), 'x/y/z', 1, type, schema, recorded_at + 1, occurred_at, randomblob(16), "
    "data, actor, note, correlation_id, causation_id, digest, 'y'"
)
_DELETE = "DELETE FROM {table} WHERE {name} = :key"
ROWS = {
    "event": [
        _DELETE,
        "UPDATE event SET position = :other WHERE rowid = :key AND position <> :other",
        "UPDATE event SET account = 'A' || :other WHERE rowid = :key",
        "UPDATE event SET data = (SELECT data FROM event WHERE position = {at}) WHERE {name} = :key AND {name} <> {at}",
        "UPDATE event SET version = :other WHERE rowid = :key AND version <> :other",
        "INSERT INTO event SELECT {new} FROM event WHERE rowid = :key",
    ],
    "type": [
        _DELETE,
        "UPDATE type SET durability = 'MIRRORED' WHERE name = :key",
        "UPDATE type SET measures = '[\"price\"]' WHERE name = :key AND measures <> '[\"price\"]'",
        "UPDATE type SET schema = schema + 1 WHERE name = :key",
        "INSERT INTO type SELECT name || :other, schema, durability, measures FROM type WHERE name = :key",
    ],
    "node": [
        "DELETE FROM node WHERE {name} = :key",
        "UPDATE node SET hash = randomblob(32) WHERE {name} = :key",
        "UPDATE node SET number = number + 1 + abs(:other) WHERE {name} = :key",
        "INSERT INTO node SELECT level + abs(:other), number, hash FROM node WHERE {name} = :key LIMIT 1",
    ],
    "head": [
        _DELETE,
        "UPDATE head SET position = :other WHERE position <> :other",
        "UPDATE head SET recorded_at = recorded_at + :other WHERE :other <> 0",
        "UPDATE head SET frontier = randomblob(length(frontier))",
    ],
    "meta": [
        "DELETE FROM meta WHERE key = :key",
        "INSERT INTO meta VALUES ('key' || :other, :key)",
        "UPDATE meta SET key = key || 'x' WHERE key = :key",
    ],
}
