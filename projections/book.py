"""The book: all views' current state in memory, at one log position, with answers in microseconds."""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from eventstore import SYNCED, VOLATILE, Batch, EventReader, EventStore, NotMirrored, ReadOnly, Record, StoreError
from eventstore.arguments import accounts_of, check_allowed
from eventstore.clock import derived_from, to_ns, wall_ns
from eventstore.events import encode
from eventstore.streams import account_of
from projections import completion
from projections.book_html import book_html
from projections.builtin import BuiltinQueries, builtin_views
from projections.cuts.background import BackgroundCut
from projections.fold import Fold, as_decoded
from projections.fold_reader import FoldReader
from projections.garbage import gc_disabled
from projections.loading import ShareLoading, loading_of
from projections.parallel import fold_in_processes
from projections.reading import Progress, tail
from projections.rebuilding import rebuild
from projections.recovery import Recovery
from projections.shares import SHARES, share_of
from projections.view import PartitionParked, View, completed, is_volatile
from projections.view_states import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self, Unpack

    from eventstore import Durability, Event, Unchanged
    from eventstore.batch import AppendOptions
    from eventstore.clock import Times
    from eventstore.record import Fence
    from projections.listener import Listener
    from projections.shares import AccountFilter
    from projections.snapshots import Snapshots

POSTPONED_EVENTS_MIN, POSTPONED_EVENTS_MAX = 10_000, 200_000
"""The length of a tail that is folded when its partition is asked for, where the views can wait for that."""
_REST_SECONDS = 0.001
LAST_CUT_EVENTS_MIN = 1_000
"""Closing a book writes a cut if at least so many events came after the newest one."""


