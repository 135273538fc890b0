"""The Recorder of an asyncio program: it records in a thread of its own, so that the loop waits for no disk."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from typing_extensions import override

from eventstore import Closed, Overloaded, StoreError
from gateways.messages.mapped import DividedMapping
from gateways.messages.recorder import Recorder
from projections import Book

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from eventstore import Record
    from gateways.messages.mapped import MessageMapping
    from gateways.messages.recorder import RecorderCounts

T = TypeVar("T")

WAITING_MAX = 10_000
WAIT_SECONDS = 5.0


class _OfALoop(Protocol):
    """A book of an event loop, as `projections.aio.open` returns it."""

    @property
    def sync_book(self) -> Book:
        """The book underneath."""


class AsyncRecorder:
    """Records the messages of one source, in the order in which they are given, as `Recorder` does.

    `await record(message)` returns when it is recorded, and raises what `Recorder.record` raises. A task that is
    cancelled while it waits changes nothing: the message is recorded. An answer that lists many objects is recorded a
    few at a time, so that the loop has its turns. At most `waiting_max` messages wait at once; one more waits for a
    place for 5 s and is then refused with Overloaded.
    """

    def __init__(self, book: Book | _OfALoop, mapping: MessageMapping, *, waiting_max: int = WAITING_MAX) -> None:
        self._recorder = Recorder(book if isinstance(book, Book) else book.sync_book, mapping)
        # One thread: messages are recorded in the order in which they came.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"recorder of {mapping.source}")
        self._waiting_max = waiting_max
        self._places = asyncio.Semaphore(waiting_max)
        self._mapping = mapping
        self._recordings: set[asyncio.Task[list[Record]]] = set()
        self._is_closed = False

    @property
    def counts(self) -> RecorderCounts:
        return self._recorder.counts

    @property
    def unopened(self) -> frozenset[str]:
        return self._recorder.unopened

    async def record(self, message: Mapping[str, object]) -> list[Record]:
        """Record a message; return the records of its events that are new."""
        self._check_open()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError as e:
            msg = (
                f"{self._waiting_max:,} messages wait to be recorded, and none was within {WAIT_SECONDS:g} s: this one "
                "is not recorded, give it again"
            )
            raise Overloaded(msg) from e
        try:
            self._check_open()
            recording = asyncio.get_running_loop().create_task(self._record(message))
        except BaseException:
            self._places.release()
            raise
        self._recordings.add(recording)
        recording.add_done_callback(self._done)
        return await asyncio.shield(recording)

    async def _record(self, message: Mapping[str, object]) -> list[Record]:
        """Record all parts of a message, also where one fails: it is held."""
        records: list[Record] = []
        failed: StoreError | None = None
        for part in self._mapping.parts(message) if isinstance(self._mapping, DividedMapping) else (message,):
            try:
                records += await self._in_thread(self._recorder.record, part)
            except StoreError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return records

    async def retry(self) -> list[Record]:
        """Record what is held, as `Recorder.retry`."""
        self._check_open()
        return await self._in_thread(self._recorder.retry)

    async def close(self) -> None:
        """Record all that was given, and what is held; raise what keeps the store from taking it."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.shield(asyncio.get_running_loop().create_task(self._close()))

    async def _close(self) -> None:
        while self._recordings:
            await asyncio.wait(self._recordings)
        try:
            await self._in_thread(self._recorder.close)
        finally:
            self._thread.shutdown(wait=False)

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _done(self, recording: asyncio.Task[list[Record]]) -> None:
        self._recordings.discard(recording)
        self._places.release()
        if not recording.cancelled():
            # A task that was cancelled does not ask for the error; the message is held, which the next one says.
            recording.exception()

    def _check_open(self) -> None:
        if self._is_closed:
            msg = "the recorder is closed: make another one"
            raise Closed(msg)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @override
    def __repr__(self) -> str:
        return f"<AsyncRecorder of {self._recorder!r}>"
