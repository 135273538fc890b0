"""Opening a store: a directory of this machine, or a log in PostgreSQL by its URL."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from eventstore.arguments import check_checkpoints, settings_of
from eventstore.chains import chain_of, check_not_forked, check_not_lost, complete, ended_of, followed
from eventstore.chains.places import InFolder
from eventstore.clock import Clock, check_clock
from eventstore.errors import Closed, InvalidEvent, StorageWarning
from eventstore.journal import Journal
from eventstore.journals.sqlite import ReadOnlyJournal, SqliteJournal
from eventstore.locations import journal_path, postgres_url
from eventstore.store import EventStore

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from eventstore.chains.places import Place
    from eventstore.config import InfluxSettings
    from eventstore.journal import Maintenance
    from eventstore.proofs.settings import CheckpointSettings


class _Default(str):
    """A default value, which differs in its type from the same text given by a caller."""

    __slots__ = ()


DEFAULT_LOG: str = _Default("main")
TRIES_MAX = 3
"""How often a log is opened to be read whose first writer comes meanwhile."""


def open(
    path: str | os.PathLike[str],
    *,
    log: str = DEFAULT_LOG,
    influx: InfluxSettings | None = None,
    clock: Clock | None = None,
    read_only: bool = False,
    checkpoints: CheckpointSettings | None = None,
) -> EventStore:
    """Open, or create, the log of this name: in a directory, with no server, or at the URL of a PostgreSQL server.

    With `influx` a separate process ships the log to InfluxDB while the store is open; appending never waits for
    it, and `store.mirror` says how far it is. With `read_only` the log must be there, on any medium: it is read, also
    while others write to it, nothing is written beside it, and an append raises ReadOnly. A copy that lacks the end
    of its log opens read-only, with a StorageWarning, and `missing_tail` says what it lacks. With `checkpoints` the
    log is signed while it is open, and at its end. A log that a rotation has ended leads to the one that continues it,
    whose records are counted on from those before. Raises InvalidEvent for a malformed name, ReadOnly, Unavailable,
    StorageFull, CorruptJournal and UnsupportedFormat.

    `postgresql://USER@HOST:PORT/DATABASE?log=NAME` serves several hosts, and needs the extra `postgres`; with
    `durability=replicated` in the URL that creates the log, each append waits for a standby, and raises NotReplicated.
    """
    settings = settings_of(influx)
    if read_only and settings is not None:
        msg = "a mirror writes beside the log that it ships: leave out influx, or read_only"
        raise InvalidEvent(msg)
    check_checkpoints(checkpoints, read_only=read_only)
    if clock is not None:
        check_clock(clock)
    url = postgres_url(path)
    if url is not None:
        name = None if type(log) is _Default else log
        # Imported here: its library is an extra, which most programs do without.
        from eventstore.chains import tables
        from eventstore.journals.postgres import Location

        in_tables = tables.last_journal(Location.of(url, name), clock, read_only=read_only)
        # What a log that is appended to continues is asked of no standby, which may not have all of it.
        place = in_tables.location if read_only else in_tables.location.on_primary()
        return _opened(in_tables, tables.InSchema(place), clock=clock, influx=settings, checkpoints=checkpoints)
    # What others keep of the name is plain text.
    name = "main" if type(log) is _Default else log
    tries = 0
    while True:
        tries += 1
        try:
            journal = _last_journal(path, name, clock, read_only=read_only)
            folder = InFolder(journal.path.parent, journal.log)
            return _opened(
                journal, folder, clock=clock, directory=journal.path.parent, influx=settings, checkpoints=checkpoints
            )
        except Closed:
            # The first process to write to the log has come in between: beside it, it is read with its locks.
            if not read_only or tries == TRIES_MAX:
                raise


def _last_journal(
    path: str | os.PathLike[str], log: str, clock: Clock | None, *, read_only: bool
) -> SqliteJournal | ReadOnlyJournal:
    """Open the journal of a log or, where rotations have ended it, of the last one that continues it."""
    while True:
        log = followed(journal_path(path, log).parent.parent, log)
        place = journal_path(path, log)
        if not read_only:
            check_not_lost(place.parent)
        journal = ReadOnlyJournal(place, log=log) if read_only else SqliteJournal(place, log=log, clock=clock)
        try:
            ended = ended_of(journal)
            if ended is None and not read_only:
                # It may have ended in between.
                ended = check_not_forked(place.parent, journal)
            if ended is None or (read_only and not journal_path(path, ended.next).exists()):
                return journal
            if not read_only:
                complete(place.parent, journal.log_id, ended)
        except BaseException:
            journal.close()
            raise
        journal.close()
        log = ended.next


def _opened(
    journal: Maintenance,
    place: Place,
    *,
    clock: Clock | None,
    directory: Path | None = None,
    influx: InfluxSettings | None,
    checkpoints: CheckpointSettings | None,
) -> EventStore:
    try:
        missing = journal.missing_tail()
        if missing is not None:
            warnings.warn(f"log {journal.log} {place}: {missing}", StorageWarning, stacklevel=3)
        chain = chain_of(journal, place, read_only=not isinstance(journal, Journal))
        return EventStore(
            journal, clock=clock, directory=directory, influx=influx, checkpoints=checkpoints, chain=chain
        )
    except BaseException:
        journal.close()
        raise
