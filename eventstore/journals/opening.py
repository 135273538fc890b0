"""Opening a log's journal, and what lies beside it, by the address that its side gives to other processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eventstore.journals.sqlite import SqliteJournal
from eventstore.locations import postgres_url
from eventstore.side import FileSide

if TYPE_CHECKING:
    from eventstore.journal import Maintenance
    from eventstore.side import LogSide


def open_journal(address: str, log: str | None) -> tuple[Maintenance, LogSide]:
    """Open a log to append, by the directory that has its journal or the URL of PostgreSQL; raise as a store does.

    Without a name it is the one that the URL, or the directory, has.
    """
    url = postgres_url(address)
    if url is not None:
        # Imported here: its library is an extra, which most programs do without.
        from eventstore.journals.postgres import Location, PostgresJournal

        journal = PostgresJournal(Location.of(url, log))
        return journal, journal.side
    directory = Path(address)
    return SqliteJournal(directory / "journal.db", log=log or directory.name), FileSide(directory)
