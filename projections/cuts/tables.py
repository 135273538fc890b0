"""Cuts in the tables of a log in PostgreSQL, beside the log: every host that opens it finds them."""

from __future__ import annotations

import contextlib
import functools
import re
import secrets
import time
import warnings
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore.errors import Fenced, Overloaded, ReadOnly, StorageFull, StoreError
from projections.cuts.keys import KEY_BYTES, Key, key_of
from projections.cuts.place import Dialect
from projections.cuts.troubles import SnapshotWarning, TroubleKind, UnusableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from eventstore.record import Fence
    from eventstore.side import TableSide, Transactions

KEY = "snapshots.key"
"""The document that has the secret by which cuts of the log are signed: a role that may write it may append as well."""
READ_SECONDS, WRITE_SECONDS = 5.0, 30.0
"""After what time a transaction asks nothing more: cuts are only a cache, and the log can be folded instead."""
ROW_BYTES = 250
"""What a state's row and its place in the index take beside its data."""
_PLACEHOLDER = re.compile(r"(?<!:):([a-z_]+)")
_KINDS = {Overloaded: TroubleKind.LOCKED, StorageFull: TroubleKind.FULL, ReadOnly: TroubleKind.READ_ONLY}


class CutTables:
    """The tables `cut`, `part` and `state` of one log. They are created with it, and never replaced."""

    is_with_log, is_current = True, True

    def __init__(self, side: TableSide) -> None:
        self._side = side
        # Connections of their own: what else is changed beside the log does not wait for a cut, nor a reader for one.
        self._readers = side.apart("reads snapshots", patience=READ_SECONDS)
        self._writers = side.apart("writes snapshots", patience=READ_SECONDS)

    @override
    def __str__(self) -> str:
        return f"the tables of {self._side}"

    @contextlib.contextmanager
    def reading(self) -> Iterator[CutTableRows]:
        with self._held(self._readers, "", READ_SECONDS) as rows:
            # One state of the tables for all that is read: others write meanwhile.
            rows.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", {})
            yield rows

    @contextlib.contextmanager
    def writing(self, *fences: Fence) -> Iterator[CutTableRows]:
        with self._held(self._writers, "snapshots", WRITE_SECONDS, fences) as rows:
            # Durable or not, a cut is only a cache: no standby is waited for, which a fail-over may take it back to.
            rows.execute("SET LOCAL synchronous_commit = off", {})
            rows.make_key()
            yield rows

    @contextlib.contextmanager
    def _held(
        self, transactions: Transactions, alone: str, seconds: float, fences: Iterable[Fence] = ()
    ) -> Iterator[CutTableRows]:
        of_the_caller: StoreError | None = None
        try:
            with transactions.transaction(*fences, alone=alone) as connection:
                try:
                    yield CutTableRows(self, connection, time.monotonic() + seconds)
                except StoreError as e:
                    # Of the log, which the caller reads in between.
                    of_the_caller = e
                    raise
        except Fenced:
            raise
        except StoreError as e:
            if e is of_the_caller:
                raise
            kind = _KINDS.get(type(e), TroubleKind.UNUSABLE)
            raise UnusableError(kind, f"{self} cannot hold snapshots ({e})") from e

    @staticmethod
    def translated() -> contextlib.nullcontext[None]:
        """Return what translates nothing more: the transactions do."""
        return contextlib.nullcontext()

    def set_aside(self, why: object) -> None:
        with self.writing() as rows:
            for table in ("part", "state", "cut"):
                rows.execute(f"DELETE FROM {table}", {})  # noqa: S608 - constants
        warnings.warn(f"the snapshots in {self} are damaged ({why}); deleted", SnapshotWarning, stacklevel=2)

    @staticmethod
    def close() -> None:
        """Hold nothing: the log's side has the connections, for all of its books."""


# The name of an account's share, as `own.name_of_share(share_of(account))` gives it.
SHARE_OF_STATE = "'#' || lpad((get_byte(sha256(convert_to(s.partition, 'UTF8')), 0) % 64)::text, 2, '0')"


class CutTableRows:
    """The rows of one transaction, until its time is over."""

    dialect = Dialect(
        "strpos",
        shared_in="p.shared_in",
        of_share=f"OR p.view = s.view || :separator || {SHARE_OF_STATE} OR p.shared_in = s.view ",
        is_not_of_share="AND p.shared_in IS NULL",
    )

    def __init__(self, place: CutTables, connection: Any, until: float) -> None:  # noqa: ANN401 - see TableSide
        self._place, self._connection, self._until = place, connection, until
        self._key: Key | None = None

    def execute(self, sql: str, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        self._check_time()
        found: Iterator[tuple[Any, ...]] = self._connection.execute(_translated(sql), values, binary=True)
        return found

    def execute_many(self, sql: str, values: Iterable[Mapping[str, Any]]) -> None:
        self._check_time()
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(sql), values)

    def bytes_used(self, log_id: bytes) -> int:
        # Not the tables' size on disk, which shrinks only once the server has vacuumed them. A length alone reads no
        # data that is stored out of line.
        sql = "SELECT coalesce(sum(length(data) + :row), 0) FROM state WHERE substr(lineage, 1, 16) = :log_id"
        ((size,),) = self.execute(sql, {"row": ROW_BYTES, "log_id": log_id})
        return int(size)

    def key(self) -> Key:
        # Asked for in each transaction: a fail-over may take back one that had just been made.
        if self._key is None:
            found = self.execute("SELECT content FROM document WHERE name = :name", {"name": KEY})
            stored = [content for (content,) in found if len(content) == KEY_BYTES]
            self._key = key_of(stored[0] if stored else secrets.token_bytes(KEY_BYTES))
        return self._key

    def make_key(self) -> None:
        """Store a key unless there is one: of several processes that find none, one stores what all use."""
        sql = (
            "INSERT INTO document VALUES (:name, :content) ON CONFLICT (name) DO UPDATE SET content = excluded.content "
            "WHERE length(document.content) <> :size"
        )
        self.execute(sql, {"name": KEY, "content": secrets.token_bytes(KEY_BYTES), "size": KEY_BYTES})

    def _check_time(self) -> None:
        if time.monotonic() > self._until:
            raise UnusableError(TroubleKind.LOCKED, f"{self._place} answer too slowly")


@functools.cache
def _translated(sql: str) -> str:
    """Return a statement with its values named as psycopg does."""
    return _PLACEHOLDER.sub(r"%(\1)s", sql.replace("%", "%%"))
