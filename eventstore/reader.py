"""Reading a log: pages, filters, times, and following new records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from msgspec.structs import replace
from typing_extensions import override

from eventstore.arguments import filter_of, position_of, root_of, size_of
from eventstore.clock import timeout_of, to_ns
from eventstore.errors import InvalidEvent, LogHasEnded, shown
from eventstore.journal import LINE_MEMBERS, ColumnSource, LineSource
from eventstore.proofs import verify
from eventstore.record import Record
from eventstore.streams import account_of
from eventstore.trading.logs import LOG_ENDED, LogEnded

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from eventstore.clock import Times
    from eventstore.events import Event
    from eventstore.journal import JoinedPage, MissingTail, Query, Source, Verification

    Types = Sequence[type[Event] | str] | type[Event] | str

POLL_SECONDS = 0.25
COLUMNS_PAGE = 20_000
"""How many records of a journal are read into columns at once: their members take some 15 MB."""
SEARCHED_MAX = 500_000
"""How many positions are searched at once for what a filter wants: an interruption waits for the end of it."""


class FollowOptions(TypedDict, total=False):
    """The keyword arguments that `EventReader.follow` and `read` share, for what passes them on."""

    after: int
    stream: str | None
    account: str | None
    types: Types | None


class ReadOptions(FollowOptions, total=False):
    """The keyword arguments of `EventReader.read`, for what passes them on."""

    limit: int | None
    start: Times | None
    stop: Times | None
    until: int | None


class EventReader:
    """Reads one log. Positions count from 1; times go in as `Times` and come out as UNIX ns."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def log(self) -> str:
        """The log's name."""
        return self._source.log

    @property
    def log_id(self) -> bytes:
        """The log's identity, 16 bytes drawn when it was created."""
        return self._source.log_id

    @property
    def missing_tail(self) -> MissingTail | None:
        """Which records at the log's end this source is known to lack; only a store opened `read_only` can."""
        return None

    def read(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        stream: str | None = None,
        account: str | None = None,
        types: Types | None = None,
        start: Times | None = None,
        stop: Times | None = None,
        until: int | None = None,
    ) -> Iterator[Record]:
        """Yield records oldest first: those past `after` up to the head as it is now, or up to position `until`.

        `stream` is a name, or a prefix with a trailing slash; `types` are event classes or names; `start`
        (included) and `stop` (not) bound `recorded_at`, None does not. Pages are fetched as they are used.
        """
        filtered = filter_of(stream, account, types)
        first = position_of("after", after)
        # The head is read once: reading a log that grows ends at what it had when the call was made.
        last = self.head() if until is None else min(position_of("until", until), self.head())
        if start is not None:
            first = max(first, self.position_before(to_ns(start)))
        if stop is not None:
            last = min(last, self.position_before(to_ns(stop)))
        left = last if limit is None else position_of("limit", limit)
        return self._pages(first, last, left, filtered)

    def read_accounts(
        self, prefix: str, *, category: str, after: int = 0, until: int, types: Types | None = None
    ) -> Iterator[Record]:
        """Yield the records of a category's streams of all accounts whose names begin so, oldest first."""
        filtered = replace(filter_of(f"{category}/", None, types), account_prefix=prefix)
        pages = self._pages(after, min(until, self.head()), self.head(), filtered)
        # A source that cannot look for them has given all of the category.
        return (record for record in pages if record.account.startswith(prefix))

    def _pages(self, after: int, last: int, left: int, filtered: Query) -> Iterator[Record]:
        # Each page is a read of its own, so that an iterator that is held open holds no connection and no lock.
        while left > 0 and after < last:
            size = min(self._source.page, left)
            page = self._source.read(replace(filtered, after=after, until=last, limit=size))
            yield from page
            if len(page) < size:
                return
            left -= size
            after = page[-1].position

    def rows(
        self,
        members: Sequence[str],
        *,
        after: int = 0,
        until: int | None = None,
        stream: str | None = None,
        account: str | None = None,
        types: Types | None = None,
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield pages of tuples, oldest first: each record's position, then the named members of `Record`."""
        pages = self.columns(members, after=after, until=until, stream=stream, account=account, types=types)
        return (list(zip(*page, strict=True)) for page in pages)

    def columns(
        self,
        members: Sequence[str],
        *,
        after: int = 0,
        until: int | None = None,
        stream: str | None = None,
        account: str | None = None,
        types: Types | None = None,
        containing: bytes | None = None,
    ) -> Iterator[list[list[Any]]]:
        """Yield pages of columns, oldest records first: a list of positions, then one of each named member of `Record`.

        For reading much of a log: a journal makes no records for it. No page is empty. Records whose data does not have
        the bytes `containing` may be left out.
        """
        filtered = replace(filter_of(stream, account, types), containing=containing)
        first = position_of("after", after)
        last = self.head() if until is None else min(position_of("until", until), self.head())
        known = Record.__struct_fields__
        if isinstance(members, str) or (unknown := [name for name in members if name not in known]):
            wrong = members if isinstance(members, str) else unknown
            msg = f"records have no members {shown(wrong)}, only {', '.join(known)}"
            raise InvalidEvent(msg)
        return self._column_pages(tuple(members), first, last, filtered)

    def _column_pages(
        self, members: tuple[str, ...], after: int, last: int, filtered: Query
    ) -> Iterator[list[list[Any]]]:
        source = self._source
        names = ("position", *members)
        while after < last:
            if isinstance(source, ColumnSource) and "log" not in members:
                size, upto = COLUMNS_PAGE, min(after + SEARCHED_MAX, last)
                page = source.columns(replace(filtered, after=after, until=upto, limit=size), names)
            else:
                size, upto = source.page, last
                records = source.read(replace(filtered, after=after, until=upto, limit=size))
                page = [[getattr(record, name) for record in records] for name in names]
            after = page[0][-1] if len(page[0]) == size else upto
            if page[0]:
                yield page

    def lines(
        self,
        members: Sequence[str],
        *,
        after: int = 0,
        until: int,
        stream: str | None = None,
        account: str | None = None,
        types: Types | None = None,
        containing: bytes | None = None,
    ) -> Iterator[JoinedPage] | None:
        """Yield the records up to a position of the log in pages of lines; None where the source has no such pages.

        For reading all of a log: no object is made for a value. Members that may be NULL cannot be given so.
        """
        source = self._source
        if not isinstance(source, LineSource) or not LINE_MEMBERS.issuperset(members):
            return None
        filtered = replace(filter_of(stream, account, types), containing=containing)
        return _line_pages(source, tuple(members), filtered, position_of("after", after), position_of("until", until))

    def follow(
        self,
        *,
        after: int = 0,
        cancel: threading.Event | None = None,
        stream: str | None = None,
        account: str | None = None,
        types: Types | None = None,
    ) -> Iterator[Record]:
        """Yield records past `after`, then each new one within milliseconds, until `cancel` is set.

        Raises LogHasEnded at the end of a log that a rotation has ended, whichever records are asked for.
        """
        filtered = filter_of(stream, account, types)
        if cancel is not None and not callable(getattr(cancel, "is_set", None)):
            msg = f"cancel is a threading.Event, not {shown(cancel)}"
            raise InvalidEvent(msg)
        return self._live(position_of("after", after), cancel, filtered)

    def _live(self, after: int, cancel: threading.Event | None, filtered: Query) -> Iterator[Record]:
        is_first = True
        while cancel is None or not cancel.is_set():
            head, last = self._source.head(), None
            for last in self._pages(after, head, head, filtered):
                yield last
                if cancel is not None and cancel.is_set():
                    return
            if is_first or head > after:
                self._check_not_ended(head, last)
            # Also past records that the filter left out: they are not looked through again.
            after, is_first = max(after, head), False
            # A commit ends this wait, `cancel` does not: with it, the wait is short enough to notice it.
            while not self._source.wait(after, POLL_SECONDS if cancel is None else POLL_SECONDS / 10):
                if cancel is not None and cancel.is_set():
                    return

    def _check_not_ended(self, head: int, last: Record | None) -> None:
        """Raise LogHasEnded where a log's last record ends it, also one that is not among those that are followed."""
        if last is None or last.position != head:
            last = next(self._pages(head - 1, head, 1, filter_of(None, None, None)), None) if head else None
        if last is not None and last.type == LOG_ENDED and isinstance(last.event, LogEnded):
            raise LogHasEnded(self.log, last.event.next)

    def head(self) -> int:
        """Return the last position, 0 for an empty log."""
        return self._source.head()

    def version(self, stream: str) -> int:
        """Return how many records a stream has."""
        account_of(stream)
        return self._source.version(stream)

    def types(self) -> tuple[str, ...]:
        """Return the names of the types that the log has events of, sorted."""
        return tuple(self._source.type_names())

    def position_at(self, recorded_at: Times) -> int:
        """Return the last position that was recorded at or before an instant."""
        return self._source.position_at(to_ns(recorded_at))

    def position_before(self, instant_ns: int) -> int:
        """Return the last position that was recorded before an instant in UNIX ns, of any year; 0 for none."""
        return self._source.position_at(instant_ns - 1) if instant_ns > 0 else 0

    def wait(self, position: int, timeout: float) -> bool:
        """Wait until the head is past a position, at most `timeout` seconds, and return whether it is."""
        return self._source.wait(position_of("position", position), timeout_of(timeout))

    def root(self, size: int | None = None) -> tuple[int, bytes]:
        """Return the size and the root hash of the log's Merkle tree (RFC 6962), over the records as they are read.

        With `size` it is the tree of that many records, from when the log had no more.
        """
        tree = verify.grown(self._source, size=size_of(size, self._source.head()))
        return tree.size, tree.root()

    def verify(
        self,
        *,
        after: int = 0,
        root: bytes | str | None = None,
        size: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Verification:
        """Check that positions, versions and times continue as a journal writes them.

        A source that stores no digests proves nothing by itself: give the `root` that the log had when it had `size`
        records, as bytes or in hex, as the journal or a checkpoint has it; without `size` it is today's.
        """
        kept, then = root_of(root, size)
        self.head()
        return verify.verify_order(
            self._source,
            after=position_of("after", after),
            root=kept,
            size=then,
            progress=progress,
            roots=self._roots(),
        )

    def _roots(self) -> Mapping[int, str]:
        """Return the tree's roots that are known of a source's past, in hex, by size."""
        return {}

    def close(self) -> None:
        """Give everything back; a second call does nothing."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._source!r}>"


def _line_pages(
    source: LineSource, names: tuple[str, ...], filtered: Query, after: int, last: int
) -> Iterator[JoinedPage]:
    while after < last:
        upto = min(after + SEARCHED_MAX, last)
        page = source.lines(replace(filtered, after=after, until=upto, limit=COLUMNS_PAGE), names)
        after = page.until
        if page.rows:
            yield page
