"""A fold of the past: a view's partition is folded, from its state in a cut, when somebody first asks for it."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from eventstore.events.registry import by_class
from eventstore.streams import NAME
from projections.fold import Fold
from projections.garbage import gc_disabled
from projections.reading import PAGE, tail
from projections.view import SHARED, View, is_by_account, is_volatile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from eventstore import Event, EventReader, Record
    from projections.cuts.search import Loaded
    from projections.view_states import ViewState


class RecordsAsked(NamedTuple):
    """What is read of the log after a cut: records of some accounts or all, of some types or all."""

    after: int
    accounts: frozenset[str] | None
    types: tuple[type[Event], ...] | None


class PastFold(Fold):
    """Views as of one log position, of some accounts or all: the same states as folding all of them gives.

    A view's partition takes nothing from other views, and from its own view SHARED alone. What is asked of one account
    is therefore folded from its own records and those of SHARED. It reads the log when it is asked.
    """

    def __init__(
        self, reader: EventReader, until: int, *, accounts: frozenset[str] | None, occurred_until: int | None
    ) -> None:
        super().__init__(accounts=accounts)
        self._reader, self._occurred_until = reader, occurred_until
        self._starts: dict[str, Loaded] = {}
        self._begun: dict[str, set[str]] = {}
        # What was read last, of all accounts (True) or of some: other views fold the same records.
        self._held: dict[bool, tuple[RecordsAsked, list[Record]]] = {}
        self._types: frozenset[str] | None = None
        # Several threads may ask, and each partition is folded once.
        self._completing = threading.RLock()
        self._folded, self._collected = until, (until, False)
        self.unread.begin(until, occurred_until)

    def start(self, view: View[Any], found: Loaded) -> None:
        """Add a view that is folded from its states in a cut."""
        self.add(view)
        if not is_volatile(view):
            self._starts[view.name], self._begun[view.name] = found, set()

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
                self._fold_one(wanted, found, partition)

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

    def _fold_all(self, view: View[Any], found: Loaded) -> None:
        """Fold what is left of a view."""
        begun, broadcast = self._begun[view.name], _names(view.broadcast)

        def is_left(record: Record) -> bool:
            return record.account not in begun or record.account == SHARED or record.type in broadcast

        after = found.log_position
        if self.accounts is not None:
            pages = self._read(RecordsAsked(after, self.accounts, None))
        elif view.shared:
            pages = self._read(self._of_shared(after))
        else:
            pages = tail(self._reader, after, self.log_position, None, types=view.types)
        states = {name: state for name, state in found.states.items() if name not in begun or name == SHARED}
        single = self._view_of(view, after, states, pages, is_left)
        self._take(single, (single.states.keys() | single.parked.keys()) - begun)
        # Only now does everybody see that nothing is left.
        del self._starts[view.name]

    def _fold_one(self, view: View[Any], found: Loaded, partition: str) -> None:
        """Fold one account of a view in a book of all accounts."""
        after, broadcast = found.log_position, _names(view.broadcast)
        own = {partition, SHARED} if broadcast else {partition}

        def belongs(record: Record) -> bool:
            return record.account in own or record.type in broadcast

        pages = self._read(RecordsAsked(after, frozenset({partition}), None))
        if self._is_in_log(view.broadcast):
            # Whatever account their streams name.
            pages = _merged(pages, self._read(self._of_shared(after)))
        states = {name: found.states[name] for name in own & found.states.keys()}
        self._take(self._view_of(view, after, states, pages, belongs), {partition})
        self._begun[view.name].add(partition)

    def _view_of(
        self,
        view: View[Any],
        after: int,
        states: dict[str, Any],
        pages: Iterator[list[Record]],
        wanted: Callable[[Record], bool],
    ) -> ViewState:
        """Return a view with the states of a cut, and what it takes of some pages folded into them."""
        fold, until = Fold(accounts=self.accounts), self._occurred_until
        fold.log_position = after
        single = fold.add(view, states)
        if self._is_in_log(view.types):
            names = None if view.types is None else _names(view.types)
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

    def _of_shared(self, after: int) -> RecordsAsked:
        """Return what is read of all accounts for views with one partition, and what is broadcast: it is little."""
        views = [view_state.view for view_state in self.slots.values() if not is_volatile(view_state.view)]
        kinds = [kind for view in views for kind in ((view.types or ()) if view.shared else view.broadcast)]
        return RecordsAsked(after, None, tuple(dict.fromkeys(kinds)))

    def _read(self, asked: RecordsAsked) -> Iterator[list[Record]]:
        """Yield pages of records: from memory if they were read before, and are few."""
        key = asked.accounts is None
        held = self._held.get(key)
        if held is None or held[0] != asked:
            after, accounts, types = asked
            pages = tail(self._reader, after, self.log_position, accounts, types=types)
            first, second = next(pages, []), next(pages, None)
            if second is not None:
                yield from itertools.chain([first, second], pages)
                return
            held = self._held[key] = (asked, first)
        yield held[1]

    def _is_in_log(self, types: tuple[type[Event], ...] | None) -> bool:
        """Return whether the log has a record of one of these types at all; None stands for any type."""
        if types is None:
            return True
        if self._types is None:
            self._types = frozenset(self._reader.types())
        return not self._types.isdisjoint(_names(types))


def _merged(*given: Iterator[list[Record]]) -> Iterator[list[Record]]:
    """Yield pages of several sources in order of position; a record that comes twice is folded once."""
    records = heapq.merge(*map(itertools.chain.from_iterable, given), key=lambda record: record.position)
    while page := list(itertools.islice(records, PAGE)):
        yield page


def _names(types: Iterable[type[Event]]) -> frozenset[str]:
    return frozenset([by_class(cls).name for cls in types])
