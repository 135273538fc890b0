"""What the routes ask: the store, the book that follows it, who may do what, and the limits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from eventstore import aio as stores
from gateways.http.access import OpenAccess
from gateways.http.settings import ServiceSettings
from projections import aio as books
from projections.auditing.amendments import Amendments

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable
    from typing import TypeVar

    from eventstore import InfluxSettings, Record
    from eventstore.aio import AsyncEventStore
    from eventstore.clock import Clock
    from eventstore.remote.wire import SentGroup
    from gateways.http.access import Authenticator, Caller
    from projections.aio import AsyncBook
    from projections.book import Book

    T = TypeVar("T")


AUDITS_AT_ONCE = 4
"""How many questions that may read much of the log are answered at once: threads are left for all others."""


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
        self.authenticator = OpenAccess(store.actor) if authenticator is None else authenticator
        self.streamed: set[object] = set()
        """The answers that are being made while they are sent."""
        self._amendments: Amendments | None = None
        self._amending = threading.Lock()
        self._audits = asyncio.Semaphore(AUDITS_AT_ONCE)

    async def append(self, group: SentGroup, caller: Caller) -> list[Record]:
        """Append what a client sent, as `EventStore.append_many` does, by the caller; then fold it."""
        records = await self.store.append_sent(group, caller.name)
        await self.book.fold(records)
        return records

    def amendments(self) -> Amendments:
        """Return what later records say of earlier ones, as of now; call this in a thread."""
        with self._amending:
            if self._amendments is None:
                self._amendments = Amendments(self.store.sync_store, None)
            self._amendments.keep_up()
            return self._amendments

    async def audit(self, question: Callable[[], T]) -> T:
        """Answer a question that may read much of the log, in a thread, when its turn comes."""
        async with self._audits:
            return await self.store.long(question)

    async def ask(self, question: Callable[[Book], T]) -> T:
        """Answer a question to the book, up to date, in a thread."""
        await self.book.refresh()
        return await self.book.ask(question)


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
