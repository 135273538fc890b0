"""Ending a log in PostgreSQL and beginning the next one, in one transaction: there is no moment between the two.

The next log's tables are made and filled first, while others append to the old one. Then the old log's head is locked,
for the few milliseconds of its last record and the commit. Where others append all the time, its head is locked before
the state is read, and they wait. A fail-over, a kill or a lost connection leaves both or neither.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.clock import wall_ns
from eventstore.errors import (
    AccountChanged,
    CorruptJournal,
    LogHasEnded,
    OutcomeUnknown,
    Overloaded,
    ReadOnly,
    StoreError,
    TargetExists,
    Unavailable,
)
from eventstore.events import REPLICATED
from eventstore.journal import Query, append, declared
from eventstore.journals.heads import Head
from eventstore.journals.holding import HoldLimit
from eventstore.journals.postgres import restore, rows, tables
from eventstore.journals.postgres.connection import (
    Access,
    LockNotAvailable,
    PostgresError,
    from_postgres,
    is_lost,
    translated,
)
from eventstore.journals.postgres.hosts import newest
from eventstore.journals.postgres.journal import LOST_SECONDS, RETRY_SECONDS
from eventstore.journals.postgres.writing import Transaction
from eventstore.journals.repetitions import Tails
from eventstore.journals.sequencing import Sequencer
from eventstore.record import Unchanged
from eventstore.record_errors import DuplicateEvent
from eventstore.trading.logs import LogEnded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventstore.clock import Clock
    from eventstore.journal import Group
    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.journal import PostgresJournal
    from eventstore.journals.postgres.location import Location
    from eventstore.journals.postgres.stalled import StalledSessions
    from eventstore.record import PreparedBatch, Record

STOPPED_SECONDS = 2.5
"""How long its process may stand still meanwhile, before the server ends its transaction."""
_MAY_CREATE = (
    "SELECT coalesce((SELECT has_schema_privilege(oid, 'CREATE, USAGE') FROM pg_namespace WHERE nspname = %s), "
    "has_database_privilege(current_database(), 'CREATE'))"
)
_TAKEN = (
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s "
    "ORDER BY c.relname LIMIT 1"
)

# Each right on the tables of the log before, or on its schema, of another role than this one, which owns the new ones.
_GRANTS = """
WITH rights AS (
  SELECT format('SCHEMA %%I', %(schema)s::text) AS thing, a.grantee, a.privilege_type
  FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE n.nspname = %(before)s
  UNION ALL
  SELECT format('TABLE %%I.%%I', %(schema)s::text, relname), a.grantee, a.privilege_type
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN (pg_class s JOIN pg_namespace m ON m.oid = s.relnamespace AND m.nspname = %(schema)s) USING (relname),
    aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
  WHERE n.nspname = %(before)s AND c.relkind IN ('r', 'v')
)
SELECT format('GRANT %%s ON %%s TO %%s', privilege_type, thing,
  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
FROM rights WHERE grantee = 0 OR pg_get_userbyid(grantee) <> current_user ORDER BY 1
"""


class UnknownEnd(Exception):
    """No certain answer to the commit that ends a log."""


def next_location(previous: PostgresJournal, log: str) -> Location:
    """Return where the log is that continues one; it is as durable."""
    return previous.location.continued_by(log)._replace(durability=previous.durability)


def check_possible(location: Location) -> None:
    """Raise TargetExists where a log's place is taken, ReadOnly where this role may not make its tables there."""
    with translated(location), contextlib.closing(newest(location, Access.WRITE)) as connection:
        schema = location.schema
        if tables.is_there(connection, location):
            msg = f"there is a {location}: name the next one otherwise"
            raise TargetExists(msg)
        if (taken := connection.execute(_TAKEN, (schema,)).fetchone()) is not None:
            msg = f'schema "{schema}" of {location} has {taken[0]}, which is not a log\'s: name the next log otherwise'
            raise TargetExists(msg)
        if connection.execute(_MAY_CREATE, (schema,)).fetchone() != (True,):
            role, database = connection.info.user, connection.info.dbname
            msg = (
                f"{location}: role {role} may not make its schema, so nothing was changed: GRANT CREATE ON DATABASE "
                f'"{database}" TO "{role}", or CREATE SCHEMA "{schema}" AUTHORIZATION "{role}"'
            )
            raise ReadOnly(msg)


class NextLog:
    """The log that continues another one: nobody sees any of it before that one has ended."""

    def __init__(
        self,
        previous: PostgresJournal,
        location: Location,
        clock: Clock,
        stalled: StalledSessions,
        kept: Mapping[str, bytes],
    ) -> None:
        self._previous, self._clock, self._stalled = previous, clock, stalled
        self._holding = HoldLimit(previous.location)
        self.log, self.log_id = location.log, os.urandom(16)
        self._restoration = restore.PostgresRestoration(location, self.log_id, created_at=wall_ns(clock))
        try:
            self._begin(location.schema, kept)
        except BaseException:
            self.abandon()
            raise
        self._versions: dict[str, int] = {}
        self._first: Record | None = None
        self._last: Record | None = None

    def _begin(self, schema: str, kept: Mapping[str, bytes]) -> None:
        """Write what lies beside the log, and let those use it who may use the one before."""
        restoration, before = self._restoration, self._previous.location.schema
        with translated(restoration.location):
            # What is to be written is at hand: a process that stands still keeps the next one's name for seconds only.
            Transaction.prepare(restoration.connection)
        restoration.connection.patience = restore.COMMIT_SECONDS
        restoration.keep({}, {tables.PREVIOUS: before.encode(), **kept})
        with translated(restoration.location):
            names = {"before": before, "schema": schema}
            for (grant,) in restoration.connection.execute(_GRANTS, names).fetchall():
                restoration.connection.execute(grant)

    def take_turn(self) -> bool:
        """Let all others who append wait until this has ended; return False where they did not let this one in.

        Raises Unavailable.
        """
        connection, previous = self._restoration.connection, self._previous.location
        with translated(previous):
            try:
                connection.execute(f'SET LOCAL search_path = "{previous.schema}"')
                connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{STOPPED_SECONDS}s'")
                Transaction(connection, self._previous.log_id, is_replicated=False).lock()
            except LockNotAvailable:
                self._end_stalled()
                return False
            self._holding.begin()
            connection.execute(f'SET LOCAL search_path = "{self._restoration.location.schema}"')
        return True

    def _end_stalled(self) -> None:
        """End the sessions whose clients stand still, where the head was waited for in vain; abandon this log."""
        connection, previous = self._restoration.connection, self._previous.location
        with translated(previous):
            if Transaction.rolled_back(connection):
                connection.execute(f'SET search_path = "{previous.schema}"')
                self._stalled.end(connection)
        self.abandon()

    def append(self, batches: Iterable[PreparedBatch], *, after: int) -> None:
        """Write the batches that follow, recorded after an instant; raise what is wrong with one of them."""
        self._holding.check()
        last = self._last
        work = Sequencer(
            log=self.log,
            log_id=self.log_id,
            position=last.position if last else 0,
            recorded_at=last.recorded_at if last else after,
            now_ns=self._clock.now_ns(),
            version=lambda stream: self._versions.get(stream, 0),
            find=lambda _: {},
            newest=lambda _: 0,
            tails=Tails(lambda *_: []),
            check_ids=False,
        )
        for batch in batches:
            _raise_error(work.place([batch]))
        self._versions |= work.versions
        self._first = self._first or work.records[0]
        self._last = work.records[-1]
        self._restoration.add(work.records)

    def end_previous(self, batch: PreparedBatch, root: bytes) -> bool:
        """End the log before with a batch, and begin this one; return False where others have appended meanwhile.

        `root` is that of the log before, at the position since which the batch expects it unchanged. Raises
        LogHasEnded, CorruptJournal, StorageFull, with nothing changed, and Unavailable.
        """
        restoration = self._restoration
        try:
            with translated(restoration.location):
                restoration.complete()
            self._holding.check()
            return self._ended([batch], root)
        except LockNotAvailable:
            self._end_stalled()
            return False
        except UnknownEnd as e:
            restoration.abandon()
            return self._became(batch, str(e))
        except PostgresError as e:
            raise from_postgres(e, self._previous.location) from e
        finally:
            restoration.abandon()

    def abandon(self) -> None:
        """Leave nothing behind, unless the log before has ended."""
        self._restoration.abandon()

    def _ended(self, group: Group, root: bytes) -> bool:
        connection, previous = self._restoration.connection, self._previous
        transaction, work, head = self._last_record(connection, group, root)
        if work is None:
            return False
        frontier = head.frontier.copy()
        nodes = frontier.grow([record.digest for record in work.records])
        kinds = [declared(*kind) for kind in work.types]
        try:
            transaction.store(work.rows, nodes, kinds, (work.position, work.recorded_at, frontier.to_bytes()))
        except PostgresError as e:
            if is_lost(e, connection):
                raise UnknownEnd(str(from_postgres(e, previous.location))) from e
            raise
        if connection.warned or transaction.is_doubtful:
            raise UnknownEnd("; ".join(connection.warned) or "the server's settings were loaded again")
        return True

    def _last_record(
        self, connection: Connection, group: Group, root: bytes
    ) -> tuple[Transaction, Sequencer | None, Head]:
        """Lock the head of the log before, and place its last record; None where others have appended meanwhile."""
        previous = self._previous
        assert self._first is not None
        tables.check_durable(connection, previous.location, previous.durability)
        # Also what the server is set to now, which the commit's wait for a standby rests on.
        Transaction.prepare(connection)
        connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{STOPPED_SECONDS}s'")
        connection.execute(f'SET LOCAL search_path = "{previous.location.schema}"')
        transaction = Transaction(connection, previous.log_id, is_replicated=previous.durability is REPLICATED)
        position, recorded_at, frontier = transaction.lock()
        previous.check_continued(connection)
        digest, has_ended = rows.read_last(connection, position)
        head = Head.of((position, recorded_at, digest, frontier))
        if has_ended:
            (last,) = rows.page(connection, previous.log, Query(after=position - 1, limit=1))
            raise _ended_by_another(previous.log, last)
        work = Sequencer(
            log=previous.log,
            log_id=previous.log_id,
            position=position,
            recorded_at=recorded_at,
            # Times rise over all logs: this record comes before the next log's first one.
            now_ns=self._first.recorded_at - 1,
            version=lambda stream: rows.version(connection, stream),
            find=lambda ids: rows.find(connection, previous.log, ids),
            newest=lambda account: rows.newest_position(connection, account),
            tails=Tails(lambda *_: []),
            check_ids=False,
        )
        outcome = work.place(group)
        if isinstance(outcome, AccountChanged):
            return transaction, None, head
        _raise_error(outcome)
        if head.frontier.root() != root:
            raise CorruptJournal(position, f"{previous.location} has another root than was read of it")
        return transaction, work, head

    def _became(self, batch: PreparedBatch, why: str) -> bool:
        """Return whether a log has ended whose commit was not answered; on whichever server is the primary now."""
        previous = self._previous
        # By its id, with the head locked: what is known is returned, and the condition keeps out what is not.
        asked = replace(batch, unchanged=Unchanged(accounts=(), since=0))
        deadline = time.monotonic() + LOST_SECONDS
        while True:
            try:
                append(previous, [asked])
            except AccountChanged:
                return False
            except (Overloaded, Unavailable, OutcomeUnknown) as e:
                if time.monotonic() > deadline:
                    msg = (
                        f"{previous.location}: no answer to the commit that ends it ({' '.join(why.split())}): it has "
                        "ended as a whole, or not at all; open it to see which log it leads to"
                    )
                    raise Unavailable(msg) from e
                time.sleep(RETRY_SECONDS)
            except DuplicateEvent as e:
                raise _ended_by_another(previous.log, previous.find([e.id])[e.id]) from e
            else:
                return True


def _ended_by_another(log: str, last: Record) -> LogHasEnded:
    assert isinstance(last.event, LogEnded)
    return LogHasEnded(log, last.event.next)


def _raise_error(outcome: object) -> None:
    if isinstance(outcome, StoreError):
        raise outcome
