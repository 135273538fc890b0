"""What the routes ask: the store, the book that follows it, who may do what, and the limits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, NamedTuple

from eventstore import aio as stores
from gateways.http.access import OpenAccess
from gateways.http.settings import ServiceSettings
from projections import aio as books
from projections.auditing.amendments import Amendments

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import TypeVar

    from eventstore import InfluxSettings, Record
    from eventstore.aio import AsyncEventStore
    from eventstore.clock import Clock
    from eventstore.journal import Verification
    from eventstore.remote.wire import SentGroup
    from gateways.http.access import Authenticator, Caller
    from projections.aio import AsyncBook
    from projections.book import Book

    T = TypeVar("T")


class VerificationRun(NamedTuple):
    """One verification of the log: what it found, up to which position, and when, in UNIX ns."""

    result: Verification
    until: int
    started_at: int
    finished_at: int


PAST_AT_ONCE = 2
"""How many questions about the past are answered at once: each may fold much, and the present must not wait for it."""


class Service:
    """One log that is served: its store and a book of it, for the tasks of one event loop."""

    def __init__(
        self,
        store: AsyncEventStore,
        book: AsyncBook,
        *,
        settings: ServiceSettings | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        self.store, self.book = store, book
        self.settings = ServiceSettings() if settings is None else settings
        self._past = asyncio.Semaphore(PAST_AT_ONCE)
        self.authenticator = OpenAccess(store.actor) if authenticator is None else authenticator
        self.open_streams = 0
        """How many followers, by server-sent events or by WebSocket, are served now."""
        self.last_verification: VerificationRun | None = None
        self.is_verifying = False
        self.streamed: set[object] = set()
        """The answers that are being made while they are sent."""
        self._amendments: Amendments | None = None
        self._amending = threading.Lock()
        self._at_stop: list[Callable[[], Awaitable[None]]] = []

    def at_stop(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call this when the service begins to stop, while its connections are still open."""
        self._at_stop.append(call)

    async def stop(self) -> None:
        """Begin to stop: every follower is sent the reason."""
        for call in self._at_stop:
            await call()

    async def append(self, group: SentGroup, caller: Caller) -> list[Record]:
        """Append what a client sent, as `EventStore.append_many` does, by the caller; then fold it."""
        records = await self.store.append_sent(group, caller.name)
        await self.book.fold(records)
        return records

    async def verify(self) -> None:
        """Verify the log as `EventStore.verify` does, and keep what that found."""
        self.is_verifying = True
        try:
            started_at, until = self.store.clock.now_ns(), await self.store.head()
            result = await self.store.verify()
            self.last_verification = VerificationRun(result, until, started_at, self.store.clock.now_ns())
        finally:
            self.is_verifying = False

    def amendments(self) -> Amendments:
        """Return what later records say of earlier ones, as of now; call this in a thread."""
        with self._amending:
            if self._amendments is None:
                self._amendments = Amendments(self.store.sync_store, None)
            self._amendments.keep_up()
            return self._amendments

    async def ask(self, question: Callable[[Book], T]) -> T:
        """Answer a question to the book, up to date, in a thread."""
        await self.book.refresh()
        return await self.book.ask(question)

    async def ask_past(self, question: Callable[[Book], T]) -> T:
        """Answer a question that folds a part of the log again, such as one about the past: a few at a time."""
        async with self._past:
            return await self.ask(question)


@contextlib.asynccontextmanager
async def open_service(
    path: str | os.PathLike[str],
    *,
    log: str = "main",
    influx: InfluxSettings | None = None,
    clock: Clock | None = None,
    settings: ServiceSettings | None = None,
    authenticator: Authenticator | None = None,
) -> AsyncIterator[Service]:
    """Open a log and its book to be served; both are closed at the end, with everything written."""
    async with (
        stores.open(path, log=log, influx=influx, clock=clock) as store,
        books.open(store) as book,
    ):
        yield Service(store, book, settings=settings, authenticator=authenticator)
