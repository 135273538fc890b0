"""The snapshot file from outside: locked by another process, changed on disk, inspected after a restart."""

import subprocess
import sys
import warnings
from pathlib import Path

import apsw

import projections
from eventstore import EventStore
from projections import SnapshotWarning
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


def executed(file: Path, statement: str) -> None:
    connection = apsw.Connection(str(file))
    connection.execute(statement)
    connection.close()
