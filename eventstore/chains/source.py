"""The read side of a log and those that it continues: one sequence of positions, from the first log's on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol, cast

from msgspec.structs import replace
from typing_extensions import override

from eventstore.errors import Unavailable
from eventstore.journal import PAGE, Source, StoredSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventstore.journal import Maintenance, Query
    from eventstore.proofs import merkle
    from eventstore.record import Record

VERSIONS_MAX = 100_000
"""How many streams are remembered with the version at which the earlier logs left them."""


class EarlierLogs(StoredSource, Protocol):
    """What a log continues: one log, or several."""

    def versions(self, streams: Iterable[str]) -> dict[str, int]:
        """Return the versions of several streams."""


class MissingLog:
    """A log that is continued and is not at hand: what would be read from it is Unavailable.

    Of its ids none is found. Of its streams only those versions are known that the log after it carries on.
    """

    page = PAGE

    def __init__(self, log: str, log_id: bytes, head: int, why: str, versions: Mapping[str, int]) -> None:
        self.log, self.log_id, self._head, self.why = log, log_id, head, why
        self._versions = versions

    def read(self, query: Query, /) -> Sequence[Record]:
        del query
        raise self.unavailable()

    def columns(self, query: Query, members: Sequence[str], /) -> list[list[Any]]:
        del query, members
        raise self.unavailable()

    def position_at(self, recorded_at: int) -> int:
        del recorded_at
        raise self.unavailable()

    def head(self) -> int:
        return self._head

    def version(self, stream: str) -> int:
        return self._versions.get(stream, 0)

    def versions(self, streams: Iterable[str]) -> dict[str, int]:
        return {stream: self.version(stream) for stream in streams}

    def find(self, ids: Sequence[bytes]) -> dict[bytes, Record]:
        del ids
        return {}

    def type_names(self) -> Sequence[str]:
        return ()

    def frontier(self) -> merkle.Frontier:
        raise self.unavailable()

    def wait(self, position: int, timeout: float) -> bool:
        del timeout
        return position < self._head

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def unavailable(self) -> Unavailable:
        """Return what is raised for all that would be read from this log."""
        return Unavailable(f"records up to position {self._head:,} are in log {self.log}: {self.why}")


class ChainSource:
    """A log's records after those of the logs that it continues, each with the position and version that follow.

    The tree is the log's own: each log has one.
    """

    def __init__(self, previous: EarlierLogs, own: Maintenance, offset: int) -> None:
        self.previous, self.own, self.offset = previous, own, offset
        self.log, self.log_id, self.page = own.log, own.log_id, own.page
        self._versions: dict[str, int] = {}
        self._lock = threading.Lock()

    def version_before(self, stream: str) -> int:
        """Return the version at which the earlier logs left a stream."""
        found = self._versions.get(stream)
        return self.versions_before([stream])[stream] if found is None else found

    def versions_before(self, streams: Iterable[str]) -> dict[str, int]:
        """Return the versions at which the earlier logs left some streams, by stream."""
        wanted = set(streams)
        known = self._versions
        found = {stream: known[stream] for stream in wanted if stream in known}
        unknown = wanted - found.keys()
        if unknown:
            looked_up = self.previous.versions(unknown)
            found |= looked_up
            with self._lock:
                if len(known) + len(looked_up) > VERSIONS_MAX:
                    known = self._versions = {}
                known |= looked_up
        return found

    def shifted(self, record: Record) -> Record:
        """Return a record of the log itself as it is numbered here."""
        return self.all_shifted([record])[0]

    def all_shifted(self, records: Sequence[Record]) -> list[Record]:
        """Return records of the log itself as they are numbered here."""
        offset, before = self.offset, self.versions_before([record.stream for record in records])
        return [
            replace(record, position=record.position + offset, version=record.version + before[record.stream])
            for record in records
        ]

    def read(self, query: Query, /) -> Sequence[Record]:
        first = self._before(query)
        page = [] if first is None else list(self.previous.read(first))
        rest = self._own(query, len(page))
        return page if rest is None else page + self.all_shifted(self.own.read(rest))

    def columns(self, query: Query, members: Sequence[str], /) -> list[list[Any]]:
        names = tuple(members)
        first = self._before(query)
        page: list[list[Any]] = [[] for _ in names] if first is None else _columns(self.previous, first, names)
        rest = self._own(query, len(page[0]))
        if rest is None:
            return page
        return [[*before, *own] for before, own in zip(page, self._own_columns(rest, names), strict=True)]

    def _own_columns(self, query: Query, names: tuple[str, ...]) -> list[list[Any]]:
        asked = names if "version" not in names or "stream" in names else (*names, "stream")
        page = _columns(self.own, query, asked)
        by_name = dict(zip(asked, page, strict=True))
        if "position" in by_name:
            by_name["position"] = [position + self.offset for position in by_name["position"]]
        if "version" in by_name:
            before = self.versions_before(by_name["stream"])
            pairs = zip(by_name["version"], by_name["stream"], strict=True)
            by_name["version"] = [version + before[stream] for version, stream in pairs]
        return [by_name[name] for name in names]

    def _before(self, query: Query) -> Query | None:
        """Return what of a query is asked of the earlier logs, None for nothing."""
        if query.after >= self.offset:
            return None
        return replace(query, until=self.offset if query.until is None else min(query.until, self.offset))

    def _own(self, query: Query, taken: int) -> Query | None:
        """Return what of a query is asked of the log itself, after so many records of the earlier ones."""
        offset, until = self.offset, query.until
        if taken >= query.limit or (until is not None and until <= offset):
            return None
        after = max(query.after - offset, 0)
        return replace(query, after=after, until=None if until is None else until - offset, limit=query.limit - taken)

    def head(self) -> int:
        return self.offset + self.own.head()

    def version(self, stream: str) -> int:
        return self.version_before(stream) + self.own.version(stream)

    def versions(self, streams: Iterable[str]) -> dict[str, int]:
        before = self.versions_before(streams)
        # A log that continues others is one that can be continued itself.
        own = cast("EarlierLogs", self.own).versions(before)
        return {stream: version + own[stream] for stream, version in before.items()}

    def position_at(self, recorded_at: int) -> int:
        own = self.own.position_at(recorded_at)
        return self.offset + own if own else self.previous.position_at(recorded_at)

    def type_names(self) -> Sequence[str]:
        return sorted({*self.previous.type_names(), *self.own.type_names()})

    def wait(self, position: int, timeout: float) -> bool:
        return position < self.offset or self.own.wait(position - self.offset, timeout)

    def find(self, ids: Sequence[bytes]) -> dict[bytes, Record]:
        found = {record.id: record for record in self.all_shifted(list(self.own.find(ids).values()))}
        rest = [id_ for id_ in ids if id_ not in found]
        return found | (self.previous.find(rest) if rest else {})

    def frontier(self) -> merkle.Frontier:
        return self.own.frontier()

    def close(self) -> None:
        self.own.close()
        self.previous.close()

    @override
    def __repr__(self) -> str:
        return f"<ChainSource {self.own!r} after {self.previous.log} at {self.offset}>"


def _columns(source: Source, query: Query, names: tuple[str, ...]) -> list[list[Any]]:
    asked: Any = source
    page: list[list[Any]] = asked.columns(query, names)
    return page
