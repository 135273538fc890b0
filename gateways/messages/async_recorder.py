"""The Recorder of an asyncio program: it records in threads of its own, so that the loop waits for no disk."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeAlias

from typing_extensions import override

from eventstore import Closed, Overloaded, StoreError
from gateways.messages.mapped import DividedMapping
from gateways.messages.recorder import Recorder
from projections import Book

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from eventstore import Record
    from gateways.messages.mapped import MappedEvent, MessageMapping
    from gateways.messages.recorder import RecorderCounts

    _Outcome: TypeAlias = Future[list[Record]]

WAITING_MAX = 10_000
WAIT_SECONDS = 5.0
EVENTS_AT_ONCE = 16
"""So many events, or one message's, are stored at once: some 0.1 ms each, and a busy thread keeps the loop waiting."""


class _OfALoop(Protocol):
    """A book of an event loop, as `projections.aio.open` returns it."""

    @property
    def sync_book(self) -> Book:
        """The book underneath."""


class AsyncRecorder:
    """Records the messages of one source, in the order in which they are given, as `Recorder` does.

    `await record(message)` returns when it is recorded, and raises what `Recorder.record` raises. What is never stored,
    as quotes, waits for no disk; what is stored shares a commit with what else waits. A task that is cancelled while it
    waits changes nothing: the message is recorded. An answer that lists many objects is recorded a few at a time, so
    that the loop has its turns. At most `waiting_max` messages wait at once; one more waits for a place for 5 s and is
    then refused with Overloaded.
    """

    def __init__(self, book: Book | _OfALoop, mapping: MessageMapping, *, waiting_max: int = WAITING_MAX) -> None:
        self._recorder = Recorder(book if isinstance(book, Book) else book.sync_book, mapping)
        # One thread each: messages are observed, and stored, in the order in which they came.
        self._observing = ThreadPoolExecutor(1, thread_name_prefix=f"messages of {mapping.source}")
        self._storing = ThreadPoolExecutor(1, thread_name_prefix=f"recorder of {mapping.source}")
        self._unstored: deque[tuple[list[MappedEvent], _Outcome]] = deque()
        self._waiting_max = waiting_max
        self._places = asyncio.Semaphore(waiting_max)
        self._order = asyncio.Lock()
        """Held while a message is given to the threads."""
        self._mapping = mapping
        self._recordings: set[asyncio.Task[list[Record]]] = set()
        self._closing: asyncio.Task[None] | None = None

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
        for outcome in await self._begun(message):
            try:
                found: list[Record] = await asyncio.wrap_future(outcome)
                records += found
            except StoreError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return records

    def _parts(self, message: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
        if not isinstance(self._mapping, DividedMapping):
            return (message,)
        try:
            return self._mapping.parts(message)
        except Exception:  # noqa: BLE001 - whatever a mapping does wrong, the message is not lost
            return (message,)

    async def _begun(self, message: Mapping[str, object]) -> list[_Outcome]:
        """Give all parts of a message to the threads, before those of any later one; return what becomes of each."""
        outcomes: list[_Outcome] = []
        # It is fair: first come, first served.
        async with self._order:
            for part in self._parts(message):
                if outcomes:
                    # The loop has its turn between two parts, and what was given later does not.
                    await asyncio.wrap_future(self._observing.submit(_nothing))
                outcomes.append(self._given(part))
        return outcomes

    def _given(self, part: Mapping[str, object]) -> _Outcome:
        outcome: _Outcome = Future()
        # From here on it cannot be cancelled: a loop that ends leaves the threads to finish.
        outcome.set_running_or_notify_cancel()
        self._observing.submit(self._observe, part, outcome)
        return outcome

    def _observe(self, part: Mapping[str, object], outcome: _Outcome) -> None:
        """Observe what is never stored, and let the other thread store the rest."""
        try:
            events = self._recorder.observed(part)
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            outcome.set_exception(error)
            return
        if not events:
            outcome.set_result([])
            return
        self._unstored.append((events, outcome))
        self._storing.submit(self._store)

    def _store(self) -> None:
        """Store what waits, in one commit, but for more than a millisecond's work: the loop has its turns."""
        taken: list[tuple[list[MappedEvent], _Outcome]] = []
        room = EVENTS_AT_ONCE
        while self._unstored and (not taken or len(self._unstored[0][0]) <= room):
            taken.append(self._unstored.popleft())
            room -= len(taken[-1][0])
        if not taken:
            # An earlier call has stored it.
            return
        try:
            outcomes: Sequence[list[Record] | BaseException] = self._recorder.store_all([each for each, _ in taken])
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            outcomes = [error] * len(taken)
        for (_, outcome), found in zip(taken, outcomes, strict=True):
            if isinstance(found, BaseException):
                outcome.set_exception(found)
            else:
                outcome.set_result(found)

    async def retry(self) -> list[Record]:
        """Record what is held, as `Recorder.retry`."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._storing, self._recorder.retry)

    async def close(self) -> None:
        """Record all that was given, and what is held; raise what keeps the store from taking it.

        A second call waits for the first.
        """
        self._recorder.check_process()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        elif self._closing.done():
            return
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        while self._recordings:
            await asyncio.wait(self._recordings)
        try:
            await asyncio.get_running_loop().run_in_executor(self._storing, self._recorder.close)
        finally:
            for pool in (self._observing, self._storing):
                pool.shutdown(wait=False)

    def _done(self, recording: asyncio.Task[list[Record]]) -> None:
        self._recordings.discard(recording)
        self._places.release()
        if not recording.cancelled():
            # A task that was cancelled does not ask for the error; the message is held, which the next one says.
            recording.exception()

    def _check_open(self) -> None:
        self._recorder.check_process()
        if self._closing is not None:
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


def _nothing() -> None:
    pass
