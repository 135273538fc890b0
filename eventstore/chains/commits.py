"""Appending to a log that continues others: what they have recorded already is found there, and not written again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.errors import AccountChanged, StoreError, VersionConflict
from eventstore.ids import is_drawn
from eventstore.journal import Query, drafts_of
from eventstore.journals.known import known_records
from eventstore.journals.repetitions import REPORTS, REPORTS_MAX, Tail, is_unkeyed_report
from eventstore.record_errors import DuplicateEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventstore.chains.source import ChainSource
    from eventstore.journal import Commits, Group, Outcome, Source
    from eventstore.record import PreparedBatch, Record, Unchanged

TAILS_MAX = 1_000
"""Of how many streams the earlier logs' execution reports are remembered."""
FIRST_WINDOW = 10_000
_MILLISECOND = 1_000_000


class ChainCommits:
    """Commits to a log that continues others, by the positions and versions of all of them.

    Ids that may have been recorded before the log began are looked up in the earlier logs first: those that a key made,
    and those that were drawn earlier. So are execution reports without a key.
    """

    def __init__(self, source: ChainSource, own: Commits, began_at: int) -> None:
        self._source, self._own = source, own
        self._began_ms = began_at // _MILLISECOND
        self._tails: dict[str, Tail] = {}

    def commit(self, groups: Sequence[Group]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        asked: list[tuple[int, _Rest]] = []
        for group in groups:
            answer = self._answered(group)
            if isinstance(answer, _Rest):
                asked.append((len(outcomes), answer))
                outcomes.append([])
            else:
                outcomes.append(answer)
        if asked:
            written = self._own.commit([rest.group for _, rest in asked])
            for (at, rest), outcome in zip(asked, written, strict=True):
                outcomes[at] = self._numbered(outcome) if isinstance(outcome, StoreError) else rest.answer(outcome)
        return outcomes

    def _answered(self, group: Group) -> Outcome | _Rest:
        """Return what the earlier logs say of a group, or what of it is to be written."""
        try:
            rest = self._without_repetitions(group, self._tail)
            if self._is_earlier(rest.batches) and (known := self._known(group)) is not None:
                return known
            try:
                rest.group = [self._translated(batch) for batch in rest.batches] if rest.is_to_write else []
            except VersionConflict as refusal:
                # Ids count before conditions: a retry of what the log itself has finds its records, not a conflict.
                return self._known(group) or refusal
            return rest if rest.group else rest.answer([])
        except StoreError as error:
            return error

    def _is_earlier(self, batches: Sequence[PreparedBatch]) -> bool:
        """Return whether the earlier logs have the id of a draft."""
        # A stream that they do not have has none of their ids: a key's is made of its stream too.
        known = [batch for batch in batches if self._source.version_before(batch.stream)]
        ids = [draft.id for batch in known for draft in batch.drafts if self._may_be_earlier(draft.id)]
        return bool(ids and self._source.previous.find(ids))

    def _known(self, group: Group) -> Sequence[Record] | None:
        """Return the records of a group that is recorded, whichever logs have them; None for a new one."""
        rest = self._without_repetitions(group, self._tail_of_all)
        if not rest.is_to_write:
            return rest.merged([])
        drafts = drafts_of(rest.batches)
        known = known_records(drafts, self._source.find([draft.id for draft in drafts]))
        return None if known is None else rest.merged(known)

    def _may_be_earlier(self, id_: bytes) -> bool:
        return not is_drawn(id_) or int.from_bytes(id_[:6], "big") <= self._began_ms

    def _without_repetitions(self, group: Group, tail_of: Callable[[str], Tail]) -> _Rest:
        """Return a group without the reports that repeat one of the tails."""
        rest = _Rest(self._source)
        for batch in group:
            tail = None
            if self._source.version_before(batch.stream) and any(map(is_unkeyed_report, batch.drafts)):
                tail = tail_of(batch.stream)
            rest.add(batch, tail)
        return rest

    def _translated(self, batch: PreparedBatch) -> PreparedBatch:
        """Return a batch with its conditions as the log itself counts; raise the conflict of one that cannot hold."""
        before = self._source.version_before(batch.stream)
        expected, unchanged = batch.expected, batch.unchanged
        if expected is not None:
            if expected < before:
                raise VersionConflict(batch.stream, expected, self._source.version(batch.stream))
            expected -= before
        return replace(batch, expected=expected, unchanged=unchanged and self._since(unchanged))

    def _since(self, unchanged: Unchanged) -> Unchanged:
        offset = self._source.offset
        if unchanged.since is None:
            return unchanged
        if unchanged.since < offset:
            # Decided on the log that has ended since: to be decided again is safe, whatever has changed.
            raise AccountChanged(unchanged.accounts, unchanged.since, offset)
        return replace(unchanged, since=unchanged.since - offset)

    def _tail(self, stream: str) -> Tail:
        """Return the newest execution reports that the earlier logs have of a stream."""
        tail = self._tails.get(stream)
        if tail is None:
            tail = _tail_of(self._newest_reports(self._source.previous, stream, self._source.offset))
            if len(self._tails) >= TAILS_MAX:
                self._tails.clear()
            self._tails[stream] = tail
        return tail

    def _tail_of_all(self, stream: str) -> Tail:
        """Return the newest execution reports that all logs have of a stream, as of now."""
        return _tail_of(self._newest_reports(self._source, stream, self._source.head()))

    @staticmethod
    def _newest_reports(source: Source, stream: str, head: int) -> Sequence[Record]:
        window = FIRST_WINDOW
        while True:
            after = max(head - window, 0)
            found: list[Record] = []
            while page := source.read(
                Query(after=after, stream=stream, types=tuple(sorted(REPORTS)), limit=source.page)
            ):
                found += page
                after = page[-1].position
            if len(found) >= REPORTS_MAX or window >= head:
                return found[-REPORTS_MAX:]
            window *= 8

    def _numbered(self, error: StoreError) -> StoreError:
        """Return an error of the log itself with the positions and versions of all logs."""
        source = self._source
        if isinstance(error, AccountChanged):
            return AccountChanged(error.accounts, error.since + source.offset, error.found + source.offset)
        if isinstance(error, VersionConflict):
            before = source.version_before(error.stream)
            return VersionConflict(error.stream, error.expected + before, error.found + before)
        if isinstance(error, DuplicateEvent) and error.record is not None:
            return DuplicateEvent(error.id, source.shifted(error.record), error.why)
        return error


def _tail_of(reports: Sequence[Record]) -> Tail:
    tail = Tail()
    for record in reports:
        tail.add(record)
    return tail


class _Rest:
    """What of a group is written, and the earlier record of each draft that is not."""

    def __init__(self, source: ChainSource) -> None:
        self._source = source
        self._repeated: dict[int, Record] = {}
        self._size = 0
        self.batches: list[PreparedBatch] = []
        """The group's batches, without the drafts that repeat a report."""
        self.group: Group = []
        """The same as the log itself takes them; empty where nothing is written."""

    def add(self, batch: PreparedBatch, tail: Tail | None) -> None:
        """Take a batch without the drafts that repeat a report of a tail."""
        start, drafts = self._size, batch.drafts
        self._size += len(drafts)
        if tail is not None:
            for at, draft in enumerate(drafts, start):
                report = tail.find(draft, timed=batch.occurred_at_given) if is_unkeyed_report(draft) else None
                if report is not None:
                    self._repeated[at] = report.record
            left = [draft for at, draft in enumerate(drafts, start) if at not in self._repeated]
            batch = replace(batch, drafts=left)
        self.batches.append(batch)

    @property
    def is_to_write(self) -> bool:
        """Whether anything is appended: only then conditions count, also those of a batch that is repeated."""
        return not self._size or self._size > len(self._repeated)

    def answer(self, written: Sequence[Record]) -> Sequence[Record]:
        """Return the record of each draft of the group, given those of the log itself."""
        return self.merged(self._source.all_shifted(written))

    def merged(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return the record of each draft of the group, given those of the drafts that repeat nothing."""
        own = iter(records)
        if not self._repeated:
            return list(own)
        return [self._repeated[at] if at in self._repeated else next(own) for at in range(self._size)]
