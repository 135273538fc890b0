"""Connections to PostgreSQL that never cancel what they have asked, and the server's errors in this project's words.

A commit that is canceled while it waits for a standby succeeds with a warning, and its records are not on the standby
(PostgreSQL's documentation, section 27.2.8.1). So nothing is canceled here: a connection whose answer does not come, or
whose caller is interrupted, is dropped.
"""

from __future__ import annotations

import contextlib
import enum
import logging
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore import extras
from eventstore.errors import (
    CorruptJournal,
    InvalidEvent,
    Overloaded,
    ReadOnly,
    StorageFull,
    StoreError,
    Unavailable,
)

try:
    import psycopg
    import psycopg.copy
    import psycopg.sql
    from psycopg import errors, waiting
    from psycopg.pq import TransactionStatus
    from psycopg.types.numeric import Int8BinaryDumper
    from psycopg.types.string import BytesBinaryDumper, StrBinaryDumper
except ImportError as e:  # pragma: no cover - by the tests of the distributions, in an environment without it
    raise ImportError(extras.missing("a log in PostgreSQL", "psycopg", "postgres")) from e

# What it writes of errors that are raised as well must not reach stderr where a program sets up no logging.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.abc import PQGen

    from eventstore.journals.postgres.location import Location

CONNECT_SECONDS = 5
ANSWER_SECONDS = 4.0
"""How long the answer to a question of few rows may take before its connection is dropped."""
OLDEST = 140_000
"""The oldest server's version, as PostgreSQL numbers them."""

# What the operating system does with a peer that has gone silent: about three seconds.
_KEPT_ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 3_000,
}
_OF_A_LOST_SERVER = ("08", "57P")
"""Classes of SQLSTATE: the connection failed; the server ends, or does not accept one."""
_WARNING = "01000"
"""What a COMMIT succeeds with whose wait for a standby was canceled."""

