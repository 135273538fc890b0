"""Running the service: a socket on the loopback, uvicorn within limits, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn
from typing_extensions import override

from eventstore.errors import InvalidEvent, StoreError
from eventstore.locations import is_loopback
from gateways.http.application import create_app
from gateways.http.connections import Connections, LimitedHttp, LimitedSocket, ServerConfig, with_files_for
from gateways.http.keys import KeyAuthenticator
from gateways.http.request_log import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from gateways.http.access import Authenticator
    from gateways.http.member import MemberService
    from gateways.http.served import LogService
    from gateways.http.service import Service

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 10
"""After so long what still runs is cut off."""
USED_SECONDS = 60.0
"""How often it is written when keys were last used."""
BACKLOG = 2_048
WATCH_SECONDS = 0.25
"""How often it is looked whether the log has ended."""


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio sets TCP_NODELAY: else each answer waits 40 ms for the client's acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except BaseException:
        listening.close()
        raise
    return listening


def check_reachable(authenticator: Authenticator, listening: socket.socket) -> None:
    """Raise InvalidEvent for a service that needs no key, and that other machines would reach."""
    address = listening.getsockname()[0]
    if not authenticator.needs_key and not is_loopback(address.partition("%")[0]):
        msg = (
            f"without API keys the service listens on the loopback only, not on {address}: add one first, "
            "with eventstore api-keys add"
        )
        raise InvalidEvent(msg)


class _Server(uvicorn.Server):
    """Uvicorn, which says when it answers, and followers why they end."""

    config: ServerConfig

    def __init__(self, config: ServerConfig, service: LogService, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._connections, self._service, self._on_ready = config.connections, service, on_ready
        self._tasks: list[asyncio.Task[None]] = []

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in sockets or ():
            check_reachable(self._service.authenticator, listening)
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._connections.watch(), name="watch connections"),
            loop.create_task(_write_used(self._service), name="write when keys were used"),
            loop.create_task(self._watch_log(), name="watch for the end of the log"),
        ]
        self._on_ready()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._service.stop()
        except TimeoutError:
            requests.error("followers did not end within %d seconds: they are cut off", STOP_SECONDS)
        await super().shutdown(sockets)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _note_used(self._service)

    async def _watch_log(self) -> None:
        """End once the log has ended: who starts the service again is led to the log that continues it."""
        while not self.should_exit:
            await asyncio.sleep(WATCH_SECONDS)
            if self._service.ended() is not None:
                self.should_exit = True

    async def serve_in_thread(self, listening: socket.socket) -> None:
        """Serve until `should_exit` is set: signals are the main thread's."""
        await self._serve([listening])

    @contextlib.contextmanager
    @override
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle SIGTERM and SIGINT in the loop: the service ends in its own time, and with 0."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


async def _write_used(service: LogService) -> None:
    while True:
        await asyncio.sleep(USED_SECONDS)
        await _note_used(service)


async def _note_used(service: LogService) -> None:
    authenticator = service.authenticator
    if not isinstance(authenticator, KeyAuthenticator):
        return
    try:
        await service.store.long(authenticator.write_used)
    except (OSError, StoreError) as e:
        # It is shown to people, and nothing depends on it.
        requests.error("it cannot be written when keys were last used: %s", e)


async def serve(service: Service, listening: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; what runs then is answered first, for at most STOP_SECONDS.

    Raises LogHasEnded once the log has ended: started again, the service leads to the one that continues it.
    """
    await server_of(service, on_ready).serve([listening])
    if (ended := service.ended()) is not None:
        raise ended


def server_of(service: Service | MemberService, on_ready: Callable[[], None]) -> _Server:
    """Return what serves: it ends once `should_exit` is set."""
    settings = service.settings
    config = ServerConfig(
        create_app(service),
        log_config=None,
        access_log=False,
        server_header=False,
        # Nothing here goes by a client's address or scheme, which a proxy would state.
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=settings.idle_seconds,
        backlog=BACKLOG,
        http=LimitedHttp,
        ws=LimitedSocket,
        ws_max_size=65_536,
        # A compressed message may become of any size, and each socket would keep a window.
        ws_per_message_deflate=False,
    )
    config.connections = Connections(settings, with_files_for(settings.sockets_max))
    return _Server(config, service, on_ready)
