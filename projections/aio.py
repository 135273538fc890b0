"""The book of an asyncio program: lookups are answered in the loop, from memory; what waits is awaited."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import override

from eventstore import SYNCED, Batch, Closed, NotMirrored, Overloaded, StoreError
from eventstore.aio.appending import read_once
from eventstore.aio.opening import Opening, opened_in_thread
from eventstore.aio.store import looked_at
from eventstore.arguments import batches_of
from projections import completion, opening
from projections.book import Book
from projections.builtin import BuiltinQueries
from projections.risk.checking import check
from projections.risk.submitting import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self, Unpack

    from eventstore import Durability, Event, Record, Unchanged
    from eventstore.aio import AsyncEventStore
    from eventstore.batch import AppendOptions
    from eventstore.clock import Times
    from eventstore.trading import OrderReplaceRequested, OrderSubmitted
    from projections.opening import OpenOptions
    from projections.recovery import Recovery
    from projections.risk.checking import Answer
    from projections.risk.proposals import Cancel, Proposal, Replace
    from projections.risk.submitting import SubmitOptions, Submitted
    from projections.view import PartitionParked

T = TypeVar("T")

CHUNK = 50
"""How many records are folded at once, in about a millisecond: the loop may have to wait for the end of it."""
FOLDED_IN_LOOP_MAX = 8
"""So many appended records are folded in the loop, some 10 µs each; more take a thread."""
KEEP_UP_SECONDS = 0.05
"""How often the book looks for what other processes have committed, while nothing is asked."""


class LoopBook(Book):
    """A book that a loop asks: in the loop's thread it folds only a little, and appends nothing."""

    loop_thread = 0
    flush_soon: Callable[[], None] | None = None

    @override
    def keep_up(self) -> None:
        """Fold what other processes have committed; in the loop raise Overloaded where that would take long."""
        is_paused = self._lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001 - its own, as in Book
        if self._is_in_loop and not is_paused and (behind := self.behind) > CHUNK:
            msg = f"the book is {behind:,} records behind what other processes have committed: await book.refresh()"
            raise Overloaded(msg)
        super().keep_up()

    @property
    def behind(self) -> int:
        """How many records the log has past this book's position; none for a closed one."""
        return self._reader.head() - self.position if self._live else 0

    def fold_at_once(self, records: Sequence[Record]) -> bool:
        """Fold a few records where nothing stands in the way and nobody decides on them; return whether they are."""
        if len(records) > FOLDED_IN_LOOP_MAX or self._listener is not None or not self._lock.acquire(blocking=False):
            return False
        try:
            if max([record.position for record in records], default=0) <= self.position:
                # Folded already, with what others have committed, or of a repetition.
                return True
            follows = records[0].position == self.position + 1
            if follows:
                self.fold_appended(list(records))
            return follows
        finally:
            self._lock.release()

    def check_open(self) -> None:
        """Raise ReadOnly for a closed book, or one that cannot append."""
        self._store()

    @override
    def _flush_listener(self) -> None:
        if self._is_in_loop and self.flush_soon is not None:
            # What policies have decided is appended by a thread: until then checks reject new exposure.
            if self._listener is not None:
                self.flush_soon()
        else:
            super()._flush_listener()

    @property
    def _is_in_loop(self) -> bool:
        return threading.get_ident() == self.loop_thread


