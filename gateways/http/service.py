"""What the routes ask: the store, the book that follows it, who may do what, and the limits."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace
from typing_extensions import override

from eventstore import AccountChanged, DuplicateEvent, Overloaded
from eventstore import aio as stores
from eventstore.remote.wire import SentUnchanged
from gateways.http.access import NotAllowed
from gateways.http.completing import completed_group, is_looked_at
from gateways.http.integrity import IntegrityCheck
from gateways.http.permissions import check_group, check_no_weaker, is_protective
from gateways.http.served import AskedBook, LogService
from gateways.http.visibility import sees_stream
from projections import aio as books
from projections.auditing.amendments import Amendments
from projections.ending import log_ended

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable
    from typing import TypeVar

    from eventstore import InfluxSettings, LogHasEnded, Record
    from eventstore.aio import AsyncEventStore
    from eventstore.clock import Clock
    from eventstore.journal import Verification
    from eventstore.remote.wire import SentGroup
    from gateways.http.access import Authenticator, Caller
    from gateways.http.permissions import JudgedLockout
    from gateways.http.settings import ServiceSettings
    from projections.aio import AsyncBook
    from projections.book import Book

    T = TypeVar("T")

LOCK_ATTEMPTS = 20
"""How often a lockout is judged again because its account had new records meanwhile."""


class VerificationRun(NamedTuple):
    """One verification of the log: what it found, up to which position, and when, in UNIX ns."""

    result: Verification
    until: int
    started_at: int
    finished_at: int


class Service(LogService, AskedBook):
    """One log that is served: its store and a book of it, for the tasks of one event loop."""

    def __init__(
        self,
        store: AsyncEventStore,
        book: AsyncBook,
        *,
        settings: ServiceSettings | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        super().__init__(store, settings=settings, authenticator=authenticator)
        self.book = book
        self.integrity = IntegrityCheck(store)
        self.last_verification: VerificationRun | None = None
        self.is_verifying = False
        self.streamed: set[object] = set()
        """The answers that are being made while they are sent."""
        self._amendments: Amendments | None = None
        self._amending = threading.Lock()

    async def append(self, group: SentGroup, caller: Caller, *, by_book: bool = True) -> list[Record]:
        """Append what a client sent, by the caller, and fold it: as `Book.append_many` does, or as the store does.

        Raises NotAllowed, with nothing appended, unless the caller may append each event of it; TooManyRequests, but
        not for what is about lockouts and enforcement alone.
        """
        if not is_protective(group):
            self.rates.take(caller.key)
        judged = check_group(group, caller)
        began, is_refused = time.perf_counter(), True
        try:
            if by_book and is_looked_at(group):
                store, sent = self.store.sync_store, group
                group = await self.ask(lambda book: completed_group(book, store, sent))
            append = self._lock(group, judged, caller) if judged else self.store.append_sent(group, caller.name)
            records = await append
            is_refused = False
        except DuplicateEvent as e:
            if e.record is not None and not sees_stream(caller, e.record.stream):
                # The id of another account's record must not be answered with that record.
                msg = f"key {caller.name!r} sent an id that is taken"
                raise NotAllowed(msg) from e
            raise
        finally:
            self.meters.appended(began, is_refused=is_refused)
        await self.book.fold(records)
        return records

    async def _lock(self, group: SentGroup, judged: list[JudgedLockout], caller: Caller) -> list[Record]:
        """Append a group with lockouts that must not weaken those in force: judged by what the append depends on."""
        for _ in range(LOCK_ATTEMPTS):
            since = await self.ask(lambda book: _judged(book, judged, caller))
            try:
                return await self.store.append_sent(_conditional(group, judged, since), caller.name)
            except AccountChanged:
                if group.unchanged is not None:
                    raise
        msg = f"the account had new records {LOCK_ATTEMPTS} times while its lockout was set: send it again"
        raise Overloaded(msg)

    @override
    def ended(self) -> LogHasEnded | None:
        return log_ended(self.book.sync_book)

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

    @override
    async def ask(self, question: Callable[[Book], T]) -> T:
        """Answer a question to the book, up to date, in a thread."""
        await self.book.refresh()
        return await self.book.ask(question)

    @override
    async def ask_long(self, question: Callable[[Book], T]) -> T:
        """Answer a question that takes long, such as one about the past, which is folded again: a few at a time."""
        async with self.long_turns:
            return await self.ask(question)


def _judged(book: Book, judged: list[JudgedLockout], caller: Caller) -> int:
    """Return the log position at which no lockout would be weakened; raise NotAllowed where one would."""
    since, now = book.position, book.now_ns()
    for each in judged:
        check_no_weaker(each, book.lockouts.active(each.account, now), caller)
    return since


def _conditional(group: SentGroup, judged: list[JudgedLockout], since: int) -> SentGroup:
    """Return a group that is appended only as long as the accounts of its lockouts have no later record."""
    accounts, given = {each.account for each in judged}, group.unchanged
    if given is not None:
        # No accounts: the whole log.
        accounts = accounts | {*given.accounts} if given.accounts else set()
        since = min(since, given.since)
    return replace(group, unchanged=SentUnchanged(accounts=sorted(accounts), since=since))


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
