"""A log's head: where it stands, and whether the records before it are those that it was made of."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore.errors import CorruptJournal, StorageWarning
from eventstore.journal import Query
from eventstore.proofs import merkle
from eventstore.record import Digester

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventstore.record import Record
    from eventstore.watermarks import Watermark


class Head(NamedTuple):
    """Where a log stands: its last record's position, time and digest, its tree, and whether that record ends it."""

    position: int
    recorded_at: int
    digest: bytes
    frontier: merkle.Frontier
    has_ended: bool = False

    @classmethod
    def of(cls, row: Sequence[Any] | None) -> Head:
        """Read position, recorded_at, the last record's digest, the frontier and, where it is given, if that ends it.

        Raises CorruptJournal where they are not those of a head.
        """
        if row is None:
            raise CorruptJournal(0, "the head's row is missing")
        position, recorded_at, leaf, frontier, *ends = row
        if type(position) is not int or type(recorded_at) is not int or type(frontier) is not bytes:
            raise CorruptJournal(0, "the head's row is malformed")
        if position and leaf is None:
            raise CorruptJournal(position, "the head names this position, and no record is there")
        try:
            tree = merkle.Frontier.from_bytes(position, frontier)
        except ValueError as e:
            raise CorruptJournal(position, f"the head's tree is damaged: {e}") from e
        return cls(position, recorded_at, leaf or b"", tree, any(ends))


def check_tail(
    head: Head,
    last: int,
    log_id: bytes,
    read: Callable[[Query], Sequence[Record]],
    nodes: Callable[[int, int], Sequence[merkle.Node]],
) -> None:
    """Check the newest 256 digests, and that tree and records are those of the head; raise CorruptJournal.

    `last` is the highest position that a record has, 0 without one.
    `nodes` returns the stored ones of a level and number: one, or none.
    """
    if last != head.position:
        raise CorruptJournal(min(last, head.position) + 1, f"records end at {last}, the head says {head.position}")
    # From the beginning of the last complete tile, if there is one, so that tree and records are held together.
    first_tile = max(head.position // merkle.TILE - 1, 0)
    after = first_tile * merkle.TILE
    leaves, digester = [], Digester(log_id)
    for expected, record in enumerate(read(Query(after=after, limit=2 * merkle.TILE)), after + 1):
        if record.position != expected:
            raise CorruptJournal(expected, "the record is missing")
        if not digester.is_sound(record):
            raise CorruptJournal(expected, "the record does not have its digest")
        leaves.append(record.digest)
    try:
        tree = merkle.frontier_at(first_tile, nodes)
    except LookupError as e:
        raise CorruptJournal(1, f"the stored tree is incomplete: {e}") from e
    tree.grow(leaves)
    if tree != head.frontier:
        raise CorruptJournal(after + 1, "the tree that the records from here on give is not the head's")


def check_marks(head: Head, log_id: bytes, marks: Mapping[str, Watermark], digest_at: Callable[[int], object]) -> None:
    """Raise CorruptJournal where a mark beside a log saw more of it, another record, or another log.

    `digest_at` returns what stands as the digest of the record at a position, None without one.
    """
    own = {name: mark for name, mark in marks.items() if mark.log_id == log_id.hex()}
    # Most of them are at the same few positions.
    digest_at = functools.cache(digest_at)
    for name, mark in marks.items():
        if name in own or not mark.position:
            continue
        if not own:
            raise CorruptJournal(1, f"the watermark {name} is of another log ({mark.log_id}): the log was replaced")
        # One of this log's own vouches for it.
        msg = f"the watermark {name} is of another log ({mark.log_id}): ignored"
        warnings.warn(msg, StorageWarning, stacklevel=2)
    for name, mark in own.items():
        if mark.position:
            _check_mark(name, mark, head.position, digest_at)


def _check_mark(name: str, mark: Watermark, head: int, digest_at: Callable[[int], object]) -> None:
    if mark.position > head:
        seen = f"the watermark {name} saw position {mark.position}, the journal ends at {head}"
        raise CorruptJournal(head + 1, f"{seen}: acknowledged records are lost")
    digest = digest_at(mark.position)
    if not isinstance(digest, bytes) or digest.hex() != mark.digest:
        raise CorruptJournal(mark.position, f"the watermark {name} saw another record here")
