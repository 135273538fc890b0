"""Running the service: a socket on the loopback, uvicorn, and a clean end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn
from typing_extensions import override

from gateways.http.application import create_app
from gateways.http.live.cutting import CuttingConnection, CuttingSocket
from gateways.http.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 10
"""After so long what still runs is cut off."""


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio sets TCP_NODELAY: else each answer waits 40 ms for the client's acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    return listening


class _Server(uvicorn.Server):
    """Uvicorn, which says when it answers, and tells followers when it ends."""

    def __init__(self, config: uvicorn.Config, service: Service, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._on_ready = service, on_ready

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._service.stop()
        await super().shutdown(sockets)


async def serve(service: Service, listening: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; what runs then is answered first, for at most STOP_SECONDS."""
    await server_of(service, on_ready).serve([listening])


def server_of(service: Service, on_ready: Callable[[], None]) -> uvicorn.Server:
    """Return what serves: it ends once `should_exit` is set."""
    settings = service.settings
    config = uvicorn.Config(
        create_app(service),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=settings.sockets_max,
        http=CuttingConnection,
        ws=CuttingSocket,
        ws_per_message_deflate=False,
        ws_max_size=65_536,
        h11_max_incomplete_event_size=32_768,
    )
    return _Server(config, service, on_ready)
