"""What the queries of a book read: the states of its fold, and the records behind them."""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import TYPE_CHECKING, Any

from eventstore import EventReader, EventStore, InvalidEvent, ReadOnly, StoreError, SystemClock
from eventstore.clock import wall_ns
from projections.cuts.states import Undecoded
from projections.cuts.troubles import SnapshotWarning
from projections.rebuilding import retry
from projections.view import GROUP, PartitionParked
from projections.view_states import is_undecodable, state_of

if TYPE_CHECKING:
    import weakref
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Unpack

    from eventstore import Clock, Event, Record
    from eventstore.batch import AppendOptions
    from eventstore.clock import Times
    from projections.fold import Fold
    from projections.shares import AccountFilter
    from projections.view_states import ViewState


class FoldReader:
    """A fold's states at one log position, and the records that it was folded from. It appends nothing by itself."""

    owner: weakref.ref[Any] | None = None
    """The book of the past whose queries read this; None where the book itself is what they read."""

    def __init__(self, reader: EventReader, fold: Fold, accounts: AccountFilter, occurred_until: int | None) -> None:
        self._reader, self._fold, self._accounts, self._occurred_until = reader, fold, accounts, occurred_until
        self._lock = threading.RLock()
        self._clock: Clock = reader.clock if isinstance(reader, EventStore) else SystemClock()

    @property
    def parts(self) -> tuple[EventReader, Fold, AccountFilter, int | None]:
        """What it is made of, in the order in which it takes it."""
        return self._reader, self._fold, self._accounts, self._occurred_until

    @property
    def position(self) -> int:
        """The log position that every view is folded up to."""
        return self._fold.log_position

    @property
    def accounts_folded(self) -> AccountFilter:
        """The accounts that this folds, None for all."""
        return self._accounts

    def covers(self, account: str) -> bool:
        """Return whether this book folds an account's records; those of a group's limits (`@NAME`) every book does."""
        return self._accounts is None or account in self._accounts or account.startswith(GROUP)

    def state(self, view: str, partition: str, *, even_parked: bool = False) -> Any:  # noqa: ANN401 - any view's
        """Return the live state of one partition of a view, None where it has none; raise PartitionParked.

        `even_parked`: return it as far as it was folded, for what cannot wait.

        It is the view's own object: read it, do not change it, and rely only on what the view publishes by replacement.
        """
        view_state = self._fold.slots.get(view)
        if view_state is None:
            msg = f"this book has no view {view!r}, only {', '.join(self._fold.slots)}: name it in open(views=...)"
            raise InvalidEvent(msg)
        if view_state.parked and (parked := view_state.parked.get(partition)) is not None:
            if is_undecodable(parked) and self._folded_again(view, partition, parked):
                return self.state(view, partition)
            if not even_parked:
                # A new exception each time: one that is raised again keeps the traceback of every raise.
                raise PartitionParked(view, partition, parked.position, parked.error) from parked.error
        found = view_state.states.get(partition)
        if found.__class__ is Undecoded:
            return self._decoded(view_state, partition, even_parked=even_parked)
        return found

    def supposing(self, states: Mapping[tuple[str, str], Any]) -> AbstractContextManager[None]:
        """Have other states of some (view, partition) pairs while this context lasts; nothing may be folded."""
        return self._fold.supposing(states)

    def _decoded(self, view_state: ViewState, partition: str, *, even_parked: bool) -> Any:  # noqa: ANN401 - any view's
        """Return a state that is asked for the first time since a cut was loaded; raise PartitionParked."""
        # What is postponed is folded as anything else is: never while others fold, which may change SHARED.
        is_folding = getattr(view_state.states.get(partition), "postponed", None)
        try:
            with self._lock if is_folding else contextlib.nullcontext():
                return state_of(view_state, partition)
        except PartitionParked as parked:
            if is_undecodable(parked) and not self._folded_again(view_state.view.name, partition, parked):
                raise
            return self.state(view_state.view.name, partition, even_parked=even_parked)

    def _folded_again(self, view: str, partition: str, parked: PartitionParked) -> bool:
        """Fold a partition again whose bytes in a cut cannot be decoded; return whether it is current."""
        try:
            is_current = self.retry(view, partition)
        except StoreError:
            # The log cannot be read now: the partition stays parked.
            return False
        msg = f"what a snapshot of {view} has of {partition} cannot be decoded ({parked.error}): it was folded again"
        warnings.warn(msg, SnapshotWarning, stacklevel=4)
        return is_current

    def retry(self, view: str, partition: str) -> bool:
        """Fold a parked partition again, a volatile one from nothing; return whether it is as current as the book."""
        with self._lock:
            return retry(self._fold, view, partition, self._reader, self._occurred_until)

    @property
    def parked(self) -> dict[tuple[str, str], PartitionParked]:
        """The (view, partition) pairs where a view failed: queries of these raise until `retry` succeeds."""
        if self._fold.postponed():
            with self._lock:
                self._fold.fold_postponed()
        return {
            (name, partition): error
            for name, view_state in self._fold.slots.items()
            for partition, error in list(view_state.parked.items())
        }

    def stopped_in(self, view: str) -> set[str]:
        """Return the partitions that a view has failed on, as far as it is folded."""
        return set(self._fold.slots[view].parked)

    @property
    def view_names(self) -> tuple[str, ...]:
        """The names of all views that are folded, the built-in ones included."""
        return tuple(self._fold.slots)

    def partitions(self, view: str) -> list[str]:
        """Return the partitions of a view that have a state."""
        view_state = self._fold.slots.get(view)
        return [] if view_state is None else list(view_state.states)

    def read(
        self, *, stream: str | None = None, account: str | None = None, types: tuple[type[Event], ...] | None = None
    ) -> Iterator[Record]:
        """Yield the records that this book has folded, oldest first."""
        records = self._reader.read(stream=stream, account=account, types=types, until=self.position)
        if self._occurred_until is None:
            return records
        return (record for record in records if record.occurred_at <= self._occurred_until)

    def now_ns(self) -> int:
        """Return the store's time, for questions without an instant."""
        return wall_ns(self._clock)

    def append(self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]) -> list[Record]:
        """Raise ReadOnly: only a book appends."""
        raise ReadOnly(self._of_the_past())

    def observe(self, stream: str, event: Event, *, occurred_at: Times | None = None) -> Record:
        """Raise ReadOnly: only a book observes."""
        raise ReadOnly(self._of_the_past())

    def keep_up(self) -> None:
        """Do nothing: only an open book folds what others have committed."""

    def _of_the_past(self) -> str:
        return f"this book is at position {self.position} and closed, or of the past: append to an open one"
