"""The newest cut compared with a fold of the log from its first record: whether a restart would be correct."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.readable import Readable
from projections.builtin import builtin_views
from projections.cuts.states import encoded, unpack
from projections.cuts.troubles import DamagedError
from projections.fold import Fold
from projections.opening import snapshots_of
from projections.reading import tail
from projections.view import completed, is_volatile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from eventstore import EventReader
    from projections.cuts.search import StoredPart
    from projections.snapshots import Snapshots
    from projections.view import View
    from projections.view_states import ViewState


class SnapshotDifference(Readable, msgspec.Struct, frozen=True):
    """A state in a cut that differs from the fold of the log, and how."""

    view: str
    partition: str
    cut: int
    reason: str


class SnapshotComparison(Readable, msgspec.Struct, frozen=True):
    """The result of a comparison: the newest cut (0: there is none), how many states were compared, which differ.

    `unsigned`: views whose part of the cut is not signed with this user's key. A book never starts from it.
    """

    cut: int
    compared: int
    differences: tuple[SnapshotDifference, ...] = ()
    unsigned: tuple[str, ...] = ()

    @property
    def signed_differences(self) -> tuple[SnapshotDifference, ...]:
        """The differences that a book would start from: those in signed parts."""
        return tuple(each for each in self.differences if each.view not in self.unsigned)


def compare_snapshots(
    store: EventReader, *, snapshots: Snapshots | str | Path | None = None, views: Sequence[View[Any]] | None = None
) -> SnapshotComparison:
    """Fold the log from its first record, and return each state of the newest cut that differs.

    `snapshots` and `views` as in `open`. A view that the newest cut lacks is compared with the newest one that has it.
    """
    kept = snapshots_of(store, snapshots)
    chosen = [view for view in map(completed, [*builtin_views(), *(views or ())]) if not is_volatile(view)]
    parts = [] if kept is None else sorted(kept.stored(chosen, store), key=lambda part: part.log_position)
    # One fold for all: the parts are sorted, so each is compared when the fold is at its position.
    fold = Fold(part.view for part in parts)
    differences: list[SnapshotDifference] = []
    for part in parts:
        for page in tail(store, fold.log_position, part.log_position, None):
            fold.apply(page)
        differences += _differences(part, fold.slots[part.view.name])
    if kept is not None and kept is not snapshots:
        kept.close()
    return SnapshotComparison(
        max((part.log_position for part in parts), default=0),
        sum(len(part.states) for part in parts),
        tuple(differences),
        tuple(part.view.name for part in parts if not part.signed),
    )


def _differences(part: StoredPart, view_state: ViewState) -> Iterator[SnapshotDifference]:
    decoder = msgspec.msgpack.Decoder(type(part.view.initial()))
    for partition in sorted(part.states.keys() | view_state.states.keys()):
        reason = _reason(part, view_state, partition, decoder)
        if reason:
            yield SnapshotDifference(part.view.name, partition, part.log_position, reason)


def _reason(part: StoredPart, view_state: ViewState, partition: str, decoder: msgspec.msgpack.Decoder[Any]) -> str:
    if partition in view_state.parked:
        return f"the log's records cannot be folded ({view_state.parked[partition].error})"
    if partition not in view_state.states:
        return "the fold of the log has no such state"
    if partition not in part.states:
        return "it is missing from the cut"
    try:
        found = unpack(*part.states[partition], decoder)
    except DamagedError as e:
        return f"it cannot be read: {e}"
    raw = encoded(view_state.states[partition])
    # Sets are encoded in any order, so different bytes may still be equal values.
    is_same = encoded(found) == raw or found == decoder.decode(raw)
    return "" if is_same else "it differs from the fold of the log's records"
