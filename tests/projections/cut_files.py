"""The snapshot file from outside: locked by another process, changed on disk, inspected after a restart."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import apsw

import projections
from eventstore import EventStore
from projections import Snapshots, SnapshotWarning
from projections.opening import snapshots_of
from tests.projections.cutting import digest, from_zero
from tests.projections.examples import bought

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE IF NOT EXISTS held (x)")
print("held", flush=True)
sys.stdin.read()
"""
SHARED_LOCK, EXCLUSIVE_LOCK = "PRAGMA locking_mode = NORMAL", "PRAGMA locking_mode = EXCLUSIVE"


def held(file: Path, mode: str = SHARED_LOCK) -> subprocess.Popen[str]:
    """Return a process that holds the write lock of a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def let_go(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=30)


def again(store: EventStore, where: Path | None = None) -> None:
    """Check that a restart finds a complete cut at the head."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", SnapshotWarning)
        with projections.open(store, snapshots=where) as book:
            assert book.recovery.cut == store.head()
            assert digest(book) == from_zero(store)


def move_on(book: projections.Book) -> None:
    """Change one account's states: the other accounts' states of the previous cut must stay in the file."""
    number = book.position + 1
    book.append("trade/B/T", bought(f"T{number}"))


def beside(store: EventStore) -> Snapshots:
    """Return the cuts that lie beside a log, in a file or in tables."""
    found = snapshots_of(store, None)
    assert found is not None
    return found


def changed(store: EventStore, statement: str, **values: object) -> None:
    """Change the cuts of a log from outside."""
    snapshots = beside(store)
    with snapshots._place.writing() as rows:
        rows.execute(statement, values)
    snapshots.close()


def found_in(store: EventStore, question: str) -> list[tuple[Any, ...]]:
    """Return what is stored in the cuts of a log."""
    snapshots = beside(store)
    with snapshots._place.reading() as rows:
        assert rows is not None
        found = list(rows.execute(question, {}))
    snapshots.close()
    return found


def executed(file: Path, statement: str) -> None:
    connection = apsw.Connection(str(file))
    connection.execute(statement)
    connection.close()
