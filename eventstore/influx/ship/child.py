"""The shipping process: python -m eventstore.influx.ship.child DIRECTORY, with its settings as JSON on stdin.

It ends when the store is closed, which the store announces on stdin, or when the process that started it has ended.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from pathlib import Path

import msgspec

from eventstore.config import InfluxSettings
from eventstore.influx.ship.shipper import Shipper
from eventstore.journals.sqlite import SqliteJournal

DRAIN_SECONDS = 5.0
NICENESS = 5
POLL_SECONDS = 1.0


def main(directory: Path) -> None:
    """Ship a log until stdin ends."""
    parent = os.getppid()
    # Unbuffered: `select` below would not see what a buffer has already read.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        settings = msgspec.json.decode(lines.readline(), type=InfluxSettings)
    # The trading process has priority.
    os.nice(NICENESS)
    journal = SqliteJournal(directory / "journal.db", log=directory.name)
    try:
        shipper = Shipper(journal, directory, settings)
        watcher = threading.Thread(target=_end_with_parent, args=(shipper, parent), name="watcher", daemon=True)
        watcher.start()
        shipper.run()
    finally:
        journal.close()


def _end_with_parent(shipper: Shipper, parent: int) -> None:
    """Wait for input, its end, or another parent process: a fork of the parent may hold the pipe open."""
    while not select.select([0], [], [], POLL_SECONDS)[0] and os.getppid() == parent:
        pass
    shipper.stop(drain_seconds=DRAIN_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
