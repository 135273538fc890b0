"""In which passes a log is folded for what was true at many instants: records come late, and each past has its own."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HALVINGS_MAX = 6
"""A log without any order takes as many passes as instants in the end; to plan them must not take longer."""


class Times(NamedTuple):
    """The records that are folded, in the order of the log: their log positions and when they occurred, UNIX ns."""

    positions: Sequence[int]
    occurred: Sequence[int]


class Chunk(NamedTuple):
    """Instants that share one pass over the records that had occurred by the last of them.

    For an instant that pass is good until `firsts`, the log position of the first record that occurred later. Of the
    `late` ones, log positions in order, those are added that are past it and had occurred. `base` counts the records
    of the pass, `extra` those added.
    """

    instants: Sequence[int]
    firsts: Sequence[int]
    late: Sequence[int]
    base: int
    extra: int

    @property
    def cost(self) -> int:
        """How many records are folded."""
        return self.base + self.extra


def chunks_of(times: Times, instants: Sequence[int], halvings: int = _HALVINGS_MAX) -> list[Chunk]:
    """Return the passes that fold few records for what was true at some instants, which are sorted.

    One pass, unless so many records are late that several passes fold fewer: a record of a far future, for example,
    counts in no pass of instants before that.
    """
    if not instants:
        return []
    chunk, known = _chunk(times, instants)
    if len(instants) == 1 or chunk.extra <= chunk.base or not halvings:
        return [chunk]
    place = _division(chunk, known)
    parts = [*chunks_of(known, instants[:place], halvings - 1), *chunks_of(known, instants[place:], halvings - 1)]
    return parts if cost_of(parts) < chunk.cost else [chunk]


def _division(chunk: Chunk, known: Times) -> int:
    """Return where to divide instants: where the record occurred that ends the pass of most of them, else halfway."""
    (first, count), *_ = Counter(chunk.firsts).most_common(1)
    place = 0
    if 2 * count > len(chunk.firsts) and first <= known.positions[-1]:
        occurred = known.occurred[bisect_left(known.positions, first)]
        place = bisect_left(chunk.instants, occurred)
    return place if 0 < place < len(chunk.instants) else len(chunk.instants) // 2


def cost_of(chunks: Sequence[Chunk]) -> int:
    """Return how many records some passes fold."""
    return sum(chunk.cost for chunk in chunks)


def _chunk(times: Times, instants: Sequence[int]) -> tuple[Chunk, Times]:
    """Return the one pass for all of these instants, and the records of it."""
    horizon = instants[-1]
    known = _until(times, horizon)
    newest, ordered = array("q", accumulate(known.occurred, max)), sorted(known.occurred)
    count = len(ordered)
    # Up to an instant's index nothing occurred later than it: that much of the pass is what was true then.
    indices = [bisect_right(newest, instant) for instant in instants]
    extra = sum(bisect_right(ordered, instant) - index for instant, index in zip(instants, indices, strict=True))
    end = (known.positions[-1] if count else 0) + 1
    firsts = [known.positions[index] if index < count else end for index in indices]
    return Chunk(instants, firsts, list(_late(known, instants, indices)) if extra else [], count, extra), known


def _until(times: Times, horizon: int) -> Times:
    if not times.occurred or max(times.occurred) <= horizon:
        return times
    kept = [index for index, occurred in enumerate(times.occurred) if occurred <= horizon]
    return Times(
        array("q", [times.positions[index] for index in kept]), array("q", [times.occurred[index] for index in kept])
    )


def _late(known: Times, instants: Sequence[int], indices: Sequence[int]) -> Iterator[int]:
    """Yield the log positions of the records that some instant has past its part of the pass."""
    last = 0
    for index in range(indices[0], len(known.occurred)):
        # Of the instants whose part has ended before this record, the last one has all that the others have.
        while last + 1 < len(indices) and indices[last + 1] <= index:
            last += 1
        if known.occurred[index] <= instants[last]:
            yield known.positions[index]
