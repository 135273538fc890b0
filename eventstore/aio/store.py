"""The store of an asyncio program: every method of `EventStore` that waits is awaited instead."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import override

from eventstore import connection
from eventstore import opening as blocking
from eventstore.aio.appending import Appending, AsyncPending, read_once, size_of
from eventstore.aio.opening import Opening, opened_in_thread
from eventstore.aio.threads import Threads
from eventstore.arguments import appended_with, batches_of, filter_of, position_of
from eventstore.batch import Batch
from eventstore.clock import timeout_of, to_ns
from eventstore.events import QUEUED, SYNCED
from eventstore.locations import masked_url, postgres_url
from eventstore.reader import POLL_SECONDS
from eventstore.remote.identity import RETRY_SECONDS
from eventstore.remote.wire import prepared_group, sent_durability

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self, Unpack

    from eventstore.batch import AppendOptions, EnqueueOptions, Id
    from eventstore.clock import Clock
    from eventstore.config import InfluxSettings
    from eventstore.events import Durability, Event
    from eventstore.journal import Verification
    from eventstore.proofs.settings import CheckpointSettings
    from eventstore.proofs.signing import CheckpointResult
    from eventstore.reader import FollowOptions, ReadOptions
    from eventstore.record import Record, Unchanged
    from eventstore.remote.wire import SentGroup
    from eventstore.store import EventStore

T = TypeVar("T")

CHUNK = 100
"""How many records a thread reads at once, in some 0.3 ms: the loop may have to wait for the end of it."""


class AsyncEventStore:
    """Reads and appends without blocking the loop: for any number of tasks of one event loop.

    Methods take, return and raise what those of `EventStore` of the same name do. Events are written in the order in
    which `append`, `append_many` and `enqueue` were called, gathered ones too. A task that is cancelled while its
    append waits withdraws it; what is already on its way to the disk is written, and an append under the same key says
    which. Used in a second loop while the first one is open, it raises RuntimeError.
    """

    def __init__(self, store: EventStore, threads: Threads | None = None) -> None:
        self._store = store
        self.threads = Threads(repr(store)) if threads is None else threads
        """Where its calls run; for other parts of the house."""
        self._appending = Appending(self.threads)
        self._head = 0
        self._growing: asyncio.Future[Any] | None = None

    @property
    def sync_store(self) -> EventStore:
        """The store underneath, for threads: its methods block."""
        return self._store

    @property
    def order(self) -> asyncio.Lock:
        """Hold this so as not to be overtaken: what is appended later waits, and comes after it."""
        return self.threads.here().order

    @property
    def log(self) -> str:
        """The log's name."""
        return self._store.log

    @property
    def log_id(self) -> bytes:
        """The log's identity, 16 bytes drawn when it was created."""
        return self._store.log_id

    @property
    def clock(self) -> Clock:
        """Where this store's times come from."""
        return self._store.clock

    @property
    def actor(self) -> str:
        """Who appends, by default: user@host/program."""
        return self._store.actor

    @property
    def directory(self) -> Path | None:
        """Where the log lives, None for one in memory."""
        return self._store.directory

    @property
    def waiting(self) -> int:
        """How many events have been accepted and are not on disk yet."""
        return self._store.waiting

    # Writing

    async def append(
        self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]
    ) -> list[Record]:
        """Append one event or several to a stream, all or nothing; return their records once they are on disk."""
        given: dict[str, Any] = dict(options)
        durability, unchanged = given.pop("durability", SYNCED), given.pop("unchanged", None)
        return await self.append_many([Batch(stream, events, **given)], durability=durability, unchanged=unchanged)

    async def append_many(
        self, batches: Sequence[Batch], *, durability: Durability = SYNCED, unchanged: Unchanged | None = None
    ) -> list[Record]:
        """Append several batches to any streams, all or nothing; return all records."""
        self.threads.here()
        given = read_once(batches_of(batches))
        prepare = functools.partial(self._store.prepared, given, appended_with(durability), unchanged)
        records = await self._appending.append(self._store.committer, prepare, size_of(given))
        return await self.confirmed(records, durability)

    async def append_sent(self, group: SentGroup, actor: str) -> list[Record]:
        """Append what a client of a service sent, in the actor's name, as `append_many` does."""
        self.threads.here()
        durability = sent_durability(group)
        prepare = functools.partial(prepared_group, group, actor, self._store.prepared)
        size = sum([len(batch.events) for batch in group.batches])
        records = await self._appending.append(self._store.committer, prepare, size)
        return await self.confirmed(records, durability)

    async def confirmed(self, records: list[Record], durability: Durability) -> list[Record]:
        """Wait until what was appended has the durability that was asked for; raise NotMirrored."""
        if durability <= SYNCED:
            return records
        return await self.threads.long(lambda: self._store.confirmed(records, durability))

    async def enqueue(
        self, stream: str, events: Event | Sequence[Event], **options: Unpack[EnqueueOptions]
    ) -> AsyncPending:
        """Append soon: return at once what can be awaited for the records, which are on disk within milliseconds."""
        self.threads.here()
        given: dict[str, Any] = dict(options)
        unchanged = given.pop("unchanged", None)
        batches = read_once([Batch(stream, events, **given)])
        prepare = functools.partial(self._store.prepared, batches, QUEUED, unchanged)
        return await self._appending.enqueue(self._store.committer, prepare, size_of(batches))

    async def flush(self) -> None:
        """Return once all that was enqueued before is on disk; raise what kept any of it out."""
        async with self.order:
            pass
        await self.long(self._store.flush)

    # Reading

    def read(self, **options: Unpack[ReadOptions]) -> AsyncGenerator[Record]:
        """Yield records oldest first, up to the head as it is when the first one is asked for.

        Nothing is held between two records: a loop over them may be left at any one.
        """
        filter_of(options.get("stream"), options.get("account"), options.get("types"))
        for bound in (options.get("start"), options.get("stop")):
            if bound is not None:
                to_ns(bound)
        return self._read(options)

    async def _read(self, options: ReadOptions) -> AsyncGenerator[Record]:
        given: dict[str, Any] = dict(options)
        until, left = given.pop("until", None), given.pop("limit", None)
        after = position_of("after", given.pop("after", 0))
        left = None if left is None else position_of("limit", left)
        head = await self.head()
        last = head if until is None else min(position_of("until", until), head)
        while after < last and left != 0:
            size = CHUNK if left is None else min(CHUNK, left)
            page = await self._page(after=after, until=last, limit=size, **given)
            for record in page:
                yield record
            if len(page) < size:
                return
            after, left = page[-1].position, left if left is None else left - size

    def follow(self, **options: Unpack[FollowOptions]) -> AsyncGenerator[Record]:
        """Yield records past `after`, then each new one within milliseconds, until the task is cancelled or leaves."""
        filter_of(options.get("stream"), options.get("account"), options.get("types"))
        return self._follow(options)

    async def _follow(self, options: FollowOptions) -> AsyncGenerator[Record]:
        given: dict[str, Any] = dict(options)
        after = position_of("after", given.pop("after", 0))
        while True:
            head = await self.grown(after)
            while after < head:
                page = await self._page(after=after, until=head, limit=CHUNK, **given)
                for record in page:
                    yield record
                # Also past records that the filter left out: they are not looked through again.
                after = page[-1].position if len(page) == CHUNK else head

    async def _page(self, **given: Any) -> list[Record]:  # noqa: ANN401 - the arguments of `read`
        return await self.threads.page(lambda: list(self._store.read(**given)))

    async def grown(self, position: int) -> int:
        """Return the head once it is past a position. One thread waits for all who ask."""
        while self._head <= position:
            loop = self.threads.here().loop
            growing = self._growing
            if growing is None or growing.done() or growing.get_loop() is not loop:
                growing = self._growing = self.threads.growth(functools.partial(self._grown, self._head))
                growing.add_done_callback(looked_at)
            # Not cancelled with one of those who wait for it.
            await asyncio.shield(growing)
        return self._head

    def _grown(self, position: int) -> None:
        self._store.wait(position, POLL_SECONDS)
        self._head = max(self._head, self._store.head())

    async def wait(self, position: int, timeout: float) -> bool:  # noqa: ASYNC109 - as `EventStore.wait`
        """Wait until the head is past a position, at most `timeout` seconds, and return whether it is."""
        try:
            async with asyncio.timeout(timeout_of(timeout)):
                return await self.grown(position_of("position", position)) > position
        except TimeoutError:
            return False

    async def head(self) -> int:
        """Return the last position, 0 for an empty log."""
        return await self.threads.page(self._store.head)

    async def version(self, stream: str) -> int:
        """Return how many records a stream has."""
        return await self.threads.page(lambda: self._store.version(stream))

    async def find(self, id: Id) -> Record | None:
        """Return the record with an id, as a causation names it; None where this log has none."""
        return await self.threads.page(lambda: self._store.find(id))

    async def root(self, size: int | None = None) -> tuple[int, bytes]:
        """Return the size and the root hash of the log's Merkle tree (RFC 6962), now or when it had `size` records."""
        return await self.long(lambda: self._store.root(size))

    async def verify(self, *, after: int = 0, root: bytes | str | None = None, size: int | None = None) -> Verification:
        """Recompute every digest and the tree, and check all else that a read depends on."""
        return await self.long(lambda: self._store.verify(after=after, root=root, size=size))

    async def checkpoint(
        self, settings: CheckpointSettings | None = None, *, restored: bool = False
    ) -> CheckpointResult:
        """Sign a checkpoint of the log as it is now, as `EventStore.checkpoint` does."""
        return await self.long(lambda: self._store.checkpoint(settings, restored=restored))

    async def backup(self, target: str | os.PathLike[str]) -> Path:
        """Copy the log, as of now, into a new directory that `open` opens."""
        return await self.long(lambda: self._store.backup(target))

    async def doctor(self) -> list[str]:
        """Return what is wrong with the storage itself, beside `verify`: nothing, usually."""
        return await self.long(self._store.doctor)

    async def long(self, call: Callable[[], T]) -> T:
        """Make a call that may block for any time, in a thread of this store."""
        return await self.threads.long(call)

    async def close(self) -> None:
        """Write what is enqueued, close, and end all threads; raise the error of an enqueued append not asked for."""
        await self.threads.close(self._store.close)

    async def __aenter__(self) -> Self:
        self.threads.here()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @override
    def __repr__(self) -> str:
        return f"<AsyncEventStore of {self._store!r}>"


