"""Proving a log: every digest recomputed, every position there, the tree grown again and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import merkle
from eventstore.journal import PAGE_MAX, Verification
from eventstore.record import Record, digest, digest_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore.journal import Journal

PAGE = PAGE_MAX // merkle.TILE * merkle.TILE


def verify(journal: Journal, *, after: int = 0, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check all records past a position up to the head; `progress` is told (checked, of how many).

    The check begins at the tile of 256 that `after` lies in, because the tree is stored by tiles. What somebody
    rewrote together with the tree is found only against a checkpoint kept elsewhere.
    """
    tree = journal.frontier()
    start = after // merkle.TILE * merkle.TILE
    stored = iter(journal.nodes(start // merkle.TILE, tree.size // merkle.TILE))
    grown = merkle.Frontier() if start == 0 else None
    position = start
    while position < tree.size:
        page = journal.read(after=position, limit=PAGE, until=tree.size)
        wrong = _check_page(journal, page, position, min(tree.size, position + PAGE))
        if wrong is not None:
            return _wrong(after, *wrong)
        wrong = _check_tree(page, position, stored, grown)
        if wrong is not None:
            return _wrong(after, *wrong)
        position += len(page)
        if progress is not None:
            progress(position - start, tree.size - start)
    checked = max(tree.size - after, 0)
    beyond = journal.read(after=tree.size, limit=1)
    if beyond and journal.head() == tree.size:
        return Verification(
            ok=False,
            checked=checked,
            first_bad=beyond[0].position,
            reason="a record lies beyond the head: it was inserted",
        )
    if grown is not None and grown != tree:
        return Verification(
            ok=False,
            checked=checked,
            first_bad=_last_tile(tree.size),
            reason="the records give another tree than the head's",
        )
    return Verification(ok=True, checked=checked)


def check_record(log_id: bytes, record: Record) -> bool:
    """Tell whether a record's digest is that of its members."""
    prefix = digest_prefix(log_id, record)
    return digest(prefix, record.position, record.version, record.recorded_at, record) == record.digest


def _check_page(journal: Journal, page: Sequence[Record], after: int, until: int) -> tuple[int, str] | None:
    log_id = journal.log_id
    for expected, record in enumerate(page, after + 1):
        if record.position != expected:
            return expected, "the record is missing"
        if not check_record(log_id, record):
            return expected, "the record does not have its digest: it was changed after it was written"
    if after + len(page) < until:
        return after + len(page) + 1, "the record is missing"
    return None


def _check_tree(
    page: Sequence[Record], after: int, stored: Iterator[merkle.Node], grown: merkle.Frontier | None
) -> tuple[int, str] | None:
    leaves = [record.digest for record in page]
    if grown is not None:
        grown.grow(leaves)
    for node in merkle.Frontier().grow(leaves):
        if node.level != merkle.STORED_LEVEL:
            continue
        first = after + node.number * merkle.TILE + 1
        kept = next(stored, None)
        if kept is None or kept.hash != node.hash:
            return (
                first,
                f"positions {first} to {first + merkle.TILE - 1} do not give the tree's node: one was exchanged",
            )
    return None


def _wrong(after: int, first_bad: int, reason: str) -> Verification:
    return Verification(ok=False, checked=max(first_bad - 1 - after, 0), first_bad=first_bad, reason=reason)


def _last_tile(size: int) -> int:
    return max(size - 1, 0) // merkle.TILE * merkle.TILE + 1
