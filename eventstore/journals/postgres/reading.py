"""Reading a log in PostgreSQL: pages, look-ups and the stored tree, by connections from a pool."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from typing_extensions import override

from eventstore.errors import CorruptJournal, Unavailable
from eventstore.journals.pool import Pool
from eventstore.journals.pooled_source import PooledSource
from eventstore.journals.postgres import integrity, rows, tables
from eventstore.journals.postgres.connection import (
    ANSWER_SECONDS,
    Access,
    PostgresError,
    connect,
    from_postgres,
    is_lost,
)
from eventstore.journals.postgres.hosts import newest
from eventstore.journals.postgres.listening import NotificationThread
from eventstore.journals.postgres.side import PostgresSide
from eventstore.proofs import merkle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from eventstore.journal import Fault, Query, TypeRow
    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location
    from eventstore.record import Record

    Answer = TypeVar("Answer")

PAGE = 2_000
"""Records that it is best asked for at a time: each page is a round trip."""
PAGE_SECONDS = 15.0
"""How long a page may take: its records may have 60 KB each, on the way over a slow network."""
POLL_SECONDS = 0.25
"""After what time a reader looks for itself, whether or not the server has notified it."""


class NewestSeen(NamedTuple):
    """The newest record that a journal has seen of its log, and the server's timeline then."""

    position: int = 0
    digest: bytes = b""
    timeline: int = 0


