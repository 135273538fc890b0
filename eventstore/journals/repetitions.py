"""Execution reports without a key that repeat one of their stream's newest: the record that each of them is."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from eventstore.ids import is_drawn
from eventstore.record import Draft, Record
from eventstore.trading import OrderFilled, TradeExecuted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventstore.journal import Group
    from eventstore.record import PreparedBatch

    Recent = Callable[[str, int], Sequence[Record]]
    """Returns a stream's stored execution reports past a version, oldest first, at most the newest REPORTS_MAX."""

REPORTS = frozenset({OrderFilled.__name__, TradeExecuted.__name__})
"""The types of the events that brokers report again: after a reconnect, or in answer to another request."""
REPORTS_MAX = 1_000
"""How many of a stream's newest execution reports a new one is compared with."""
REMEMBERED_MAX = 20_000
"""How many streams and execution reports a journal remembers, at less than a kilobyte each."""
WITHOUT_MAX = 100_000
"""How many streams without an execution report a journal remembers, at 200 bytes each."""


class _Trade(msgspec.Struct):
    trade_id: str


_trade_of = msgspec.json.Decoder(_Trade).decode


def is_unkeyed_report(draft: Draft) -> bool:
    """Return whether a draft is an execution report whose writer gave it no key."""
    return draft.type in REPORTS and is_drawn(draft.id)


def repeats(draft: Draft, fact: Draft, *, timed: bool) -> bool:
    """Return whether an execution report is another one again; `timed`: whether its writer stated `occurred_at`.

    Both have no key: a report that came once with a key and once without is two records of one execution.
    """
    return (not timed or draft.occurred_at == fact.occurred_at) and is_drawn(fact.id) and fact.same_fact(draft)


def may_repeat(group: Group, version: Callable[[PreparedBatch], int]) -> bool:
    """Return whether a report of a group may repeat one; False at once where a group has none.

    `version` returns that of a batch's stream.
    """
    begun: set[str] | None = None
    for batch in group:
        count = 0
        for draft in batch.drafts:
            if draft.type in REPORTS and is_drawn(draft.id):
                count += 1
        if count:
            begun = set() if begun is None else begun
            if count > 1 or batch.stream in begun or version(batch):
                return True
            begun.add(batch.stream)
    return False


class Report(msgspec.Struct, gc=False):
    """An execution report without a key, and its number among its stream's reports."""

    fact: Draft
    number: int

    @property
    def record(self) -> Record:
        """The record that the report is, once that is placed."""
        assert isinstance(self.fact, Record)
        return self.fact


class Tail:
    """The newest execution reports of a stream, up to a version of it.

    Reports that are equal by value have the same trade id, so only those of one trade are compared. What has no
    readable trade id is compared with its like.
    """

    __slots__ = ("_by_trade", "count", "kept", "version")

    def __init__(self) -> None:
        self.version = self.count = self.kept = 0
        self._by_trade: dict[str | None, list[Report]] = {}

    def find(self, draft: Draft, *, timed: bool) -> Report | None:
        """Return the oldest of the newest REPORTS_MAX reports that a draft without a key repeats, None without one."""
        return self._oldest(draft, self._by_trade.get(_trade_id(draft)), timed=timed)

    def meet(self, draft: Draft, *, timed: bool) -> Report:
        """Return the report that a draft without a key repeats; else add it."""
        trade_id = _trade_id(draft)
        reports = self._by_trade.get(trade_id)
        return self._oldest(draft, reports, timed=timed) or self._add(draft, trade_id, reports)

    def _oldest(self, draft: Draft, reports: list[Report] | None, *, timed: bool) -> Report | None:
        if reports is not None:
            oldest = self.count - REPORTS_MAX
            for report in reports:
                if report.number > oldest and repeats(draft, report.fact, timed=timed):
                    return report
        return None

    def add(self, record: Record) -> None:
        """Add the stream's next report; one with a key is only counted."""
        if is_drawn(record.id):
            trade_id = _trade_id(record)
            self._add(record, trade_id, self._by_trade.get(trade_id))
        else:
            self.count += 1

    def _add(self, fact: Draft, trade_id: str | None, reports: list[Report] | None) -> Report:
        self.count += 1
        self.kept += 1
        report = Report(fact, self.count)
        if reports is None:
            self._by_trade[trade_id] = [report]
        else:
            reports.append(report)
        return report

    def remove(self, report: Report) -> None:
        """Remove a report that is the newest one of its trade."""
        removed = self._by_trade[_trade_id(report.fact)].pop()
        assert removed is report
        self.kept -= 1

    def trim(self) -> None:
        """Forget what no report will be compared with any more, once that is as much as the rest."""
        if self.kept < 2 * REPORTS_MAX:
            return
        oldest = self.count - REPORTS_MAX
        for trade_id, reports in list(self._by_trade.items()):
            reports[:] = [report for report in reports if report.number > oldest]
            if not reports:
                del self._by_trade[trade_id]
        self.kept = sum(map(len, self._by_trade.values()))


def _trade_id(draft: Draft) -> str | None:
    try:
        return _trade_of(draft.data).trade_id
    except (msgspec.MsgspecError, RecursionError):
        return None


