"""Proving a log: every digest recomputed, every position there, the tree grown again and compared."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from eventstore.errors import CorruptJournal
from eventstore.journal import LOG_NAME, Fault, Query, Verification, class_here
from eventstore.proofs import merkle, second_process
from eventstore.proofs.ranges import NOT_EMPTY, CheckedRange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future

    from eventstore.journal import Maintenance, Source
    from eventstore.proofs.ranges import Progress
    from eventstore.record import Record


def verify(
    journal: Maintenance,
    *,
    after: int = 0,
    root: bytes | None = None,
    size: int | None = None,
    progress: Progress | None = None,
    processes: int | None = None,
) -> Verification:
    """Check the records past a position up to the head, and all that is stored beside them.

    The check begins at the tile of 256 that `after` lies in, because the tree is stored by tiles. What somebody
    rewrote together with the tree is found only against a `root` kept elsewhere: the first `size` records, or all,
    have to give it, and the rest to append to them (consistency: RFC 9162, section 2.1.4).

    A log in a file that has many records is checked by two processes, this one and another that it starts, where the
    machine has two cores: `processes` says how many instead, 1 or 2. The verdict is the same.
    """
    with journal.uncached() as source, _integrity_check(source) as integrity:
        try:
            tree = source.frontier()
        except CorruptJournal as e:
            return Verification(ok=False, checked=0, first_bad=e.position, reason=e.reason)
        known = None if root is None else merkle.TreeHead(tree.size if size is None else size, root)
        begun = min(after, known.size) if known else after
        records = CheckedRange(source, tree, begun)
        with second_process.started(source, tree, begun, known, processes) as rest:
            fault = records.check(known, progress, rest)
        faults = ([] if fault is None else [fault]) + integrity.result()
        if (missing := source.missing_tail()) is not None:
            faults.append(Fault(missing.first, str(missing)))
        if not faults and known is not None:
            faults += records.compare(known)
        if not faults:
            return Verification(ok=True, checked=max(tree.size - after, 0), unproved=_unproved(source, tree.size))
    # The first position counts; a fault without a position is reported only if no other has one.
    first = min((fault for fault in faults if fault.position), key=lambda fault: fault.position, default=faults[0])
    proved = records.grown.size if first.position == 0 and fault is None else first.position - 1
    return Verification(ok=False, checked=max(proved - after, 0), first_bad=first.position, reason=first.reason)


@contextlib.contextmanager
def _integrity_check(source: Maintenance) -> Iterator[Future[list[Fault]]]:
    """Check the storage in a second thread meanwhile: SQLite runs without holding the interpreter."""
    canceled = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="integrity check") as executor:
        try:
            yield executor.submit(source.integrity, is_canceled=canceled.is_set)
        finally:
            canceled.set()


def _unproved(source: Maintenance, size: int) -> tuple[str, ...]:
    """Return what no check can find changed, since nothing in the log says what it has to be."""
    types = [
        f"durability and measures of type {kind.name}, schema {kind.schema}, which has no class here"
        for kind in source.types()
        if class_here(kind.name, kind.schema) is None
    ]
    # An empty log has no digest that the log's id would be a member of.
    id_ = ("the log's id",) if source.unproved and not size else ()
    return (*source.unproved, *id_, *types)


def read_back(journal: Maintenance, since: merkle.TreeHead, *, progress: Progress | None = None) -> merkle.Frontier:
    """Return a log's tree now, once what is stored past an earlier head was read back and hashed again.

    Raises CorruptJournal where a record does not have its digest, where the log does not continue that head, or lacks
    its end. What lies before is not read: the stored nodes have to give the earlier root.
    """
    with journal.uncached() as source:
        tree = source.frontier()
        records = CheckedRange(source, tree, min(since.size, tree.size))
        faults = [fault] if (fault := records.check(since, progress)) is not None else records.compare(since)
        if not faults and (missing := source.missing_tail()) is not None:
            faults = [Fault(missing.first, str(missing))]
    if faults:
        raise CorruptJournal(faults[0].position, faults[0].reason)
    return tree


def tree_at(journal: Maintenance, size: int) -> merkle.Frontier:
    """Return the tree of a journal's first records; raise CorruptJournal where they are not all there."""
    try:
        nodes = lambda level, number: journal.nodes(number, number, level=level)  # noqa: E731 - one expression
        tree = merkle.frontier_at(size // merkle.TILE, nodes)
    except LookupError as e:
        raise CorruptJournal(size, f"the stored tree is incomplete: {e}") from e
    rest = journal.read(Query(after=tree.size, until=size, limit=merkle.TILE))
    tree.grow([record.digest for record in rest])
    if tree.size != size:
        raise CorruptJournal(tree.size + 1, "the record is missing")
    return tree


def grown(source: Source, tree: merkle.Frontier | None = None, *, size: int | None = None) -> merkle.Frontier:
    """Return the tree of all records that a source has now, or of its first, or a tree of some grown by the rest."""
    tree = tree or merkle.Frontier()
    until = source.head() if size is None else size
    while tree.size < until:
        page = source.read(Query(after=tree.size, limit=source.page, until=until))
        tree.grow([record.digest for record in page])
    return tree


def verify_order(
    source: Source,
    *,
    after: int = 0,
    root: bytes | None = None,
    size: int | None = None,
    progress: Progress | None = None,
    roots: Mapping[int, str] | None = None,
) -> Verification:
    """Check what can be checked of a source that stores no digests: positions, versions and times in their order.

    `roots` are the tree's, in hex, as they were left at some positions: from the beginning on, the records have to
    give them, and so the `root` that was kept of the first `size` records, or of all.
    """
    head = source.head()
    known = None if root is None else merkle.TreeHead(head if size is None else size, root)
    if known is not None and known.size > head:
        what = f"the log ends at position {head} here, and had {known.size:,} records when its root was kept"
        return _wrong(after, head + 1, f"{what}: its tail is lost, or not here yet")
    if known is not None and not known.size and known.root != merkle.EMPTY_ROOT:
        return _wrong(after, 0, NOT_EMPTY)
    from_start = after == 0 or known is not None
    order = _Order(0 if from_start else after, (roots or {}) if from_start else {}, known)
    first = order.position
    while order.position < head:
        for record in source.read(Query(after=order.position, limit=source.page, until=head)):
            wrong = order.check(record)
            if wrong is not None:
                return _wrong(after, *wrong)
        if progress is not None:
            progress(order.position - first, head - first)
    # A log is found by its name, which its digests do not cover: they have its id.
    unproved = (LOG_NAME, *order.unproved(after))
    return Verification(ok=True, checked=max(head - after, 0), unproved=unproved)


class _Order:
    """What a record has to follow: a position, a time, its stream's version; and the tree that all of them give."""

    def __init__(self, after: int, roots: Mapping[int, str], known: merkle.TreeHead | None) -> None:
        self.position, self._from_start = after, after == 0
        self._roots = {position: [(root, "that was left")] for position, root in roots.items()}
        if known is not None:
            self._roots.setdefault(known.size, []).append((known.root.hex(), "that was kept"))
        self._recorded_at = self._proved = 0
        self._versions: dict[str, int] = {}
        self._tree, self._leaves = merkle.Frontier(), list[bytes]()

    def check(self, record: Record) -> Fault | None:
        """Take the next record; return the first bad position and why, None where it follows."""
        version = self._versions.get(record.stream, 0 if self._from_start else record.version - 1)
        if record.position != self.position + 1:
            return Fault(self.position + 1, "the record is missing")
        if record.version != version + 1:
            return Fault(record.position, f"version {record.version} of {record.stream} follows version {version}")
        if record.recorded_at <= self._recorded_at:
            return Fault(record.position, "it was not recorded after the one before it")
        self.position, self._recorded_at = record.position, record.recorded_at
        self._versions[record.stream] = record.version
        return self._prove(record) if self._roots else None

    def unproved(self, after: int) -> tuple[str, ...]:
        """Return which records past a position no root proves, so that only their order is checked."""
        first = max(self._proved, after) + 1
        if first > self.position:
            return ()
        return (f"the content of positions {first} to {self.position}, past which no root of the tree is known here",)

    def _prove(self, record: Record) -> Fault | None:
        self._leaves.append(record.digest)
        roots = self._roots.get(record.position)
        if roots is None:
            return None
        self._tree.grow(self._leaves)
        self._leaves.clear()
        first, self._proved = self._proved + 1, record.position
        found = self._tree.root().hex()
        for root, whose in roots:
            if found != root:
                what = f"positions {first} to {record.position} do not give the root {whose}: one was changed"
                return Fault(first, what)
        return None


def _wrong(after: int, first_bad: int, reason: str) -> Verification:
    return Verification(ok=False, checked=max(first_bad - 1 - after, 0), first_bad=first_bad, reason=reason)
