"""Proving a log: every digest recomputed, every position there, the tree grown again and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import merkle
from eventstore.errors import CorruptJournal
from eventstore.journal import PAGE_MAX, Verification
from eventstore.record import is_sound

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.journal import Journal

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
    position = grown.size
    while position < tree.size:
        wrong = _check_page(journal, position, min(tree.size, position + PAGE), grown)
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


def _check_page(journal: Journal, after: int, until: int, grown: merkle.Frontier) -> tuple[int, str] | None:
    """Check the records past a position and up to another, and grow the tree by them."""
    try:
        page = journal.read(after=after, limit=until - after, until=until)
    except CorruptJournal as e:
        return e.position, e.reason
    for expected, record in enumerate(page, after + 1):
        if record.position != expected:
            return expected, "the record is missing"
        if not is_sound(journal.log_id, record):
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
