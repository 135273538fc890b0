"""The log of a replay: the source's records as far as they are played, and beside them what is appended meanwhile."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import itertools
import threading
from typing import TYPE_CHECKING

from msgspec.structs import astuple, replace
from typing_extensions import override

from eventstore import EventStore
from eventstore.commits import COMMIT_SECONDS_MAX
from eventstore.errors import Closed
from eventstore.ids import is_drawn, new_ids
from eventstore.journal import PAGE, declared
from eventstore.journals.repetitions import REPORTS, Tails
from eventstore.journals.sequencing import Sequencer
from eventstore.proofs import merkle
from eventstore.record import Record, digest, digest_prefix
from eventstore.streams import prefix_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from eventstore import Clock, EventReader
    from eventstore.batch import Id
    from eventstore.clock import Times
    from eventstore.commits import Pending
    from eventstore.events import Event
    from eventstore.journal import Fault, Group, Outcome, Query, TypeRow
    from eventstore.record import Draft, Unchanged

ACTOR = "replay"
"""Who appends to a replay's log, where a strategy names nobody."""


class ScratchJournal:
    """A log in memory that begins with a source's records, which stay where they are.

    Up to position `shared` it is the source. Once something is appended, or a record left out, `own` has what follows.
    The source is only read. Ids that a writer did not choose are drawn by counting, so that two replays are the same.
    """

    page = PAGE
    trouble = ""
    unproved: tuple[str, ...] = ()

    def __init__(self, source: EventReader | None, clock: Clock, *, after: int = 0) -> None:
        self.log = "replay" if source is None else source.log
        self.log_id = bytes(16) if source is None else source.log_id
        self.shared = after
        self.own: list[Record] = []
        self.taken = after
        """The source's position of the last record that was played or left out."""
        self.forked = source is None
        """Whether anything differs from the source up to here."""
        self._source, self._clock = source, clock
        self._by_id: dict[bytes, Record] = {}
        self._versions: dict[str, int] = {}
        self._tails = Tails(self._recent)
        self._drawn = 0
        self._since = after
        self._source_ids: dict[bytes, int] | None = None
        self._grown = threading.Condition(threading.RLock())
        self._closed = False

    # Playing

    def play(self, record: Record) -> Record | None:
        """Take the source's next record; return it as it is in this log, None if this log has it already."""
        self.taken = record.position
        if not self.forked:
            self.shared = record.position
            if self._versions and record.stream in self._versions:
                self._versions[record.stream] = record.version
            return record
        if record.id in self._by_id:
            return None
        # Of a stream in which nothing was appended or left out, every version is the source's.
        known = self._versions.get(record.stream)
        return self.place(record, record.version if known is None else known + 1, record.recorded_at)

    def skip(self, record: Record) -> None:
        """Leave out the source's next record."""
        self.taken = record.position
        if not self.forked:
            self.shared = record.position - 1
            self.forked = True
        self._versions.setdefault(record.stream, record.version - 1)

    def place(self, draft: Draft, version: int, recorded_at: int) -> Record:
        """Add a draft to the end, whatever its conditions, and return its record."""
        position, last = self.head() + 1, self._last_recorded_at()
        recorded_at = max(recorded_at, last + 1)
        leaf = digest(digest_prefix(self.log_id, draft), position, version, recorded_at, draft)
        members = astuple(draft)[:10]
        record = Record(*members, position, version, recorded_at, leaf, self.log)  # type: ignore[call-arg] # a draft's
        self._add([record])
        self._tails.note([record])
        return record

    def has_own(self, id_: bytes) -> bool:
        """Return whether a record with an id is among those that are not the source's."""
        return id_ in self._by_id

    def _add(self, records: Sequence[Record]) -> None:
        self.forked = True
        self.own += records
        for record in records:
            self._by_id[record.id] = record
            self._versions[record.stream] = record.version

    def _last_recorded_at(self) -> int:
        if self.own:
            return self.own[-1].recorded_at
        return next((record.recorded_at for record in self._shared(after=self.shared - 1)), 0) if self.shared else 0

    # A journal

    def commit(self, groups: Sequence[Group]) -> Sequence[Outcome]:
        with self._grown:
            self.check_open()
            now = self._clock.now_ns()
            groups = [[replace(batch, drafts=self._redrawn(batch.drafts, now)) for batch in group] for group in groups]
            conditions = [batch.unchanged for group in groups for batch in group if batch.unchanged is not None]
            since = [condition.since for condition in conditions if condition.since is not None]
            self._since = min(since, default=self.head())
            work = Sequencer(
                log=self.log,
                log_id=self.log_id,
                position=self.head(),
                recorded_at=self._last_recorded_at(),
                now_ns=now,
                version=self.version,
                find=self.find,
                newest=self._newest_of,
                tails=self._tails,
                check_ids=True,
            )
            outcomes = [work.place(group) for group in groups]
            if work.records:
                self._add(work.records)
            work.end()
            self._grown.notify_all()
            return outcomes

    def _redrawn(self, drafts: Sequence[Draft], now: int) -> list[Draft]:
        return [replace(draft, id=self._next_id(now)) if is_drawn(draft.id) else draft for draft in drafts]

    def _next_id(self, now: int) -> bytes:
        self._drawn += 1
        seed = hashlib.sha256(self.log_id + self._drawn.to_bytes(8, "big")).digest()
        return new_ids(1, now, lambda size: seed[:size])[0]

    def _newest_of(self, account: str) -> int:
        own = next((record.position for record in reversed(self.own) if record.account == account), None)
        if own is not None:
            return own
        # Only what is past the condition's position is asked for.
        shared = [record.position for record in self._shared(after=self._since, account=account)]
        return shared[-1] if shared else 0

    def _recent(self, stream: str, after: int) -> Sequence[Record]:
        shared = [record for record in self._shared(stream=stream) if record.version > after]
        own = [record for record in self.own if record.stream == stream and record.version > after]
        return [record for record in (*shared, *own) if record.type in REPORTS]

    def _shared(
        self, *, after: int = 0, stream: str | None = None, account: str | None = None, limit: int | None = None
    ) -> Iterable[Record]:
        if self._source is None or self.shared <= after:
            return ()
        return self._source.read(after=after, until=self.shared, stream=stream, account=account, limit=limit)

    def find(self, ids: Sequence[bytes]) -> dict[bytes, Record]:
        self.check_open()
        found = {id_: self._by_id[id_] for id_ in ids if id_ in self._by_id}
        for id_ in ids:
            if id_ not in found and (record := self._find_shared(id_)) is not None:
                found[id_] = record
        return found

    def _find_shared(self, id_: bytes) -> Record | None:
        source = self._source
        if source is None or not self.shared:
            return None
        if isinstance(source, EventStore):
            record = source.find(id_)
            return record if record is not None and record.position <= self.shared else None
        # Not every source can be asked for an id: the ids of the rest are read once.
        if self._source_ids is None:
            rows = itertools.chain.from_iterable(source.rows(("id",)))
            self._source_ids = {row[1]: row[0] for row in rows}
        position = self._source_ids.get(id_, 0)
        if not 0 < position <= self.shared:
            return None
        return next(iter(source.read(after=position - 1, limit=1)), None)

    def read(self, query: Query, /) -> Sequence[Record]:
        self.check_open()
        until = self.head() if query.until is None else min(query.until, self.head())
        page: list[Record] = []
        if self._source is not None and query.after < min(until, self.shared):
            page = list(
                self._source.read(
                    after=query.after,
                    until=min(until, self.shared),
                    stream=query.stream,
                    account=query.account,
                    types=query.types,
                    limit=query.limit,
                )
            )
        first = max(query.after - self.shared, 0)
        for record in itertools.islice(self.own, first, max(until - self.shared, 0)):
            if len(page) >= query.limit:
                break
            if _fits(query, record):
                page.append(record)
        return page

    def head(self) -> int:
        return self.shared + len(self.own)

    def version(self, stream: str) -> int:
        known = self._versions.get(stream)
        if known is None:
            known = self._versions[stream] = self._shared_version(stream)
        return known

    def _shared_version(self, stream: str) -> int:
        if self._source is None or not self.shared:
            return 0
        following = next(iter(self._source.read(stream=stream, after=self.shared, limit=1)), None)
        return self._source.version(stream) if following is None else following.version - 1

    def position_at(self, recorded_at: int) -> int:
        if self.own and self.own[0].recorded_at <= recorded_at:
            return self.shared + bisect.bisect_right(self.own, recorded_at, key=lambda record: record.recorded_at)
        return 0 if self._source is None else min(self._source.position_at(max(recorded_at, 0)), self.shared)

    def wait(self, position: int, timeout: float) -> bool:
        with self._grown:
            self._grown.wait_for(lambda: self._closed or self.head() > position, timeout)
            self.check_open()
            return self.head() > position

    def frontier(self) -> merkle.Frontier:
        frontier = merkle.Frontier()
        frontier.grow(self._digests())
        return frontier

    def nodes(self, first: int, last: int, *, level: int = merkle.STORED_LEVEL) -> Sequence[merkle.Node]:
        every = merkle.Frontier().grow(self._digests())
        return [node for node in every if node.level == level and first <= node.number <= last]

    def _digests(self) -> list[bytes]:
        return [record.digest for record in (*self._shared(), *self.own)]

    def type_names(self) -> Sequence[str]:
        shared = () if self._source is None else self._source.types()
        return sorted({*shared, *(record.type for record in self.own)})

    def types(self) -> Sequence[TypeRow]:
        kinds = {(record.type, record.schema) for record in (*self._shared(), *self.own)}
        return [declared(name, schema) for name, schema in sorted(kinds)]

    def missing_tail(self) -> None:
        return None

    def integrity(self, *, is_canceled: Callable[[], bool] | None = None) -> list[Fault]:
        del is_canceled  # there is no storage of its own that could have been changed
        return []

    def uncached(self) -> contextlib.AbstractContextManager[ScratchJournal]:
        return contextlib.nullcontext(self)

    def close(self) -> None:
        """Forget what was appended; the source stays open."""
        with self._grown:
            self._closed = True
            self._grown.notify_all()

    def check_open(self) -> None:
        if self._closed:
            msg = "this replay is closed: make a new one"
            raise Closed(msg)

    @override
    def __repr__(self) -> str:
        return f"<ScratchJournal {self.log} at {self.head()}, the first {self.shared} of the source>"