class PostgresSource(PooledSource["Connection"]):
    """The read side of one log in PostgreSQL, for any number of threads.

    A connection is made again where the server was lost. The server must then have what was seen before: an old
    primary, or one that was restored from a backup, is refused.
    """

    page, poll_seconds = PAGE, POLL_SECONDS
    trouble = ""
    log_id = b""

    def __init__(self, location: Location, *, read_only: bool) -> None:
        self.location, self.log = location, location.log
        self._read_only = read_only
        self._seen, self._seeing = NewestSeen(), threading.Lock()
        super().__init__()
        self._listener: NotificationThread | None = None
        self.side = PostgresSide(location, read_only=read_only)
        """What is kept beside the log."""

    @override
    def _make_pool(self) -> None:
        self._readers: Pool[Connection] = Pool(
            self._connect, lambda connection: connection.close(), self.check_open, str(self.location)
        )

    @property
    def unproved(self) -> tuple[str, ...]:
        return tables.unproved()

    def read(self, query: Query, /) -> Sequence[Record]:
        found = self._asked(lambda reader: rows.page(reader, self.log, query), PAGE_SECONDS)
        if found:
            self._note_seen(found[-1].position, found[-1].digest)
        return found

    def _note_seen(self, position: int, digest: bytes, timeline: int = 0) -> None:
        """Remember the newest record, and the newest timeline, that any thread has seen."""
        with self._seeing:
            seen = self._seen
            if position > seen.position:
                seen = seen._replace(position=position, digest=digest)
            self._seen = seen._replace(timeline=max(timeline, seen.timeline))

    @override
    def head(self) -> int:
        return self._asked(rows.head)

    def version(self, stream: str) -> int:
        return self._asked(lambda reader: rows.version(reader, stream))

    def versions(self, streams: Iterable[str]) -> dict[str, int]:
        wanted = list(streams)
        return self._asked(lambda reader: rows.versions(reader, wanted)) if wanted else {}

    def position_at(self, recorded_at: int) -> int:
        return self._asked(lambda reader: rows.position_at(reader, recorded_at, rows.head(reader)))

    def columns(self, query: Query, members: Sequence[str], /) -> list[list[Any]]:
        return self._asked(lambda reader: rows.columns(reader, query, members), PAGE_SECONDS)

    @override
    def types(self) -> Sequence[TypeRow]:
        return self._asked(rows.types)

    def created_at(self) -> int:
        return self._asked(tables.created_at)

    def document(self, name: str) -> bytes | None:
        """Return a document beside the log, None where there is none."""
        found = self._asked(
            lambda reader: rows.rows_of(reader, "SELECT content FROM document WHERE name = %s", (name,))
        )
        return found[0][0] if found else None

    def is_beside(self, location: Location) -> bool:
        """Return whether there is another log in the same database."""
        return self._asked(lambda reader: tables.is_there(reader, location))

    def stored_bytes(self) -> int:
        return self._asked(tables.stored_bytes)

    def find(self, ids: Sequence[bytes]) -> dict[bytes, Record]:
        return self._asked(lambda reader: rows.find(reader, self.log, ids))

    def frontier(self) -> merkle.Frontier:
        return self._asked(rows.read_head).frontier

    def nodes(self, first: int, last: int, *, level: int = merkle.STORED_LEVEL) -> Sequence[merkle.Node]:
        return self._asked(lambda reader: rows.nodes(reader, level, first, last))

    def integrity(self, *, is_canceled: Callable[[], bool] | None = None) -> list[Fault]:
        with self.uncached() as source:
            return source._asked(  # noqa: SLF001 - its own kind
                lambda reader: integrity.faults(reader, self.location, self.log_id, is_canceled=is_canceled)
            )

    @override
    def wait(self, position: int, timeout: float) -> bool:
        if self._listener is None and timeout > 0:
            self._listen()
        return super().wait(position, timeout)

    def _listen(self) -> None:
        with self._growing:
            if self._listener is None and not self._closed:
                self._listener = NotificationThread(
                    lambda: connect(self.location, Access.READ), tables.channel_of(self.log_id), self._notify
                )

    def inherited(self) -> None:
        """Be closed, in a fork's child, without touching what the parent uses."""
        self._closed = f"{self.location} was opened by the parent process: open it again in this one"
        self.side.abandon()

    def _close_reading(self) -> None:
        self._closed = self._closed or f"{self.location} is closed: open the store again"
        with self._growing:
            listener, self._listener = self._listener, None
            self._grown.notify_all()
        if listener is not None:
            listener.stop()
        self.side.close()
        self._readers.close()

    def _asked(self, question: Callable[[Connection], Answer], seconds: float = ANSWER_SECONDS) -> Answer:
        """Ask a question on a connection of the pool; once more on a new one where the server was lost.

        A server that has restarted has ended all connections at once, so none of the pool is tried again.
        """
        self.check_open()
        for is_last in (False, True):
            reader = self._taken()
            reader.patience = seconds
            try:
                answer = question(reader)
            except PostgresError as e:
                self._readers.drop(reader)
                if is_last or not is_lost(e, reader):
                    raise from_postgres(e, self.location) from e
                self._readers.close()
            except BaseException:
                # Interrupted in the middle of an answer, perhaps: what is left of it would be the next one's.
                self._readers.drop(reader)
                raise
            else:
                self._give_back(reader)
                return answer
        raise AssertionError

    def _taken(self) -> Connection:
        try:
            return self._readers.take()
        except PostgresError as e:
            raise from_postgres(e, self.location) from e

    def _connect(self) -> Connection:
        # What this process has appended it must read, which a standby may have later.
        return self._continued(Access.READ_ANYWHERE if self._read_only else Access.READ)

    def _continued(self, access: Access) -> Connection:
        """Connect to a server that has what was seen of this log."""
        return newest(self.location, access, self.check_continued)

    def _check_same(self, connection: Connection) -> None:
        """Raise Unavailable where the server has another log in the place of the one that was opened, or none."""
        if not self.log_id:
            return
        if not tables.is_there(connection, self.location):
            msg = f"{self.location} is not on this server: it was opened on another one"
            raise Unavailable(msg)
        if tables.identify(connection, self.location).log_id != self.log_id:
            msg = f"{self.location} is another log than the one that was opened: close the store, and look"
            raise Unavailable(msg)

    def check_continued(self, connection: Connection) -> None:
        """Raise unless the server's log continues what was seen, on the same timeline or a later one."""
        seen = self._seen
        timeline = tables.timeline(connection)
        if timeline and timeline < seen.timeline:
            msg = (
                f"{self.location}: this server is on timeline {timeline}, and {seen.timeline} was seen: it is an old "
                "primary; rewind it before it is started again"
            )
            raise Unavailable(msg)
        self._check_same(connection)
        found = rows.read_digest(connection, seen.position) if seen.position else seen.digest
        if found is None and not timeline:
            # A standby that has not received it yet.
            msg = f"{self.location}: this standby does not have position {seen.position} yet: try again"
            raise Unavailable(msg)
        if found != seen.digest:
            what = "another record than was seen there" if found else "no record, and one was seen there"
            raise CorruptJournal(
                seen.position,
                f"{self.location} has {what}: an old primary, a server restored from a backup, or the record was seen "
                "after its wait for a standby had been canceled, and a fail-over has taken it back",
            )
