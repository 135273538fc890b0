"""Inclusion and consistency proofs of RFC 6962, section 2.1: how they are put together, and how they are checked."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from eventstore.proofs.merkle import EMPTY_ROOT, HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore.proofs.merkle import TreeHead

    Subtree = Callable[[int, int], bytes]

SIZE_MAX = (1 << 63) - 1


def inclusion_path(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return the hashes from a leaf's sibling up to a child of the root; `subtree(start, stop)` gives those of leaves.

    `index` counts from 0, as the RFC does: it is the position less one.
    """
    if not 0 <= index < size:
        msg = f"a tree of {size} leaves has no leaf {index}"
        raise ValueError(msg)
    path, start, stop = list[bytes](), 0, size
    while stop - start > 1:
        middle = start + split(stop - start)
        if index < middle:
            path.append(subtree(middle, stop))
            stop = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    path.reverse()
    return path


def consistency_path(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """Return the hashes that prove that a tree begins with the leaves of an earlier one of `first` leaves.

    None are needed from an empty tree, and to one of the same size.
    """
    if not 0 <= first <= second:
        msg = f"a tree of {second} leaves did not have {first} before"
        raise ValueError(msg)
    if first in {0, second}:
        return []
    path, start, stop = list[bytes](), 0, second
    while stop != first:
        middle = start + split(stop - start)
        if first <= middle:
            path.append(subtree(middle, stop))
            stop = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    if start:
        path.append(subtree(start, stop))
    path.reverse()
    return path


def is_included(leaf: bytes, index: int, head: TreeHead, path: Sequence[bytes]) -> bool:
    """Return whether a path leads from a leaf hash to a tree's root (RFC 9162, section 2.1.3.2).

    Size and index decide how many hashes there are and on which side each is, so a proof of another size is refused.
    """
    if not (0 <= index < head.size <= SIZE_MAX and _are_hashes([leaf, head.root, *path])):
        return False
    found, at, last = leaf, index, head.size - 1
    for sibling in path:
        if not last:
            return False
        if at & 1 or at == last:
            found = node(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, sibling)
        at, last = at >> 1, last >> 1
    return not last and found == head.root


def is_consistent(first: TreeHead, second: TreeHead, path: Sequence[bytes]) -> bool:
    """Return whether a path proves that the second tree begins with the first one (RFC 9162, section 2.1.4.2)."""
    if not (0 <= first.size <= second.size <= SIZE_MAX and _are_hashes([first.root, second.root, *path])):
        return False
    if first.size == second.size:
        return not path and first.root == second.root and (first.size > 0 or first.root == EMPTY_ROOT)
    if not first.size:
        # Every tree begins with the empty one, which has one root only.
        return not path and first.root == EMPTY_ROOT
    hashes = list(path)
    if not first.size & first.size - 1:
        hashes.insert(0, first.root)
    return bool(hashes) and _roots(first.size, second.size, hashes) == (first.root, second.root)


def _roots(first: int, second: int, hashes: list[bytes]) -> tuple[bytes, bytes] | None:
    """Return the roots that a consistency proof gives for both trees; None where it has too many or too few hashes."""
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if not last:
            return None
        if at & 1 or at == last:
            older, newer = node(sibling, older), node(sibling, newer)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            newer = node(newer, sibling)
        at, last = at >> 1, last >> 1
    return None if last else (older, newer)


def blocks(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield level and number of the largest complete subtrees that some leaves consist of, from left to right."""
    while start < stop:
        level = (stop - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def folded(hashes: Sequence[bytes]) -> bytes:
    """Return the root over the hashes of `blocks` that begin at 0, or at the beginning of a subtree of the RFC's."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node(left, root)
    return root


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def split(count: int) -> int:
    """Return the largest power of two below a number of leaves: so many are in the left one of two subtrees."""
    return 1 << (count - 1).bit_length() - 1


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(type(value) is bytes and len(value) == HASH_BYTES for value in values)