class Tails:
    """The tails that a journal remembers: what a stream held up to a version stays true.

    While a transaction places reports, tails have what may never be stored. So each is begun and ended, and what one
    that failed has left is forgotten when the next one begins. `recent` reads what is not remembered. Of streams that
    this journal has begun, it is also remembered up to which version they have no report: an order's first fill then
    reads nothing.
    """

    def __init__(self, recent: Recent) -> None:
        self.recent = recent
        self._is_begun = False
        self._tails: dict[str, Tail] = {}
        self._without: dict[str, int] = {}
        self._size = 0

    def begin(self) -> None:
        """Begin a transaction that asks for tails."""
        if self._is_begun:
            self._tails.clear()
            self._size = 0
        self._is_begun = True

    def end(self) -> None:
        """End the transaction that was begun: what it has placed is stored."""
        self._is_begun = False

    def note(self, stored: Sequence[Record]) -> None:
        """Remember which streams still have no report, after records were stored."""
        without = self._without
        if len(without) + len(stored) > WITHOUT_MAX:
            without.clear()
        for record in stored:
            stream, version = record.stream, record.version
            # From the first version on, without a gap: any other process may have begun or continued the stream.
            if record.type not in REPORTS and version == without.get(stream, 0) + 1:
                without[stream] = version

    def take(self, stream: str) -> Tail:
        """Return what is remembered of a stream, possibly nothing, and remember it no longer."""
        tail = self._tails.pop(stream, None)
        if tail is None:
            tail = Tail()
            tail.version = self._without.get(stream, 0)
            return tail
        self._size -= tail.kept + 1
        return tail

    def keep(self, stream: str, tail: Tail) -> None:
        """Remember a tail; forget those that were not used for longest where that is too much."""
        self._tails[stream] = tail
        self._size += tail.kept + 1
        while self._size > REMEMBERED_MAX:
            # The dictionary is in the order of use.
            self.take(next(iter(self._tails)))


class Repetitions:
    """Finds the repeated reports of one transaction's groups, also among what the transaction has placed before."""

    def __init__(self, tails: Tails, version: Callable[[str], int], placed: Sequence[Record]) -> None:
        self._tails, self._version, self._placed = tails, version, placed
        self._reports_placed: dict[str, list[Record]] = {}
        self._indexed = 0

    def search(self, group: Group) -> RepetitionSearch:
        """Find what a group repeats. Each search is ended before the next one."""
        streams = dict.fromkeys(batch.stream for batch in group if any(map(is_unkeyed_report, batch.drafts)))
        return RepetitionSearch(group, {stream: self.tail(stream) for stream in streams}, self._tails)

    def keep(self, stream: str, tail: Tail, record: Record | None = None) -> None:
        """Remember a tail that was taken, with the record that a report of its stream has become."""
        if record is not None:
            tail.add(record)
            tail.version = record.version
            tail.trim()
        self._tails.keep(stream, tail)

    def tail(self, stream: str) -> Tail:
        """Take the stream's tail, up to its version: `keep` it before it is asked for again."""
        tail, version = self._tails.take(stream), self._version(stream)
        if tail.version < version:
            for fact in self._tails.recent(stream, tail.version):
                tail.add(fact)
            for record in self._placed_in(stream):
                if record.version > tail.version:
                    tail.add(record)
            tail.version = version
            tail.trim()
        return tail

    def _placed_in(self, stream: str) -> Sequence[Record]:
        for record in itertools.islice(self._placed, self._indexed, None):
            if record.type in REPORTS:
                self._reports_placed.setdefault(record.stream, []).append(record)
        self._indexed = len(self._placed)
        return self._reports_placed.get(stream, ())


class RepetitionSearch:
    """What one group repeats, and the rest of it, which is to be placed."""

    def __init__(self, group: Group, tails: Mapping[str, Tail], remembered: Tails) -> None:
        self._tails, self._remembered = tails, remembered
        self._counts = {stream: tail.count for stream, tail in tails.items()}
        self._size = 0
        self._repeated: dict[int, Report] = {}
        # Each with its tail and its place in the rest.
        self._added: list[tuple[Tail, Report, int]] = []
        rest = [self._rest_of(batch) for batch in group]
        self.rest: Group = rest if self._size > len(self._repeated) else []
        """The group without what is repeated; empty if that is all of it."""

    def _rest_of(self, batch: PreparedBatch) -> PreparedBatch:
        start, drafts = self._size, batch.drafts
        self._size += len(drafts)
        tail = self._tails.get(batch.stream)
        if tail is None:
            return batch
        repeated, before, timed = self._repeated, len(self._repeated), batch.occurred_at_given
        for at, draft in enumerate(drafts, start):
            if draft.type not in REPORTS:
                continue
            if not is_drawn(draft.id):
                tail.count += 1
                continue
            count = tail.count
            report = tail.meet(draft, timed=timed)
            if tail.count == count:
                repeated[at] = report
            else:
                self._added.append((tail, report, at - len(repeated)))
        if len(repeated) == before:
            return batch
        rest = [draft for at, draft in enumerate(drafts, start) if at not in repeated]
        return msgspec.structs.replace(batch, drafts=rest)

    def answer(self, placed: Sequence[Record]) -> Sequence[Record]:
        """Return the record of each draft of the group, given those of the rest."""
        for _, report, at in self._added:
            report.fact = placed[at]
        if not self._repeated:
            return placed
        following = iter(placed)
        return [self._repeated[at].record if at in self._repeated else next(following) for at in range(self._size)]

    def keep(self, versions: Mapping[str, int]) -> None:
        """End the search of a group whose rest was placed; remember its reports."""
        for stream, tail in self._tails.items():
            tail.version = versions[stream]
            tail.trim()
            self._remembered.keep(stream, tail)

    def undo(self) -> None:
        """End the search of a group of which nothing was placed."""
        for tail, report, _ in reversed(self._added):
            tail.remove(report)
        for stream, tail in self._tails.items():
            tail.count = self._counts[stream]
            self._remembered.keep(stream, tail)
