"""A journal in memory: every promise but durability, in the simplest way; the tests' specification of the others."""

from __future__ import annotations

import bisect
import contextlib
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from typing_extensions import override

from eventstore.clock import Clock, SystemClock, check_now
from eventstore.errors import AccountChanged, Closed, InvalidEvent, StoreError, VersionConflict
from eventstore.journal import NO_FENCES, PAGE, Fault, TypeRow, beyond_head, declared, drafts_of
from eventstore.journals.repetitions import REPORTS, REPORTS_MAX, is_unkeyed_report, repeats
from eventstore.proofs import merkle
from eventstore.record import Record, digest, digest_prefix
from eventstore.record_errors import DuplicateEvent
from eventstore.streams import account_of, check_name, prefix_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventstore.events import Event
    from eventstore.journal import Group, Outcome, Query
    from eventstore.record import Draft, Unchanged


class _Report(NamedTuple):
    """An execution report, and its event: decoded once, as it is compared with a thousand others."""

    fact: Draft
    event: Event | None

    @classmethod
    def of(cls, fact: Draft) -> _Report:
        try:
            return cls(fact, fact.event)
        except InvalidEvent:
            return cls(fact, None)

    def repeated(self, others: Sequence[_Report], *, timed: bool) -> Draft | None:
        """Return the first of others that this one repeats. Facts that are the same have equal events."""
        same = (fact for fact, event in others if event == self.event)
        return next((fact for fact in same if repeats(self.fact, fact, timed=timed)), None)


