"""Many small services in one server, each at a path of its own: a test with an empty log needs no server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import uvicorn

from eventstore import Clock, EventStore
from eventstore.aio import AsyncEventStore
from eventstore.journal import Maintenance
from gateways.http import Service, create_app
from gateways.http.serving import LOOPBACK, bound
from projections import aio as books
from tests.http.serving import WAIT_SECONDS

if TYPE_CHECKING:
    from gateways.http.gate import ASGIApp, Receive, Scope, Send

T = TypeVar("T")

Wrap: TypeAlias = "Callable[[ASGIApp, Service], ASGIApp]"


class Mounts:
    """A server whose services are at /1, /2, and so on."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop, apps: dict[str, ASGIApp]) -> None:
        self.url, self._loop, self._apps = url, loop, apps
        self._numbers = itertools.count(1)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(WAIT_SECONDS)

    @contextlib.contextmanager
    def serving(self, journal: Maintenance, clock: Clock | None = None, wrap: Wrap | None = None) -> Iterator[str]:
        """Serve the log of a journal; its URL."""
        store = AsyncEventStore(EventStore(journal, clock=clock))

        async def opened() -> Service:
            return Service(store, await books.open(store))

        service = self.run(opened())
        name = f"/{next(self._numbers)}"
        app: ASGIApp = create_app(service)
        self._apps[name] = app if wrap is None else wrap(app, service)
        try:
            yield f"{self.url}{name}"
        finally:
            del self._apps[name]

            async def closed() -> None:
                await service.book.close()
                await store.close()

            self.run(closed())


@contextlib.contextmanager
def mounting() -> Iterator[Mounts]:
    """Run a server without services, in a thread."""
    apps: dict[str, ASGIApp] = {}
    found: list[Mounts] = []
    ready = threading.Event()

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        first, slash, rest = scope["path"][1:].partition("/")
        app = apps[f"/{first}"]
        await app({**scope, "path": slash + rest, "raw_path": f"{slash}{rest}".encode()}, receive, send)

    config = uvicorn.Config(
        dispatch, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]

    async def main() -> None:
        with contextlib.closing(bound(LOOPBACK, 0)) as listening:
            port = listening.getsockname()[1]
            found.append(Mounts(f"http://{LOOPBACK}:{port}", asyncio.get_running_loop(), apps))
            ready.set()
            await server._serve([listening])

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="services")
    thread.start()
    try:
        assert ready.wait(WAIT_SECONDS), "the server does not answer"
        yield found[0]
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)
    assert not thread.is_alive(), "the server does not end"