def open(
    path: str | os.PathLike[str],
    *,
    log: str = blocking.DEFAULT_LOG,
    influx: InfluxSettings | None = None,
    clock: Clock | None = None,
    read_only: bool = False,
    checkpoints: CheckpointSettings | None = None,
) -> Opening[AsyncEventStore]:
    """Open, or create, the log of this name in a directory, as `eventstore.open` does, without blocking the loop.

    Write `async with eventstore.aio.open("data") as store:`, or `store = await eventstore.aio.open("data")` and close
    it yourself.
    """
    open_store = functools.partial(
        blocking.open, path, log=log, influx=influx, clock=clock, read_only=read_only, checkpoints=checkpoints
    )
    shown = path if postgres_url(path) is None else masked_url(str(path))
    return _opening(open_store, f"log {log!r} in {shown!r}")


def connect(
    url: str,
    *,
    key: str,
    log: str = "main",
    ca: str | os.PathLike[str] | None = None,
    proxy: str | None = None,
    retry_seconds: float = RETRY_SECONDS,
    clock: Clock | None = None,
) -> Opening[AsyncEventStore]:
    """Connect to the log of a service, as `eventstore.connect` does with `key=`, without blocking the loop.

    Write `async with eventstore.aio.connect(url, key=...) as store:`, or await it and close it yourself.
    """
    connect_store = functools.partial(
        connection.connect, url, key=key, log=log, ca=ca, proxy=proxy, retry_seconds=retry_seconds, clock=clock
    )
    # What stands before an @ in a URL is refused, and shown nowhere.
    return _opening(connect_store, f"log {log!r} of a service")


def _opening(open_store: Callable[[], EventStore], name: str) -> Opening[AsyncEventStore]:
    async def opened() -> AsyncEventStore:
        threads = Threads(name)
        try:
            return AsyncEventStore(await opened_in_thread(threads.long, open_store), threads)
        except BaseException:
            await threads.close(_nothing)
            raise

    return Opening(opened)


def looked_at(done: asyncio.Future[Any]) -> None:
    """Look at the error of what several tasks wait for: where all of them were cancelled, nobody else does."""
    done.cancelled() or done.exception()


def _nothing() -> None:
    pass
