"""The log's Merkle tree, as RFC 6962 section 2.1 has it: grown by batches, kept as a frontier and upper nodes."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Complete nodes from this level up are stored: one for 256 records, which makes any old root and the place of a
# first difference cheap to find, at an eighth of a byte a record.
STORED_LEVEL = 8
TILE = 1 << STORED_LEVEL
HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


class Node(NamedTuple):
    """A complete subtree's hash: it covers the leaves from number × 2^level on, 2^level of them."""

    level: int
    number: int
    hash: bytes


class TreeHead(NamedTuple):
    """How many leaves a tree had, and its root hash then (RFC 9162, section 4.10)."""

    size: int
    root: bytes


class Frontier:
    """The roots of the complete subtrees that a tree of some size consists of, one for each 1 in its binary form."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Take the hashes from the largest subtree to the smallest."""
        self.size = size
        levels = [level for level in range(size.bit_length()) if size >> level & 1]
        if len(levels) != len(hashes):
            msg = f"a tree of {size} leaves has {len(levels)} complete subtrees, not {len(hashes)}"
            raise ValueError(msg)
        self._hash = dict(zip(reversed(levels), hashes, strict=True))

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """Read what `to_bytes` wrote."""
        return cls(size, [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)])

    def to_bytes(self) -> bytes:
        """Return the hashes one after another, from the largest subtree to the smallest."""
        return b"".join([self._hash[level] for level in sorted(self._hash, reverse=True)])

    def copy(self) -> Frontier:
        twin = Frontier()
        twin.size, twin._hash = self.size, dict(self._hash)
        return twin

    def grow(self, leaves: list[bytes]) -> list[Node]:
        """Add leaf hashes and return the nodes of STORED_LEVEL and above that became complete."""
        completed: list[Node] = []
        row, start, level = leaves, self.size, 0
        self.size += len(leaves)
        while row:
            if start & 1:
                row = [self._hash.pop(level), *row]
                start -= 1
            if len(row) & 1:
                self._hash[level] = row[-1]
            pairs = iter(row)
            # A pair at a time: zip stops by itself before a last one that has no partner yet.
            row = [sha256(b"\1" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
            start >>= 1
            level += 1
            if level >= STORED_LEVEL:
                completed += [Node(level, start + index, node) for index, node in enumerate(row)]
        return completed

    def root(self) -> bytes:
        """Return the tree's root hash."""
        hashes = [self._hash[level] for level in sorted(self._hash)]
        if not hashes:
            return EMPTY_ROOT
        root = hashes[0]
        for left in hashes[1:]:
            root = sha256(b"\1" + left + root).digest()
        return root

    def head(self) -> TreeHead:
        """Return the tree's size and root."""
        return TreeHead(self.size, self.root())

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frontier) and (self.size, self._hash) == (other.size, other._hash)

    __hash__ = None  # type: ignore[assignment] # it changes as it grows

    @override
    def __repr__(self) -> str:
        return f"<Frontier of {self.size} leaves, root {self.root().hex()[:16]}>"


def frontier_at(tiles: int, nodes: Callable[[int, int], Sequence[Node]]) -> Frontier:
    """Return the tree of the first complete tiles, put together from stored nodes; raise LookupError without one.

    `nodes(level, number)` returns the node that is stored there, alone in a sequence, or an empty one.
    """
    hashes, start = [], 0
    for level in range(tiles.bit_length() - 1, -1, -1):
        if tiles >> level & 1:
            found = nodes(level + STORED_LEVEL, start >> level)
            if not found:
                msg = f"no node of level {level + STORED_LEVEL} covers position {start * TILE + 1}"
                raise LookupError(msg)
            hashes.append(found[0].hash)
            start += 1 << level
    return Frontier(tiles * TILE, hashes)