class ReplayStore(EventStore):
    """A replay's store: its appends go to memory, at the virtual time, and are there when `enqueue` returns as well."""

    def __init__(self, journal: ScratchJournal, clock: Clock) -> None:
        super().__init__(journal, clock=clock)
        self._actor = ACTOR

    @override
    def enqueue(
        self,
        stream: str,
        events: Event | Sequence[Event],
        *,
        expected: int | None = None,
        key: str | Sequence[str] | None = None,
        occurred_at: Times | None = None,
        actor: str | None = None,
        note: str = "",
        correlation_id: Id | None = None,
        causation_id: Id | None = None,
        unchanged: Unchanged | None = None,
    ) -> Pending:
        """Append as `EventStore.enqueue` does, and at once: a replay must not depend on when a thread runs."""
        pending = super().enqueue(
            stream,
            events,
            expected=expected,
            key=key,
            occurred_at=occurred_at,
            actor=actor,
            note=note,
            correlation_id=correlation_id,
            causation_id=causation_id,
            unchanged=unchanged,
        )
        self.committer.flush_soon()
        pending.wait(COMMIT_SECONDS_MAX)
        return pending


def _fits(query: Query, record: Record) -> bool:
    return (
        (query.account is None or record.account == query.account)
        and (query.types is None or record.type in query.types)
        and _is_in(query.stream, record.stream)
    )


def _is_in(pattern: str | None, stream: str) -> bool:
    if pattern is None or pattern == stream:
        return True
    return pattern.endswith("/") and pattern <= stream < prefix_end(pattern)
