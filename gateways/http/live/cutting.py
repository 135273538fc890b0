"""Cutting off a connection whose client takes nothing: what is said to it, and its memory, do not wait for the client.

ASGI's `send` waits until the client has taken what was sent before, so only the connection itself can still be written
to, and closed. The service's connections therefore give each request a function that does so, in its scope.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from collections.abc import Mapping

CUT = "eventstore.cut"
"""Where the function stands among the extensions of a scope."""
GRACE_SECONDS = 2.0
"""So long a client can still take the reason."""

CutStream: TypeAlias = Callable[[bytes], None]
CutSocket: TypeAlias = Callable[[int, str], None]


class CuttingConnection(HttpToolsProtocol):
    """An HTTP connection that can be cut off in the middle of a streamed answer."""

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT: self._cut}  # type: ignore[dict-item]  # of any kind, by ASGI

    def _cut(self, last: bytes) -> None:
        """Write the last piece of an answer that is sent in chunks, and close."""
        self.cycle.keep_alive = False
        if self.cycle.chunked_encoding and not self.transport.is_closing():
            self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last))
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


def _closed_soon(transport: asyncio.Transport) -> None:
    transport.close()
    # What the client does not take would keep the connection, and its memory, without end.
    asyncio.get_running_loop().call_later(GRACE_SECONDS, transport.abort)
