"""The threads of an asyncio program's store: calls that wait run there, and their results return to the loop.

Python lets a busy thread run for up to 5 ms (`sys.getswitchinterval`) before another one gets its turn, the loop's
too. So a thread does a fraction of a millisecond of work at a time and then waits until the loop asks for more.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from eventstore.errors import Closed

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PAGE_THREADS = 2
"""One works at a time; the other is for when the call of a cancelled task still waits for the disk."""
LONG_CALLS_MAX = 8
"""How many calls of unknown length run at once, such as `verify`; more wait."""


class LoopSide:
    """What belongs to one loop: its locks, and the way back to it from other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.order = asyncio.Lock()
        """Held by whatever must not be overtaken by a later append. It is fair: first come, first served."""
        self.turn = asyncio.Lock()
        """Held while a thread works: of several, the loop would have to wait for each."""
        self._calls: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def call(self, function: Callable[[], None]) -> None:
        """Call a function in the loop soon, with others in one wake-up; a loop that is closed has nobody who waits."""
        self._calls.append(function)
        if not self._is_scheduled:
            self._is_scheduled = True
            try:
                self.loop.call_soon_threadsafe(self._call_next)
            except RuntimeError:
                if not self.loop.is_closed():
                    raise
                self._calls.clear()

    def _call_next(self) -> None:
        # One in each round of the loop: the tasks that many wake, at once, would keep timers and sockets waiting.
        if self._calls:
            self._calls.popleft()()
        # Reset before the last look: what is added after it schedules another call.
        self._is_scheduled = False
        if self._calls:
            self._is_scheduled = True
            self.loop.call_soon(self._call_next)


class Threads:
    """Runs calls outside of the loop that uses a store; a loop that has ended may be followed by another one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process = os.getpid()
        self._side: LoopSide | None = None
        self._pools: list[ThreadPoolExecutor] = []
        self._pages = self.pool("pages", PAGE_THREADS)
        self._long = self.pool("calls", LONG_CALLS_MAX)
        self._growth = self.pool("growth", 1)
        self._closing: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self.is_closed = False

    def pool(self, what: str, threads: int = 1) -> ThreadPoolExecutor:
        """Return threads that end when this is closed; one thread makes its calls in order."""
        # It starts a thread only when there is something to do for one.
        pool = ThreadPoolExecutor(threads, thread_name_prefix=f"{what} of {self._name}")
        self._pools.append(pool)
        return pool

    def here(self) -> LoopSide:
        """Return what belongs to the running loop; raise Closed, or RuntimeError in a second loop."""
        if os.getpid() != self._process:
            msg = f"{self._name} was opened by the parent process: open it again in this one"
            raise Closed(msg)
        if self.is_closed:
            msg = "the store is closed: open it again"
            raise Closed(msg)
        loop, known = asyncio.get_running_loop(), self._side
        if known is None or (known.loop is not loop and known.loop.is_closed()):
            known = self._side = LoopSide(loop)
        if known.loop is not loop:
            msg = f"{self._name} is used in another event loop: open one in each loop, or use the store of threads"
            raise RuntimeError(msg)
        return known

    def end(self, pool: ThreadPoolExecutor) -> None:
        """End the threads of a pool whose calls are done."""
        self._pools.remove(pool)
        pool.shutdown(wait=False)

    async def page(self, call: Callable[[], T]) -> T:
        """Make a call that takes less than a millisecond, except for the disk, when its turn comes."""
        async with self.here().turn:
            return await self.run(self._pages, call)

    async def long(self, call: Callable[[], T]) -> T:
        """Make a call that may take any time; it also runs to its end where the task is cancelled."""
        return await self.run(self._long, call)

    def growth(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Make a call that waits for the log to grow; there is one at a time."""
        return self.here().loop.run_in_executor(self._growth, call)

    async def run(self, pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        """Make a call in a thread of a pool, and return what it returns."""
        return await self.begin(pool, call)

    def begin(self, pool: ThreadPoolExecutor, call: Callable[[], T]) -> asyncio.Future[T]:
        """Begin a call in a thread of a pool."""
        # The caller's context: what it sets, such as a decimal context, holds for the call as it would without threads.
        context = contextvars.copy_context()
        return self.here().loop.run_in_executor(pool, functools.partial(context.run, call))

    async def close(self, close: Callable[[], None]) -> None:
        """Call `close`, then end all threads, also where the task is cancelled; a second call waits for the first."""
        if self._closing is None:
            loop = self.here().loop
            self._closing = loop.create_future()
            self.is_closed = True
            closer = threading.Thread(target=self._close, args=(close, loop, self._closing), name=f"close {self._name}")
            closer.start()
        if not self._closing.done():
            await asyncio.shield(self._closing)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _close(self, close: Callable[[], None], loop: asyncio.AbstractEventLoop, closing: asyncio.Future[None]) -> None:
        try:
            close()
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited, once
            self._error = error
        for pool in self._pools:
            pool.shutdown()
        LoopSide(loop).call(functools.partial(_closed, closing, threading.current_thread()))


def _closed(closing: asyncio.Future[None], closer: threading.Thread) -> None:
    closer.join()
    if not closing.done():
        closing.set_result(None)
