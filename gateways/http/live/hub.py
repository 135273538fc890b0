"""The hub: one reader of the log for all followers, and what they share: places, time limits, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any, Protocol

from eventstore import Closed, StoreError
from eventstore.aio.store import CHUNK
from gateways.http.answering import RequestRefused, document_of, problem
from gateways.http.live.board import Board
from gateways.http.live.delivery import Delivery
from gateways.http.live.frames import record_event
from gateways.http.live.ring import EventChunk, Ring, Segment

if TYPE_CHECKING:
    from eventstore import Record
    from gateways.http.live.filters import RecordFilter
    from gateways.http.service import Service

logger = logging.getLogger("eventstore.http")

COALESCE_SECONDS_MIN, COALESCE_SECONDS_MAX, COALESCE_SECONDS_EACH = 0.002, 0.025, 0.0003
"""After a delivery the hub waits for more, the longer the more follow: one write then takes what many commits appended.

A write takes some 15 µs of the loop, and its client longer to read: a twentieth of the loop, up to eighty followers.
"""
SCANNED_MAX = 20_000
"""How many positions one page of history looks through: with a rare filter it would take a thread too long."""
STOP_SECONDS = 3.0
"""How long the end of the service waits for followers to have left."""


class Follower(Protocol):
    """What the hub knows of a follower."""

    def wake(self) -> None:
        """Look for what is new, or for what has been decided about this follower."""

    def deliver(self, delivery: Delivery) -> None:
        """Send what is new, or look for it soon."""

    def check(self, now: float) -> None:
        """Look, about once a second, whether time or a key has run out."""

    def end(self, document: dict[str, Any]) -> None:
        """End soon, with a problem document that says why."""


class Hub:
    """Reads the log once for everybody, while somebody follows: without followers it costs nothing."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.ring = Ring(0)
        self.board = Board(service)
        self._followers: set[Follower] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._starting = asyncio.Lock()
        self._stopping = False
        self._nobody = asyncio.Event()
        self._nobody.set()
        settings = service.settings
        self._sweep_seconds = min(1.0, settings.heartbeat_seconds / 2, settings.send_seconds_max / 2)
        service.at_stop(self.stop)

    @property
    def head(self) -> int:
        """The position up to which followers have been woken."""
        return self.ring.last

    async def join(self, follower: Follower) -> None:
        """Take a follower; raise RequestRefused where the service has as many as it serves, or is stopping."""
        if self._stopping:
            raise RequestRefused(503, "Closed", "the service is stopping", "Connect again after `Retry-After` seconds.")
        most = self.service.settings.streams_max
        if len(self._followers) >= most:
            detail = f"{most} followers are served already, as many as the service allows"
            raise RequestRefused(
                503, "TooManyStreams", detail, "Close a stream that is not needed, or try again later."
            )
        self._followers.add(follower)
        self._nobody.clear()
        self.service.open_streams = len(self._followers)
        try:
            await self._started()
        except BaseException:
            self.leave(follower)
            raise

    def leave(self, follower: Follower) -> None:
        """Let a follower go; with the last one, reading ends."""
        self._followers.discard(follower)
        self.service.open_streams = len(self._followers)
        if not self._followers:
            self._nobody.set()
            for task in self._tasks:
                task.cancel()
            self._tasks = []
            # Nobody reads what is in memory.
            self.ring = Ring(self.ring.last)

    async def stop(self) -> None:
        """Tell every follower that the service ends, and wait until they have left, for a bounded time."""
        self._stopping = True
        ended = self.service.ended()
        why = "" if ended is None else f"log {ended.log} has ended, and log {ended.next} continues it: "
        self._end_all(problem("", 503, "Closed", f"{why}the service is stopping", "Connect again in a second."))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._nobody.wait(), STOP_SECONDS)

    async def page(self, wanted: RecordFilter, after: int) -> EventChunk:
        """Return events from the store, for a follower who is further back than the ring."""
        records, upto = await self.records(wanted, after)
        return EventChunk(b"".join([record_event(record) for record in records]), upto)

    async def records(self, wanted: RecordFilter, after: int) -> tuple[list[Record], int]:
        """Return a page of the records past a position, and the position up to which there are no others."""
        until = min(self.ring.last, after + SCANNED_MAX)
        read = functools.partial(
            self.service.store.sync_store.read, after=after, until=until, limit=CHUNK, **wanted.query
        )
        found = await self.service.store.threads.page(lambda: list(read()))
        upto = found[-1].position if len(found) == CHUNK else until
        return [record for record in found if wanted.matches(record)], upto

    async def _started(self) -> None:
        async with self._starting:
            if self._tasks and not any(task.done() for task in self._tasks):
                return
            self.ring = Ring(await self.service.store.head())
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._read()), loop.create_task(self._sweep())]
            for task in self._tasks:
                task.add_done_callback(self._ended)

    async def _read(self) -> None:
        while True:
            head = await self.service.store.grown(self.ring.last)
            while self.ring.last < head:
                await self._take(min(head, self.ring.last + CHUNK))
            pause = COALESCE_SECONDS_EACH * len(self._followers)
            await asyncio.sleep(min(max(pause, COALESCE_SECONDS_MIN), COALESCE_SECONDS_MAX))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End every follower when the log cannot be read: they resume where they were, once it can."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            if isinstance(error, StoreError) and not isinstance(error, Closed):
                logger.error("followers cannot be served", exc_info=error)
            self._end_all(document_of(error, ""))

    async def _take(self, until: int) -> None:
        after, ring = self.ring.last, self.ring
        read = functools.partial(self.service.store.sync_store.read, after=after, until=until)
        segment = Segment(after, until, await self.service.store.threads.page(lambda: list(read())))
        ring.add(segment)
        self.board.take(segment)
        delivery = Delivery(segment, self.service.authenticator)
        for follower in list(self._followers):
            follower.deliver(delivery)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._sweep_seconds)
            for follower in list(self._followers):
                follower.check(loop.time())

    def _end_all(self, document: dict[str, Any]) -> None:
        for follower in list(self._followers):
            follower.end(document)
