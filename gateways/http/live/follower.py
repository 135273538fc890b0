"""A follower by server-sent events: a cursor in the log, and one task that writes what lies past it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore import StoreError
from gateways.http.answering import document_of
from gateways.http.live.connection import LiveConnection
from gateways.http.live.cutting import cut_of, push_of
from gateways.http.live.frames import MEDIA_TYPE, comment, event

if TYPE_CHECKING:
    from gateways.http.access import Caller
    from gateways.http.gate import Receive, Scope, Send
    from gateways.http.live.delivery import Delivery
    from gateways.http.live.filters import RecordFilter
    from gateways.http.live.hub import Hub

RETRY_MS = 1_000
"""After so long a browser connects again."""
ANNOUNCED_EVERY = 1_000
"""After so many records that a filter leaves out, a follower is sent the position that it has reached."""
_HEADERS = (
    (b"content-type", f"{MEDIA_TYPE}; charset=utf-8".encode()),
    (b"cache-control", b"no-store"),
    # A proxy that collects an answer before it passes it on would hold events back.
    (b"x-accel-buffering", b"no"),
)


class EventFollower(LiveConnection):
    """Sends records past a position, then each new one within milliseconds, until the client leaves or is sent why."""

    def __init__(self, hub: Hub, scope: Scope, caller: Caller, wanted: RecordFilter, after: int) -> None:
        super().__init__(hub, scope, caller)
        self.wanted, self.position = wanted, after
        self._named = after
        """The position of the last event that was sent with an id."""
        self._loop = asyncio.get_running_loop()
        self._sent_at = self._loop.time()
        self._push = push_of(scope)

    async def run(self, receive: Receive, send: Send) -> None:
        """Answer a request; raise RequestRefused where the hub does not take another follower."""
        await self.hub.join(self)
        watching = self._loop.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
            await self._write(send, self._first())
            while not self.is_over():
                data = await self._next()
                if data:
                    await self._write(send, data)
                elif not self.is_over():
                    await self.waiting()
            if not self.has_left:
                await self.put(send, {"type": "http.response.body", "body": self._last(), "more_body": False})
        finally:
            self.hub.leave(self)
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    @override
    def deliver(self, delivery: Delivery) -> None:
        """Write what is new to the connection, where it is what comes next and the client has taken the rest.

        A task for each of fifty followers takes the loop ten times as long as fifty writes of the same bytes.
        """
        if self._push is None or not self.is_idle or self.is_over() or self.position != delivery.after:
            self.wake()
        elif not delivery.is_allowed(self.caller):
            self.end_without_key()
        elif not (chunk := delivery.chunk(self.wanted)):
            self.position = delivery.last
            if self._is_unannounced:
                self.wake()
        elif self._push(chunk):
            self.position = self._named = delivery.last
            self._sent_at = self._loop.time()
        else:
            self.wake()

    @override
    def check(self, now: float) -> None:
        super().check(now)
        if now - self._sent_at >= self.hub.service.settings.heartbeat_seconds:
            self.wake()

    @override
    def cut(self) -> None:
        cut_of(self.scope)(self._last())
        # Nothing more can be written; the send that waits ends with the connection.
        self.leave()
        self.hub.leave(self)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.leave()

    async def _write(self, send: Send, data: bytes) -> None:
        await self.put(send, {"type": "http.response.body", "body": data, "more_body": True})
        self._sent_at = self._loop.time()

    async def _next(self) -> bytes:
        """Return what to send now, nothing if there is nothing new."""
        while not self.is_over():
            before = self.position
            try:
                chunk = self.hub.ring.chunk(self.wanted, before)
            except LookupError:
                try:
                    chunk = await self.hub.page(self.wanted, before)
                except StoreError as e:
                    self.end(document_of(e, ""))
                    break
            self.position = max(before, chunk.upto)
            if chunk.data:
                self._named = self.position
                return chunk.data
            if self._is_unannounced or self._is_silent:
                return self._sign_of_life()
            if self.position == before:
                break
        return b""

    @property
    def _is_unannounced(self) -> bool:
        return self.position - self._named >= ANNOUNCED_EVERY

    @property
    def _is_silent(self) -> bool:
        silent = self._loop.time() - self._sent_at
        return silent >= self.hub.service.settings.heartbeat_seconds

    def _sign_of_life(self) -> bytes:
        if self.position == self._named:
            return comment(f"at {self.position}")
        # The client's cursor moves also past what its filter leaves out: that is not looked through again.
        self._named = self.position
        return event("position", {"position": self.position}, self.position)

    def _first(self) -> bytes:
        store = self.hub.service.store
        said = {
            "log": store.log,
            "log_id": str(uuid.UUID(bytes=store.log_id)),
            "after": self.position,
            "head": max(self.hub.head, self.position),
        }
        return b"retry: %d\n\n" % RETRY_MS + event("log", said)

    def _last(self) -> bytes:
        return event("closed", self.ending or {})