UniqueViolation, LockNotAvailable = errors.UniqueViolation, errors.LockNotAvailable
PostgresError = psycopg.Error
Copy = psycopg.Copy
CopyWriter = psycopg.copy.LibpqWriter
Undefined = (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """One that is dropped where psycopg's own would cancel. `warned` has the warnings since it was emptied."""

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - as the library makes it
        super().__init__(*args)
        self.patience = ANSWER_SECONDS
        self.warned: list[str] = []
        self.is_late = False
        self.settings: tuple[Any, ...] | None = None
        """What the server was set to when this connection was made ready to write."""
        self.add_notice_handler(self._noticed)

    @override
    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return waiting.wait(gen, self.pgconn.socket, interval, self.patience if timeout is None else timeout)
        except BaseException as e:
            is_interrupted = isinstance(e, errors._WaitTimeout) or not isinstance(e, psycopg.Error)  # noqa: SLF001 - it has no other name
            if timeout is None and is_interrupted and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # Finished and not canceled: what the server makes of the question is what it would have made of it.
                self.is_late = isinstance(e, psycopg.Error)
                self.pgconn.finish()
            raise

    def forget_prepared(self) -> None:
        """Prepare statements again before they are executed by their names.

        Of a pipeline that fails, psycopg takes for prepared what the server has skipped, and never notices.
        """
        self._prepared.clear()

    def _noticed(self, notice: errors.Diagnostic) -> None:
        if notice.sqlstate == _WARNING:
            self.warned.append(notice.message_primary or "a warning")

    @property
    def is_in_transaction(self) -> bool:
        return self.pgconn.transaction_status != TransactionStatus.IDLE

    @property
    def is_lost(self) -> bool:
        return bool(self.closed)


class LostServer(Exception):
    """No answer of the server's. `is_sent`: it may have applied what it was sent; `is_late`: it is there, perhaps."""

    def __init__(self, error: StoreError, *, is_sent: bool = False, is_late: bool = False) -> None:
        super().__init__(str(error))
        self.error, self.is_sent, self.is_late = error, is_sent, is_late


class Access(enum.StrEnum):
    """What a connection is for, as libpq names the servers that it accepts of several in a URL."""

    WRITE = "read-write"
    READ = "primary"
    """To read what this process has appended itself: a standby may have it later."""
    READ_ANYWHERE = "any"


def connect(location: Location, access: Access, *, seconds: int = CONNECT_SECONDS) -> Connection:
    """Open a connection whose statements name the log's tables without their schema.

    Raises psycopg's errors where no server can be reached that fits, Unavailable where the server is too old or does
    not store text as UTF-8, and InvalidEvent for a URL that libpq does not read.
    """
    settings: dict[str, Any] = dict(_KEPT_ALIVE) | {"connect_timeout": seconds}
    settings["target_session_attrs"] = access.value
    settings["application_name"] = f"eventstore {location.log}"
    try:
        given = psycopg.conninfo.conninfo_to_dict(location.uri)
        conninfo = psycopg.conninfo.make_conninfo("", **(settings | given))
        connection = Connection.connect(conninfo, autocommit=True)
    except psycopg.ProgrammingError as e:
        # Raised before any server is asked, of the URL alone: trying again does not help.
        msg = f"{location}: {' '.join(str(e).split())}: correct the URL, whose parameters are those of libpq"
        raise InvalidEvent(msg) from e
    try:
        _check_server(connection, location)
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        connection.adapters.register_dumper(str, StrBinaryDumper)
        connection.adapters.register_dumper(bytes, BytesBinaryDumper)
        # What is asked again and again is worth a plan from its second time on.
        connection.prepare_threshold = 1
        # The server's own functions are found first, whatever the schema has.
        connection.execute(f'SET search_path = "{location.schema}"')
        if access is not Access.WRITE:
            connection.execute("SET default_transaction_read_only = on")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_server(connection: Connection, location: Location) -> None:
    info = connection.info
    if info.server_version < OLDEST:
        msg = f"{location}: PostgreSQL {info.server_version // 10_000} is too old: {OLDEST // 10_000} or newer"
        raise Unavailable(msg)
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        msg = f"{location}: the database stores text as {encoding}: create one with ENCODING 'UTF8'"
        raise Unavailable(msg)
    connection.execute("SET client_encoding = 'UTF8'")


def with_values(connection: Connection, sql: str, *values: object) -> str:
    """Return a statement with its values in it, quoted: several statements of one simple query take no others."""
    return psycopg.sql.SQL(sql.replace("%s", "{}")).format(*values).as_string(connection)


@contextlib.contextmanager
def translated(location: Location) -> Iterator[None]:
    """Raise the server's and libpq's errors as this project's."""
    try:
        yield
    except psycopg.Error as e:
        raise from_postgres(e, location) from e


def is_lost(error: BaseException, connection: Connection | None) -> bool:
    """Return whether an error means that the server was lost, so that what it did with a question is unknown."""
    if connection is not None and connection.is_lost:
        return True
    state = getattr(error, "sqlstate", None) or ""
    return state.startswith(_OF_A_LOST_SERVER)


def from_postgres(error: psycopg.Error, location: Location) -> StoreError:
    """Return an error of the server or of libpq as one of this project's. No message has a password."""
    why = " ".join(str(error.diag.message_primary or error).split())
    match error:
        case errors.DiskFull():
            return StorageFull(f"{location}: no room on the server ({why}): nothing was written; make room there")
        case errors.InsufficientPrivilege() | errors.ReadOnlySqlTransaction():
            return ReadOnly(f"{location}: {why}: give a role that may write, or open it with read_only=True")
        case errors.LockNotAvailable() | errors.TooManyConnections() | errors.QueryCanceled():
            return Overloaded(f"{location}: {why}: nothing was written; try again")
        case errors.DataCorrupted() | errors.IndexCorrupted() | errors.UndefinedTable() | errors.UndefinedColumn():
            return CorruptJournal(0, f"{location} is damaged ({why})")
        case errors.CharacterNotInRepertoire() | errors.UntranslatableCharacter():
            return InvalidEvent(f"{location}: {why}")
    return Unavailable(f"{location}: {why}: the server cannot be reached, or does not answer as expected; try again")
