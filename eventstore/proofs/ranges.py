"""A range of a log's records: every digest recomputed, every position there, and the tree that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore.errors import CorruptJournal
from eventstore.journal import PAGE_MAX, Fault, Query, RowSource
from eventstore.proofs import merkle
from eventstore.record import Digester

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from eventstore.journal import Maintenance, Source
    from eventstore.record import Record, SoundRun

    Progress = Callable[[int, int], None]

    class Rest(Protocol):
        """The end of a range, which another process checks meanwhile."""

        first: int

        def answer(self) -> RangeAnswer | None: ...


PAGE = PAGE_MAX // merkle.TILE * merkle.TILE
NOT_EMPTY = f"the root of a log without records is {merkle.EMPTY_ROOT.hex()}, not the one given"


class RangeAnswer(msgspec.Struct, frozen=True):
    """That a range's records are sound: the tree before and after them, and the first one's time.

    `root_then` is the tree's root at a size that was asked for, where the range goes past it.
    """

    tree_before: bytes
    tree_after: bytes
    recorded_at: int
    root_then: bytes | None


class CheckedRange:
    """The records from a tile on, and the tree that they give."""

    def __init__(self, source: Maintenance, tree: merkle.Frontier, after: int) -> None:
        self.grown = merkle.Frontier()
        self._source, self._tree = source, tree
        self._start = min(after, tree.size) // merkle.TILE
        self._root_then: bytes | None = None
        self._recorded_at = self._first_recorded_at = 0
        self._tree_before = b""
        self._digester = Digester(source.log_id)

    def check(
        self, known: merkle.TreeHead | None, progress: Progress | None = None, rest: Rest | None = None
    ) -> Fault | None:
        """Check all of them; return the first fault. The tree's root at the known size is kept for `compare`.

        What another process has found sound of the rest is not checked again. Anything else that it answers, or its
        silence, counts for nothing: then all is checked here, and so the fault is the one that this process finds.
        """
        tree, start = self._tree, self._start * merkle.TILE
        try:
            self.grown = merkle.frontier_at(
                self._start, lambda level, number: self._source.nodes(number, number, level=level)
            )
        except LookupError as e:
            return Fault(start + 1, f"the stored tree is incomplete: {e}")
        except CorruptJournal as e:
            return Fault(e.position or start + 1, e.reason)
        self._tree_before = self.grown.to_bytes()
        self._keep_root(known)
        if rest is not None:
            fault = self._check_until(rest.first, known, progress)
            if fault is not None:
                return fault
            self._take(rest.answer(), progress)
        fault = self._check_until(tree.size, known, progress)
        if fault is not None:
            return fault
        if self.grown != tree:
            return Fault(_last_tile(tree.size), "from here on the records give another tree than the head's")
        return None

    def answer(self) -> RangeAnswer:
        """Return what was found, once all was checked and no fault was."""
        return RangeAnswer(self._tree_before, self.grown.to_bytes(), self._first_recorded_at, self._root_then)

    def _take(self, answer: RangeAnswer | None, progress: Progress | None) -> None:
        """Take the rest as checked, if it begins where this range has come to and ends at the head."""
        here_and_head = (self.grown.to_bytes(), self._tree.to_bytes())
        if (
            answer is not None
            and (answer.tree_before, answer.tree_after) == here_and_head
            and answer.recorded_at > self._recorded_at
        ):
            self.grown = self._tree.copy()
            self._root_then = self._root_then or answer.root_then
            self._report(progress)

    def _check_until(self, until: int, known: merkle.TreeHead | None, progress: Progress | None) -> Fault | None:
        while self.grown.size < until:
            fault = self._check_page(self._page_end(until, known))
            if fault is not None:
                return fault
            self._keep_root(known)
            self._report(progress)
        return None

    def _report(self, progress: Progress | None) -> None:
        if progress is not None:
            start = self._start * merkle.TILE
            progress(self.grown.size - start, self._tree.size - start)

    def _keep_root(self, known: merkle.TreeHead | None) -> None:
        if known is not None and known.size == self.grown.size:
            self._root_then = self.grown.root()

    def _page_end(self, until: int, known: merkle.TreeHead | None) -> int:
        """Return up to where the next page goes: full ones end where a tile does, one of them at a known size."""
        end = min(until, self.grown.size // merkle.TILE * merkle.TILE + PAGE)
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
            return [Fault(0, NOT_EMPTY)]
        what = f"positions 1 to {size} do not give the root that was kept"
        return [Fault(1, f"{what}: the log was rewritten with its tree, or the root is another log's")]

    def _check_page(self, until: int) -> Fault | None:
        """Check the records past those of the tree and up to a position, and grow the tree by them.

        The first fault is the same wherever pages end: what is sound before it is held against the stored nodes.
        """
        source, after = self._source, self.grown.size
        run = self._run(until)
        if run is not None:
            self._first_recorded_at = self._first_recorded_at or run.first_recorded_at
            self._recorded_at = run.last_recorded_at
            return self._grown_by(run.leaves)
        try:
            page = source.read(Query(after=after, limit=until - after, until=until))
        except CorruptJournal as e:
            at = e.position or _first_unreadable(source, after, until)
            earlier = self._check_page(at - 1) if after < at - 1 < until else None
            return earlier or Fault(at, e.reason)
        self._first_recorded_at = self._first_recorded_at or (page[0].recorded_at if page else 0)
        fault = self._fault_of(page, after, until)
        sound = page if fault is None else page[: fault.position - after - 1]
        return self._grown_by([record.digest for record in sound]) or fault

    def _run(self, until: int) -> SoundRun | None:
        """Return a page's sound records in a row, None unless all of them are; it does not say what is wrong."""
        source, after, last = self._source, self.grown.size, self._recorded_at
        if not isinstance(source, RowSource):
            return None
        query = Query(after=after, limit=until - after, until=until)
        try:
            run = source.scan(query, lambda rows: self._digester.run(rows, after, last))
        except CorruptJournal:
            return None
        return run if run is not None and len(run.leaves) == until - after else None

    def _fault_of(self, page: Sequence[Record], after: int, until: int) -> Fault | None:
        sound = self._digester.sound(page)
        for expected, record in enumerate(page, after + 1):
            if record.position != expected:
                return Fault(expected, "the record is missing")
            if expected > after + sound:
                return Fault(expected, "the record does not have its digest: it was changed after it was written")
            if record.recorded_at <= self._recorded_at:
                return Fault(expected, "it was not recorded after the one before it")
            self._recorded_at = record.recorded_at
        return Fault(after + len(page) + 1, "the record is missing") if after + len(page) < until else None

    def _grown_by(self, leaves: list[bytes]) -> Fault | None:
        after = self.grown.size
        try:
            return self._grow(leaves)
        except CorruptJournal as e:
            return Fault(e.position or after + 1, e.reason)

    def _grow(self, leaves: list[bytes]) -> Fault | None:
        # The stored nodes are what `root` and a start compute from: each must be the one that the records give.
        for node in sorted(self.grown.grow(leaves), key=_completed_at):
            if [node] != list(self._source.nodes(node.number, node.number, level=node.level)):
                first = (node.number << node.level) + 1
                last = first + (1 << node.level) - 1
                what = f"positions {first} to {last} do not give the tree's node: a record or the node was replaced"
                return Fault(first, what)
        return None


def _completed_at(node: merkle.Node) -> tuple[int, int]:
    return (node.number + 1) << node.level, node.level


def _first_unreadable(source: Source, after: int, until: int) -> int:
    """Return the first position of a page that cannot be read alone either."""
    for position in range(after + 1, until + 1):
        try:
            source.read(Query(after=position - 1, limit=1, until=position))
        except CorruptJournal:
            return position
    return after + 1


def _last_tile(size: int) -> int:
    return max(size - 1, 0) // merkle.TILE * merkle.TILE + 1
