"""`serve`: the log over HTTP, for other machines and for people, until it is stopped."""

from __future__ import annotations

import contextlib
import functools
import socket
import sys
from typing import Annotated

import typer

from eventstore import SystemClock
from eventstore.actors import default_actor
from gateways.cli import options, service, stores
from gateways.cli.options import CommonOptions
from gateways.cli.serving import PORT_MAX, Allowed, Cors, Format, settings_of, url_of
from gateways.presenting.output import note, put

Host = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Address to listen on; any but the loopback needs API keys.")
]
Port = Annotated[int, typer.Option(min=0, max=PORT_MAX, help="Port to listen on; 0 takes a free one.")]


@options.command(postgres=True)
def serve(
    common: CommonOptions,
    *,
    host: Host = "127.0.0.1",
    port: Port = 8_000,
    cors_origin: Cors = None,
    allowed_host: Allowed = None,
    log_format: Format = "text",
) -> None:
    """Serve the log over HTTP until stopped: other machines append and ask, people look at the page.

    Without API keys it listens on the loopback only, and all programs of this machine may do everything: see
    eventstore api-keys. It speaks plain HTTP: put TLS in front of it, as docs/SECURITY.md describes.
    """
    stores.check_exists(common)
    # Only now: the libraries of the service take longer to import than all other commands need.
    from gateways.http import open_service, request_log
    from gateways.http.keys import KeyAuthenticator
    from gateways.http.loops import run as run_program
    from gateways.http.serving import bound, check_reachable
    from gateways.http.serving import serve as run

    settings = settings_of(cors_origin, allowed_host, log_format)
    clock = SystemClock()

    def ready(listening: socket.socket, log: str, *, is_open: bool) -> None:
        put(f"serving log {log} at {url_of(listening)}")
        # Through a pipe it would stand in the buffer until the end.
        sys.stdout.flush()
        if is_open:
            note("there are no API keys, so it listens on the loopback only, and all programs here may do everything")
        service.notify(service.READY)

    async def main(authenticator: KeyAuthenticator) -> None:
        place, log = common.place
        with contextlib.closing(bound(host, port)) as listening:
            check_reachable(authenticator, listening)
            request_log.configure(log_format, clock)
            async with open_service(place, log=log, settings=settings, authenticator=authenticator) as opened:
                is_open = not authenticator.needs_key
                try:
                    await run(opened, listening, functools.partial(ready, listening, opened.store.log, is_open=is_open))
                finally:
                    service.notify(service.STOPPING)

    with stores.open_keys(common, is_watched=True) as keys:
        run_program(main(KeyAuthenticator(keys, clock, default_actor())))
    note("the service has ended")
