"""Restoring a log in PostgreSQL from records that have their places already, proved while they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.errors import CorruptJournal, Unavailable
from eventstore.events import REPLICATED, SYNCED
from eventstore.journal import declared
from eventstore.journals.placed import GAP, PlacedRecords
from eventstore.journals.postgres import marking, rows, tables
from eventstore.journals.postgres.connection import Access, PostgresError, UniqueViolation, is_lost, translated
from eventstore.journals.postgres.documents import KEEP
from eventstore.journals.postgres.hosts import newest
from eventstore.journals.postgres.integrity import PATIENCE_SECONDS
from eventstore.journals.postgres.writing import Transaction
from eventstore.journals.type_table import row_of_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventstore.journal import TypeRow
    from eventstore.journals.postgres.location import Location
    from eventstore.record import Record
    from eventstore.watermarks import Watermark

COMMIT_SECONDS = 60.0
"""How long the commit may wait, for the server and its standby."""
SETTINGS = {
    # The source may take its time for a page, and the log is locked for others until this transaction has ended.
    "idle_in_transaction_session_timeout": "10min",
    # Of PostgreSQL 17 and later.
    "transaction_timeout": "0",
}


def check_new(location: Location) -> None:
    """Raise TargetExists where there is a log already, and as `newest` does."""
    with translated(location):
        connection = newest(location, Access.WRITE)
        try:
            tables.check_new(connection, location)
        finally:
            connection.close()


class PostgresRestoration:
    """A log's new tables, made and filled by one transaction. Raises TargetExists where there is a log already.

    Nobody sees any of it before `finish` has committed, and the server itself removes what a killed process has
    written. A schema under a temporary name would have to be removed by somebody, and would be seen until then.
    """

    def __init__(self, location: Location, log_id: bytes, *, created_at: int, types: Sequence[TypeRow] = ()) -> None:
        self._placed = PlacedRecords(log_id)
        self.tree = self._placed.tree
        self.location, self.log_id, self.durability = location, log_id, location.durability or SYNCED
        with translated(location):
            self.connection = newest(location, Access.WRITE)
            try:
                self._begin(log_id, created_at)
                self.add_types(types)
            except BaseException:
                self.abandon()
                raise

    def _begin(self, log_id: bytes, created_at: int) -> None:
        connection, location = self.connection, self.location
        tables.check_durable(connection, location, self.durability)
        Transaction.prepare(connection)
        for name, value in SETTINGS.items():
            connection.execute("SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s", (value, name))
        connection.patience = PATIENCE_SECONDS
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        tables.create_once(connection, location, log_id, created_at)

    def add_types(self, types: Sequence[TypeRow]) -> None:
        """Write what is kept of types, whether or not there are records of each."""
        with translated(self.location), self.connection.cursor() as cursor:
            cursor.executemany(rows.INSERT_TYPE, [row_of_type(kind) for kind in types])

    def keep(self, marks: Mapping[str, Watermark], documents: Mapping[str, bytes]) -> None:
        """Write what lies beside the log."""
        with translated(self.location), self.connection.cursor() as cursor:
            values = [(name, mark.log_id, mark.position, mark.digest, mark.root) for name, mark in marks.items()]
            cursor.executemany(marking.MARK, values)
            cursor.executemany(KEEP, list(documents.items()))

    def add(self, records: Sequence[Record]) -> None:
        """Write the records that follow; raise CorruptJournal for one that no journal can have recorded here.

        Raises InvalidEvent for one whose text PostgreSQL does not store.
        """
        self._placed.check(records)
        for record in records:
            texts = (record.stream, record.type, record.actor, record.note)
            rows.check_text(record.position, texts, record.data)
        with translated(self.location), self.connection.cursor() as cursor:
            try:
                with cursor.copy(rows.COPY) as copy:
                    copy.set_types(rows.KINDS)
                    for record in records:
                        copy.write_row(rows.row_of(record))
            except UniqueViolation as e:
                raise CorruptJournal(self.tree.size + 1, f"an id or a stream's version is there twice: {e}") from e
            cursor.executemany(rows.INSERT_NODE, self._placed.grow(records))

    def finish(self) -> None:
        """Write the head, check the versions, and commit."""
        with translated(self.location):
            self.complete()
            self._commit()
        self.connection.close()

    def complete(self) -> None:
        """Write what follows from all records, and check the versions; psycopg's errors are raised as they are."""
        connection, last = self.connection, self._placed.last
        if last is not None:
            connection.execute(rows.UPDATE_HEAD, (last.position, last.recorded_at, self.tree.to_bytes()))
        self._placed.check_gap(connection.execute(GAP).fetchone())
        self._match_types()
        # What the server plans by: it would look by itself, a minute later.
        connection.execute("ANALYZE event, node")

    def _match_types(self) -> None:
        """Let the type table have just the records' types: a source may keep others, or lack some."""
        connection = self.connection
        occurring = set(rows.rows_of(connection, "SELECT DISTINCT type, schema FROM event"))
        kept = {(kind.name, kind.schema) for kind in rows.types(connection)}
        with connection.cursor() as cursor:
            cursor.executemany("DELETE FROM type WHERE name = %s AND schema = %s", sorted(kept - occurring))
            missing = [row_of_type(declared(name, schema)) for name, schema in sorted(occurring - kept)]
            cursor.executemany(rows.INSERT_TYPE, missing)

    def _commit(self) -> None:
        connection, location = self.connection, self.location
        # Once more: the copy may have taken long.
        tables.check_durable(connection, location, self.durability)
        Transaction.prepare(connection)
        connection.patience = COMMIT_SECONDS
        transaction = Transaction(connection, self.log_id, is_replicated=self.durability is REPLICATED)
        try:
            transaction.end(is_barrier=True)
        except PostgresError as e:
            if not is_lost(e, connection):
                raise
            msg = f"{location}: no answer to its commit: it is there as a whole, or not at all; run this again to see"
            raise Unavailable(msg) from e
        if connection.warned or transaction.is_doubtful:
            why = "; ".join(connection.warned) or "its server's settings were loaded again"
            msg = (
                f"{location} is there, and may be missing on the standby ({why}): verify it on the standby, or drop it"
            )
            raise Unavailable(msg)

    def abandon(self) -> None:
        """Leave nothing behind; after `finish` it does nothing."""
        # Rolled back first: the server may notice a closed connection later than the next attempt begins.
        if not self.connection.closed:
            Transaction.rolled_back(self.connection)
            self.connection.close()
