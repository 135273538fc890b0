"""Hashes of any part of a log's tree: from stored nodes and a tile of digests, or from one pass over a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.errors import CorruptJournal
from eventstore.journal import ColumnSource, Query
from eventstore.proofs import merkle, paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore.journal import Maintenance, Source

TILES_MAX = 8
"""How many tiles of digests are remembered: a proof reads two of them, many proofs in order read each once."""


class StoredTree:
    """The tree of a journal's first records, read where it is asked for: a proof reads some twenty nodes, two tiles."""

    def __init__(self, source: Maintenance, size: int) -> None:
        self.size = size
        self._source = source
        self._tiles: dict[int, list[bytes]] = {}

    def node(self, level: int, number: int) -> bytes:
        """Return the hash of a complete subtree; raise CorruptJournal where its records or its node are missing."""
        if level >= merkle.STORED_LEVEL:
            return self._stored(level, number)
        first = number << level
        row = self.leaves(first, first + (1 << level))
        while len(row) > 1:
            pairs = iter(row)
            row = [paths.node(left, right) for left, right in zip(pairs, pairs, strict=True)]
        return row[0]

    def subtree(self, start: int, stop: int) -> bytes:
        """Return the hash of a subtree over leaves `start` to `stop`, counted from 0, as the RFC divides trees."""
        return paths.folded([self.node(level, number) for level, number in paths.blocks(start, stop)])

    def root(self) -> bytes:
        """Return the tree's root."""
        return self.subtree(0, self.size) if self.size else merkle.EMPTY_ROOT

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """Return the digests of some leaves of one tile, counted from 0."""
        number = start // merkle.TILE
        tile = self._tiles.get(number)
        if tile is None:
            if len(self._tiles) >= TILES_MAX:
                self._tiles.pop(next(iter(self._tiles)))
            tile = self._tiles[number] = self._read(number * merkle.TILE, min((number + 1) * merkle.TILE, self.size))
        begin = number * merkle.TILE
        return tile[start - begin : stop - begin]

    def _read(self, after: int, until: int) -> list[bytes]:
        positions, digests = _digests(self._source, after, until)
        for expected, position in enumerate([*positions, None], after + 1):
            if position != expected and expected <= until:
                raise CorruptJournal(expected, "the record is missing")
        return digests

    def _stored(self, level: int, number: int) -> bytes:
        found = self._source.nodes(number, number, level=level)
        if not found:
            what = f"the stored tree is incomplete: no node of level {level} covers it"
            raise CorruptJournal((number << level) + 1, what)
        return found[0].hash


class PassedTree(StoredTree):
    """The same of a source that stores no tree: its upper nodes are computed by reading all records once."""

    def __init__(self, source: Source, size: int) -> None:
        super().__init__(source, size)  # type: ignore[arg-type] # what it would be asked for is not asked for here
        self._nodes: dict[tuple[int, int], bytes] = {}
        tree = merkle.Frontier()
        for digests in _pages(source, size):
            for node in tree.grow(digests):
                self._nodes[node.level, node.number] = node.hash

    @override
    def _stored(self, level: int, number: int) -> bytes:
        return self._nodes[level, number]


def _pages(source: Source, size: int) -> Iterator[list[bytes]]:
    after = 0
    while after < size:
        digests = [record.digest for record in source.read(Query(after=after, until=size, limit=source.page))]
        if not digests:
            raise CorruptJournal(after + 1, "the record is missing")
        yield digests
        after += len(digests)


def _digests(source: Source, after: int, until: int) -> tuple[Sequence[int], list[bytes]]:
    query = Query(after=after, until=until, limit=until - after)
    if isinstance(source, ColumnSource):
        positions, digests = source.columns(query, ("position", "digest"))
        return positions, digests
    records = source.read(query)
    return [record.position for record in records], [record.digest for record in records]
