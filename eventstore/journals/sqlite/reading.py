"""Reading a journal's file: pages, lookups and the stored tree, by connections from a pool."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import apsw
from typing_extensions import override

from eventstore.errors import CorruptJournal, InvalidEvent
from eventstore.journal import LOG_NAME, PAGE
from eventstore.journals.pool import Pool
from eventstore.journals.pooled_source import PooledSource
from eventstore.journals.sqlite import integrity, maintenance, rows, schema
from eventstore.locations import is_utf8
from eventstore.proofs import merkle
from eventstore.streams import check_name

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from eventstore.journal import Fault, JoinedPage, Query, Taken, TypeRow
    from eventstore.record import Record, Row

Answer = TypeVar("Answer")

POLL_SECONDS = 0.004


class ReadingConnection:
    """A connection that reads, and the head that it has seen last."""

    __slots__ = ("__weakref__", "_data_version", "_execute", "_head", "connection")

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self._execute = connection.cursor().execute
        self._data_version, self._head = -1, 0

    def head(self) -> int:
        """Return the last position, which is as it was until `data_version` says that somebody has committed."""
        data_version: int = self._execute("PRAGMA data_version").get
        if data_version != self._data_version:
            self._head = rows.head(self.connection)
            self._data_version = data_version
        return self._head

    def close(self) -> None:
        self.connection.close()


class SqliteSource(PooledSource[ReadingConnection]):
    """The read side of one log in one file, for any number of threads."""

    log_id: bytes
    page, poll_seconds = PAGE, POLL_SECONDS
    unproved = (LOG_NAME, "created_at, the time at which the log was created")

    def __init__(self, path: str | os.PathLike[str], *, log: str = "main", vfs: str | None = None) -> None:
        # Absolute, because connections are opened later too, and a process may change its directory.
        self.path = Path(path).absolute()
        if not is_utf8(str(self.path)):
            msg = f"{str(self.path)!a} is not UTF-8, which SQLite needs in file names: rename the directory"
            raise InvalidEvent(msg)
        self.log = check_name("log", log)
        self._vfs = vfs
        super().__init__()

    @override
    def _make_pool(self) -> None:
        self._readers = Pool(self._another_reader, ReadingConnection.close, self.check_open, str(self.path))

    @property
    def file(self) -> Path | None:
        """The log's file; None where it is read by a VFS that only this process has."""
        return None if self._vfs else self.path

    def read(self, query: Query, /) -> Sequence[Record]:
        return self._asked(lambda reader: rows.page(reader, self.log, query))

    @override
    def head(self) -> int:
        return self._asked(rows.head)

    def version(self, stream: str) -> int:
        return self._asked(lambda reader: rows.version(reader, stream))

    def versions(self, streams: Iterable[str]) -> dict[str, int]:
        """Return the versions of several streams, in a fifth of the time that one by one takes."""
        return self._asked(lambda reader: {stream: rows.version(reader, stream) for stream in streams})

    def position_at(self, recorded_at: int) -> int:
        head = self.head()
        return self._asked(lambda reader: rows.position_at(reader, recorded_at, head))

    def columns(self, query: Query, members: Sequence[str], /) -> list[list[Any]]:
        return self._asked(lambda reader: rows.columns(reader, query, members))

    def lines(self, query: Query, members: Sequence[str], /) -> JoinedPage:
        return self._asked(lambda reader: rows.lines(reader, query, members))

    def scan(self, query: Query, take: Callable[[Iterable[Row]], Taken], /) -> Taken:
        return self._asked(lambda reader: take(rows.scan(reader, query)))

    @override
    def types(self) -> Sequence[TypeRow]:
        return self._asked(rows.types)

    def created_at(self) -> int:
        return self._asked(schema.created_at)

    def find(self, ids: Sequence[bytes]) -> dict[bytes, Record]:
        return self._asked(lambda reader: rows.find(reader, self.log, ids))

    def frontier(self) -> merkle.Frontier:
        return self._asked(lambda reader: maintenance.read_head(reader).frontier)

    def nodes(self, first: int, last: int, *, level: int = merkle.STORED_LEVEL) -> Sequence[merkle.Node]:
        return self._asked(lambda reader: maintenance.nodes(reader, level, first, last))

    def integrity(self, *, is_canceled: Callable[[], bool] | None = None) -> list[Fault]:
        def found(reader: apsw.Connection) -> list[Fault]:
            # A large cache: each index is walked in its own order, and looks rows up all over the table.
            reader.execute(f"PRAGMA cache_size = -{schema.WRITER_CACHE_KIB}")
            return integrity.faults(reader, self.log, self.log_id, is_canceled=is_canceled)

        with self.uncached() as source:
            return source._asked(found)  # noqa: SLF001 - its own kind

    def backup(self, target: Path) -> None:
        self._asked(lambda reader: maintenance.backup(reader, target, self.log_id))

    @property
    def trouble(self) -> str:
        return ""

    def inherited(self) -> None:
        """Be closed, in a fork's child, without touching what the parent uses."""
        self._closed = f"{self.path} was opened by the parent process: open it again in this one"

    def _asked(self, ask: Callable[[apsw.Connection], Answer]) -> Answer:
        """Return what is answered to one that is given a connection."""
        with self._reader() as reader:
            return ask(reader)

    @contextlib.contextmanager
    def _reader(self) -> Iterator[apsw.Connection]:
        self.check_open()
        readers = self._readers
        reader = readers.take()
        try:
            with self._translated(reader.connection):
                yield reader.connection
        finally:
            if readers is self._readers:
                self._give_back(reader)
            else:
                readers.drop(reader)

    def _another_reader(self) -> ReadingConnection:
        with self._translated():
            return ReadingConnection(self._connect())

    def _connect(self) -> apsw.Connection:
        connection = schema.connect(self.path, self._vfs, cache_kib=schema.READER_CACHE_KIB)
        # Only the writer checkpoints.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return connection

    @contextlib.contextmanager
    def _translated(self, connection: apsw.Connection | None = None) -> Iterator[None]:
        try:
            yield
        except apsw.Error as e:
            number = 0 if connection is None else connection.system_errno
            raise schema.from_sqlite(e, self.path, number) from e
        except OSError as e:
            raise schema.from_os(e, self.path) from e
        except UnicodeDecodeError as e:
            raise CorruptJournal(0, f"{self.path} has text that is not UTF-8: it was changed") from e
