"""Loading a book: each view from its newest cut, and in which stretches of the log all of them are folded to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.cuts import own
from projections.cuts.search import Loaded, ShareStart
from projections.fold import Fold
from projections.reading import Progress, tail
from projections.shares import SHARES, AccountShares
from projections.starts import starts_of
from projections.view import View, completed, is_volatile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore import EventReader
    from projections.shares import AccountFilter
    from projections.snapshots import Snapshots

SHARES_EVENTS_MIN = 10_000
"""From how many events after the newest cut of all accounts on those of shares are looked for."""


class Loading:
    """Where the views of a fold begin: a new one, or one of a raised revision, starts from an older cut than others."""

    def __init__(
        self,
        views: Sequence[View[Any]],
        reader: EventReader,
        snapshots: Snapshots | None,
        until: int,
        accounts: frozenset[str] | None,
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


class ShareLoading:
    """Where the accounts of shares begin: each share at its own newest cut.

    Shares whose cuts are at one position are folded together. Each of these folds has what belongs to every book, from
    a cut of its own too: at the end it is the same in all.
    """

    def __init__(
        self,
        views: Sequence[View[Any]],
        reader: EventReader,
        snapshots: Snapshots | None,
        until: int,
        shares: AccountShares,
    ) -> None:
        self._views, self._reader, self._until = [completed(view) for view in views], reader, until
        stored = [view for view in self._views if not is_volatile(view)]
        if snapshots is None:
            self._starts = [ShareStart(0, shares, {view.name: Loaded(0, {}) for view in stored})]
        else:
            self._starts = snapshots.load_shares(stored, reader, until=until, accounts=shares)
        self.oldest = min((start.log_position for start in self._starts), default=until)

    def load(self, fold: Fold, attach: Callable[[View[Any]], None], progress: Progress | None) -> None:
        """Add the views to an empty fold, with the states of all shares."""
        for view in self._views:
            attach(view)
            fold.add(view)
        fold.log_position = self._until
        for start in self._starts:
            fold.merge(self._part(start, progress))

    def _part(self, start: ShareStart, progress: Progress | None) -> Fold:
        part = Fold(accounts=start.accounts)
        for view in self._views:
            if (found := start.states.get(view.name)) is not None:
                part.add(view, found.states, found.digests)
        part.log_position = start.log_position
        for page in tail(self._reader, start.log_position, self._until, start.accounts):
            part.apply(page)
            if progress is not None:
                progress(page[-1].position, self._until)
        return part


def loading_of(
    views: Sequence[View[Any]],
    reader: EventReader,
    snapshots: Snapshots | None,
    until: int,
    accounts: AccountFilter,
) -> Loading | ShareLoading:
    """Return where a book begins: one of all accounts at the cuts of all shares, if a group's are much newer."""
    if isinstance(accounts, AccountShares):
        return ShareLoading(views, reader, snapshots, until, accounts)
    loading = Loading(views, reader, snapshots, until, accounts)
    if snapshots is None or accounts is not None or until - loading.oldest < SHARES_EVENTS_MIN:
        return loading
    if not snapshots.own_cuts(reader, loading.oldest, until).issuperset(map(own.name_of_share, range(SHARES))):
        return loading
    of_shares = ShareLoading(views, reader, snapshots, until, AccountShares(frozenset(range(SHARES))))
    return of_shares if of_shares.oldest > loading.oldest else loading
