"""What only a connection itself can do for a request: take what is new at once, and be cut off without waiting.

ASGI's `send` needs a task for each follower, and waits until the client has taken what was sent before. So the
service's connections give each request functions, in its scope: one writes a piece of a streamed answer unless its
client has to take something first; one says why the answer ends, and closes; and one gives a body that has come whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateways.http.exchange import WHOLE_BODY

if TYPE_CHECKING:
    from collections.abc import Mapping

CUT, PUSH = "eventstore.cut", "eventstore.push"
"""Where the functions stand among the extensions of a scope."""
GRACE_SECONDS = 2.0
"""So long a client can still take the reason."""

CutStream: TypeAlias = Callable[[bytes], None]
CutSocket: TypeAlias = Callable[[int, str], None]
Push: TypeAlias = Callable[[bytes], bool]


class CuttingConnection(HttpToolsProtocol):
    """An HTTP connection that can be written to, and cut off, in the middle of a streamed answer."""

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions = {CUT: self._cut, PUSH: self._push, WHOLE_BODY: self._whole_body}
        self.scope["extensions"] = extensions  # type: ignore[typeddict-item]  # of any kind, by ASGI

    def _whole_body(self, scope: object) -> bytes | None:
        """Return a request's body, once, if all of it has come; else None, and it is waited for as usual."""
        cycle = self.cycle
        if cycle.scope is not scope or cycle.more_body or cycle.response_complete or cycle.disconnected:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()
        self.flow.resume_reading()
        return body

    def _push(self, chunk: bytes) -> bool:
        """Write a piece of an answer that is sent in chunks, as `chunk_of` frames it; return whether it was written.

        It is not where the client has to take something first, where it has left, and where the connection's answer is
        another one: a request may already wait behind the one that is answered.
        """
        cycle = self.cycle
        if not cycle.chunked_encoding or cycle.response_complete or cycle.disconnected:
            return False
        if self.flow.write_paused or self.transport.is_closing():
            return False
        self.transport.write(chunk)
        return True

    def _cut(self, last: bytes) -> None:
        """Write the last piece of an answer that is sent in chunks, and close."""
        self.cycle.keep_alive = False
        if self.cycle.chunked_encoding and not self.transport.is_closing():
            self.transport.write(chunk_of(last) + b"0\r\n\r\n")
        # What waits to be sent must not follow the end.
        self.cycle.disconnected = True
        _closed_soon(self.transport)


class CuttingSocket(WebSocketsSansIOProtocol):
    """A WebSocket that can be closed although its client takes nothing."""

    @override
    async def run_asgi(self) -> None:
        self.scope["extensions"][CUT] = self._cut  # type: ignore[assignment]  # of any kind, by ASGI
        await super().run_asgi()

    def _cut(self, code: int, reason: str) -> None:
        if self.handshake_complete and not self.close_sent and not self.transport.is_closing():
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = self.disconnected = True
        _closed_soon(self.transport)


def cut_of(scope: Mapping[str, Any]) -> Any:  # noqa: ANN401 - CutStream or CutSocket, by the scope's type
    """Return the function that cuts off a request's connection."""
    return scope["extensions"][CUT]


def push_of(scope: Mapping[str, Any]) -> Push | None:
    """Return the function that writes to a request's connection at once; None where its server has none."""
    found: Push | None = scope.get("extensions", {}).get(PUSH)
    return found


def chunk_of(data: bytes) -> bytes:
    """Return a piece of a streamed answer as HTTP/1.1 frames it; without data there is none."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _closed_soon(transport: asyncio.Transport) -> None:
    transport.close()
    # What the client does not take would keep the connection, and its memory, without end.
    asyncio.get_running_loop().call_later(GRACE_SECONDS, transport.abort)
