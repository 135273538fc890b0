"""The process that ships: python -m eventstore.influx.ship.child DIRECTORY, with settings as JSON on its input.

It ends when the store is closed, which says so on its input, and when the process that started it is gone.
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
LOOK_SECONDS = 1.0


def main(directory: Path) -> None:
    """Ship a log's folder until the input ends."""
    parent = os.getppid()
    # Unbuffered: what follows the line is waited for below the buffer.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        settings = msgspec.json.decode(lines.readline(), type=InfluxSettings)
    # The trading process goes first.
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
    """Wait for a word, for the input's end, or for another parent: a fork of the first may hold the input open."""
    while not select.select([0], [], [], LOOK_SECONDS)[0] and os.getppid() == parent:
        pass
    shipper.stop(drain_seconds=DRAIN_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
