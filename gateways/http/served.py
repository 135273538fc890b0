"""What every service of a log has: its store, who may ask, limits and meters; and a book that questions are put to."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from gateways.http.access import OpenAccess
from gateways.http.meters import Meters
from gateways.http.rates import RateLimits
from gateways.http.settings import ServiceSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from eventstore import LogHasEnded
    from eventstore.aio import AsyncEventStore
    from gateways.http.access import Authenticator
    from projections.book import Book

    T = TypeVar("T")

LONG_AT_ONCE = 4
"""How many questions that take long are answered at once: the short ones must not wait for a free thread."""


class AskedBook(ABC):
    """Answers questions about one account: from the book of all accounts, or from the one that has this account."""

    @abstractmethod
    async def ask(self, question: Callable[[Book], T]) -> T:
        """Answer a question to the book, up to date, in a thread."""

    @abstractmethod
    async def ask_long(self, question: Callable[[Book], T]) -> T:
        """Answer a question that takes long: a few at a time."""


class LogService:
    """One log that is served, for the tasks of one event loop: what the gate in front of every route needs."""

    def __init__(
        self,
        store: AsyncEventStore,
        *,
        settings: ServiceSettings | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        self.store = store
        self.settings = ServiceSettings() if settings is None else settings
        self.long_turns = asyncio.Semaphore(LONG_AT_ONCE)
        self.authenticator = OpenAccess(store.actor) if authenticator is None else authenticator
        self.rates = RateLimits(self.settings.requests_per_second, store.clock)
        self.meters = Meters()
        self.meters.followers = lambda: self.open_streams
        store.sync_store.committer.write_through(self.meters.timing)
        self.open_streams: int = 0
        """How many followers, by server-sent events or by WebSocket, are served now."""
        self._at_stop: list[Callable[[], Awaitable[None]]] = []

    def ended(self) -> LogHasEnded | None:
        """Return what an append raises, once the log has ended and nothing more will come of it; None before."""
        return None

    def at_stop(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call this when the service begins to stop, while its connections are still open."""
        self._at_stop.append(call)

    async def stop(self) -> None:
        """Begin to stop: every follower is sent the reason."""
        for call in self._at_stop:
            await call()

    async def audit(self, question: Callable[[], T]) -> T:
        """Answer a question that may read much of the log, in a thread, when its turn comes."""
        async with self.long_turns:
            return await self.store.long(question)
