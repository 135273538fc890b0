"""A log that continues others: which they are, where they lie, and how their records are numbered with its own."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec.structs import replace

from eventstore.chains.commits import ChainCommits
from eventstore.chains.following import ended_of
from eventstore.chains.source import ChainSource, MissingLog
from eventstore.errors import CorruptJournal, StorageWarning, Unavailable
from eventstore.journal import Journal, Query, Verification
from eventstore.proofs import merkle, verify
from eventstore.trading.logs import LogContinued, StateCarried, VersionsCarried

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.chains.places import EarlierJournal, Place
    from eventstore.journal import Commits, Maintenance, Source
    from eventstore.proofs.ranges import Progress
    from eventstore.record import Record
    from eventstore.side import LogSide


class CarriedState(NamedTuple):
    """The state of a view's partition that a log begins with, as JSON."""

    event: StateCarried
    partition: str
    state: bytes


class Chain:
    """A log and those that it continues, each opened to be read.

    `before` is the log that it continues itself, `beside` what lies beside that, and `earlier` that one's chain, None
    where it continues none.
    """

    def __init__(
        self,
        own: Maintenance,
        first: Record,
        before: EarlierJournal | MissingLog,
        earlier: Chain | None = None,
        beside: LogSide | None = None,
    ) -> None:
        self.own, self.before, self.beside = own, before, beside
        self.earlier: Chain | None = earlier
        self._first = first
        self.continued = cast("LogContinued", first.event)
        previous = before if earlier is None else earlier.source
        self.source: ChainSource = ChainSource(previous, own, offset_of(self.continued))

    @property
    def offset(self) -> int:
        """How many records are in the logs before: the position of their last one."""
        return self.source.offset

    def ends(self) -> dict[bytes, int]:
        """Return the position of the last record of each log before, by the log's id."""
        earlier = {} if self.earlier is None else self.earlier.ends()
        return earlier | {self.continued.previous.bytes: self.offset}

    def commits(self) -> Commits:
        """Return what appends to the log; it was opened to be appended to."""
        assert isinstance(self.own, Journal)
        return ChainCommits(self.source, self.own, self._first.recorded_at)

    def located(self, position: int) -> tuple[Maintenance, int]:
        """Return the log that has a position, and what it is there; raise Unavailable where that log is not here."""
        if position > self.offset:
            return self.own, position - self.offset
        if isinstance(self.before, MissingLog):
            raise self.before.unavailable()
        return (self.before, position) if self.earlier is None else self.earlier.located(position)

    def beside_log_of(self, position: int) -> tuple[Maintenance, int, LogSide | None]:
        """Return the log that has a position, what it is there, and what lies beside it; None for this log itself."""
        return (*self.located(position), self.beside_at(position))

    def beside_at(self, position: int) -> LogSide | None:
        """Return what lies beside the log that has a position; None for this log itself, and where nothing does."""
        if position > self.offset:
            return None
        return self.beside if self.earlier is None else self.earlier.beside_at(position) or self.beside

    def has_root(self, head: merkle.TreeHead) -> bool:
        """Return whether one of the logs before had a root at a size: what was kept of it then is still true."""
        before = self.before
        if isinstance(before, MissingLog):
            return False
        if head.size <= before.head() and root_at(before, head.size) == head.root:
            return True
        return self.earlier is not None and self.earlier.has_root(head)

    def last_covered(self, head: merkle.TreeHead) -> int:
        """Return the last position, of all logs, that a root covers which was kept of this log or of one before."""
        if not self.has_root(head):
            return self.offset + head.size
        if self.earlier is None:
            return head.size
        before = self.before
        is_here = not isinstance(before, MissingLog) and head.size <= before.head()
        if is_here and root_at(cast("EarlierJournal", before), head.size) == head.root:
            return self.earlier.offset + head.size
        return self.earlier.last_covered(head)

    def logs_before(self) -> Iterator[Maintenance]:
        """Yield the logs before, newest first, as far as they are here."""
        if not isinstance(self.before, MissingLog):
            yield self.before
        if self.earlier is not None:
            yield from self.earlier.logs_before()

    def own_record(self, record: Record) -> Record:
        """Return a record of the log itself as that numbers it, with the members that its digest is of."""
        before = self.source.version_before(record.stream)
        return replace(record, position=record.position - self.offset, version=record.version - before)

    def in_its_log(self, record: Record) -> tuple[bytes, Record]:
        """Return the id of the log that a record is of, and the record as that numbers it: its digest is of these."""
        if record.position > self.offset:
            return self.own.log_id, self.own_record(record)
        return (self.continued.previous.bytes, record) if self.earlier is None else self.earlier.in_its_log(record)

    def carried(self) -> Iterator[CarriedState]:
        """Yield the states that the log begins with; raise CorruptJournal for one that is not whole."""
        parts: list[str] = []
        for record in _beginning(self.own, self.continued):
            event = record.event
            if isinstance(event, VersionsCarried):
                continue
            if not isinstance(event, StateCarried) or event.part != len(parts) + 1:
                raise CorruptJournal(record.position, "a part of the state that this log begins with is missing")
            parts.append(event.state)
            if event.part == event.parts:
                yield CarriedState(event, record.account, "".join(parts).encode())
                parts = []

    def verify(
        self, *, after: int = 0, root: bytes | None = None, size: int | None = None, progress: Progress | None = None
    ) -> Verification:
        """Check the log and those before, newest first, and that each has the root that the next one names.

        `after` spares the digests up to a position of all logs, and any of them may have had `root` at its own `size`.
        """
        kept = root
        if root is not None and size is not None and self.has_root(merkle.TreeHead(size, root)):
            kept = size = None
        first = max(after - self.offset, 0)
        found = verify.verify(self.own, after=first, root=kept, size=size, progress=progress)
        if not found.ok:
            bad = found.first_bad + self.offset if found.first_bad else found.first_bad
            return replace(found, first_bad=bad)
        return self._verified(found, after, progress)

    def _verified(self, found: Verification, after: int, progress: Progress | None) -> Verification:
        """Return the verdict on the logs before, joined with that on the log itself."""
        before, unproved = self.before, found.unproved
        if isinstance(before, MissingLog):
            missing = f"log {before.log}, which log {self.own.log} continues: {before.why}"
            return replace(found, unproved=(*unproved, missing))
        start = 0 if self.earlier is None else self.earlier.offset
        earlier = verify.verify(before, after=max(after - start, 0), progress=progress)
        wrong = self.wrong_link(before) if earlier.ok else _in_log(before, earlier, start)
        if wrong is not None:
            return wrong
        more = [f"{what}, of log {before.log}" for what in earlier.unproved]
        joined = replace(found, checked=found.checked + earlier.checked, unproved=(*unproved, *more))
        return joined if self.earlier is None else self.earlier._verified(joined, after, progress)  # noqa: SLF001 - its own kind

    def wrong_link(self, before: Maintenance) -> Verification | None:
        """Return what is wrong with how this log is bound to the one that it continues; None where nothing is."""
        continued, own = self.continued, self.own.log
        try:
            root = root_at(before, continued.size)
        except CorruptJournal as e:
            return _wrong(f"log {before.log}: {e.reason}")
        if root.hex() != continued.root:
            return _wrong(f"log {before.log} does not have the root that log {own} names of it at {continued.size:,}")
        ended = ended_of(before)
        if ended is None or ended.next_id.bytes != self.own.log_id:
            return _wrong(f"log {before.log} does not end with the record that log {own} continues it")
        return None


