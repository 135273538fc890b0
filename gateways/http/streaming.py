"""Answers that are sent while they are made: in a thread, a chunk at a time, no faster than the client takes them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from eventstore import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from gateways.http.service import Service

    Made = Callable[["Leaving"], Iterator[bytes]]

STREAMED_MAX = 4
"""How many such answers are made at once: each has a thread, and may have files as large as the log."""


class ClientLeft(Exception):
    """The client is gone: what is made for it ends."""


class Leaving:
    """Whether the client has left, for the thread that makes its answer."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def leave(self) -> None:
        self._event.set()

    def check(self, *_progress: int) -> None:
        """Raise ClientLeft once the client is gone; takes what a callback of progress is given."""
        if self._event.is_set():
            raise ClientLeft


class StreamedAnswer:
    """An ASGI answer whose body a generator makes.

    The generator runs in threads of the store, one step after the other, and is closed at the end: when it is done,
    when the client leaves or takes nothing for `send_seconds_max`, and when the service stops. An error after the first
    chunk cuts the connection, so that no client takes a part for the whole.
    """

    def __init__(self, service: Service, made: Made, media_type: str, name: str = "") -> None:
        self._service, self._made = service, made
        self._headers = [(b"content-type", media_type.encode()), (b"cache-control", b"no-store")]
        if name:
            self._headers.append((b"content-disposition", f'attachment; filename="{name}"'.encode()))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        async with contextlib.aclosing(_chunks(self._service, self._made)) as chunks:
            # The first chunk before the status: what cannot be begun is answered with a problem.
            first = await anext(chunks, b"")
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            sending = asyncio.ensure_future(self._send(first, chunks, send))
            leaving = asyncio.ensure_future(_left(receive))
            try:
                await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
                if not sending.done():
                    sending.cancel()
                    await asyncio.wait({sending})
            if not sending.cancelled():
                sending.result()

    async def _send(self, first: bytes, chunks: AsyncIterator[bytes], send: Any) -> None:  # noqa: ANN401 - ASGI's
        await self._send_one(send, first)
        async for chunk in chunks:
            await self._send_one(send, chunk)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_one(self, send: Any, chunk: bytes) -> None:  # noqa: ANN401 - ASGI's
        async with asyncio.timeout(self._service.settings.send_seconds_max):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _left(receive: Any) -> None:  # noqa: ANN401 - ASGI's
    while (await receive())["type"] != "http.disconnect":
        pass


async def _chunks(service: Service, made: Made) -> AsyncGenerator[bytes]:
    """Yield what a generator makes in threads; its end is waited for, also by a task that is cancelled."""
    running = service.streamed
    if len(running) >= STREAMED_MAX:
        msg = f"{STREAMED_MAX} exports are being made: ask again when one of them is done"
        raise Overloaded(msg)
    leaving = Leaving()
    running.add(leaving)
    making = _Making(made, leaving)
    try:
        while (chunk := await service.store.long(making.next)) is not None:
            yield chunk
    finally:
        leaving.leave()
        # Closed in a thread, after the step that may still run there; a task that is cancelled does not wait for it.
        closing = asyncio.ensure_future(service.store.long(making.close))
        closing.add_done_callback(lambda _: running.discard(leaving))
        await asyncio.shield(closing)


class _Making:
    """A generator that threads advance, one at a time, and close."""

    def __init__(self, made: Made, leaving: Leaving) -> None:
        self._made, self._leaving = made, leaving
        self._chunks: Iterator[bytes] | None = None
        self._lock = threading.Lock()

    def next(self) -> bytes | None:
        """Return the next chunk, None at the end."""
        with self._lock:
            self._leaving.check()
            if self._chunks is None:
                self._chunks = iter(self._made(self._leaving))
            return next(self._chunks, None)

    def close(self) -> None:
        """Give back what the generator holds."""
        with self._lock:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
