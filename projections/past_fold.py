"""A fold of the past: a view's partition is folded, from its state in a cut, when somebody first asks for it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore.streams import NAME
from projections.cuts.own import name_of_share
from projections.fold import Fold
from projections.garbage import gc_disabled
from projections.past_records import PastRecords, merged, names_of
from projections.shares import share_of
from projections.view import SHARED, View, is_by_account, is_volatile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from eventstore import Event, EventReader, Record
    from projections.cuts.search import Loaded
    from projections.snapshots import Snapshots
    from projections.view_states import ViewState


class PastFold(Fold):
    """Views as of one log position, of some accounts or all: the same states as folding all of them gives.

    A view's partition takes nothing from other views, and from its own view SHARED alone. What is asked of one account
    is therefore folded from its own records and those of SHARED. It reads the log when it is asked.
    """

    def __init__(
        self, reader: EventReader, until: int, *, accounts: frozenset[str] | None, occurred_until: int | None
    ) -> None:
        super().__init__(accounts=accounts)
        self._chosen = accounts
        self._reader, self._occurred_until = reader, occurred_until
        self._snapshots: Snapshots | None = None
        self._own_cuts: set[str] = set()
        self._records = PastRecords(reader, until, accounts)
        self._starts: dict[str, Loaded] = {}
        self._begun: dict[str, set[str]] = {}
        # Several threads may ask, and each partition is folded once.
        self._completing = threading.RLock()
        self._folded, self._collected = until, (until, False)
        self.unread.begin(until, occurred_until)

    def start(self, view: View[Any], found: Loaded) -> None:
        """Add a view that is folded from its states in a cut."""
        self.add(view)
        if not is_volatile(view):
            self._starts[view.name], self._begun[view.name] = found, set()
            self._records.reach(found.log_position)

    def use_own_cuts(self, snapshots: Snapshots) -> None:
        """Start single accounts from cuts of their own where there are newer ones: they are loaded when it is asked."""
        self._snapshots = snapshots
        self._own_cuts = snapshots.own_cuts(self._reader, self._records.oldest, self.log_position)

    def hold(self) -> bool:
        """Read what this folds, so that the log is needed no longer; return False where it is too much to be held."""
        return self._records.hold()

    @override
    def add(
        self, view: View[Any], states: Mapping[str, Any] | None = None, saved: Mapping[str, bytes] | None = None
    ) -> ViewState:
        self._starts.pop(view.name, None)
        return super().add(view, states, saved)

    def complete(self, view: str, partition: str | None = None) -> None:
        """Fold a partition of a view up to this fold's position, or all of them; done before, it costs nothing.

        Raises StoreError where the log cannot be read; the next call tries again.
        """
        if view not in self._starts or (partition is not None and partition in self._begun[view]):
            return
        with self._completing, gc_disabled():
            # Another thread may have done so meanwhile.
            found = self._starts.get(view)
            if found is None or (partition is not None and partition in self._begun[view]):
                return
            wanted = self.slots[view].view
            if partition is None or self.accounts is not None or not is_by_account(wanted):
                self._fold_all(wanted, found)
            elif NAME.fullmatch(partition):
                self._fold_one(wanted, self._nearest(wanted, found, partition), partition)

    def complete_all(self) -> None:
        """Fold all partitions of all views."""
        for view in list(self._starts):
            self.complete(view)

    @override
    @contextlib.contextmanager
    def supposing(self, states: Mapping[tuple[str, str], Any]) -> Iterator[None]:
        for view, partition in states:
            self.complete(view, partition)
        with super().supposing(states):
            yield

    @override
    def change_counts(self, wanted: Iterable[tuple[str, str]]) -> tuple[int, ...]:
        pairs = list(wanted)
        for view, partition in pairs:
            self.complete(view, partition)
        return super().change_counts(pairs)

    def _nearest(self, view: View[Any], found: Loaded, partition: str) -> Loaded:
        """Return the states from which one account of a view is folded."""
        names = {partition, name_of_share(share_of(partition))}
        if self._snapshots is None or names.isdisjoint(self._own_cuts):
            return found
        nearer = self._snapshots.load(view, self._reader, until=self.log_position, partitions={partition})
        self._snapshots.close()
        return nearer if nearer.log_position > found.log_position else found

    def _fold_all(self, view: View[Any], found: Loaded) -> None:
        """Fold what is left of a view."""
        begun, broadcast = self._begun[view.name], names_of(view.broadcast)

        def is_left(record: Record) -> bool:
            return record.account not in begun or record.account == SHARED or record.type in broadcast

        after = found.log_position
        if self._chosen is not None:
            pages = self._records.of_accounts(after, self._chosen, view.types)
        elif view.shared:
            pages = self._records.of_types(after, self._rare_types())
        else:
            pages = self._records.of_all(after, view.types)
        states = {name: state for name, state in found.states.items() if name not in begun or name == SHARED}
        single = self._view_of(view, after, states, pages, is_left)
        self._take(single, (single.states.keys() | single.parked.keys()) - begun)
        # Only now does everybody see that nothing is left.
        del self._starts[view.name]

    def _fold_one(self, view: View[Any], found: Loaded, partition: str) -> None:
        """Fold one account of a view in a book of all accounts."""
        after, broadcast = found.log_position, names_of(view.broadcast)
        own = {partition, SHARED} if broadcast else {partition}

        def belongs(record: Record) -> bool:
            return record.account in own or record.type in broadcast

        pages = self._records.of_accounts(after, frozenset({partition}), view.types)
        if broadcast:
            # Whatever account their streams name.
            pages = merged(pages, self._records.of_types(after, self._rare_types()))
        states = {name: found.states[name] for name in own & found.states.keys()}
        self._take(self._view_of(view, after, states, pages, belongs), {partition})
        self._begun[view.name].add(partition)

    def _view_of(
        self,
        view: View[Any],
        after: int,
        states: dict[str, Any],
        pages: Iterable[list[Record]],
        wanted: Callable[[Record], bool],
    ) -> ViewState:
        """Return a view with the states of a cut, and what it takes of some pages folded into them."""
        fold, until = Fold(accounts=self.accounts), self._occurred_until
        fold.log_position = after
        single = fold.add(view, states)
        names = None if view.types is None else names_of(view.types)
        for page in pages:
            fold.apply(
                [
                    record
                    for record in page
                    if (names is None or record.type in names)
                    and (until is None or record.occurred_at <= until)
                    and wanted(record)
                ]
            )
        return single

    def _take(self, single: ViewState, partitions: Iterable[str]) -> None:
        view_state = self.slots[single.view.name]
        for partition in partitions:
            # Parked before there is a state: nobody may take an incomplete one for a whole one.
            if partition in single.parked:
                view_state.parked[partition] = single.parked[partition]
            view_state.change_counts[partition] = single.change_counts.get(partition, 0)
            if partition in single.states:
                view_state.states[partition] = single.states[partition]

    def _rare_types(self) -> tuple[type[Event], ...]:
        """Return the types of views with one partition, and what is broadcast: there is little of them."""
        views = [view_state.view for view_state in self.slots.values() if not is_volatile(view_state.view)]
        kinds = [kind for view in views for kind in ((view.types or ()) if view.shared else view.broadcast)]
        return tuple(dict.fromkeys(kinds))
