"""Proving a log: every digest recomputed, every position there, the tree grown again and compared."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from eventstore.errors import CorruptJournal
from eventstore.journal import LOG_NAME, PAGE_MAX, Fault, Query, Verification, class_here
from eventstore.proofs import merkle
from eventstore.record import Digester

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    from eventstore.journal import Maintenance, Source
    from eventstore.record import Record

    Progress = Callable[[int, int], None]

PAGE = PAGE_MAX // merkle.TILE * merkle.TILE
_NOT_EMPTY = f"the root of a log without records is {merkle.EMPTY_ROOT.hex()}, not the one given"


def verify(
    journal: Maintenance,
    *,
    after: int = 0,
    root: bytes | None = None,
    size: int | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Check the records past a position up to the head, and all that is stored beside them.

    The check begins at the tile of 256 that `after` lies in, because the tree is stored by tiles. What somebody
    rewrote together with the tree is found only against a `root` kept elsewhere: the first `size` records, or all,
    have to give it, and the rest to append to them (consistency: RFC 9162, section 2.1.4).
    """
    with journal.uncached() as source, _integrity_check(source) as integrity:
        try:
            tree = source.frontier()
        except CorruptJournal as e:
            return Verification(ok=False, checked=0, first_bad=e.position, reason=e.reason)
        known = None if root is None else merkle.TreeHead(tree.size if size is None else size, root)
        records = _Records(source, tree, min(after, known.size) if known else after)
        fault = records.check(known, progress)
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


class _Records:
    """The records from a tile on, and the tree that they give."""

    def __init__(self, source: Maintenance, tree: merkle.Frontier, after: int) -> None:
        self.grown = merkle.Frontier()
        self._source, self._tree = source, tree
        self._start = min(after, tree.size) // merkle.TILE
        self._root_then: bytes | None = None
        self._recorded_at = 0
        self._digester = Digester(source.log_id)

    def check(self, known: merkle.TreeHead | None, progress: Progress | None) -> Fault | None:
        """Check all of them; return the first fault. The tree's root at the known size is kept for `compare`."""
        tree, start = self._tree, self._start * merkle.TILE
        try:
            self.grown = merkle.frontier_at(
                self._start, lambda level, number: self._source.nodes(number, number, level=level)
            )
        except LookupError as e:
            return Fault(start + 1, f"the stored tree is incomplete: {e}")
        except CorruptJournal as e:
            return Fault(e.position or start + 1, e.reason)
        self._keep_root(known)
        while self.grown.size < tree.size:
            fault = self._check_page(self._page_end(known))
            if fault is not None:
                return fault
            self._keep_root(known)
            if progress is not None:
                progress(self.grown.size - start, tree.size - start)
        if self.grown != tree:
            return Fault(_last_tile(tree.size), "from here on the records give another tree than the head's")
        return None

    def _keep_root(self, known: merkle.TreeHead | None) -> None:
        if known is not None and known.size == self.grown.size:
            self._root_then = self.grown.root()

    def _page_end(self, known: merkle.TreeHead | None) -> int:
        """Return up to where the next page goes: full ones end where a tile does, one of them at a known size."""
        end = min(self._tree.size, self.grown.size // merkle.TILE * merkle.TILE + PAGE)
        return known.size if known is not None and self.grown.size < known.size < end else end

    def compare(self, known: merkle.TreeHead) -> list[Fault]:
        """Return what is wrong with a root that was kept elsewhere, once the records themselves are proved."""
        size, head = known.size, self._tree.size
        if size > head:
            what = f"the log ends at position {head}, and had {size:,} records when its root was kept: its tail is lost"
            return [Fault(head + 1, what)]
        if self._root_then == known.root:
            return []
        if known.root == self._tree.root():
            return [
                Fault(
                    0, f"this is the log's root at size {head}, not at size {size}: give the size that it was kept with"
                )
            ]
        if not size:
            return [Fault(0, _NOT_EMPTY)]
        what = f"positions 1 to {size} do not give the root that was kept"
        return [Fault(1, f"{what}: the log was rewritten with its tree, or the root is another log's")]

    def _check_page(self, until: int) -> Fault | None:
        """Check the records past those of the tree and up to a position, and grow the tree by them."""
        grown, source = self.grown, self._source
        after = grown.size
        try:
            page = source.read(Query(after=after, limit=until - after, until=until))
        except CorruptJournal as e:
            return Fault(e.position or _first_unreadable(source, after, until), e.reason)
        sound = self._digester.sound(page)
        for expected, record in enumerate(page, after + 1):
            if record.position != expected:
                return Fault(expected, "the record is missing")
            if expected > after + sound:
                return Fault(expected, "the record does not have its digest: it was changed after it was written")
            if record.recorded_at <= self._recorded_at:
                return Fault(expected, "it was not recorded after the one before it")
            self._recorded_at = record.recorded_at
        if after + len(page) < until:
            return Fault(after + len(page) + 1, "the record is missing")
        try:
            return self._grow([record.digest for record in page])
        except CorruptJournal as e:
            return Fault(e.position or after + 1, e.reason)

    def _grow(self, leaves: list[bytes]) -> Fault | None:
        # The stored nodes are what `root` and a start compute from: each must be the one that the records give.
        for node in self.grown.grow(leaves):
            if [node] != list(self._source.nodes(node.number, node.number, level=node.level)):
                first = (node.number << node.level) + 1
                last = first + (1 << node.level) - 1
                what = f"positions {first} to {last} do not give the tree's node: a record or the node was replaced"
                return Fault(first, what)
        return None


def _first_unreadable(source: Source, after: int, until: int) -> int:
    """Return the first position of a page that cannot be read alone either."""
    for position in range(after + 1, until + 1):
        try:
            source.read(Query(after=position - 1, limit=1, until=position))
        except CorruptJournal:
            return position
    return after + 1


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
        records = _Records(source, tree, min(since.size, tree.size))
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
        return _wrong(after, 0, _NOT_EMPTY)
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


def _last_tile(size: int) -> int:
    return max(size - 1, 0) // merkle.TILE * merkle.TILE + 1