class AsyncBook(BuiltinQueries):
    """A book for any number of tasks of one event loop: `orders`, `positions`, `lockouts`, … as those of `Book`.

    Lookups need no await: they are answered from memory. Those that decide about exposure (`lockouts.active`,
    `limits`) first look whether another process has committed, and fold that; where it is much, they raise Overloaded,
    and `await book.refresh()` comes first. What reads the log, such as an order closed long ago, is asked by `ask`.
    """

    def __init__(self, book: LoopBook, store: AsyncEventStore) -> None:
        self._book, self._store = book, store
        self._is_closed = False
        # The very queries of the book: some have settings, such as calendars.
        self.__dict__.update({name: getattr(book, name) for name in vars(BuiltinQueries(book))})
        self._deciding = store.threads.pool("deciding")
        self._catching: asyncio.Task[int] | None = None
        book.loop_thread = threading.get_ident()
        side = store.threads.here()
        book.flush_soon = functools.partial(side.call, self._flush_policies)
        self._keeper = side.loop.create_task(self._keep_up())

    @property
    def sync_book(self) -> Book:
        """The book underneath, for threads and for policies: its methods block."""
        return self._book

    @property
    def position(self) -> int:
        """The log position that every view is folded up to."""
        return self._book.position

    @property
    def recovery(self) -> Recovery:
        """What opening the book found."""
        return self._book.recovery

    @property
    def parked(self) -> dict[tuple[str, str], PartitionParked]:
        """The (view, partition) pairs where a view failed."""
        return self._book.parked

    def state(self, view: str, partition: str) -> Any:  # noqa: ANN401 - any view's
        """Return the live state of one partition of a view, as `Book.state`."""
        return self._book.state(view, partition)

    # Writing

    async def append(
        self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]
    ) -> list[Record]:
        """Append as `AsyncEventStore.append` does, busts and corrections completed; then fold: read your own writes."""
        given: dict[str, Any] = dict(options)
        durability, unchanged = given.pop("durability", SYNCED), given.pop("unchanged", None)
        return await self.append_many([Batch(stream, events, **given)], durability=durability, unchanged=unchanged)

    async def append_many(
        self, batches: Sequence[Batch], *, durability: Durability = SYNCED, unchanged: Unchanged | None = None
    ) -> list[Record]:
        """Append as `AsyncEventStore.append_many` does, busts and corrections completed; then fold."""
        self._book.check_open()
        given = read_once(batches_of(batches))
        if completion.reads_book(given):
            return await self._not_overtaken(lambda: self._completed(given, durability, unchanged))
        try:
            records = await self._store.append_many(given, durability=durability, unchanged=unchanged)
        except NotMirrored as e:
            await self.fold(e.records)
            raise
        return await self.fold(records)

    async def _not_overtaken(self, call: Callable[[], T]) -> T:
        """Make a call in the thread that decides; what is appended later waits for its end, whatever is cancelled."""
        order = self._store.order
        await order.acquire()
        try:
            made = self._store.threads.begin(self._deciding, call)
        except BaseException:
            order.release()
            raise

        def release(done: asyncio.Future[T]) -> None:
            order.release()
            # A cancelled task does not look at it.
            done.cancelled() or done.exception()

        made.add_done_callback(release)
        return await asyncio.shield(made)

    def _completed(self, batches: list[Batch], durability: Durability, unchanged: Unchanged | None) -> list[Record]:
        # What was called before waits in the queue, and the book must have it: the fill that a bust is of.
        self._store.sync_store.committer.append([], 0)
        return self._book.append_many(batches, durability=durability, unchanged=unchanged)

    async def fold(self, records: Sequence[Record]) -> list[Record]:
        """Fold what was appended to the store, and return it: read your own writes."""
        if self._book.fold_at_once(records):
            return list(records)
        if self._book.listener is None and len(records) <= FOLDED_IN_LOOP_MAX:
            until = max([record.position for record in records])
            await self._catch_up(until)
            if self.position >= until:
                return list(records)
        return await self._folding(lambda: self._book.fold_appended(list(records)))

    async def _catch_up(self, until: int) -> None:
        """Fold what the log has up to a position, as far as it can be read; tasks that wait for it share the calls.

        Each would take a turn of its own otherwise, and what is appended meanwhile would have to wait for all of them.
        """
        before = -1
        while before < self.position < until:
            before = self.position
            catching = self._catching
            if catching is None or catching.done():
                call = self._folding(lambda: self._book.refresh(at_most=CHUNK))
                catching = self._catching = asyncio.ensure_future(call)
                catching.add_done_callback(looked_at)
            # Not cancelled with one of those who wait for it.
            await asyncio.shield(catching)

    async def _folding(self, call: Callable[[], T]) -> T:
        # What policies decide is appended before the call returns, and waits for the disk: nothing else waits for that.
        return await (self._store.threads.page(call) if self._book.listener is None else self._in_order(call))

    async def submit(
        self,
        account: str,
        order_id: str,
        event: OrderSubmitted | OrderReplaceRequested,
        now: Times,
        **options: Unpack[SubmitOptions],
    ) -> Submitted:
        """Check, reserve and append an order in one step, as `projections.risk.submit`, after what was called before.

        Where the task is cancelled, the order is recorded or not; under the same `key`, submitting it again says which.
        """
        self._book.check_open()
        async with self._store.order:
            pass
        return await self._in_order(lambda: submit(self._book, account, order_id, event, now, **options))

    async def check(self, order: Proposal | Replace | Cancel, now: Times) -> Answer:
        """Check an order as `projections.risk.check`, with all that other processes have committed."""
        await self.refresh()
        return check(self._book, order, now)

    async def observe(self, stream: str, event: Event, *, occurred_at: Times | None = None) -> Record:
        """Fold an event that is never stored, as `Book.observe`."""
        observed = functools.partial(self._book.observe, stream, event, occurred_at=occurred_at)
        return await self._folding(observed)

    async def refresh(self) -> int:
        """Fold what the log has beyond the book's position, and return the number of records."""
        self._store.threads.here()
        folded, until = 0, self.position + self._book.behind
        while self.position < until and self._book.behind > 0:
            folded += await self._folding(lambda: self._book.refresh(at_most=CHUNK))
        return folded

    async def _keep_up(self) -> None:
        """Fold what others have committed, and what a cancelled task has appended, soon after."""
        while True:
            await asyncio.sleep(KEEP_UP_SECONDS)
            try:
                await self.refresh()
            except Closed:
                return
            except StoreError:
                # Each lookup that needs the log raises what keeps it from being read.
                continue

    def _flush_policies(self) -> None:
        listener = self._book.listener
        if listener is not None and not self._is_closed:
            self._deciding.submit(listener.flush)

    async def ask(self, question: Callable[[Book], T]) -> T:
        """Answer a question that reads the log or takes long, in a thread: `await book.ask(lambda book: …)`."""
        return await self._store.long(lambda: question(self._book))

    async def snapshot(self) -> bool:
        """Write a cut, so that the next start reads only what came later; return whether one was written."""
        return await self._store.long(self._book.snapshot)

    async def _in_order(self, call: Callable[[], T]) -> T:
        return await self._store.threads.run(self._deciding, call)

    async def close(self) -> None:
        """Finish what was called before, and write a last cut if enough events came; the store stays open."""
        if self._is_closed:
            return
        self._is_closed = True
        self._keeper.cancel()
        if self._store.threads.is_closed:
            # Its store was closed first: there is nothing to read a cut from.
            self._book.freeze()
            return
        await self._in_order(self._book.close)
        self._store.threads.end(self._deciding)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @override
    def __repr__(self) -> str:
        return f"<AsyncBook of {self._book!r}>"


def open(store: AsyncEventStore, **options: Unpack[OpenOptions]) -> Opening[AsyncBook]:
    """Open a book of an asyncio program's store, with the arguments of `projections.open`, without blocking the loop.

    Write `async with projections.aio.open(store) as book:`, or `book = await projections.aio.open(store)` and close it.
    """

    async def opened() -> AsyncBook:
        open_book = functools.partial(opening.open_as, LoopBook, store.sync_store, options)
        return AsyncBook(await opened_in_thread(store.long, open_book), store)

    return Opening(opened)
