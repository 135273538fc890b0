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
    from collections.abc import Sequence

    from eventstore.chains.source import ChainSource
    from eventstore.journal import Commits, Group, Outcome
    from eventstore.record import Draft, PreparedBatch, Record, Unchanged

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
            known = self._known(group)
            if known is not None:
                return known
            rest = self._without_repetitions(group)
            return rest if rest.group else rest.answer([])
        except StoreError as error:
            return error

    def _known(self, group: Group) -> list[Record] | None:
        # A stream that they do not have has none of their ids: a key's is made of its stream too.
        known = [batch for batch in group if self._source.version_before(batch.stream)]
        ids = [draft.id for batch in known for draft in batch.drafts if self._may_be_earlier(draft.id)]
        found = self._source.previous.find(ids) if ids else {}
        if not found:
            return None
        drafts = drafts_of(group)
        return known_records(drafts, self._source.find([draft.id for draft in drafts]))

    def _may_be_earlier(self, id_: bytes) -> bool:
        return not is_drawn(id_) or int.from_bytes(id_[:6], "big") <= self._began_ms

    def _without_repetitions(self, group: Group) -> _Rest:
        rest, left = _Rest(self._source), []
        for batch in group:
            before = self._source.version_before(batch.stream)
            tail = None
            if before and any(map(is_unkeyed_report, batch.drafts)):
                tail = self._tail(batch.stream)
            left.append((batch, before, rest.drafts(batch, tail)))
        # Conditions count only if anything is appended, and then also those of a batch that is repeated as a whole.
        if any(drafts for _, _, drafts in left) or not any(batch.drafts for batch in group):
            rest.group = [self._translated(batch, before, drafts) for batch, before, drafts in left]
        return rest

    def _translated(self, batch: PreparedBatch, before: int, drafts: Sequence[Draft]) -> PreparedBatch:
        """Return a batch with its conditions as the log itself counts; raise the conflict of one that cannot hold."""
        expected, unchanged = batch.expected, batch.unchanged
        if expected is not None:
            if expected < before:
                raise VersionConflict(batch.stream, expected, self._source.version(batch.stream))
            expected -= before
        return replace(batch, drafts=drafts, expected=expected, unchanged=unchanged and self._since(unchanged))

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
            tail = Tail()
            for record in self._newest_reports(stream):
                tail.add(record)
            if len(self._tails) >= TAILS_MAX:
                self._tails.clear()
            self._tails[stream] = tail
        return tail

    def _newest_reports(self, stream: str) -> Sequence[Record]:
        previous, offset = self._source.previous, self._source.offset
        window = FIRST_WINDOW
        while True:
            after = max(offset - window, 0)
            found: list[Record] = []
            while page := previous.read(
                Query(after=after, stream=stream, types=tuple(sorted(REPORTS)), limit=previous.page)
            ):
                found += page
                after = page[-1].position
            if len(found) >= REPORTS_MAX or window >= offset:
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


class _Rest:
    """What of a group is written, and the earlier record of each draft that is not."""

    def __init__(self, source: ChainSource) -> None:
        self._source = source
        self._repeated: dict[int, Record] = {}
        self._size = 0
        self._batches: list[PreparedBatch] = []
        self.group: Group = []

    def drafts(self, batch: PreparedBatch, tail: Tail | None) -> Sequence[Draft]:
        """Return a batch's drafts without those that repeat a report of the earlier logs."""
        start, drafts = self._size, batch.drafts
        self._size += len(drafts)
        if tail is None:
            return drafts
        for at, draft in enumerate(drafts, start):
            report = tail.find(draft, timed=batch.occurred_at_given) if is_unkeyed_report(draft) else None
            if report is not None:
                self._repeated[at] = report.record
        return [draft for at, draft in enumerate(drafts, start) if at not in self._repeated]

    def add(self, batch: PreparedBatch) -> None:
        self._batches.append(batch)

    def end(self) -> None:
        """Write nothing of a group that is repeated as a whole: its conditions count only if anything is appended."""
        self.group = self._batches if self._size > len(self._repeated) else []

    def answer(self, written: Sequence[Record]) -> Sequence[Record]:
        """Return the record of each draft of the group, given those of the log itself."""
        own = iter(self._source.all_shifted(written))
        if not self._repeated:
            return list(own)
        return [self._repeated[at] if at in self._repeated else next(own) for at in range(self._size)]
