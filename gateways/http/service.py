"""What the routes ask: the store, the book that follows it, who may do what, and the limits."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from eventstore import aio as stores
from gateways.http.access import OpenAccess
from gateways.http.settings import ServiceSettings
from projections import aio as books

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


LONG_AT_ONCE = 2
"""How many questions that take long are answered at once: the short ones must not wait for a free thread."""


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
        self._long = asyncio.Semaphore(LONG_AT_ONCE)
        self.authenticator = OpenAccess(store.actor) if authenticator is None else authenticator

    async def append(self, group: SentGroup, caller: Caller) -> list[Record]:
        """Append what a client sent, as `EventStore.append_many` does, by the caller; then fold it."""
        records = await self.store.append_sent(group, caller.name)
        await self.book.fold(records)
        return records

    async def ask(self, question: Callable[[Book], T]) -> T:
        """Answer a question to the book, up to date, in a thread."""
        await self.book.refresh()
        return await self.book.ask(question)

    async def ask_long(self, question: Callable[[Book], T]) -> T:
        """Answer a question that takes long, such as one about the past, which is folded again: a few at a time."""
        async with self._long:
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
