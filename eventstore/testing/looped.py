"""A store of asyncio called from threads, so that one suite tests both kinds."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import TimeoutError as NotYet
from typing import TYPE_CHECKING, TypeVar

from eventstore.events import SYNCED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
    from typing import Any, Self, Unpack

    from eventstore.aio import AsyncEventStore, AsyncPending
    from eventstore.batch import AppendOptions, Batch, EnqueueOptions, Id
    from eventstore.events import Durability, Event
    from eventstore.journal import Verification
    from eventstore.reader import FollowOptions, ReadOptions
    from eventstore.record import Record, Unchanged

T = TypeVar("T")

CANCEL_SECONDS = 0.02


class LoopedPending:
    """What is enqueued in a loop, asked for from a thread."""

    def __init__(self, store: LoopedStore, pending: AsyncPending) -> None:
        self._store, self._pending = store, pending

    def result(self, timeout: float | None = None) -> list[Record]:
        return self._store.run(self._pending.result(timeout))


class LoopedStore:
    """An `AsyncEventStore` in a loop of its own thread: its methods block, as those of `EventStore` do."""

    def __init__(self, open: Callable[[], Coroutine[Any, Any, AsyncEventStore]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop of a store")
        self._thread.start()
        try:
            self._store = self.run(open())
        except BaseException:
            self._end()
            raise

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns in the loop."""
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    @property
    def log(self) -> str:
        return self._store.log

    @property
    def actor(self) -> str:
        return self._store.actor

    @property
    def waiting(self) -> int:
        return self._store.waiting

    def append(self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]) -> list[Record]:
        return self.run(self._store.append(stream, events, **options))

    def append_many(
        self, batches: Sequence[Batch], *, durability: Durability = SYNCED, unchanged: Unchanged | None = None
    ) -> list[Record]:
        return self.run(self._store.append_many(batches, durability=durability, unchanged=unchanged))

    def enqueue(self, stream: str, events: Event | Sequence[Event], **options: Unpack[EnqueueOptions]) -> LoopedPending:
        return LoopedPending(self, self.run(self._store.enqueue(stream, events, **options)))

    def flush(self) -> None:
        self.run(self._store.flush())

    def read(self, **options: Unpack[ReadOptions]) -> Iterator[Record]:
        return self._iterated(self._store.read(**options), None)

    def follow(self, *, cancel: threading.Event | None = None, **options: Unpack[FollowOptions]) -> Iterator[Record]:
        return self._iterated(self._store.follow(**options), cancel)

    def _iterated(self, records: AsyncGenerator[Record], cancel: threading.Event | None) -> Iterator[Record]:
        try:
            while cancel is None or not cancel.is_set():
                coming = asyncio.run_coroutine_threadsafe(anext(records, None), self._loop)
                while not coming.done():
                    try:
                        coming.result(CANCEL_SECONDS)
                    except NotYet:
                        if cancel is not None and cancel.is_set():
                            coming.cancel()
                            return
                record = coming.result()
                if record is None:
                    return
                yield record
        finally:
            self.run(records.aclose())

    def head(self) -> int:
        return self.run(self._store.head())

    def version(self, stream: str) -> int:
        return self.run(self._store.version(stream))

    def find(self, id: Id) -> Record | None:
        return self.run(self._store.find(id))

    def wait(self, position: int, timeout: float) -> bool:
        return self.run(self._store.wait(position, timeout))

    def root(self, size: int | None = None) -> tuple[int, bytes]:
        return self.run(self._store.root(size))

    def verify(self, *, after: int = 0, root: bytes | str | None = None, size: int | None = None) -> Verification:
        return self.run(self._store.verify(after=after, root=root, size=size))

    def doctor(self) -> list[str]:
        return self.run(self._store.doctor())

    def close(self) -> None:
        """Close the store; its loop answers until `end`, so that a closed store says what it is."""
        self.run(self._store.close())

    def end(self) -> None:
        """Close the store and end its loop."""
        try:
            if not self._store.threads.is_closed:
                self.close()
        finally:
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
