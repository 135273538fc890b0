"""The shipping process: python -m eventstore.influx.ship.child PLACE, with its request as JSON on stdin.

PLACE is for those who list processes: the request says what is opened, since that may hold a password.

The process ends when the store is closed, which the store announces on stdin, or when the process that started it has
ended. An empty line says that somebody waits for new records.
"""

from __future__ import annotations

import os
import select
import threading

import msgspec

from eventstore.influx.ship.mirror import ShippingRequest
from eventstore.influx.ship.shipper import Shipper
from eventstore.journals.opening import open_journal

DRAIN_SECONDS = 5.0
NICENESS = 5
POLL_SECONDS = 1.0
LINES_BYTES_MAX = 4_096


def main() -> None:
    """Ship a log until stdin ends."""
    parent = os.getppid()
    # Unbuffered: `select` below would not see what a buffer has already read.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        request = msgspec.json.decode(lines.readline(), type=ShippingRequest)
    # The trading process has priority.
    os.nice(NICENESS)
    journal, side = open_journal(request.address, request.log)
    try:
        shipper = Shipper(journal, side, request.settings)
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
    main()
