"""The shipping process: python -m eventstore.influx.ship.child DIRECTORY, with its settings as JSON on stdin.

It ends when the store is closed, which the store announces on stdin, or when the process that started it has ended. An
empty line says that somebody waits for new records.
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
LINES_BYTES_MAX = 4_096


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
        watcher = threading.Thread(target=follow_parent, args=(shipper, parent), name="watcher", daemon=True)
        watcher.start()
        shipper.run()
    finally:
        journal.close()


def follow_parent(shipper: Shipper, parent: int, handle: int = 0) -> None:
    """Wake the shipper for each empty line; stop it for any other line, the end of input, or another parent process.

    The end of input is not enough: a fork of the parent may hold the pipe open.
    """
    while os.getppid() == parent:
        if select.select([handle], [], [], POLL_SECONDS)[0]:
            lines = os.read(handle, LINES_BYTES_MAX)
            if not lines or lines.strip():
                break
            shipper.wake()
    shipper.stop(drain_seconds=DRAIN_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
