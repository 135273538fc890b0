"""The interfaces of storage: a source of records, a journal that gives them their place, and its maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec
from typing_extensions import override

from eventstore.errors import InvalidEvent, StoreError
from eventstore.events import SYNCED
from eventstore.events.registry import EventType, by_name
from eventstore.proofs.merkle import STORED_LEVEL
from eventstore.readable import Readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from eventstore.events import Durability
    from eventstore.proofs.merkle import Frontier, Node
    from eventstore.record import Draft, PreparedBatch, Record, Row

Taken = TypeVar("Taken")

PAGE_MAX = 10_000
"""The most records that one `read` of a source returns."""
PAGE = 500
"""Records that a journal on this machine is best asked for at a time."""
BATCH_EVENTS_MAX = 100_000
BATCH_BYTES_MAX = 64_000_000

NO_FENCES = "a fence is a lock of a log in PostgreSQL, and this log has none: leave it out"
LOG_NAME = "the log's name"
"""What every `Verification.unproved` of a stored log begins with."""

Group: TypeAlias = "Sequence[PreparedBatch]"
"""Batches that are written together or not at all."""
Outcome: TypeAlias = "Sequence[Record] | StoreError"
"""What became of a group: its records, or the error that kept all of it out."""


class Verification(Readable, msgspec.Struct, frozen=True, eq=False):
    """What checking a log found. `first_bad` is the first position that does not verify, `reason` why.

    `first_bad` is 0 where what is wrong belongs to no position. `unproved` names what is stored and derives from
    nothing, so that no check can find it changed; two verdicts that differ in it alone are equal.
    """

    ok: bool
    checked: int
    first_bad: int | None = None
    reason: str | None = None
    unproved: tuple[str, ...] = ()

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verification) and self._verdict() == other._verdict()

    @override
    def __hash__(self) -> int:
        return hash(self._verdict())

    def _verdict(self) -> tuple[object, ...]:
        return self.ok, self.checked, self.first_bad, self.reason


class Fault(NamedTuple):
    """What is wrong with a journal's storage, and the position it belongs to, 0 if it belongs to none."""

    position: int
    reason: str

    @override
    def __str__(self) -> str:
        return f"position {self.position}: {self.reason}" if self.position else self.reason


class MissingTail(msgspec.Struct, frozen=True):
    """The records that a log which is only read lacks at its end, from `first` on.

    Up to `last` where a watermark saw them; `damage` says what is wrong with the write-ahead log that had them.
    """

    first: int
    last: int | None = None
    watermark: str = ""
    damage: str = ""

    @override
    def __str__(self) -> str:
        seen = f"the watermark {self.watermark} saw position {self.last}, the journal ends at {self.first - 1}"
        if self.damage:
            return f"{self.damage}; {seen}" if self.watermark else self.damage
        return f"{seen}: acknowledged records are missing here (copied without its -wal file?)"


class TypeRow(msgspec.Struct, frozen=True):
    """What a log keeps of one type and schema from its first event on, for processes that have no class for it."""

    name: str
    schema: int
    durability: str
    measures: tuple[str, ...]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is read: at most `limit` records past position `after` and up to `until`; all that is given must fit.

    `stream` is a name, or a prefix that ends in a slash. `containing` are bytes that the data has somewhere. Only
    `columns` looks at it, and only where that saves time: records without them may be among the others as well. So may
    records of accounts whose names do not begin with `account_prefix`, which is given with the prefix of a category.
    """

    limit: int
    after: int = 0
    until: int | None = None
    stream: str | None = None
    account: str | None = None
    types: tuple[str, ...] | None = None
    containing: bytes | None = None
    account_prefix: str = ""


class Source(Protocol):
    """The read side of one log: every backend has it."""

    @property
    def log(self) -> str:
        """The log's name."""

    @property
    def log_id(self) -> bytes:
        """The log's identity, 16 bytes drawn when it was created."""

    @property
    def page(self) -> int:
        """How many records it is best asked for at a time."""

    def read(self, query: Query, /) -> Sequence[Record]:
        """Return the records that fit a query, oldest first; fewer than its limit if there are no more now."""

    def head(self) -> int:
        """Return the last position, 0 for an empty log."""

    def version(self, stream: str) -> int:
        """Return how many records a stream has."""

    def position_at(self, recorded_at: int) -> int:
        """Return the last position that was recorded at or before an instant."""

    def type_names(self) -> Sequence[str]:
        """Return the names of the types that the log has events of, sorted."""

    def wait(self, position: int, timeout: float) -> bool:
        """Wait until the head is past a position, at most `timeout` seconds, and return whether it is."""

    def close(self) -> None:
        """Release all resources; a second call does nothing."""


@runtime_checkable
class ColumnSource(Protocol):
    """A source that gives members of records without making records of them, which is faster where all are read."""

    def columns(self, query: Query, members: Sequence[str], /) -> list[list[Any]]:
        """Return a list for each of the named members, of the records that `read` would return."""


LINE_MEMBERS = frozenset(
    ("stream", "type", "schema", "occurred_at", "data", "actor", "note", "position", "version", "recorded_at")
)
"""Members of records that are text or numbers, and never None."""


class JoinedPage(NamedTuple):
    """Members of a page of records, each as bytes with a value a line, in the order of the page.

    A value may have line breaks of its own, and need not be UTF-8: who cuts the lines counts and checks them.
    """

    after: int
    until: int
    """The page has all that fits a query past `after` and up to this log position."""
    rows: int
    members: Mapping[str, bytes]


