"""Rotating a log: its book is folded, and what it has made of the records is what the next log begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from eventstore import EventStore, InvalidEvent, Overloaded, rotation
from eventstore.side import GROUPS, GroupSide
from projections.book import Book
from projections.builtin import builtin_views
from projections.carried import carried_events, carried_versions
from projections.fold import Fold
from projections.opening import snapshots_of
from projections.view import PartitionParked, is_volatile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.chains.source import EarlierLogs
    from eventstore.rotation import Rotated
    from eventstore.trading import StateCarried, VersionsCarried
    from projections.reading import Progress


def rotate(store: EventStore, *, name: str | None = None, progress: Progress | None = None) -> Rotated:
    """End a store's log with its last record, and begin the next one from what a book there knows.

    Every built-in view's state is carried on, for every account, as `StateCarried`. The store takes no more then; who
    opens the log again is led to the next one. Raises InvalidEvent where a view has failed on an account, whose figures
    would be missing, and as `eventstore.rotation.rotate` does. Nothing has changed then.
    """
    _check_unused(store)
    log_id = store.log_id
    # Each log that can be rotated is read by one of these.
    source = cast("EarlierLogs", store.source)
    book = Book(store, Fold(), snapshots=snapshots_of(store, None))
    try:
        book.load(builtin_views(), store.head(), progress)

        def carrying() -> tuple[int, Sequence[tuple[str, StateCarried | VersionsCarried]]]:
            book.refresh()
            return book.position, _carried(book, source, log_id)

        return rotation.rotate(store, carrying, name=name)
    finally:
        book.freeze()


def _check_unused(store: EventStore) -> None:
    """Raise Overloaded while policies, or workers of a group, decide on the log in any process."""
    side = store.side
    if side is None:
        return
    if running := side.held_locks("policies"):
        msg = f"policies run on log {store.log} ({running[0]} is held), and would go on with what has ended: stop them"
        raise Overloaded(msg)
    if isinstance(side, GroupSide) and (running := side.held_locks(GROUPS)):
        msg = f"workers of a group run on log {store.log} ({running[0]} is held), which has then ended: stop them"
        raise Overloaded(msg)


def _carried(book: Book, source: EarlierLogs, log_id: bytes) -> list[tuple[str, StateCarried | VersionsCarried]]:
    parked = book.parked
    if parked:
        raise _refusal(next(iter(parked.values())))
    _, fold, _, _ = book.parts
    carried: list[tuple[str, StateCarried | VersionsCarried]] = list(carried_versions(fold.slots["orders"], source))
    for view_state in fold.slots.values():
        if is_volatile(view_state.view):
            continue
        try:
            carried += carried_events(view_state, log_id, book.position)
        except ValueError as e:
            msg = f"the state of view {view_state.view.name} cannot be carried on, so nothing was changed: {e}"
            raise InvalidEvent(msg) from e
    return carried


def _refusal(parked: PartitionParked) -> InvalidEvent:
    return InvalidEvent(f"{parked}. Its figures would be missing in the next log, so nothing was changed")
