"""Logs in PostgreSQL that continue one another: from the name of one that has ended to the last one, and back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

from typing_extensions import override

from eventstore.chains.chain import first_of
from eventstore.chains.following import LOGS_MAX, ended_of
from eventstore.chains.places import EarlierJournal, Place
from eventstore.errors import NoSuchLog, StoreError, Unavailable
from eventstore.journals.postgres import Location, PostgresJournal, ReadOnlyPostgres
from eventstore.journals.postgres.tables import PREVIOUS
from eventstore.locations import next_name

if TYPE_CHECKING:
    from eventstore.clock import Clock
    from eventstore.journal import Maintenance
    from eventstore.side import LogSide
    from eventstore.trading.logs import LogContinued, LogEnded


class InSchema(Place):
    """The schema of a log's tables."""

    def __init__(self, location: Location) -> None:
        self._location = location

    @property
    @override
    def absent(self) -> type[Unavailable]:
        return NoSuchLog

    @property
    @override
    def advice(self) -> str:
        return f"write the name of its schema into document {PREVIOUS} of schema {self._location.schema}"

    @override
    def before(self, own: Maintenance, log: str) -> InSchema:
        """Return the schema that this one's document names, or the usual one of the log's name."""
        assert isinstance(own, PostgresJournal | ReadOnlyPostgres)
        named = own.document(PREVIOUS)
        return InSchema(self._location.of_log(log, None if named is None else named.decode(errors="replace")))

    @override
    def read(self) -> ReadOnlyPostgres:
        return ReadOnlyPostgres(self._location)

    @override
    def side(self, journal: EarlierJournal) -> LogSide:
        assert isinstance(journal, ReadOnlyPostgres)
        return journal.side

    @override
    def __str__(self) -> str:
        return f"in schema {self._location.schema}"


def last_journal(location: Location, clock: Clock | None, *, read_only: bool) -> PostgresJournal | ReadOnlyPostgres:
    """Open the journal of a log or, where rotations have ended it, of the last one that continues it."""
    for _ in range(LOGS_MAX):
        journal = ReadOnlyPostgres(location) if read_only else PostgresJournal(location, clock=clock)
        try:
            ended = ended_of(journal)
            if ended is None and isinstance(journal, PostgresJournal):
                # It may have ended in between.
                ended = _check_not_forked(journal)
            following = None if ended is None else _found(location, ended)
            if following is None and (ended is None or read_only):
                return journal
        except BaseException:
            journal.close()
            raise
        journal.close()
        if following is None:
            assert ended is not None
            msg = f"{location} has ended, and log {ended.next}, which continues it, is not there"
            raise Unavailable(msg)
        location = following
    msg = f"{location} is continued by more than {LOGS_MAX:,} others: its tables were changed"
    raise Unavailable(msg)


def _found(location: Location, ended: LogEnded) -> Location | None:
    """Return where the log is that continues one, None where it is not there."""
    following = location.continued_by(ended.next)
    try:
        with contextlib.closing(ReadOnlyPostgres(following)) as found:
            log_id = found.log_id
    except NoSuchLog:
        return None
    if log_id != ended.next_id.bytes:
        msg = f"{following} is not the log {ended.next_id} that continues log {location.log}: move it away"
        raise Unavailable(msg)
    return following


def _check_not_forked(journal: PostgresJournal) -> LogEnded | None:
    """Raise Unavailable where a log that has not ended is continued: it was restored from a dump of before its end.

    Returns how it has ended, where it has meanwhile.
    """
    location = journal.location
    following = location.continued_by(next_name(location.log))
    first = None
    if journal.is_beside(following):
        # Another log of that name, as one that this role may not read, keeps this one from nothing.
        with contextlib.suppress(StoreError), contextlib.closing(ReadOnlyPostgres(following)) as found:
            first = first_of(found)
    if first is None or cast("LogContinued", first.event).previous.bytes != journal.log_id:
        return None
    if (ended := ended_of(journal)) is not None:
        return ended
    msg = (
        f"{location} is an older copy: it has ended, and log {following.log} continues it. Put its last state back, or "
        "read this one with read_only"
    )
    raise Unavailable(msg)
