"""A process that imports a file while folding it and writing cuts, to be killed half-way.

python -m tests.projections.importing DIRECTORY FILE FORMAT ACCOUNT
"""

import sys
from pathlib import Path

import eventstore
import projections
from eventstore import EventStore
from gateways.importers import APPENDING, ImportReport, import_file

CUT_EVENTS = 2_000


def imported(store: EventStore, path: Path, format: str, account: str) -> ImportReport:
    """Import a file while a book follows it, says how far it has come, and writes a cut every 2,000 events."""
    with projections.open(store) as book:

        def follow(phase: str, done: int, total: int | None) -> None:
            if phase == APPENDING and done % CUT_EVENTS == 0:
                book.refresh()
                book.snapshot()
                sys.stdout.write(f"{book.position}\n")
                sys.stdout.flush()

        return import_file(store, path, format, account=account, progress=follow)


def main(directory: str, path: str, format: str, account: str) -> None:
    with eventstore.open(Path(directory)) as store:
        imported(store, Path(path), format, account)


if __name__ == "__main__":
    main(*sys.argv[1:])