def _beginning(own: Source, continued: LogContinued) -> Iterator[Record]:
    """Yield the records that carry a log's state; raise CorruptJournal where one is missing."""
    position, last = 1, 1 + (continued.carried or 0)
    while position < last:
        page = own.read(Query(after=position, until=last, limit=own.page))
        if not page:
            raise CorruptJournal(position + 1, "the record is missing")
        yield from page
        position = page[-1].position


def _versions(own: Source, continued: LogContinued) -> dict[str, int]:
    """Return the versions of streams that a log carries on."""
    found: dict[str, int] = {}
    for record in _beginning(own, continued):
        if record.type == VersionsCarried.__name__ and isinstance(event := record.event, VersionsCarried):
            found |= event.versions
    return found


def _wrong(reason: str) -> Verification:
    return Verification(ok=False, checked=0, first_bad=0, reason=reason)


def _in_log(before: Maintenance, found: Verification, start: int) -> Verification:
    """Return what is wrong with an earlier log, whose records are counted from another position on."""
    bad = found.first_bad + start if found.first_bad else found.first_bad
    return replace(found, checked=0, first_bad=bad, reason=f"log {before.log}: {found.reason}")


def offset_of(continued: LogContinued) -> int:
    """Return how many records are in the logs before one: those that its root is of, and the last one's LogEnded."""
    return continued.before + continued.size + 1


