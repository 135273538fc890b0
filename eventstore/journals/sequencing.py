"""Sequencing: the positions, versions, times and digests of one transaction's records, before they are stored."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from eventstore.clock import TIME_MAX, check_now
from eventstore.errors import (
    AccountChanged,
    Fenced,
    InvalidEvent,
    LogHasEnded,
    StoreError,
    Unavailable,
    VersionConflict,
)
from eventstore.ids import keyed_id
from eventstore.journal import BATCH_EVENTS_MAX, NO_FENCES, beyond_head, drafts_of
from eventstore.journals.heads import Head
from eventstore.journals.known import known_records
from eventstore.journals.repetitions import Repetitions, may_repeat
from eventstore.record import Record, digest_beginning, digest_middle, digest_place
from eventstore.streams import account_of
from eventstore.trading.logs import LOG_ENDED, LOG_STREAM, LogEnded, ended_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from eventstore.journal import Group, Outcome
    from eventstore.journals.repetitions import Tails
    from eventstore.proofs.merkle import Frontier
    from eventstore.record import Draft, Fence, PreparedBatch, Unchanged

    Find = Callable[[Sequence[bytes]], dict[bytes, Record]]
    Version = Callable[[str], int]
    Newest = Callable[[str], int]
    """Returns the last stored position of an account, 0 without one."""
    Holds = Callable[[Fence], bool]
    """Returns whether nobody has taken a lock since, and keeps it so until the transaction ends."""
    PassOn = Callable[[Sequence[tuple[object, ...]]], None]
    """Sends the rows that are placed, as far as they have not been sent yet."""
    ToPlace = tuple[str, Sequence[Draft], int, str]
    """A stream, what is appended to it, its version before, and its account."""

MIDDLES_MAX = 1_000
"""How many of the bytes that digests of one type and writer share are kept while a group is placed."""
PRESUMED_MIN = 8
"""From how many batches on the streams of a group are presumed to be new where their batches expect that."""
PASSED_ON_MIN = 100
"""How many records are placed, at least, before their rows are passed on."""


class Sequencer:
    """Places groups one after another; `records` has what is placed until the transaction is stored.

    `rows` has the same as tuples: a record's members but for the log, then its account. `types` are their types and
    schemas. `remembered` are versions that need not be looked up. `pass_on` is given `rows` each time that some hundred
    more are in it, while others are placed: nothing is looked up from then on until the group is placed.

    A new id is unique by construction, and the table's index refuses a known one. So ids are looked up only with
    `check_ids`, in the second run of a transaction that an index refused: a lookup for each id would cost a fifth of
    a batch. Without it, a group of known ids is placed here and never stored. In the same way a stream that a batch
    expects to be new is presumed to be, in a group of many: the index on streams and versions refuses a second
    version 1, and the second run looks all versions up. A group of few is not worth the risk of a second run.
    """

    def __init__(
        self,
        *,
        log: str,
        log_id: bytes,
        position: int,
        recorded_at: int,
        now_ns: int,
        version: Version,
        find: Find,
        newest: Newest,
        tails: Tails,
        check_ids: bool,
        remembered: Mapping[str, int] | None = None,
        holds: Holds | None = None,
        has_ended: bool = False,
        pass_on: PassOn | None = None,
    ) -> None:
        self.records: list[Record] = []
        self.rows: list[tuple[object, ...]] = []
        self.versions: dict[str, int] = {}
        self.types: set[tuple[str, int]] = set()
        self.position, self.recorded_at = position, recorded_at
        self._log, self._log_id, self._now = log, log_id, now_ns
        self._version, self._find, self._check_ids = version, find, check_ids
        self._remembered = {} if remembered is None else remembered
        self._presumes = False
        self._newest, self._holds = newest, holds
        self._has_ended, self._pass_on = has_ended, pass_on
        self._placed: dict[bytes, Record] = {}
        self._newest_placed: dict[str, int] = {}
        self._looked_through = 0
        self._tails = tails
        self._repetitions: Repetitions | None = None

    def place(self, group: Group) -> Outcome:
        """Place a group, or return the error that keeps all of it out. Nothing of a refused group is left behind.

        Execution reports that repeat a record are left out, and that record is returned in their place. What remains
        is then judged as if it were the whole group, unless nothing remains.
        """
        if self._has_ended:
            return self._place_after_end(group)
        if len(group) >= PRESUMED_MIN and not self._check_ids:
            self._presumes = True
            outcome = self._place_new(group)
            self._presumes = False
            if not isinstance(outcome, StoreError):
                return outcome
            # What is wrong with a group is said by its streams' stored versions.
        return self._place_new(group)

    def _place_after_end(self, group: Group) -> Outcome:
        """Return the known records of a group; an ended log takes nothing else."""
        try:
            known = self._known_records(group)
            if known is None:
                id_ = keyed_id(LOG_STREAM, ended_key(self._log_id))
                ended = self._find([id_]).get(id_) or self.records[-1]
                return LogHasEnded(self._log, cast("LogEnded", ended.event).next)
        except StoreError as error:
            return error
        return known

    def _place_new(self, group: Group) -> Outcome:
        """Place a group without the reports in it that repeat a record."""
        try:
            if not may_repeat(group, self._version_before):
                return self._place(group)
            repetitions = self._begun_repetitions()
            if len(group) == 1 and len(group[0].drafts) == 1:
                return self._place_report(group, repetitions)
            search = repetitions.search(group)
        except StoreError as error:
            return error
        position = self.position
        outcome = self._place(search.rest) if search.rest else []
        if isinstance(outcome, StoreError):
            search.undo()
            return outcome
        records = search.answer(outcome)
        if self.position == position:
            search.undo()
        else:
            search.keep(self.versions)
        return records

    def head(self, frontier: Frontier) -> Head:
        """Return where the log stands once what was placed is stored; `frontier` is its tree then."""
        last = self.records[-1]
        return Head(last.position, last.recorded_at, last.digest, frontier, last.type == LOG_ENDED)

    def end(self) -> None:
        """End the transaction: what was placed is stored."""
        if self._repetitions is not None:
            self._tails.end()
        self._tails.note(self.records)

    def _begun_repetitions(self) -> Repetitions:
        if self._repetitions is None:
            self._tails.begin()
            self._repetitions = Repetitions(self._tails, self._begun_version, self.records)
        return self._repetitions

    def _place_report(self, group: Group, repetitions: Repetitions) -> Outcome:
        """Place a group of one execution report: the usual case, in which nothing has to be undone."""
        (batch,) = group
        (draft,) = batch.drafts
        tail = repetitions.tail(batch.stream)
        report = tail.find(draft, timed=batch.occurred_at_given)
        position = self.position
        outcome = self._place(group) if report is None else [report.record]
        repetitions.keep(batch.stream, tail, None if self.position == position else self.records[-1])
        return outcome

    def _place(self, group: Group) -> Outcome:
        """Place a group without repeated reports, return its known records, or the error that keeps it out."""
        try:
            self._check_time()
            if self._check_ids and (known := self._known_records(group)):
                return known
            staged: dict[str, int] = {}
            to_place: list[ToPlace] = []
            placed_versions, remembered, presumes = self.versions, self._remembered, self._presumes
            for batch in group:
                stream, expected = batch.stream, batch.expected
                found = staged.get(stream)
                if found is None:
                    # As `_version_before` does it, inlined: a group of 1,000 streams asks it 1,000 times.
                    if presumes and expected == 0 and batch.drafts and stream not in placed_versions:
                        found = remembered.get(stream, 0)
                    else:
                        found = self._begun_version(stream)
                is_doubtful = batch.unchanged is not None or (expected is not None and expected != found)
                if is_doubtful and (refusal := self._refusal(batch, found)) is not None:
                    # Ids count before conditions: a retry of a stored batch finds its records, not a conflict.
                    return self._known_records(group) or refusal
                to_place.append((stream, batch.drafts, found, account_of(stream)))
                staged[stream] = found + len(batch.drafts)
        except StoreError as error:
            return error
        first = len(self.records)
        self._place_parts(to_place)
        placed = self.records[first:]
        self._has_ended = bool(placed) and placed[-1].type == LOG_ENDED
        if self._check_ids:
            self._placed |= {record.id: record for record in placed}
        return placed

    def _check_time(self) -> None:
        """Raise Unavailable if a time that would be recorded is outside the format's range."""
        check_now(self._now)
        if self.recorded_at >= TIME_MAX - BATCH_EVENTS_MAX:
            msg = "the log's last record is of the end of 2199, and times end there: begin a new log"
            raise Unavailable(msg)

    def _version_before(self, batch: PreparedBatch) -> int:
        """Return the version of a batch's stream, as far as this transaction has placed it."""
        stream = batch.stream
        # Only what is placed is refused by the index: a batch without events would be believed.
        if self._presumes and batch.expected == 0 and batch.drafts and stream not in self.versions:
            return self._remembered.get(stream, 0)
        return self._begun_version(stream)

    def _begun_version(self, stream: str) -> int:
        """Return a stream's version, and keep it: placing the group will ask again."""
        version = self.versions.get(stream)
        if version is None:
            version = self._remembered.get(stream)
            version = self.versions[stream] = self._version(stream) if version is None else version
        return version

    def _refusal(self, batch: PreparedBatch, version: int) -> StoreError | None:
        """Return which condition of a batch does not hold, None where all do."""
        if batch.unchanged is not None and (change := self._change(batch.unchanged)) is not None:
            return change
        if batch.expected is None or batch.expected == version:
            return None
        return VersionConflict(batch.stream, batch.expected, version)

    def _change(self, unchanged: Unchanged) -> StoreError | None:
        """Return what keeps a decision out: a lost fence, or what its accounts have past the position of it."""
        fence, since, head = unchanged.fence, unchanged.since, self.position
        if fence is not None:
            if self._holds is None:
                return InvalidEvent(NO_FENCES)
            if not self._holds(fence):
                return Fenced(fence.lock, fence.epoch)
        if since is None:
            return None
        if since > head:
            return beyond_head(since, head)
        if since == head:
            return None
        found = max(map(self._newest_of, unchanged.accounts), default=head)
        return None if found <= since else AccountChanged(unchanged.accounts, since, found)

    def _newest_of(self, account: str) -> int:
        """Return an account's last position, with what this transaction has placed."""
        for record in self.records[self._looked_through :]:
            self._newest_placed[record.account] = record.position
        self._looked_through = len(self.records)
        return self._newest_placed.get(account) or self._newest(account)

    def _place_parts(self, batches: list[ToPlace]) -> None:
        """Place batches, each with the version of its stream before; rows are passed on meanwhile."""
        if self._pass_on is None:
            self._place_batches(batches)
            return
        for part in _parts(batches):
            self._place_batches(part)
            self._pass_on(self.rows)

    def _place_batches(self, batches: Iterable[ToPlace]) -> None:
        log, log_id, now = self._log, self._log_id, self._now
        position, recorded_at = self.position, self.recorded_at
        middles: dict[tuple[object, ...], bytes] = {}
        sha256, place, add, add_row = hashlib.sha256, digest_place, self.records.append, self.rows.append
        for stream, drafts, version, account in batches:
            beginning = digest_beginning(log_id, stream)
            for draft in drafts:
                position += 1
                version += 1  # noqa: PLW2901 - of the stream, whose drafts are counted on
                # Strictly increasing, also when the clock stands still or is set back: a time then names one record.
                recorded_at = now if now > recorded_at else recorded_at + 1
                type_, schema, actor, note = draft.type, draft.schema, draft.actor, draft.note
                correlation_id, causation_id = draft.correlation_id, draft.causation_id
                shared = (type_, schema, actor, note, correlation_id, causation_id)
                middle = middles.get(shared)
                if middle is None:
                    # Usually one writer sends a whole group: a few types, and no more.
                    if len(middles) >= MIDDLES_MAX:
                        middles.clear()
                    middle = middles[shared] = digest_middle(draft)
                    self.types.add((type_, schema))
                data, id_, occurred_at = draft.data, draft.id, draft.occurred_at
                # The same bytes as record.digest's, inlined: a call for each record would show in a batch.
                members = place(8, position, 8, version, 8, recorded_at, 8, occurred_at, 16, id_, len(data))
                leaf = sha256(beginning + middle + members + data).digest()
                add(
                    Record(
                        id_, stream, type_, schema, occurred_at, data, actor, note, correlation_id, causation_id,
                        position, version, recorded_at, leaf, log,
                    )
                )  # fmt: skip
                add_row(
                    (
                        id_, stream, type_, schema, occurred_at, data, actor, note, correlation_id, causation_id,
                        position, version, recorded_at, leaf, account,
                    )
                )  # fmt: skip
            self.versions[stream] = version
        self.position, self.recorded_at = position, recorded_at

    def _known_records(self, group: Group) -> Sequence[Record] | None:
        """Return the records of a group that is stored, None for a new one; raise DuplicateEvent for anything else."""
        drafts = drafts_of(group)
        ids = [draft.id for draft in drafts]
        known = self._find(ids)
        placed = self._placed if self._check_ids else {record.id: record for record in self.records}
        known |= {id_: placed[id_] for id_ in ids if id_ in placed}
        return known_records(drafts, known)


def _parts(batches: Iterable[ToPlace]) -> Iterator[list[ToPlace]]:
    """Yield parts of some hundred drafts each."""
    part: list[ToPlace] = []
    size = 0
    for stream, drafts, version, account in batches:
        for start in range(0, len(drafts), PASSED_ON_MIN):
            some = drafts[start : start + PASSED_ON_MIN]
            part.append((stream, some, version + start, account))
            size += len(some)
            if size >= PASSED_ON_MIN:
                yield part
                part, size = [], 0
    if part:
        yield part
