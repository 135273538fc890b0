"""Appending from a loop: in the order of the calls, with one sync for all that waits, each with its own outcome."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sized
from typing import TYPE_CHECKING

from msgspec.structs import replace
from typing_extensions import override

from eventstore import commits
from eventstore.arguments import events_of
from eventstore.clock import timeout_of
from eventstore.errors import OutcomeUnknown, Overloaded
from eventstore.journal import drafts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Any

    from eventstore.aio.threads import Threads
    from eventstore.batch import Batch
    from eventstore.commits import Committer, Pending
    from eventstore.errors import StoreError
    from eventstore.journal import Group
    from eventstore.record import Record

    Prepare = Callable[[], tuple[Group, int]]
    """Checks and encodes what is appended; returns it, and the number of events."""

IN_LOOP_EVENTS_MAX = 16
"""So many events are checked and encoded in the loop, some 15 µs each; more take a thread."""
ROOM_SECONDS = 0.005


class AsyncPending:
    """An enqueued append: `await` it for its records once they are on disk, or for the error that kept them out."""

    def __init__(self, pending: Pending, done: asyncio.Future[None]) -> None:
        self._pending, self._done = pending, done

    async def result(self, timeout: float | None = None) -> list[Record]:  # noqa: ASYNC109 - as `Pending.result`
        """Return the records; raise what kept them out, or Overloaded once `timeout` seconds have passed."""
        seconds = commits.COMMIT_SECONDS_MAX if timeout is None else timeout_of(timeout)
        if not self._pending.done:
            # Not `wait_for`, which would cancel what other tasks wait for too.
            await asyncio.wait([self._done], timeout=seconds)
        if not self._pending.done:
            msg = f"the events are still waiting after {seconds:g} s: ask again, they are not lost"
            raise Overloaded(msg)
        return self._pending.result(0)

    def __await__(self) -> Generator[Any, None, list[Record]]:
        return self.result().__await__()

    @property
    def done(self) -> bool:
        return self._pending.done

    @property
    def error(self) -> StoreError | None:
        """What kept the events out, None while waiting and after success."""
        return self._pending.error

    @override
    def __repr__(self) -> str:
        return f"<Async{repr(self._pending)[1:]}"


class Appending:
    """Puts what tasks append into the store's queue, in the order in which they were called."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def append(self, committer: Committer, prepare: Prepare, size: int) -> list[Record]:
        """Queue what `prepare` returns, of `size` events, behind all that was called before; return its records.

        Where the task is cancelled, what still waits is withdrawn: it will not be written. What is already on its way
        to the disk will be.
        """
        pending, done = await self.queued(committer, prepare, size)
        if pending is None:
            return []
        committer.flush_soon()
        try:
            return await self._outcome(committer, pending, done)
        except asyncio.CancelledError:
            committer.withdraw(pending)
            raise
        finally:
            # Nobody will ask again: `flush` and `close` need not raise its error.
            pending.asked = True
            committer.forget(pending)

    async def enqueue(self, committer: Committer, prepare: Prepare, size: int) -> AsyncPending:
        """Queue batches and return at once, without asking for a sync of their own."""
        pending, done = await self.queued(committer, prepare, size, even_empty=True)
        assert pending is not None
        return AsyncPending(pending, done)

    async def queued(
        self,
        committer: Committer,
        prepare: Prepare,
        size: int,
        *,
        even_empty: bool = False,
    ) -> tuple[Pending | None, asyncio.Future[None]]:
        """Prepare and queue batches; return the request, None for no events, and what says that it is done."""
        # Without waiting for the lock, a thread or room, this never gives up its turn: so the first to be called comes
        # first, also where many are gathered.
        async with self._threads.here().order:
            if size <= IN_LOOP_EVENTS_MAX:
                prepared, events = prepare()
            else:
                prepared, events = await self._threads.page(prepare)
            side = self._threads.here()
            done: asyncio.Future[None] = side.loop.create_future()
            if not events and not even_empty:
                return None, done

            def notify(_: Pending) -> None:
                side.call(functools.partial(_set_done, done))

            deadline = side.loop.time() + commits.WAIT_SECONDS
            while True:
                try:
                    return committer.enqueue(prepared, events, notify), done
                except Overloaded:
                    if side.loop.time() >= deadline:
                        raise
                await asyncio.sleep(ROOM_SECONDS)

    async def _outcome(self, committer: Committer, pending: Pending, done: asyncio.Future[None]) -> list[Record]:
        seconds = commits.COMMIT_SECONDS_MAX
        bound = done.get_loop().call_later(seconds, _set_done, done)
        try:
            await done
        finally:
            bound.cancel()
        if pending.done:
            return pending.result(0)
        if committer.withdraw(pending):
            msg = f"no commit has finished for {seconds:g} s: nothing was written"
            raise Overloaded(msg)
        raise OutcomeUnknown(
            [draft.id for draft in drafts_of(pending.batches)], f"the disk has not answered for {seconds:g} s"
        )


def _set_done(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def size_of(batches: Sequence[Batch]) -> int:
    """Return how many events there are, of which those of a generator are not known."""
    return sum([len(batch.events) for batch in batches if isinstance(batch.events, Sized)])


def read_once(batches: Sequence[Batch]) -> list[Batch]:
    """Return batches whose events are there: those of a generator are made by the task that gives it."""
    return [replace(batch, events=events_of(batch.events)) for batch in batches]
