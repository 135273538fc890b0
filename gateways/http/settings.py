"""What a service allows: sizes, rates and waits. Each is a limit that a client is answered with, never a crash."""

from __future__ import annotations

import msgspec


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a service, each with the default that the command line has."""

    body_bytes_max: int = 8_000_000
    """The most bytes of a request's body."""
    body_seconds: float = 30.0
    """How long a request's body may take to arrive."""
    header_bytes_max: int = 32_768
    """The most bytes of a request's line and headers."""
    headers_max: int = 100
    """The most headers of a request."""
    header_seconds: float = 10.0
    """How long a request's line and headers may take to arrive, and a new connection to begin with them."""
    query_bytes_max: int = 8_192
    """The most bytes of a URL's query."""
    idle_seconds: int = 75
    """How long a connection is kept open between two requests."""
    page: int = 200
    """How many records or entries a page has, unless asked otherwise."""
    page_max: int = 10_000
    """The most records or entries of a page."""
    streams_max: int = 500
    """How many followers, by server-sent events or by WebSocket, are served at once."""
    sockets_max: int = 2_000
    """How many connections are open at once; for one more, the one that has been idle for longest is closed."""
    heartbeat_seconds: float = 15.0
    """After so long without an event a follower is sent a heartbeat."""
    send_seconds_max: float = 20.0
    """A follower that takes nothing for so long is cut off."""
    requests_per_second: float = 2_000.0
    """How many requests a key may make, on average over a few seconds. Lockouts and enforcement do not count."""
    cors_origins: tuple[str, ...] = ()
    """Other origins whose pages may ask; none by default."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which the service may be addressed, besides those of the loopback."""
