"""An intruder who knows the format: rewrites records with their digests, the tree and the head."""

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from eventstore import Record
from eventstore.journals.sqlite import rows
from eventstore.proofs import merkle
from eventstore.testing import naive_digest


def read(journal: sqlite3.Connection) -> list[Record]:
    """Return the records of a file as they are stored."""
    found = journal.execute(f"SELECT {rows.COLUMNS}, 'main' FROM event ORDER BY position")  # noqa: S608 - constant
    return [Record(*row) for row in found]


def forge(journal: sqlite3.Connection, change: Callable[[Record], Record]) -> None:
    """Rewrite each record by a function, and all that has to fit."""
    log_id = journal.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()[0]
    write(journal, [change(record) for record in read(journal)], log_id)


def write(journal: sqlite3.Connection, records: Sequence[Record], log_id: bytes) -> None:
    """Put records in the place of all that a file has, under digests, tree and head of their own."""
    sealed = [msgspec.structs.replace(record, digest=naive_digest(log_id, record)) for record in records]
    tree = merkle.Frontier()
    nodes = tree.grow([record.digest for record in sealed])
    with journal:
        journal.execute("BEGIN")
        journal.execute("DELETE FROM event")
        journal.execute("DELETE FROM node")
        journal.executemany(rows.INSERT, [rows.row_of(record) for record in sealed])
        journal.executemany("INSERT INTO node VALUES (?, ?, ?)", nodes)
        head = (tree.size, sealed[-1].recorded_at, tree.to_bytes())
        journal.execute("UPDATE head SET position = ?, recorded_at = ?, frontier = ?", head)
