"""The newest cut compared with a fold of the log from its first record: whether what a start believes is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from projections.builtin import shipped_views
from projections.cuts.states import encoded, unpack
from projections.cuts.troubles import DamagedError
from projections.fold import Fold
from projections.opening import snapshots_of
from projections.reading import tail
from projections.starts import is_volatile
from projections.view import completed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from eventstore import EventReader
    from projections.cuts.search import StoredPart
    from projections.fold import Slot
    from projections.snapshots import Snapshots
    from projections.view import View


class SnapshotDifference(msgspec.Struct, frozen=True):
    """A state in a cut that is not what the log's records fold to, and how."""

    view: str
    partition: str
    cut: int
    reason: str


class SnapshotComparison(msgspec.Struct, frozen=True):
    """What a comparison found: the newest cut (0: there is none), how many states were compared, which differ.

    `unsigned`: views whose part of the cut this user's key has not signed. It is never believed.
    """

    cut: int
    compared: int
    differences: tuple[SnapshotDifference, ...] = ()
    unsigned: tuple[str, ...] = ()

    @property
    def believed(self) -> tuple[SnapshotDifference, ...]:
        """The differences that a book would start from: they are signed."""
        return tuple(each for each in self.differences if each.view not in self.unsigned)


def compare_snapshots(
    store: EventReader, *, snapshots: Snapshots | str | Path | None = None, views: Sequence[View[Any]] | None = None
) -> SnapshotComparison:
    """Fold the log from its first record and name each state of the newest cut that differs.

    `snapshots` and `views` as in `open`. A view that the newest cut lacks is compared in the newest that has it.
    """
    kept = snapshots_of(store, snapshots)
    chosen = [view for view in map(completed, [*shipped_views(), *(views or ())]) if not is_volatile(view)]
    parts = [] if kept is None else sorted(kept.stored(chosen, store), key=lambda part: part.position)
    fold = Fold(part.view for part in parts)
    differences: list[SnapshotDifference] = []
    for part in parts:
        for page in tail(store, fold.position, part.position, None):
            fold.apply(page)
        differences += _differences(part, fold.slots[part.view.name])
    if kept is not None and kept is not snapshots:
        kept.close()
    return SnapshotComparison(
        max((part.position for part in parts), default=0),
        sum(len(part.states) for part in parts),
        tuple(differences),
        tuple(part.view.name for part in parts if not part.signed),
    )


def _differences(part: StoredPart, slot: Slot) -> Iterator[SnapshotDifference]:
    decoder = msgspec.msgpack.Decoder(type(part.view.initial()))
    for partition in sorted(part.states.keys() | slot.states.keys()):
        reason = _reason(part, slot, partition, decoder)
        if reason:
            yield SnapshotDifference(part.view.name, partition, part.position, reason)


def _reason(part: StoredPart, slot: Slot, partition: str, decoder: msgspec.msgpack.Decoder[Any]) -> str:
    if partition in slot.parked:
        return f"the log's records cannot be folded ({slot.parked[partition].error})"
    if partition not in slot.states:
        return "the log's records make no such state"
    if partition not in part.states:
        return "it is missing in the cut"
    try:
        found = unpack(*part.states[partition], decoder)
    except DamagedError as e:
        return f"it cannot be read: {e}"
    raw = encoded(slot.states[partition])
    # Members of a set are encoded in any order.
    is_same = encoded(found) == raw or found == decoder.decode(raw)
    return "" if is_same else "it is not what the log's records fold to"
