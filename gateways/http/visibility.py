"""What a key may see of a log: its accounts' records, and of what belongs to no account what names none either."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore import EventReader
from gateways.http.access import NotAllowed
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import EventStore, Record
    from eventstore.journal import Query, Source
    from gateways.http.access import Caller

SEEN_BY_ALL = frozenset({"blackout", "clock", "contract", "feed", "log", "mark", "quote", "rate"})
"""Categories of `-` that say nothing of any account; groups, approvals, alerts and recorded reads name some."""


def sees_stream(caller: Caller, stream: str) -> bool:
    """Return whether a caller may see the records of a stream."""
    if caller.accounts is None:
        return True
    category, _, rest = stream.partition("/")
    account = rest.partition("/")[0]
    # Also for a key that is for `-`: other accounts are named in what belongs to none.
    return category in SEEN_BY_ALL if account == SHARED else caller.sees(account)


def check_sees(caller: Caller, record: Record) -> None:
    """Raise NotAllowed for a record that a caller may not see; it is not said whose it is."""
    if not sees_stream(caller, record.stream):
        msg = f"key {caller.name!r} may not see the record at position {record.position}"
        raise NotAllowed(msg)


def reader_for(caller: Caller, store: EventStore) -> EventReader:
    """Return what a caller may read: the store itself, or a reader that has only what the caller may see.

    Whatever is asked of such a reader cannot tell of another account: causes, effects, figures and names included.
    """
    return store if caller.accounts is None else EventReader(source_for(caller, store))


def source_for(caller: Caller, store: EventStore) -> Source:
    """Return what such a reader reads."""
    return store.source if caller.accounts is None else SeenSource(store.source, caller)


class SeenSource:
    """The part of a source's records that a caller may see. Positions are those of the log, so there are gaps."""

    def __init__(self, source: Source, caller: Caller) -> None:
        assert caller.accounts is not None, "who sees all accounts reads the source itself"
        self._source, self._caller = source, caller
        self._accounts = sorted({*caller.accounts, SHARED})

    @property
    def log(self) -> str:
        return self._source.log

    @property
    def log_id(self) -> bytes:
        return self._source.log_id

    @property
    def page(self) -> int:
        return self._source.page

    def read(self, query: Query, /) -> Sequence[Record]:
        """Return the records that fit a query and may be seen, oldest first."""
        account = query.account
        if query.stream is not None and query.stream.count("/") > 1:
            account = query.stream.split("/")[1]
            if query.account not in {None, account}:
                return []
        if account is not None:
            return list(self._of(account, query)) if account in self._accounts else []
        # Each account has an index: what is left out is not read.
        parts = [self._of(each, query) for each in self._accounts]
        found = heapq.merge(*parts, key=lambda record: record.position)
        return [record for record, _ in zip(found, range(query.limit), strict=False)]

    def _of(self, account: str, query: Query) -> Iterator[Record]:
        """Yield at most as many records of one account as a query asks for."""
        left, after = query.limit, query.after
        while left > 0:
            asked = replace(query, account=account, after=after, limit=max(left, self.page))
            page = self._source.read(asked)
            for record in page:
                if left and sees_stream(self._caller, record.stream):
                    left -= 1
                    yield record
            if len(page) < asked.limit:
                return
            after = page[-1].position

    def head(self) -> int:
        return self._source.head()

    def version(self, stream: str) -> int:
        return self._source.version(stream) if sees_stream(self._caller, stream) else 0

    def position_at(self, recorded_at: int) -> int:
        return self._source.position_at(recorded_at)

    def type_names(self) -> Sequence[str]:
        return self._source.type_names()

    def wait(self, position: int, timeout: float) -> bool:
        return self._source.wait(position, timeout)

    def close(self) -> None:
        """Do nothing: the store that it reads from stays open."""
