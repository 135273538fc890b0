"""Whether a log still has, and continues, each of several roots that were kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.journal import Fault, Query
from eventstore.proofs.merkle import Frontier
from eventstore.store import EventStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore.proofs.merkle import TreeHead
    from eventstore.reader import EventReader


def first_not_continued(store: EventReader, heads: Iterable[TreeHead]) -> Fault | None:
    """Return the first positions that do not give a root that was kept, None where all roots are the log's.

    A store answers from its stored tree, which `verify` has to have proved; any other reader reads all records once.
    """
    chain = store.chain if isinstance(store, EventStore) else None
    if chain is not None:
        # What a log before had is not a size of this one.
        heads = [each for each in heads if not chain.has_root(each)]
    head, before = store.alone().head() if isinstance(store, EventStore) else store.head(), 0
    ordered = sorted(set(heads))
    sizes = sorted({each.size for each in ordered if each.size <= head})
    roots = dict(_roots(store, sizes))
    for kept in ordered:
        if kept.size > head:
            what = f"the log ends at position {head}, and had {kept.size:,} records when a checkpoint was signed"
            return Fault(head + 1, f"{what}: its tail is lost")
        if roots[kept.size] != kept.root:
            first = min(before + 1, max(kept.size, 1))
            what = f"positions {first} to {kept.size} do not give the root of the checkpoint of {kept.size:,} records"
            return Fault(first, f"{what}: the log was rewritten with its tree, or the checkpoint is another log's")
        before = kept.size
    return None


def last_covered(store: EventReader, head: TreeHead) -> int:
    """Return the last position of a reader's that a root covers: of a rotated log each one's size counts from 0."""
    chain = store.chain if isinstance(store, EventStore) else None
    return head.size if chain is None else chain.last_covered(head)


def logs_of(store: EventReader) -> Iterator[EventReader]:
    """Yield a log by itself and those that it continues, newest first, as far as they are here: each has one tree."""
    if not isinstance(store, EventStore):
        yield store
        return
    yield store.alone()
    if store.chain is not None:
        yield from (EventStore(before, clock=store.clock) for before in store.chain.logs_before())


def _roots(store: EventReader, sizes: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    if isinstance(store, EventStore):
        yield from (store.root(size) for size in sizes)
        return
    source, tree = store._source, Frontier()  # noqa: SLF001 - readers have no public name for it
    for size in sizes:
        while tree.size < size:
            page = source.read(Query(after=tree.size, until=size, limit=source.page))
            tree.grow([record.digest for record in page])
        yield tree.head()
