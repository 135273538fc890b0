"""What an intruder does to a closed journal's file, and what opening or verifying finds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

import eventstore
from eventstore import Batch, CorruptJournal, StoreError
from eventstore.proofs import merkle
from eventstore.record import Record, digest, digest_prefix
from tests.reliability.checking import submitted

RECORDS = 600
STREAMS = 7


def make_log(directory: Path, count: int = RECORDS) -> list[Record]:
    """Append records with every member set to something, close the log and return them."""
    with eventstore.open(directory) as store:
        for number in range(count):
            store.append_many(
                [
                    Batch(
                        f"order/ACC{number % 3}/{number % STREAMS}",
                        submitted(f"{number}"),
                        actor="desk@host/program",
                        note=f"n{number}",
                        correlation_id=number.to_bytes(16, "big"),
                        causation_id=(number + 1).to_bytes(16, "big"),
                    )
                ]
            )
        return list(store.read())


class Case:
    """A log's directory to break, and another to restore it from."""

    def __init__(self, sound: Path, broken: Path, records: Sequence[Record]) -> None:
        self.sound, self.broken, self.records = sound, broken, records
        self.log_id = b""
        self.restore()
        with self.sql() as connection:
            self.log_id = connection.execute("SELECT value FROM meta WHERE key = 'log_id'").get

    @property
    def file(self) -> Path:
        return self.broken / "main" / "journal.db"

    def restore(self) -> None:
        shutil.rmtree(self.broken, ignore_errors=True)
        shutil.copytree(self.sound, self.broken)

    @contextmanager
    def sql(self) -> Iterator[apsw.Connection]:
        connection = apsw.Connection(str(self.file))
        try:
            yield connection
        finally:
            connection.close()

    def run(self, *statements: str, values: Sequence[Any] = ()) -> None:
        with self.sql() as connection, connection:
            for statement in statements:
                connection.execute(statement, values)

    def found(self, *, after: int = 0) -> int | None:
        """Return the position that opening or verifying names, None where neither finds anything."""
        try:
            with eventstore.open(self.broken) as store:
                return store.verify(after=after).first_bad
        except CorruptJournal as error:
            return error.position

    def rewrite(self, position: int, **members: object) -> None:
        """Change a record's members, and its digest with them, as one does who knows how it is made."""
        with self.sql() as connection, connection:
            for name, value in members.items():
                connection.execute(f"UPDATE event SET {name} = ? WHERE position = ?", (value, position))  # noqa: S608
            members_of = (
                "id, stream, type, schema, occurred_at, CAST(data AS BLOB), actor, note, correlation_id, "
                "causation_id, position, version, recorded_at, digest"
            )
            row: Any = connection.execute(f"SELECT {members_of} FROM event WHERE position = ?", (position,)).fetchone()  # noqa: S608
            record = Record(*row, "main")  # type: ignore[call-arg] # as many as members
            leaf = digest(digest_prefix(self.log_id, record), position, record.version, record.recorded_at, record)
            connection.execute("UPDATE event SET digest = ? WHERE position = ?", (leaf, position))


def tile_of(position: int) -> range:
    """Return the positions of the tile that a position lies in."""
    first = (position - 1) // merkle.TILE * merkle.TILE + 1
    return range(first, first + merkle.TILE)


def outcome(directory: Path) -> tuple[str, list[Record]]:
    """Return what opening, verifying, SQLite's own check and reading tell of a directory."""
    try:
        with eventstore.open(directory) as store:
            found = store.verify()
            if not found.ok:
                return "verify", []
            if store.doctor():
                return "doctor", []
            streams = [f"order/ACC{account}/{number}" for number in range(STREAMS) for account in range(3)]
            by_stream = [record for stream in streams for record in store.read(stream=stream)]
            records = list(store.read())
            assert sorted(by_stream, key=lambda record: record.position) == records
            return "unchanged", records
    except StoreError as error:
        return type(error).__name__, []
