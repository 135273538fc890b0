"""What commands that serve over HTTP share: their options, the settings made of them, and a member's own service."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, NamedTuple
from urllib.parse import urlsplit

import typer
from msgspec.structs import replace

from eventstore import InvalidEvent, SystemClock
from eventstore.actors import default_actor
from eventstore.locations import is_loopback
from gateways.cli import stores
from gateways.cli.options import CommonOptions
from gateways.presenting.output import note

if TYPE_CHECKING:
    from gateways.http import ServiceSettings
    from gateways.http.threaded import ThreadedService
    from projections.group_worker import GroupWorker

Cors = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ORIGIN", help="Another origin whose pages may ask, such as https://desk.example; repeatable."
    ),
]
Allowed = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A name under which the service is addressed, besides localhost; repeatable."),
]
Format = Annotated[str, typer.Option(metavar="FORMAT", help="How requests are logged to stderr: json or text.")]
PORT_MAX = 65_535


def settings_of(cors_origin: list[str] | None, allowed_host: list[str] | None, log_format: str) -> ServiceSettings:
    """Return the settings of a service from what these options were given; raise InvalidEvent for another format."""
    from gateways.http import ServiceSettings, request_log
    from gateways.http.origins import checked_origin

    if log_format not in request_log.FORMATS:
        msg = f"--log-format is {' or '.join(request_log.FORMATS)}, not {log_format!r:.80}"
        raise InvalidEvent(msg)
    return ServiceSettings(
        cors_origins=tuple(checked_origin(each) for each in cors_origin or ()),
        allowed_hosts=tuple(allowed_host or ()),
    )


def url_of(listening: socket.socket) -> str:
    """Return where a socket is reached on this machine."""
    address, port = listening.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def listening_at(text: str) -> socket.socket:
    """Return a socket that listens at HOST:PORT; raise InvalidEvent for any other text."""
    from gateways.http.serving import bound

    host, _, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not (host and port.isascii() and port.isdecimal() and int(port[:6]) <= PORT_MAX):
        msg = f"--listen is HOST:PORT, as 127.0.0.1:8000, not {text!r:.100}"
        raise InvalidEvent(msg)
    return bound(host, int(port))


def member_url(listening: socket.socket, url: str) -> str:
    """Return where other members reach a service, as given or on the loopback; raise InvalidEvent for no such URL."""
    from eventstore.remote.transport import checked_url

    if not url:
        own = url_of(listening)
        if is_loopback(urlsplit(own).hostname or ""):
            return own
        note("without --url no other member can ask this one: they answer for its accounts from snapshots")
        return ""
    parts = urlsplit(checked_url(url))
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        note(f"other members send the keys of those who ask to {parts.hostname} without encryption: use https://")
    return url


class MemberPlace(NamedTuple):
    """Where a member of a group serves: its socket, the URL by which other members reach it, and the settings."""

    listening: socket.socket
    url: str
    settings: ServiceSettings


@contextlib.contextmanager
def place_of(
    common: CommonOptions, listen: str | None, url: str, settings: Callable[[], ServiceSettings]
) -> Iterator[MemberPlace | None]:
    """Take the address that a member is to serve at; None without one."""
    if listen is None:
        yield None
        return
    from gateways.http.keys import KeyAuthenticator
    from gateways.http.serving import check_reachable

    given = settings()
    with contextlib.closing(listening_at(listen)) as listening:
        with stores.open_keys(common) as keys:
            check_reachable(KeyAuthenticator(keys, SystemClock(), default_actor()), listening)
        known = member_url(listening, url)
        # The name by which other members ask is one of its names.
        own = urlsplit(known).hostname
        names = given.allowed_hosts if own is None else (*given.allowed_hosts, own)
        yield MemberPlace(listening, known, replace(given, allowed_hosts=names))


@contextlib.contextmanager
def served_member(
    common: CommonOptions, worker: GroupWorker, given: MemberPlace | None, log_format: str
) -> Iterator[ThreadedService | None]:
    """Serve a worker that runs, until the block ends; nothing without a place."""
    if given is None:
        yield None
        return
    from gateways.http import request_log
    from gateways.http.keys import KeyAuthenticator
    from gateways.http.member import open_member_service
    from gateways.http.threaded import ThreadedService

    request_log.configure(log_format, SystemClock())
    place, log = common.place
    with stores.open_keys(common, is_watched=True) as keys:
        authenticator = KeyAuthenticator(keys, SystemClock(), default_actor())
        opened = functools.partial(
            open_member_service, place, worker, log=log, settings=given.settings, authenticator=authenticator
        )
        with ThreadedService(opened, given.listening) as serving:
            note(f"answers about single accounts at {url_of(given.listening)}")
            yield serving
