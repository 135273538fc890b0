"""Proving a log: every digest recomputed, every position there, the tree grown again and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import merkle
from eventstore.errors import CorruptJournal
from eventstore.journal import PAGE_MAX, Verification
from eventstore.record import Digester

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eventstore.journal import Journal, Source
    from eventstore.record import Record

PAGE = PAGE_MAX // merkle.TILE * merkle.TILE


def verify(journal: Journal, *, after: int = 0, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check all records past a position up to the head; `progress` is told (checked, of how many).

    The check begins at the tile of 256 that `after` lies in, because the tree is stored by tiles. What somebody
    rewrote together with the tree is found only against a checkpoint kept elsewhere.
    """
    tree = journal.frontier()
    start = min(after, tree.size) // merkle.TILE
    try:
        grown = merkle.frontier_at(start, lambda level, number: journal.nodes(number, number, level=level))
    except LookupError as e:
        return _wrong(after, start * merkle.TILE + 1, f"the stored tree is incomplete: {e}")
    position, digester = grown.size, Digester(journal.log_id)
    while position < tree.size:
        wrong = _check_page(journal, digester, min(tree.size, position + PAGE), grown)
        if wrong is not None:
            return _wrong(after, *wrong)
        position = grown.size
        if progress is not None:
            progress(position - start * merkle.TILE, tree.size - start * merkle.TILE)
    strays = journal.strays()
    if strays:
        return _wrong(after, *strays[0])
    if grown != tree:
        return _wrong(after, _last_tile(tree.size), "from here on the records give another tree than the head's")
    return Verification(ok=True, checked=max(tree.size - after, 0))


def grown(source: Source, tree: merkle.Frontier | None = None) -> merkle.Frontier:
    """Return the tree of all records that a source has now, or a tree of some of them grown by the rest."""
    tree = tree or merkle.Frontier()
    head = source.head()
    while tree.size < head:
        tree.grow([record.digest for record in source.read(after=tree.size, limit=source.page, until=head)])
    return tree


def verify_order(
    source: Source,
    *,
    after: int = 0,
    progress: Callable[[int, int], None] | None = None,
    roots: Mapping[int, str] | None = None,
) -> Verification:
    """Check what can be checked of a source that stores no digests: positions, versions and times in their order.

    `roots` are the tree's, in hex, as they were left at some positions: from the beginning on, the records have to
    give them.
    """
    head, order = source.head(), _Order(after, {} if after or roots is None else roots)
    while order.position < head:
        for record in source.read(after=order.position, limit=source.page, until=head):
            wrong = order.check(record)
            if wrong is not None:
                return _wrong(after, *wrong)
        if progress is not None:
            progress(order.position - after, head - after)
    return Verification(ok=True, checked=max(head - after, 0))


class _Order:
    """What a record has to follow: a position, a time, its stream's version; and the tree that all of them give."""

    def __init__(self, after: int, roots: Mapping[int, str]) -> None:
        self.position, self._from_start, self._roots = after, after == 0, roots
        self._recorded_at = self._proved = 0
        self._versions: dict[str, int] = {}
        self._tree, self._leaves = merkle.Frontier(), list[bytes]()

    def check(self, record: Record) -> tuple[int, str] | None:
        """Take the next record; return the first bad position and why, None where it follows."""
        version = self._versions.get(record.stream, 0 if self._from_start else record.version - 1)
        if record.position != self.position + 1:
            return self.position + 1, "the record is missing"
        if record.version != version + 1:
            return record.position, f"version {record.version} of {record.stream} follows version {version}"
        if record.recorded_at <= self._recorded_at:
            return record.position, "it was not recorded after the one before it"
        self.position, self._recorded_at = record.position, record.recorded_at
        self._versions[record.stream] = record.version
        return self._prove(record) if self._roots else None

    def _prove(self, record: Record) -> tuple[int, str] | None:
        self._leaves.append(record.digest)
        root = self._roots.get(record.position)
        if root is None:
            return None
        self._tree.grow(self._leaves)
        self._leaves.clear()
        first, self._proved = self._proved + 1, record.position
        if self._tree.root().hex() == root:
            return None
        return first, f"positions {first} to {record.position} do not give the root that was left: one was changed"


def _check_page(journal: Journal, digester: Digester, until: int, grown: merkle.Frontier) -> tuple[int, str] | None:
    """Check the records past those of a tree and up to a position, and grow the tree by them."""
    after = grown.size
    try:
        page = journal.read(after=after, limit=until - after, until=until)
    except CorruptJournal as e:
        return e.position, e.reason
    for expected, record in enumerate(page, after + 1):
        if record.position != expected:
            return expected, "the record is missing"
        if not digester.is_sound(record):
            return expected, "the record does not have its digest: it was changed after it was written"
    if after + len(page) < until:
        return after + len(page) + 1, "the record is missing"
    for node in grown.grow([record.digest for record in page]):
        if [node] != list(journal.nodes(node.number, node.number, level=node.level)):
            first = (node.number << node.level) + 1
            last = first + (1 << node.level) - 1
            return first, f"positions {first} to {last} do not give the tree's node: a record or the node was exchanged"
    return None


def _wrong(after: int, first_bad: int, reason: str) -> Verification:
    return Verification(ok=False, checked=max(first_bad - 1 - after, 0), first_bad=first_bad, reason=reason)


def _last_tile(size: int) -> int:
    return max(size - 1, 0) // merkle.TILE * merkle.TILE + 1