class Book(FoldReader, BuiltinQueries):
    """Folds a log's records into views and answers from memory; what it returns does not change under the caller.

    Lookups take no lock, unless they first fold what others have committed (`keep_up`). `orders`, `positions`,
    `lockouts`, … query the built-in views; `state(name, partition)` is the state of any other view.
    """

    query_reader: ClassVar[type[FoldReader]] = FoldReader

    def __init__(
        self,
        reader: EventReader,
        fold: Fold,
        *,
        accounts: AccountFilter = None,
        snapshots: Snapshots | None = None,
        occurred_until: int | None = None,
        live: bool = True,
    ) -> None:
        self.recovery = Recovery(0, 0, 0.0)
        self.processes: int | None = 1
        FoldReader.__init__(self, reader, fold, accounts, occurred_until)
        self._snapshots, self._live, self.unread = snapshots, live, fold.unread
        self._observed: set[str] = set()
        self.evaluating: object | None = None
        """What policies are evaluated for, under this book's lock; None while they are not."""
        self._listener: Listener | None = None
        self._notifying: Record | None = None
        self.first_cut = BackgroundCut(reader.log)
        self._last_cut, self._closed = 0, False
        # What cuts of a group's member rest on.
        self.shares_held: Callable[[], Mapping[int, Fence]] | None = None
        BuiltinQueries.__init__(self, self)

    @gc_disabled()
    def load(self, views: Sequence[View[Any]], until: int, progress: Progress | None = None) -> int:
        """Load views from their newest cuts and fold them up to one position; return the oldest of these cuts."""
        loading = loading_of(views, self._reader, self._snapshots, until, self._accounts)
        if isinstance(loading, ShareLoading):
            loading.load(self._fold, lambda view: view.attach(self), progress)
            return loading.oldest
        for stop in loading.stretches(self._fold, lambda view: view.attach(self)):
            fold_in_processes(self._fold, self._reader, stop, self.processes, progress)
            if self._live and stop == until and until - self.position >= POSTPONED_EVENTS_MIN:
                self._fold_until(max(until - POSTPONED_EVENTS_MAX, self.position), progress)
                self._fold_until(until, progress, postponed=True)
            self._fold_until(stop, progress)
        self._last_cut = loading.only_cut
        return loading.oldest

    # For other parts of the package

    @property
    def reader(self) -> EventReader:
        """What this book is folded from."""
        return self._reader

    @property
    def views(self) -> list[View[Any]]:
        """The views that were added to the built-in ones."""
        builtin = {view.name for view in builtin_views()}
        return [view_state.view for name, view_state in self._fold.slots.items() if name not in builtin]

    def change_counts(self, wanted: Iterable[tuple[str, str]]) -> tuple[int, ...]:
        """Return how often records changed each (view, partition): derived figures are valid while that is the same."""
        return self._fold.change_counts(wanted)

    @property
    def is_caught_up(self) -> bool:
        """Whether this book has folded all of the log; always so for a book of the past, never for a closed one."""
        return not self._closed and (not self._live or self.position >= self._reader.head())

    @override
    def keep_up(self) -> None:
        """Fold what other processes have committed, unless this thread pauses the book or it has no journal."""
        if (
            self._live
            and isinstance(self._reader, EventStore)
            and not self._lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001
            and self._fold.log_position < self._reader.head()
        ):
            self.refresh()

    def unchanged_since(self, position: int) -> bool:
        """Return whether every answer since the book was at a position belongs to that position.

        For several questions without the lock: ask this after them. False: another thread has folded; ask all again.
        """
        return self._fold.unchanged_since(position)

    @classmethod
    def of(cls, reader: FoldReader) -> Self:
        """Return a book of the past of what its queries read: they may outlive the book that was asked for them."""
        source, fold, accounts, occurred_until = reader.parts
        book = cls(source, fold, accounts=accounts, occurred_until=occurred_until, live=False)
        book.detach()
        return book

    @property
    def listener(self) -> Listener | None:
        """What is notified of every record folded or observed: policies."""
        return self._listener

    def watch(self, listener: Listener) -> int:
        """Notify a listener of every record after the position returned, and of all that is observed."""
        with self._lock:
            if self._listener is not None:
                msg = f"{self!r} already has a listener, {self._listener!r}: give that one all policies"
                raise ValueError(msg)
            self._listener = listener
            return self.position

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Fold nothing within this context, so that several questions are answered at one position."""
        with self._lock:
            yield
        self._flush_listener()

    def unwatch(self, listener: Listener) -> None:
        """Stop notifying a listener."""
        with self._lock:
            self._listener = None if self._listener is listener else self._listener

    def freeze(self) -> None:
        """Make this a book of the past: it neither folds on nor appends."""
        if self._snapshots is not None:
            self._snapshots.close()
        self._live, self._snapshots = False, None
        self._fold.end_volatile()

    def detach(self, *, only_builtin: bool = False) -> None:
        """Let the queries of a book that folds no more read the fold alone: no cycle keeps it once it is dropped.

        Nor do its views need it. `only_builtin`: one that was given keeps its book, which may be another one by now.
        """
        reader = self.query_reader(*self.parts)
        reader.owner = weakref.ref(self)
        # At once: a thread that asks meanwhile finds the old queries or these, never some without their settings.
        vars(self).update(vars(self.queries_of(reader)))
        given = self.views if only_builtin else []
        for view_state in self._fold.slots.values():
            if view_state.view not in given:
                view_state.view.attach(None)

    # Writing

    @override
    def append(self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]) -> list[Record]:
        """Append as `EventStore.append` does, busts and corrections completed; then fold: read your own writes."""
        with self._folding_unconfirmed():
            return self.fold_appended(completion.append(self, self._store(), stream, events, options))

    def append_many(
        self, batches: Sequence[Batch], *, durability: Durability = SYNCED, unchanged: Unchanged | None = None
    ) -> list[Record]:
        """Append as `EventStore.append_many` does, busts and corrections completed; then fold."""
        with self._folding_unconfirmed():
            return self.fold_appended(completion.append_many(self, self._store(), batches, durability, unchanged))

    @contextlib.contextmanager
    def _folding_unconfirmed(self) -> Iterator[None]:
        """Fold also what InfluxDB has not confirmed in time: it is durable in the log."""
        try:
            yield
        except NotMirrored as e:
            self.fold_appended(list(e.records))
            raise

    @override
    def observe(self, stream: str, event: Event, *, occurred_at: Times | None = None) -> Record:
        """Fold an event that is never stored, nor snapshotted: only for types that allow VOLATILE."""
        store = self._store()
        account_of(stream)
        now = wall_ns(store.clock)
        with derived_from(now):
            kind, data = encode(event)
            at = now if occurred_at is None else to_ns(occurred_at)
        check_allowed(kind, event, stream, VOLATILE, None)
        event = as_decoded(kind, event, data)
        with self._lock:
            record = Record(
                bytes(16), stream, kind.name, kind.schema, at, data, "", "",
                None, None, self._fold.log_position, 0, now, b"", store.log,
            )  # fmt: skip
            self._observed |= self._fold.observe(record, event)
            if self._listener is not None:
                self._listener.observed(record, event)
        self._flush_listener()
        return record

    def refresh(self, progress: Progress | None = None, *, at_most: int | None = None) -> int:
        """Fold what the log has beyond the book's position, at most so many; return the number of records."""
        if not self._live:
            return 0
        with self._lock:
            head = self._reader.head()
            folded = self._fold_until(head if at_most is None else min(head, self.position + at_most), progress)
        self._flush_listener()
        return folded

    def snapshot(self, *, accounts: Collection[str] | None = None) -> bool:
        """Write a cut, so that the next start reads only what came later; return whether one was written.

        `accounts`: only of these, each by itself, so that its own past begins there. Other threads fold and append
        meanwhile. A cut that cannot be written is a SnapshotWarning, not an error. Raises Fenced in a group where
        another member has taken a share since.
        """
        accounts = accounts_of(accounts)
        snapshots, shares, is_whole = self._snapshots, None, accounts is None
        if snapshots is None or not self._live or (self._accounts is not None and self.shares_held is None):
            return False
        if self.shares_held is not None:
            chosen = range(SHARES) if accounts is None else {share_of(account) for account in accounts}
            shares = {share: fence for share, fence in self.shares_held().items() if share in chosen}
            accounts = None
        wait = self.first_cut.wait(self._lock)
        if self.position == self._last_cut and snapshots.is_unchanged:
            return False
        # A state that observed events changed is not a fold of the log: its view is left out, and the next start folds
        # it from an older cut.
        written = snapshots.save(
            self._fold, self._reader, leave_out=self._observed, lock=self._lock, wait=wait, accounts=accounts,
            shares=shares,
        )  # fmt: skip
        self._last_cut = written if written and is_whole else self._last_cut
        return written > 0

    @property
    def snapshot_trouble(self) -> str | None:
        """Why snapshots cannot be written, and since when; None while they can."""
        return None if self._snapshots is None else self._snapshots.trouble

    def complete(self) -> None:
        """Fold what opening has postponed, others' questions and appends in between, and write a cut."""
        for view_state, partition in self._fold.postponed():
            # A lock that is released is not handed over: who waits for it gets it while this thread sleeps.
            time.sleep(_REST_SECONDS)
            with self._lock, contextlib.suppress(PartitionParked):
                if not self._live:
                    return
                state_of(view_state, partition)
        self.snapshot()

    def close(self) -> None:
        """Write a last cut if enough events came after the newest one; the store stays open."""
        self.first_cut.wait(self._lock)
        if self._live and self.position - self._last_cut >= LAST_CUT_EVENTS_MIN:
            self.snapshot()
        self._closed = self._closed or self._live
        self.detach(only_builtin=True)
        self.freeze()

    # Repair

    def rebuild(self, view: View[Any], progress: Progress | None = None) -> None:
        """Fold a view from the first record while the current one stays in use, then replace that one.

        A volatile view starts empty again.
        """
        fresh = completed(view)
        if is_volatile(fresh):
            fresh.attach(self)
        rebuild(self._fold, fresh, self._reader, self._lock, progress=progress, processes=self.processes)

    def fold_appended(self, records: list[Record]) -> list[Record]:
        with self._lock:
            self._redeliver()
            # They follow the book's position unless others appended in between, or a repetition returned old records.
            following = enumerate(records, self.position + 1)
            if all(record.position == expected for expected, record in following):
                self._apply(records)
            else:
                self._fold_until(max(record.position for record in records))
        self._flush_listener()
        return records

    def _apply(self, records: Sequence[Record]) -> int:
        if self._listener is None:
            return self._fold.apply(records)
        folded = 0
        for record in records:
            self._notifying = record
            if self._fold.apply([record]):
                folded += 1
                self._listener.folded(record)
            self._notifying = None
        return folded

    def _redeliver(self) -> None:
        """Complete what an interruption left: fold what waits, and notify of the record that the book is still at."""
        self._fold.fold_waiting()
        if self._notifying is not None and self._notifying.position == self.position and self._listener is not None:
            self._listener.folded(self._notifying)
        self._notifying = None

    def _flush_listener(self) -> None:
        """Let the listener append what it decided, but not under this book's lock: at its end `paused` calls this."""
        if self._listener is not None and not self._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
            self._listener.flush()

    def _fold_until(self, until: int, progress: Progress | None = None, *, postponed: bool = False) -> int:
        self._redeliver()
        start, folded = self.position, 0
        for page in tail(self._reader, start, until, self._accounts):
            chosen = page
            if self._occurred_until is not None:
                chosen = [record for record in page if record.occurred_at <= self._occurred_until]
            folded += self._fold.apply(chosen, postponed=True) if postponed else self._apply(chosen)
            if progress is not None:
                progress(page[-1].position - start, until - start)
        # Records of other accounts, or of a later instant, count as folded too.
        self._fold.log_position = max(until, self.position)
        return folded

    def _store(self) -> EventStore:
        if self._live and isinstance(self._reader, EventStore):
            return self._reader
        msg = self._of_the_past()
        if self._live:
            msg = "this end only reads: append in a process that opens the journal's directory"
        raise ReadOnly(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @override
    def __repr__(self) -> str:
        parked = self.parked
        return f"<Book of {self._reader.log} at {self.position}{f', {len(parked)} parked' if parked else ''}>"

    def _repr_html_(self) -> str:
        # Under the lock all answers are of one position, and nothing is folded to give them.
        with self._lock:
            title = f"Book of {self._reader.log} at position {self.position:,}{' (closed)' if self._closed else ''}"
            return book_html(self, title, self._last_instant(), self.parked.values())

    def _last_instant(self) -> int:
        """Return now or, for a book that folds no more, when its last record was recorded, if it still has that."""
        if not self._live:
            with contextlib.suppress(StoreError):
                for record in self._reader.read(after=max(self.position - 1, 0), limit=1, until=self.position):
                    return record.recorded_at
        return self.now_ns()
