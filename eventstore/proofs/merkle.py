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
        if size.bit_count() != len(hashes):
            msg = f"a tree of {size} leaves has {size.bit_count()} complete subtrees, not {len(hashes)}"
            raise ValueError(msg)
        self._hashes = list(hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """Read what `to_bytes` wrote."""
        return cls(size, [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)])

    def to_bytes(self) -> bytes:
        """Return the hashes one after another, from the largest subtree to the smallest."""
        return b"".join(self._hashes)

    def copy(self) -> Frontier:
        return Frontier(self.size, self._hashes)

    def grow(self, leaves: Sequence[bytes]) -> list[Node]:
        """Add leaf hashes and return the nodes of STORED_LEVEL and above that became complete."""
        if len(leaves) == 1:
            return self._grow_by_one(leaves[0])
        completed: list[Node] = []
        hashes, left_over = self._hashes, []
        row, start, level = leaves, self.size, 0
        self.size += len(leaves)
        while row:
            if start & 1:
                row = [hashes.pop(), *row]
                start -= 1
            if len(row) & 1:
                left_over.append(row[-1])
            pairs = iter(row)
            # A pair at a time: zip stops by itself before a last one that has no partner yet.
            row = [sha256(b"\1" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
            start >>= 1
            level += 1
            if level >= STORED_LEVEL:
                completed += [Node(level, start + index, node) for index, node in enumerate(row)]
        hashes.extend(reversed(left_over))
        return completed

    def _grow_by_one(self, leaf: bytes) -> list[Node]:
        """Do what `grow` does, for the one leaf of a single append: in a quarter of the time."""
        completed: list[Node] = []
        hashes, node, number, level = self._hashes, leaf, self.size, 0
        self.size += 1
        while number & 1:
            node = sha256(b"\1" + hashes.pop() + node).digest()
            number >>= 1
            level += 1
            if level >= STORED_LEVEL:
                completed.append(Node(level, number, node))
        hashes.append(node)
        return completed

    def root(self) -> bytes:
        """Return the tree's root hash."""
        if not self._hashes:
            return EMPTY_ROOT
        *lefts, root = self._hashes
        for left in reversed(lefts):
            root = sha256(b"\1" + left + root).digest()
        return root

    def head(self) -> TreeHead:
        """Return the tree's size and root."""
        return TreeHead(self.size, self.root())

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frontier) and (self.size, self._hashes) == (other.size, other._hashes)

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