@runtime_checkable
class LineSource(Protocol):
    """A source that joins the values of a page by itself, so that no object is made for each."""

    def lines(self, query: Query, members: Sequence[str], /) -> JoinedPage:
        """Return members that are in LINE_MEMBERS, of the records that `read` would return, or of the first of them."""


@runtime_checkable
class RowSource(Protocol):
    """A source that gives the members of records one after the other, and keeps none: for what only looks at them."""

    def scan(self, query: Query, take: Callable[[Iterable[Row]], Taken], /) -> Taken:
        """Return what a function makes of the records that `read` would return, as rows; it may stop before the end."""


class StoredSource(Source, Protocol):
    """A source that stores ids and the tree of digests with the records, as InfluxDB does not."""

    def find(self, ids: Sequence[bytes]) -> dict[bytes, Record]:
        """Return the records that have these ids."""

    def frontier(self) -> Frontier:
        """Return the log's tree as of the head."""


class Commits(Protocol):
    """Writes groups: what a queue of appends needs of a journal."""

    def commit(self, groups: Sequence[Group]) -> Sequence[Outcome]:
        """Write several groups with one sync; return each group's records or its own error.

        Each group is all or nothing and does not notice another's failure. Ids are looked up before `expected`:
        a group whose ids are all recorded with the same content returns the first records; a group that is only
        partly known, or with other content, is a DuplicateEvent. An execution report without a key that repeats one of
        its stream's newest is left out before that, and the first record returned in its place; `expected` counts
        what remains, if anything does. So does `unchanged`, which sees what groups before it have placed; a `since`
        past the head is an InvalidEvent. Raises Overloaded, StorageFull, OutcomeUnknown and Closed, which hit all
        groups alike.
        """


@runtime_checkable
class Journal(StoredSource, Commits, Protocol):
    """The write side: the only one that assigns position, version and recorded_at."""


class Maintenance(StoredSource, Protocol):
    """What keeps a stored log in order and proves it: its tree, its storage's own check, its state of health."""

    @property
    def trouble(self) -> str:
        """What a background thread of the journal failed to do and retries, '' when all goes well."""

    @property
    def unproved(self) -> tuple[str, ...]:
        """What is stored and derives from nothing, whatever the log holds."""

    def check_open(self) -> None:
        """Raise Closed, saying why, unless the journal can be used."""

    def nodes(self, first: int, last: int, *, level: int = STORED_LEVEL) -> Sequence[Node]:
        """Return the stored nodes of a level, STORED_LEVEL or above, whose number is from `first` to `last`."""

    def types(self) -> Sequence[TypeRow]:
        """Return what is kept of each type and schema that the log has."""

    def missing_tail(self) -> MissingTail | None:
        """Return which records a read-only journal is known to lack at its end, None where none are."""

    def integrity(self, *, is_canceled: Callable[[], bool] | None = None) -> list[Fault]:
        """Return what is wrong with all that a read depends on beside digests and tree: nothing, usually.

        Once `is_canceled` returns True it ends with an exception, soon.
        """

    def uncached(self) -> AbstractContextManager[Maintenance]:
        """Return a second view of the log that reads what is stored, not what this process remembers of it."""


@runtime_checkable
class Replicable(Protocol):
    """A journal whose commits may wait for another machine."""

    @property
    def durability(self) -> Durability:
        """What each of its commits has: SYNCED, or REPLICATED."""

    def barrier(self) -> None:
        """Return once all that was read before is as durable as its commits; raise Unavailable where that is unknown.

        A record whose wait for a standby was canceled is read like any other, and a fail-over takes it back.
        """


@runtime_checkable
class InFile(Protocol):
    """A log that another process of this host can open too, to read it."""

    @property
    def file(self) -> Path | None:
        """The log's file; None where only this process can read it."""


@runtime_checkable
class Dated(Protocol):
    """A journal that is kept, here or on a server, and knows since when."""

    def created_at(self) -> int:
        """Return when the log was created, in UNIX ns; raise CorruptJournal where that is not stored."""


@runtime_checkable
class Hosted(Protocol):
    """A journal that a server keeps, with what lies beside it."""

    def stored_bytes(self) -> int:
        """Return how much the server stores of it, indexes included."""


@runtime_checkable
class Copyable(Protocol):
    """A journal that can be copied, because it is in a file."""

    def backup(self, target: Path) -> None:
        """Copy the journal as of one instant to a new file, synced."""


def append(journal: Journal, group: Group) -> Sequence[Record]:
    """Commit one group alone; return its records once they are on disk, or raise its error."""
    (outcome,) = journal.commit([group])
    if isinstance(outcome, StoreError):
        raise outcome
    return outcome


def declared(name: str, schema: int) -> TypeRow:
    """Return what to keep of a type: as its class declares it in this process, or the safe defaults without a class."""
    kind = by_name(name)
    return TypeRow(name, schema, (kind.durability if kind else SYNCED).name, kind.measures if kind else ())


def class_here(name: str, schema: int) -> EventType | None:
    """Return the class that declares exactly this schema of a type in this process, or None."""
    kind = by_name(name)
    return kind if kind is not None and kind.schema == schema else None


def beyond_head(since: int, head: int) -> InvalidEvent:
    """Return the error of a condition on what follows a position that a log does not have."""
    return InvalidEvent(f"unchanged since position {since}, and the log ends at {head}: give the position of the book")


def drafts_of(group: Group) -> list[Draft]:
    """Return all drafts of a group."""
    return [draft for batch in group for draft in batch.drafts]
