"""The book: all views' current state in memory, asked in microseconds, at one position."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore import (
    VOLATILE,
    Batch,
    EventReader,
    EventStore,
    InvalidEvent,
    NotMirrored,
    ReadOnly,
    Record,
    SystemClock,
)
from eventstore.arguments import check_allowed
from eventstore.clock import to_ns, wall_ns
from eventstore.events import encode
from eventstore.streams import account_of, check_name
from projections.builtin import Shipped, shipped_views
from projections.cuts.background import BackgroundCut
from projections.fold import Fold, as_read, uncollected
from projections.reading import tail
from projections.recovery import Recovery
from projections.starts import is_volatile, starts_of
from projections.view import PartitionParked, View, completed, is_by_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from eventstore import Clock, Event
    from projections.cuts.search import Loaded
    from projections.listener import Listener
    from projections.snapshots import Snapshots

    Progress = Callable[[int, int], None]

PAGE = 1_000


class Book(Shipped):
    """Folds a log's records into views and answers from memory; what it returns does not change under the caller.

    Lookups take no lock. `orders`, `positions`, `lockouts`, … are the questions of the shipped views; a view of
    one's own is asked by `state(name, partition)`.
    """

    def __init__(
        self,
        reader: EventReader,
        fold: Fold,
        *,
        accounts: frozenset[str] | None = None,
        snapshots: Snapshots | None = None,
        occurred_until: int | None = None,
        live: bool = True,
    ) -> None:
        self.recovery = Recovery(0, 0, 0.0)
        self._reader, self._fold, self._accounts = reader, fold, accounts
        self._clock: Clock = reader.clock if isinstance(reader, EventStore) else SystemClock()
        self._snapshots, self._occurred_until, self._live = snapshots, occurred_until, live
        self._lock = threading.RLock()
        self._observed: set[str] = set()
        self._listener: Listener | None = None
        self._telling: Record | None = None
        self._at_cut = 0
        self.first_cut = BackgroundCut(self.snapshot, reader.log)
        self._closed = False
        super().__init__(self)

    @property
    def position(self) -> int:
        """The position that every view is folded up to."""
        return self._fold.position

    @uncollected()
    def load(self, views: Sequence[View[Any]], until: int, progress: Progress | None = None) -> int:
        """Bring views from their newest cuts to one position; return the oldest cut that any of them started from."""
        starts: dict[int, list[tuple[View[Any], Loaded]]] = {}
        cuts: set[int] = set()
        for view, found in starts_of(views, self._reader, self._snapshots, until=until, accounts=self._accounts):
            starts.setdefault(found.position, []).append((view, found))
            if not is_volatile(view):
                cuts.add(found.position)
        order = sorted(starts)
        for start, stop in zip(order, [*order[1:], until], strict=True):
            # Views that have a younger cut wait until those of a raised revision, or a new one, have come this far.
            self._fold.position = start
            for view, found in starts[start]:
                self._fold.add(view, found.states, found.digests)
            self._fold_until(stop, progress)
        self._at_cut = max(cuts) if len(cuts) == 1 else 0
        return order[0]

    # Listening

    @property
    def reader(self) -> EventReader:
        """What this book is folded from."""
        return self._reader

    @property
    def views(self) -> list[View[Any]]:
        """The views beside the shipped ones."""
        shipped = {view.name for view in shipped_views()}
        return [slot.view for name, slot in self._fold.slots.items() if name not in shipped]

    def turns(self, wanted: Iterable[tuple[str, str]]) -> tuple[int, ...]:
        """Return how often records changed each (view, partition): what one made of a state holds while that stays."""
        return self._fold.turns(wanted)

    @property
    def is_caught_up(self) -> bool:
        """Whether the log has nothing that this book has not folded; a book of the past is where it should be.

        One that was closed is not: it folds no more.
        """
        return not self._closed and (not self._live or self.position >= self._reader.head())

    def stood_at(self, position: int) -> bool:
        """Tell whether every answer since the book was at a position is of that very position.

        Nothing is folded under the answers of one thread by another then: whoever asks several questions without the
        lock asks this last, and asks all of them again where it is False.
        """
        return self._fold.stood_at(position)

    def covers(self, account: str) -> bool:
        """Tell whether this book folds an account's records."""
        return self._accounts is None or account in self._accounts

    @property
    def listener(self) -> Listener | None:
        """Who is told of what is folded and observed from now on: policies."""
        return self._listener

    def watch(self, listener: Listener) -> int:
        """Tell a listener of every record after the position that is returned, and of all that is observed."""
        with self._lock:
            if self._listener is not None:
                msg = f"{self!r} is watched by {self._listener!r} already: give that one all policies"
                raise ValueError(msg)
            self._listener = listener
            return self.position

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Fold nothing for as long as this lasts, so that several questions are answered at one position."""
        with self._lock:
            yield
        self._act()

    def unwatch(self, listener: Listener) -> None:
        """Tell a listener no more."""
        with self._lock:
            self._listener = None if self._listener is listener else self._listener

    def freeze(self) -> None:
        """Make this a book of the past: it neither moves on nor appends."""
        if self._snapshots is not None:
            self._snapshots.close()
        self._live, self._snapshots = False, None

    # Writing

    def append(self, stream: str, events: Event | Sequence[Event], **circumstances: Any) -> list[Record]:  # noqa: ANN401 - as the store's
        """Append as `EventStore.append` does, then fold up to what was appended: read your own writes."""
        with self._folding_what_waits():
            return self._folded(self._store().append(stream, events, **circumstances))

    def append_many(self, batches: Sequence[Batch], **circumstances: Any) -> list[Record]:  # noqa: ANN401 - as the store's
        """Append as `EventStore.append_many` does, then fold up to what was appended."""
        with self._folding_what_waits():
            return self._folded(self._store().append_many(batches, **circumstances))

    @contextlib.contextmanager
    def _folding_what_waits(self) -> Iterator[None]:
        """Fold also what InfluxDB has not confirmed in time: it is in the log."""
        try:
            yield
        except NotMirrored as e:
            self._folded(list(e.records))
            raise

    def observe(self, stream: str, event: Event, *, occurred_at: int | None = None) -> Record:
        """Fold an event that is never stored, nor snapshotted: only for types that allow VOLATILE."""
        store = self._store()
        account_of(stream)
        kind, data = encode(event)
        check_allowed(kind, event, stream, VOLATILE, None)
        event = as_read(kind, event, data)
        now = wall_ns(store.clock)
        at = now if occurred_at is None else to_ns(occurred_at)
        with self._lock:
            record = Record(
                bytes(16), stream, kind.name, kind.schema, at, data, "", "",
                None, None, self._fold.position, 0, now, b"", store.log,
            )  # fmt: skip
            self._observed |= self._fold.observe(record, event)
            if self._listener is not None:
                self._listener.observed(record, event)
        self._act()
        return record

    def refresh(self, progress: Progress | None = None) -> int:
        """Fold what the log has beyond the book's position and return how many records that were."""
        if not self._live:
            return 0
        with self._lock:
            folded = self._fold_until(self._reader.head(), progress)
        self._act()
        return folded

    def snapshot(self) -> bool:
        """Write a cut, so that the next start reads only what came later; tell whether one was written.

        Others fold and append meanwhile. What keeps a cut from being written is a SnapshotWarning, not an error.
        """
        snapshots = self._snapshots
        if snapshots is None or self._accounts is not None or not self._live:
            return False
        wait = self.first_cut.wait(self._lock)
        if self.position == self._at_cut and snapshots.is_unchanged:
            return False
        # A state that was observed into is no fold of the log: its view stays out, and starts from an older cut.
        written = snapshots.save(self._fold, self._reader, leave_out=self._observed, lock=self._lock, wait=wait)
        self._at_cut = written or self._at_cut
        return written > 0

    @property
    def snapshot_trouble(self) -> str | None:
        """What keeps snapshots from being written, and since when; None where nothing does."""
        return None if self._snapshots is None else self._snapshots.trouble

    def close(self) -> None:
        """Write a last cut where one is worth it; the store stays open."""
        self.first_cut.wait(self._lock)
        if self._live and self.position - self._at_cut >= PAGE:
            self.snapshot()
        self._closed = self._closed or self._live
        self.freeze()

    # Asking

    def state(self, view: str, partition: str) -> Any:  # noqa: ANN401 - each view has a state of its own
        """Return the live state of one partition of a view, None where it has none; raise PartitionParked.

        It is the view's own object: to be read, not changed, and only under knowledge of how the view publishes.
        """
        slot = self._fold.slots.get(view)
        if slot is None:
            msg = f"this book has no view {view!r}, only {', '.join(self._fold.slots)}: name it in open(views=...)"
            raise InvalidEvent(msg)
        if slot.parked and (parked := slot.parked.get(partition)) is not None:
            # A new one each time: an exception gathers the stack of everyone who raises it.
            raise PartitionParked(view, partition, parked.position, parked.error) from parked.error
        return slot.states.get(partition)

    def partitions(self, view: str) -> list[str]:
        """Return the partitions of a view that have a state."""
        slot = self._fold.slots.get(view)
        return [] if slot is None else list(slot.states)

    def read(
        self, *, stream: str | None = None, account: str | None = None, types: tuple[type[Event], ...] | None = None
    ) -> Iterator[Record]:
        """Yield the records that this book has folded, oldest first."""
        records = self._reader.read(stream=stream, account=account, types=types, until=self.position)
        if self._occurred_until is None:
            return records
        return (record for record in records if record.occurred_at <= self._occurred_until)

    def now_ns(self) -> int:
        """Return the store's clock, for questions that name no instant."""
        return wall_ns(self._clock)

    @property
    def parked(self) -> dict[tuple[str, str], PartitionParked]:
        """The (view, partition) pairs that a view failed on: their answers raise until `retry`."""
        return {
            (name, partition): error
            for name, slot in self._fold.slots.items()
            for partition, error in list(slot.parked.items())
        }

    # Mending

    def retry(self, view: str, partition: str) -> bool:
        """Fold a parked partition anew, from its first record; tell whether it is as current as the book again."""
        with self._lock:
            slot = self._fold.slots[view]
            single = Fold([slot.view])
            accounts = frozenset({check_name("partition", partition)}) if is_by_account(slot.view) else self._accounts
            for page in tail(self._reader, 0, self.position, accounts):
                single.apply([record for record in page if self._is_of(slot.view, partition, record)])
            failed = single.slots[view].parked.get(partition)
            if failed is not None:
                slot.parked[partition] = failed
                return False
            self._fold.restored(slot, partition, single.slots[view].states.get(partition, slot.view.initial()))
            return True

    def _is_of(self, view: View[Any], partition: str, record: Record) -> bool:
        if self._occurred_until is not None and record.occurred_at > self._occurred_until:
            return False
        return is_by_account(view) or view.partition(record) == partition

    def rebuild(self, view: View[Any], progress: Progress | None = None) -> None:
        """Fold a view from the first record, beside the one in use, then put it in that one's place."""
        view = completed(view)
        beside = Fold([view], accounts=self._accounts)
        for page in tail(self._reader, 0, self.position, self._accounts):
            beside.apply(page)
            if progress is not None:
                progress(beside.position, self.position)
        with self._lock:
            for page in tail(self._reader, beside.position, self.position, self._accounts):
                beside.apply(page)
            new = beside.slots[view.name]
            slot = self._fold.add(view, new.states)
            slot.changed.update(new.states)
            slot.parked.update(new.parked)

    def _folded(self, records: list[Record]) -> list[Record]:
        with self._lock:
            self._tell_again()
            # Others may have appended in between, or the log may have known these facts since long ago: what comes
            # first is folded first.
            following = enumerate(records, self.position + 1)
            if all(record.position == expected for expected, record in following):
                self._apply(records)
            else:
                self._fold_until(max(record.position for record in records))
        self._act()
        return records

    def _apply(self, records: Sequence[Record]) -> int:
        if self._listener is None:
            return self._fold.apply(records)
        folded = 0
        for record in records:
            self._telling = record
            if self._fold.apply([record]):
                folded += 1
                self._listener.folded(record)
            self._telling = None
        return folded

    def _tell_again(self) -> None:
        """Fold and tell what an interruption has left: the book is still at the very record that it hit."""
        self._fold.settle()
        if self._telling is not None and self._telling.position == self.position and self._listener is not None:
            self._listener.folded(self._telling)
        self._telling = None

    def _act(self) -> None:
        """Let a listener append what it decided on, but never under this book's lock: `still` comes back to it."""
        if self._listener is not None and not self._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
            self._listener.act()

    def _fold_until(self, until: int, progress: Progress | None = None) -> int:
        self._tell_again()
        start, folded = self.position, 0
        for page in tail(self._reader, start, until, self._accounts):
            chosen = page
            if self._occurred_until is not None:
                chosen = [record for record in page if record.occurred_at <= self._occurred_until]
            folded += self._apply(chosen)
            if progress is not None:
                progress(page[-1].position - start, until - start)
        # What was not for this book is behind it all the same.
        self._fold.position = max(until, self.position)
        return folded

    def _store(self) -> EventStore:
        if not self._live:
            msg = f"this book stands at position {self.position} and is closed or of the past: append to an open one"
            raise ReadOnly(msg)
        if not isinstance(self._reader, EventStore):
            self._reader.append()
        return self._reader  # type: ignore[return-value]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @override
    def __repr__(self) -> str:
        parked = self.parked
        return f"<Book of {self._reader.log} at {self.position}{f', {len(parked)} parked' if parked else ''}>"