def first_of(own: Source) -> Record | None:
    """Return the record with which a log continues others after a rotation; None for any other log."""
    page = own.read(Query(limit=1))
    event = page[0].event if page and page[0].type == LogContinued.__name__ else None
    return page[0] if isinstance(event, LogContinued) and event.carried is not None else None


def chain_of(own: Maintenance, place: Place, *, read_only: bool) -> Chain | None:
    """Return a log at a place with those that it continues; None where it continues none.

    Raises Unavailable where the one before is not there and the log is to be appended to: what was recorded there
    could not be looked up. Read only, that is a StorageWarning, and what would be read from there is Unavailable.
    """
    first = first_of(own)
    if first is None:
        return None
    continued = cast("LogContinued", first.event)
    name = continued.name or "previous"
    before = place.before(own, name)
    try:
        journal = before.read()
    except before.absent as e:
        why = f"it is not {before}: put it back, or {place.advice}"
        if not read_only:
            msg = f"log {own.log} continues log {name}, and {why}"
            raise Unavailable(msg) from e
        warnings.warn(f"log {own.log} continues log {name}, and {why}", StorageWarning, stacklevel=3)
        versions = _versions(own, continued)
        return Chain(own, first, MissingLog(name, continued.previous.bytes, offset_of(continued), why, versions))
    except CorruptJournal as e:
        raise CorruptJournal(e.position, f"log {name}: {e.reason}") from e
    try:
        _check_continued(journal, continued, own.log, before, own.log_id)
        earlier = chain_of(journal, before, read_only=read_only)
        return Chain(own, first, journal, earlier, before.side(journal))
    except BaseException:
        journal.close()
        raise


def _check_continued(journal: EarlierJournal, continued: LogContinued, log: str, place: Place, own_id: bytes) -> None:
    """Raise where a log is not the one that another continues, or not all of it."""
    if journal.log_id != continued.previous.bytes:
        msg = f"log {journal.log} {place} is not the log that {log} continues, which has the id {continued.previous}"
        raise Unavailable(msg)
    head, last = journal.head(), continued.size + 1
    ended = ended_of(journal)
    if ended is not None and ended.next_id.bytes != own_id:
        msg = f"log {journal.log} {place} is continued by log {ended.next_id}, which is not {log}"
        raise Unavailable(msg)
    if head != last:
        msg = f"log {journal.log} {place} ends at {head:,}, and log {log} continues it from {last:,}"
        raise CorruptJournal(min(head + 1, last), msg)


def root_at(journal: Maintenance, size: int) -> bytes:
    """Return the root of a log's tree when it had so many records."""
    tree = journal.frontier()
    return (tree if tree.size == size else verify.tree_at(journal, size)).root()
