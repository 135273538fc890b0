"""`serve`: the log over HTTP, for other machines and for people, until it is stopped."""

from __future__ import annotations

import contextlib
import functools
import socket
from typing import Annotated

import typer

from gateways.cli import options, service, stores
from gateways.cli.options import CommonOptions
from gateways.presenting.output import note, put

Host = Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")]


@options.command()
def serve(common: CommonOptions, *, host: Host = "127.0.0.1", port: Port = 8_000) -> None:
    """Serve the log over HTTP until stopped: other machines append and ask, people look at the page.

    Without API keys it listens on the loopback only, and whoever is on this machine may do everything.
    """
    with stores.open_existing(common):
        pass
    from gateways.http import open_service
    from gateways.http.loops import run as run_program
    from gateways.http.serving import bound
    from gateways.http.serving import serve as run

    def ready(listening: socket.socket) -> None:
        address, chosen = listening.getsockname()[:2]
        put(f"serving log {common.log} at http://{address}:{chosen}")
        service.notify(service.READY)

    async def main() -> None:
        with contextlib.closing(bound(host, port)) as listening:
            async with open_service(common.data, log=common.log) as opened:
                await run(opened, listening, functools.partial(ready, listening))

    run_program(main())
    service.notify(service.STOPPING)
    note("the service has ended")
