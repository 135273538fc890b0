"""Loading a book: each view from its newest cut, and in which stretches of the log all of them are folded to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.starts import starts_of
from projections.view import View, is_volatile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore import EventReader
    from projections.cuts.search import Loaded
    from projections.fold import Fold
    from projections.shares import AccountFilter
    from projections.snapshots import Snapshots


class Loading:
    """Where the views of a fold begin: a new one, or one of a raised revision, starts from an older cut than others."""

    def __init__(
        self,
        views: Sequence[View[Any]],
        reader: EventReader,
        snapshots: Snapshots | None,
        until: int,
        accounts: AccountFilter,
    ) -> None:
        self._until = until
        self._starts: dict[int, list[tuple[View[Any], Loaded]]] = {}
        cuts: set[int] = set()
        for view, found in starts_of(views, reader, snapshots, until=until, accounts=accounts):
            self._starts.setdefault(found.log_position, []).append((view, found))
            if not is_volatile(view):
                cuts.add(found.log_position)
        self.oldest = min(self._starts)
        self.only_cut = max(cuts) if len(cuts) == 1 else 0
        """The log position of the cut that all views are from; 0 where there is none."""

    def stretches(self, fold: Fold, attach: Callable[[View[Any]], None]) -> Iterator[int]:
        """Add the views to a fold, those of the oldest cut first; yield how far to fold before the next ones join."""
        order = sorted(self._starts)
        for start, stop in zip(order, [*order[1:], self._until], strict=True):
            fold.log_position = start
            for view, found in self._starts[start]:
                attach(view)
                fold.add(view, found.states, found.digests)
            yield stop
