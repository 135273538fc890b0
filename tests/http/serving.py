"""A service for tests: a real server on a free port of the loopback, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict, Unpack

import httpx

from eventstore import Clock
from gateways.http import Service, ServiceSettings, open_service
from gateways.http.access import Authenticator
from gateways.http.connections import Connections
from gateways.http.loops import run as run_program
from gateways.http.serving import LOOPBACK, bound, server_of

WAIT_SECONDS = 60


class ServiceOptions(TypedDict, total=False):
    """The keyword arguments of `open_service` that tests give."""

    log: str
    clock: Clock
    settings: ServiceSettings
    authenticator: Authenticator


class Running:
    """A service that answers at `url`; `client` asks it."""

    def __init__(self, url: str, service: Service, loop: asyncio.AbstractEventLoop, connections: Connections) -> None:
        self.url, self.service, self.loop, self.connections = url, service, loop, connections
        self.client = httpx.Client(base_url=url, timeout=WAIT_SECONDS, trust_env=False)

    def append(self, stream: str, *events: dict[str, Any], **options: object) -> httpx.Response:
        """Append events, each as a dict of `type` and `data`."""
        return self.client.post(f"/v1/streams/{stream}", json={"events": list(events), **options})


@contextlib.contextmanager
def running(directory: Path | str, **options: Unpack[ServiceOptions]) -> Iterator[Running]:
    """Serve a log, in a directory or at a URL, with the arguments of `open_service`; created if there is none."""
    ready = threading.Event()
    found: list[Running] = []
    failed: list[BaseException] = []
    stop: list[Any] = []

    async def main() -> None:
        with contextlib.closing(bound(LOOPBACK, 0)) as listening:
            await serve_on(listening)

    async def serve_on(listening: socket.socket) -> None:
        async with open_service(directory, **options) as service:
            server = server_of(service, ready.set)
            port, loop = listening.getsockname()[1], asyncio.get_running_loop()
            found.append(Running(f"http://{LOOPBACK}:{port}", service, loop, server.config.connections))
            stop.append(server)
            await server._serve([listening])

    def run() -> None:
        try:
            run_program(main())
        except BaseException as e:  # noqa: BLE001 - raised where the service was asked for
            failed.append(e)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="service")
    thread.start()
    try:
        assert ready.wait(WAIT_SECONDS), "the service does not answer"
        if failed:
            raise failed[0]
        with contextlib.closing(found[0].client):
            yield found[0]
    finally:
        if stop:
            stop[0].should_exit = True
        thread.join(WAIT_SECONDS)
    assert not thread.is_alive(), "the service does not end"
    if failed:
        raise failed[0]