class MemoryJournal:
    """One log in a list."""

    page = PAGE
    trouble = ""
    unproved: tuple[str, ...] = ()

    def __init__(self, *, log: str = "main", clock: Clock | None = None, log_id: bytes | None = None) -> None:
        self.log = check_name("log", log)
        self.log_id = log_id or os.urandom(16)
        self._clock = clock or SystemClock()
        self._records: list[Record] = []
        self._by_id: dict[bytes, Record] = {}
        self._versions: dict[str, int] = {}
        self._types: dict[tuple[str, int], TypeRow] = {}
        self._reports: dict[str, list[_Report]] = {}
        self._grown = threading.Condition()
        self._closed = False

    def commit(self, groups: Sequence[Group]) -> list[Outcome]:
        with self._grown:
            self.check_open()
            outcomes: list[Outcome] = []
            for group in groups:
                try:
                    outcomes.append(self._write(group))
                except StoreError as error:
                    outcomes.append(error)
            self._grown.notify_all()
            return outcomes

    def _write(self, group: Group) -> Sequence[Record]:
        ids, group = self._without_repetitions(group)
        drafts = drafts_of(group)
        if not drafts or self._known_records(drafts):
            return [self._by_id[id] for id in ids]
        self._check_conditions(group)
        # Placed beside the log and added to it at once: an error leaves no part of the group behind.
        new: list[Record] = []
        recorded_at = self._records[-1].recorded_at if self._records else 0
        now = check_now(self._clock.now_ns())
        versions: dict[str, int] = {}
        for draft in drafts:
            recorded_at = max(recorded_at + 1, now)
            version = versions[draft.stream] = versions.get(draft.stream, self.version(draft.stream)) + 1
            position = len(self._records) + len(new) + 1
            leaf = digest(digest_prefix(self.log_id, draft), position, version, recorded_at, draft)
            place = (position, version, recorded_at, leaf, self.log)
            new.append(Record(*msgspec.structs.astuple(draft), *place))  # type: ignore[call-arg] # a draft's members
        for draft in drafts:
            self._types.setdefault((draft.type, draft.schema), declared(draft.type, draft.schema))
        self._records += new
        self._versions |= versions
        self._by_id |= {record.id: record for record in new}
        for record in new:
            if record.type in REPORTS:
                self._reports.setdefault(record.stream, []).append(_Report.of(record))
        return [self._by_id[id] for id in ids]

    def _check_conditions(self, group: Group) -> None:
        versions: dict[str, int] = {}
        for batch in group:
            account_of(batch.stream)
            if batch.unchanged is not None:
                self._check_unchanged(batch.unchanged)
            found = versions.setdefault(batch.stream, self.version(batch.stream))
            if batch.expected is not None and batch.expected != found:
                raise VersionConflict(batch.stream, batch.expected, found)
            versions[batch.stream] += len(batch.drafts)

    def _check_unchanged(self, unchanged: Unchanged) -> None:
        since, accounts, head = unchanged.since, unchanged.accounts, len(self._records)
        if unchanged.fence is not None or since is None:
            raise InvalidEvent(NO_FENCES)
        if since > head:
            raise beyond_head(since, head)
        later = [record.position for record in self._records[since:] if not accounts or record.account in accounts]
        if later:
            raise AccountChanged(accounts, since, later[-1])

    def _without_repetitions(self, group: Group) -> tuple[list[bytes], Group]:
        """Return the id of the record that each draft is or becomes, and the group without the repeated reports."""
        ids: list[bytes] = []
        reports: dict[str, list[_Report]] = {}
        rest = []
        for batch in group:
            drafts = []
            known = reports.setdefault(batch.stream, list(self._reports.get(batch.stream, ())))
            for draft in batch.drafts:
                first = None
                if is_unkeyed_report(draft):
                    first = _Report.of(draft).repeated(known[-REPORTS_MAX:], timed=batch.occurred_at_given)
                if first is None:
                    drafts.append(draft)
                    if draft.type in REPORTS:
                        known.append(_Report.of(draft))
                ids.append((first or draft).id)
            rest.append(msgspec.structs.replace(batch, drafts=drafts))
        return ids, rest

    def _known_records(self, drafts: Sequence[Draft]) -> list[Record] | None:
        known = self.find([draft.id for draft in drafts])
        seen: set[bytes] = set()
        for draft in drafts:
            if draft.id in seen:
                raise DuplicateEvent(draft.id, None, "twice")
            seen.add(draft.id)
            record = known.get(draft.id)
            if record is not None and not record.same_fact(draft):
                raise DuplicateEvent(draft.id, record)
        if known and len(known) < len(drafts):
            record = next(iter(known.values()))
            raise DuplicateEvent(record.id, record, "while other events of the batch are not")
        return [known[draft.id] for draft in drafts] if known else None

    def find(self, ids: Sequence[bytes]) -> dict[bytes, Record]:
        self.check_open()
        return {id: self._by_id[id] for id in ids if id in self._by_id}

    def read(self, query: Query, /) -> Sequence[Record]:
        self.check_open()
        page: list[Record] = []
        for record in self._records[query.after : query.until]:
            if len(page) == query.limit:
                break
            if _fits(query, record):
                page.append(record)
        return page

    def head(self) -> int:
        self.check_open()
        return len(self._records)

    def version(self, stream: str) -> int:
        self.check_open()
        return self._versions.get(stream, 0)

    def position_at(self, recorded_at: int) -> int:
        self.check_open()
        return bisect.bisect_right(self._records, recorded_at, key=lambda record: record.recorded_at)

    def wait(self, position: int, timeout: float) -> bool:
        with self._grown:
            self._grown.wait_for(lambda: self._closed or len(self._records) > position, timeout)
            self.check_open()
            return len(self._records) > position

    def frontier(self) -> merkle.Frontier:
        self.check_open()
        frontier = merkle.Frontier()
        frontier.grow([record.digest for record in self._records])
        return frontier

    def nodes(self, first: int, last: int, *, level: int = merkle.STORED_LEVEL) -> Sequence[merkle.Node]:
        self.check_open()
        every = merkle.Frontier().grow([record.digest for record in self._records])
        return [node for node in every if node.level == level and first <= node.number <= last]

    def type_names(self) -> Sequence[str]:
        return sorted({kind.name for kind in self.types()})

    def types(self) -> Sequence[TypeRow]:
        self.check_open()
        return [kind for _, kind in sorted(self._types.items())]

    def missing_tail(self) -> None:
        return None

    def integrity(self, *, is_canceled: Callable[[], bool] | None = None) -> list[Fault]:
        del is_canceled  # there is no storage that could have been changed
        self.check_open()
        return []

    def uncached(self) -> contextlib.AbstractContextManager[MemoryJournal]:
        return contextlib.nullcontext(self)

    def close(self) -> None:
        with self._grown:
            self._closed = True
            self._grown.notify_all()

    def check_open(self) -> None:
        if self._closed:
            msg = "this journal is closed: make a new one"
            raise Closed(msg)

    @override
    def __repr__(self) -> str:
        return f"<MemoryJournal {self.log} at {len(self._records)}>"


def _fits(query: Query, record: Record) -> bool:
    return (
        (query.account is None or record.account == query.account)
        and (query.types is None or record.type in query.types)
        and _in(query.stream, record.stream)
    )


def _in(pattern: str | None, stream: str) -> bool:
    if pattern is None or pattern == stream:
        return True
    return pattern.endswith("/") and pattern <= stream < prefix_end(pattern)
