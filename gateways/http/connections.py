"""The connections of a service: how many, how long each may take, and how large its headers are.

Uvicorn bounds none of these by itself: a client that sends a header a minute, or takes nothing of an answer, would keep
a connection and what is buffered for it without end.
"""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.utils import ClientDisconnected

from eventstore.remote.problems import MEDIA_TYPE, RETRY_AFTER
from gateways.http.answering import problem
from gateways.http.exchange import SECURITY_HEADERS
from gateways.http.live.cutting import CuttingConnection, CuttingSocket

if TYPE_CHECKING:
    from gateways.http.settings import ServiceSettings

SWEEP_SECONDS = 0.5
STALL_GRACE_SECONDS = 2.0
"""How much longer than `send_seconds_max` an answer may wait to be taken: a follower is first sent why it ends."""
FILES_RESERVED = 256
"""Files other than connections: the log, snapshots, libraries."""


class ServerConfig(uvicorn.Config):
    """Uvicorn's settings, and the connections of its server."""

    connections: Connections


class Connections:
    """All connections of a server, looked at twice a second; the idle ones in the order in which they became so."""

    def __init__(self, settings: ServiceSettings, most: int | None = None) -> None:
        self.settings = settings
        self.most = settings.sockets_max if most is None else most
        self._all: dict[Connection, Outgoing] = {}
        self._idle: dict[LimitedHttp, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, connection: Connection) -> bool:
        """Add a connection; return False where there is room for no more, not even by closing an idle one."""
        if len(self._all) >= self.most and not self._close_idle():
            return False
        self._all[connection] = Outgoing()
        return True

    def remove(self, connection: Connection) -> None:
        self._all.pop(connection, None)
        if isinstance(connection, LimitedHttp):
            self._idle.pop(connection, None)

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    def became_idle(self, connection: LimitedHttp) -> None:
        self._idle.pop(connection, None)
        self._idle[connection] = None

    def became_busy(self, connection: LimitedHttp) -> None:
        self._idle.pop(connection, None)

    def _close_idle(self) -> bool:
        """Close the connection that has been idle for longest; return whether there was one."""
        oldest = next(iter(self._idle), None)
        if oldest is None:
            return False
        self.remove(oldest)
        oldest.transport.abort()
        return True

    async def watch(self) -> None:
        """Close what takes too long, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        """Close what takes too long by now, in the loop's time."""
        limit = self.settings.send_seconds_max + STALL_GRACE_SECONDS
        for connection, outgoing in list(self._all.items()):
            if outgoing.stalled_for(connection.transport.get_write_buffer_size(), now) > limit:
                connection.transport.abort()
            elif isinstance(connection, LimitedHttp):
                connection.check_incoming(now)


class Outgoing:
    """What a connection has not taken yet, and since when it takes nothing."""

    def __init__(self) -> None:
        self._left, self._since = 0, 0.0

    def stalled_for(self, left: int, now: float) -> float:
        """Return for how many seconds nothing has been taken of what is sent; 0 where nothing is left."""
        if not left or left < self._left or not self._left:
            self._since = now
        self._left = left
        return now - self._since


class LimitedHttp(CuttingConnection):
    """A connection over HTTP/1.1 whose headers are bounded in size, in number and in time."""

    transport: asyncio.Transport

    def __init__(self, config: ServerConfig, server_state: Any, app_state: Any, _loop: Any = None) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(config, server_state, app_state, _loop)
        self._registry = config.connections
        self._head_bytes = self._headers = 0
        self._head_began: float | None = None
        self._body_began = 0.0
        self._refusal: tuple[int, str, str] | None = None

    @override
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # The time in which the first request has to come.
        self._head_began = self.loop.time()
        if self._registry.admit(self):
            self._registry.became_idle(self)
            return
        self._write_refusal(503, "Overloaded", f"the service has {self._registry.most:,} connections, and no more")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.remove(self)
        super().connection_lost(exc)

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = self._headers = 0
        self._head_began = self.loop.time()

    @override
    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._headers += 1
        self._count(len(name) + len(value) + 4)

    def _count(self, added: int) -> None:
        settings = self._registry.settings
        self._head_bytes += added
        if self._head_bytes > settings.header_bytes_max or self._headers > settings.headers_max:
            most = f"{settings.header_bytes_max:,} bytes and {settings.headers_max} headers"
            self._refusal = (431, "HeadersTooLarge", f"the request's head has more than {most}")
            # The parser calls `send_400_response` for whatever is raised here.
            msg = self._refusal[-1]
            raise ValueError(msg)

    @override
    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        # A head without end is not parsed further: what the parser keeps of an unfinished header counts too.
        if self._head_began is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > 2 * self._registry.settings.header_bytes_max:
                self._write_refusal(431, "HeadersTooLarge", "the request's head is too large")

    @override
    def on_headers_complete(self) -> None:
        self._head_began, self._body_began = None, self.loop.time()
        self._registry.became_busy(self)
        super().on_headers_complete()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing() and not self.pipeline and self.cycle.response_complete:
            self._registry.became_idle(self)

    @override
    def handle_websocket_upgrade(self) -> None:
        # Before the socket counts itself.
        self._registry.remove(self)
        self._head_began = None
        super().handle_websocket_upgrade()

    @override
    def send_400_response(self, msg: str) -> None:
        self._write_refusal(*(self._refusal or (400, "BadRequest", f"the request is not HTTP: {msg}")))

    def check_incoming(self, now: float) -> None:
        """Close the connection if the head of a request does not end, or a body that nobody reads.

        What was refused before its body was read is answered at once: a connection that is closed while the client
        still sends loses the answer too.
        """
        settings, began = self._registry.settings, self._head_began
        has_body_left = began is None and self.cycle.more_body
        if began is not None and now - began > settings.header_seconds:
            self._write_refusal(408, "RequestTimeout", "the request's head did not arrive in time")
        elif has_body_left and now - self._body_began > settings.body_seconds + STALL_GRACE_SECONDS:
            self.transport.abort()

    def _write_refusal(self, status: int, title: str, detail: str) -> None:
        """Answer what never becomes a request, and close."""
        self._head_began = None
        if self.transport.is_closing():
            return
        body = msgspec.json.encode(problem("", status, title, detail) | {"instance": None})
        headers = [
            *SECURITY_HEADERS,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *([(b"retry-after", b"%d" % RETRY_AFTER)] if status == 503 else []),  # noqa: PLR2004 - Overloaded
        ]
        lines = b"".join([name + b": " + value + b"\r\n" for name, value in headers])
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self.transport.close()


class LimitedSocket(CuttingSocket):
    """A WebSocket that counts as a connection, and is cut off where it takes nothing."""

    transport: asyncio.Transport

    def __init__(self, config: ServerConfig, server_state: Any, app_state: Any, _loop: Any = None) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(config, server_state, app_state, _loop)
        self._registry = config.connections

    @override
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._registry.admit(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.remove(self)
        super().connection_lost(exc)

    @override
    async def send(self, message: Any) -> None:
        if self.transport.is_closing() and not self.handshake_complete:
            # Its client has left before it was answered, which uvicorn would log as a failure of the service.
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # It was answered without being opened, which uvicorn would log as a failure too.
            self.handshake_complete = True


Connection: TypeAlias = LimitedHttp | LimitedSocket


def with_files_for(wanted: int) -> int:
    """Raise the limit of open files for so many connections as far as allowed; return how many are possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + FILES_RESERVED
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - FILES_RESERVED))
