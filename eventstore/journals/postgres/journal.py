"""The journal in PostgreSQL: the head's row, locked by the transaction that appends, orders all who append."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.clock import Clock, SystemClock, wall_ns
from eventstore.errors import NotReplicated, OutcomeUnknown, Overloaded, StoreError, Unavailable
from eventstore.events import REPLICATED
from eventstore.journal import declared, drafts_of
from eventstore.journals import forks
from eventstore.journals.heads import Head, check_marks, check_tail
from eventstore.journals.postgres import integrity, rows, tables
from eventstore.journals.postgres.changing import is_current
from eventstore.journals.postgres.connection import (
    Access,
    LockNotAvailable,
    LostServer,
    PostgresError,
    UniqueViolation,
    from_postgres,
    is_lost,
)
from eventstore.journals.postgres.hosts import newest
from eventstore.journals.postgres.marking import MARKS, marks_of
from eventstore.journals.postgres.reading import PostgresSource
from eventstore.journals.postgres.stalled import StalledSessions
from eventstore.journals.postgres.writing import Transaction, are_many, asked_streams, is_single
from eventstore.journals.repetitions import REPORTS, REPORTS_MAX, Tails
from eventstore.journals.sequencing import Sequencer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventstore.events import Durability
    from eventstore.journal import Group, Outcome
    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location
    from eventstore.journals.postgres.writing import Begun
    from eventstore.journals.sequencing import PassOn
    from eventstore.record import Record

VERSIONS_MAX = 100_000
AT_ONCE_MAX = 100
"""Of how many streams the versions are asked for with the lock, each time planned again."""
COMMIT_SECONDS = 10.0
"""How long a commit may wait, for the server and its standby, before its connection is dropped."""
COMMIT_SECONDS_OF_SEVERAL = 3.5
"""The same where the URL names other hosts: one of them may have become the primary meanwhile."""
LOST_SECONDS = 15.0
"""How long what became of a commit is asked for after the server was lost: a fail-over takes some seconds."""
RETRY_SECONDS = 0.1


class PostgresJournal(PostgresSource):
    """One log in PostgreSQL. One connection of each process writes, behind a lock; others read, a page at a time.

    A commit is never canceled. Where its answer is lost, what became of it is found by its ids, while the head is
    locked and behind a commit of its own, so that what is found is as durable as what is appended. Raises on opening
    Unavailable, ReadOnly, InvalidEvent, UnsupportedFormat or CorruptJournal.
    """

    durability: Durability
    """What each commit of this log waits for, from the log's creation on: SYNCED or REPLICATED."""

    def __init__(
        self,
        location: Location,
        *,
        clock: Clock | None = None,
        log_id: bytes | None = None,
        commit_seconds: float | None = None,
        lost_seconds: float = LOST_SECONDS,
    ) -> None:
        super().__init__(location, read_only=False)
        self._clock = clock or SystemClock()
        self._is_only_host = len(location.hosts()) == 1
        usual = COMMIT_SECONDS if self._is_only_host else COMMIT_SECONDS_OF_SEVERAL
        self._commit_seconds = usual if commit_seconds is None else commit_seconds
        self._lost_seconds = lost_seconds
        self._lock = threading.RLock()
        self._versions: dict[str, int] = {}
        self._presumes_new = True
        self._types: set[tuple[str, int]] = set()
        self._tails = Tails(self._recent_reports)
        self._head: Head | None = None
        self._is_overtaken = False
        self._writer: Connection | None = None
        self._stalled = StalledSessions()
        try:
            self._writer = self._opened(log_id)
        except PostgresError as e:
            raise from_postgres(e, location) from e
        forks.opened(self)

    def _opened(self, log_id: bytes | None) -> Connection:
        """Connect for the first time: create the tables, or check those that exist."""
        connection = newest(self.location, Access.WRITE)
        try:
            identity = tables.prepare(connection, self.location, log_id, wall_ns(self._clock))
            self.log_id, self.durability = identity
            integrity.check_definitions(connection, self.location)
            self._make_ready(connection)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            head = rows.read_head(connection)
            check_tail(
                head,
                rows.last_position(connection),
                self.log_id,
                lambda query: rows.page(connection, self.log, query),
                lambda level, number: rows.nodes(connection, level, number, number),
            )
            marks, _ = marks_of(rows.rows_of(connection, MARKS))
            check_marks(head, self.log_id, marks, lambda position: rows.read_digest(connection, position))
            connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
        self._note_seen(head.position, head.digest, tables.timeline(connection))
        return connection

    # Writing

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        self.check_open()
        with self._lock:
            return self._committed(groups)

    def barrier(self) -> None:
        if self.durability is not REPLICATED:
            return
        self.check_open()
        why = "the wait for a standby was canceled, or the server's settings were loaded again"
        with self._lock:
            try:
                connection = self._writing()
                if Transaction(connection, self.log_id, is_replicated=True).barrier():
                    return
            except PostgresError as e:
                why = str(from_postgres(e, self.location))
            self._drop()
        msg = f"no standby has confirmed what was read: {why}"
        raise Unavailable(msg)

    def _committed(self, groups: Sequence[Group]) -> list[Outcome]:
        """Commit; where the server was lost meanwhile, find out from it, or its successor, what became of that."""
        is_sent = check_ids = False
        deadline = time.monotonic() + self._lost_seconds
        while True:
            self.check_open()
            try:
                return self._attempt(groups, check_ids=check_ids)
            except UniqueViolation as e:
                # An index has refused one: of an id that is known, or of a version of a stream that is not new. All
                # are looked up in the second run: a repeated group then returns its first records.
                if check_ids:
                    raise from_postgres(e, self.location) from e
                check_ids = True
            except (LostServer, StoreError) as e:
                is_sent = is_sent or (isinstance(e, LostServer) and e.is_sent)
                if (final := self._final(groups, e, is_sent=is_sent, deadline=deadline)) is not None:
                    raise final from e
                check_ids = True
                time.sleep(RETRY_SECONDS)

    def _final(
        self, groups: Sequence[Group], met: LostServer | StoreError, *, is_sent: bool, deadline: float
    ) -> StoreError | None:
        """Return what to raise for what an attempt met; None where what became of the commit is to be asked again.

        Once a commit was sent, whatever keeps it from being asked for says nothing of it: it may be stored, or be
        stored soon, as where the lost connection's process still holds the head while it waits for its standby.
        """
        error = met.error if isinstance(met, LostServer) else met
        if not is_sent:
            return error
        is_late = isinstance(met, LostServer) and met.is_late
        may_pass = isinstance(met, Overloaded) or (isinstance(met, LostServer) and not (is_late and self._is_only_host))
        if may_pass and time.monotonic() <= deadline:
            return None
        return self._unknown(groups, str(error), is_late=is_late or isinstance(met, Overloaded))

    def _attempt(self, groups: Sequence[Group], *, check_ids: bool) -> list[Outcome]:
        """Run one transaction; raise LostServer where no answer, or no server, is there."""
        try:
            connection = self._writing()
        except PostgresError as e:
            raise LostServer(from_postgres(e, self.location)) from e
        except Unavailable as e:
            raise LostServer(e) from e
        try:
            return self._transaction(connection, groups, check_ids=check_ids)
        except PostgresError as e:
            if not is_lost(e, connection) and Transaction.rolled_back(connection):
                if isinstance(e, UniqueViolation):
                    raise
                if isinstance(e, LockNotAvailable) and self._has_ended_stalled(connection):
                    return self._attempt(groups, check_ids=check_ids)
                raise from_postgres(e, self.location) from e
            is_late = connection.is_late
            self._drop()
            raise LostServer(from_postgres(e, self.location), is_sent=True, is_late=is_late) from e
        except BaseException:
            # Interrupted, perhaps at the commit: what is cached, and the connection, are not to be used again.
            self._drop()
            raise

    def _has_ended_stalled(self, connection: Connection) -> bool:
        """Return whether what a lock was waited for in vain is over: a paused process had it. Raises LostServer."""
        try:
            return self._stalled.end(connection)
        except PostgresError as e:
            self._drop()
            raise LostServer(from_postgres(e, self.location)) from e

    def _unknown(self, groups: Sequence[Group], why: str, *, is_late: bool) -> OutcomeUnknown:
        ids = [draft.id for group in groups for draft in drafts_of(group)]
        if is_late and self.durability is REPLICATED:
            return NotReplicated(ids, f"no standby has confirmed them in time: {' '.join(why.split())}")
        return OutcomeUnknown(ids, " ".join(why.split()))

    def _transaction(self, connection: Connection, groups: Sequence[Group], *, check_ids: bool) -> list[Outcome]:
        transaction = Transaction(connection, self.log_id, is_replicated=self.durability is REPLICATED)
        if self._is_overtaken or self._head is None or check_ids or not is_single(groups):
            return self._locked(connection, transaction, groups, check_ids=check_ids)
        is_known = groups[0][0].stream in self._versions
        outcome = self._single(connection, transaction, groups, self._head)
        if outcome is None:
            outcome = self._locked(connection, transaction, groups, check_ids=False)[0]
        if not is_known and not isinstance(outcome, StoreError):
            self._presumes_new = outcome[0].version == 1
        return [outcome]

    def _single(
        self, connection: Connection, transaction: Transaction, groups: Sequence[Group], head: Head
    ) -> Outcome | None:
        """Append one event by one statement, which is the whole transaction; None where it does not apply.

        It applies if nobody else has written. A stream that is not known is presumed to be new, for to look it up takes
        as long as to append; after one that was not, the next one is looked up.
        """
        presumes = self._presumes_new and not groups[0][0].expected
        work = self._sequencer(connection, head, check_ids=False, presumes_new=presumes)
        outcome = work.place(groups[0])
        frontier = head.frontier.copy()
        if not work.records or not work.types <= self._types or frontier.grow([work.records[0].digest]):
            return None
        if not transaction.append_one(work.rows[0], head.position, frontier.to_bytes()):
            # Or its stream is not new.
            self._is_overtaken = True
            return None
        self._check_committed(connection, transaction, groups)
        self._publish(work, work.head(frontier))
        return outcome

    def _locked(
        self, connection: Connection, transaction: Transaction, groups: Sequence[Group], *, check_ids: bool
    ) -> list[Outcome]:
        """Place and store groups while the head's row is locked."""
        asked = asked_streams(groups, check_ids=check_ids)
        is_overtaken = self._is_overtaken or self._head is None
        at_once = asked if is_overtaken else asked - self._versions.keys()
        at_once = at_once if len(at_once) <= AT_ONCE_MAX else set()
        head = self._refreshed(connection, transaction.begin(at_once, with_last=is_overtaken))
        # What is looked up for a second group could not be asked for once the first one's rows are being copied.
        pass_on = transaction.copy if len(groups) == 1 and are_many(groups[0]) else None
        if len(unknown := asked - self._versions.keys()) > 1:
            self._remember(rows.versions(connection, unknown))
        work = self._sequencer(connection, head, check_ids=check_ids, pass_on=pass_on)
        outcomes = [work.place(group) for group in groups]
        if not work.records:
            # What is found may have been committed by a wait that was canceled: an own commit comes after it.
            transaction.end(is_barrier=not all(isinstance(outcome, StoreError) for outcome in outcomes))
            self._check_committed(connection, transaction, groups)
            work.end()
            return outcomes
        transaction.send(work.rows)
        frontier = head.frontier.copy()
        nodes = frontier.grow([record.digest for record in work.records])
        kinds = [declared(*kind) for kind in work.types - self._types]
        if len(work.rows) > 1 or nodes or kinds:
            transaction.store(work.rows, nodes, kinds, (work.position, work.recorded_at, frontier.to_bytes()))
        else:
            transaction.append_one(work.rows[0], head.position, frontier.to_bytes(), is_locked=True)
        self._check_committed(connection, transaction, groups)
        self._publish(work, work.head(frontier))
        return outcomes

    def _sequencer(
        self,
        connection: Connection,
        head: Head,
        *,
        check_ids: bool,
        presumes_new: bool = False,
        pass_on: PassOn | None = None,
    ) -> Sequencer:
        return Sequencer(
            log=self.log,
            log_id=self.log_id,
            position=head.position,
            recorded_at=head.recorded_at,
            now_ns=self._clock.now_ns(),
            version=lambda stream: 0 if presumes_new else rows.version(connection, stream),
            find=lambda ids: rows.find(connection, self.log, ids),
            newest=lambda account: rows.newest_position(connection, account),
            tails=self._tails,
            check_ids=check_ids,
            remembered=self._versions,
            holds=lambda fence: is_current(connection, fence),
            has_ended=head.has_ended,
            pass_on=pass_on,
        )

    def _refreshed(self, connection: Connection, begun: Begun) -> Head:
        """Return the head as of this transaction; what is cached is of no use once somebody else has written."""
        cached = self._head
        self._is_overtaken = cached is not None and cached.position != begun.position
        if cached is None or self._is_overtaken:
            self._versions.clear()
            digest, has_ended = begun.last or rows.read_last(connection, begun.position)
            cached = self._head = Head.of((*begun[:2], digest, begun.frontier, has_ended))
        self._remember(begun.versions)
        return cached

    def _remember(self, versions: Mapping[str, int]) -> None:
        """Keep the versions of streams as of the head that is cached."""
        if len(self._versions) + len(versions) > VERSIONS_MAX:
            self._versions.clear()
        self._versions.update(versions)

    def _check_committed(self, connection: Connection, transaction: Transaction, groups: Sequence[Group]) -> None:
        """Raise for a commit that succeeded, and may have waited for no standby.

        OutcomeUnknown for one with a warning: its wait was canceled. LostServer where the server's settings were loaded
        again: on a new connection they are checked again, and what was committed is asked for.
        """
        if transaction.is_doubtful:
            msg = f"{self.location}: the server's settings were loaded again during a commit"
            raise LostServer(Unavailable(msg), is_sent=True)
        if connection.warned:
            why = "; ".join(connection.warned)
            self._drop()
            raise self._unknown(groups, why, is_late=False)

    def _publish(self, work: Sequencer, head: Head) -> None:
        """Update what is cached, after the commit, and wake those who wait."""
        self._head = head
        self._remember(work.versions)
        self._types |= work.types
        self._note_seen(head.position, head.digest)
        work.end()
        self._notify()

    def _recent_reports(self, stream: str, version: int) -> list[Record]:
        return rows.newest(self._writing(), self.log, stream, version, types=REPORTS, limit=REPORTS_MAX)

    def _writing(self) -> Connection:
        """Return the connection that writes; a new one where the last was dropped, to a server that may be written."""
        if self._writer is None:
            connection = self._continued(Access.WRITE)
            try:
                self._make_ready(connection)
                self._note_seen(0, b"", tables.timeline(connection))
            except BaseException:
                connection.close()
                raise
            self._writer = connection
        return self._writer

    def _make_ready(self, connection: Connection) -> None:
        """Give the connection what a commit needs; raise Unavailable where the server cannot keep the promise."""
        tables.check_durable(connection, self.location, self.durability)
        Transaction.prepare(connection)
        connection.patience = self._commit_seconds

    def _drop(self) -> None:
        """Give up the connection that writes, and all that is known of the log's state."""
        connection, self._writer = self._writer, None
        self._head = None
        self._versions.clear()
        self._types.clear()
        # What the dropped transaction has left in them is forgotten when the next one begins.
        if connection is not None:
            connection.close()

    def close(self) -> None:
        with self._lock:
            forks.closed(self)
            self._close_reading()
            self._drop()

    @override
    def __repr__(self) -> str:
        state = f"closed ({self._closed})" if self._closed else f"at {self._seen.position}"
        return f"<PostgresJournal {self.location} {state}>"
