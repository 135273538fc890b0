"""Under which names a service is addressed, and from which pages: against DNS rebinding and other sites' scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from eventstore.errors import InvalidEvent

if TYPE_CHECKING:
    from collections.abc import MutableMapping

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def host_of(authority: str) -> str:
    """Return the host of `host:port`, in small letters; an IPv6 address keeps its brackets."""
    host, colon, port = authority.rpartition(":")
    if not colon or "]" in port:
        host = authority
    return host.lower().rstrip(".")


def is_known_host(authority: str, scope: MutableMapping[str, Any], allowed: tuple[str, ...]) -> bool:
    """Return whether a request is addressed to a name of this service.

    These are the loopback's, the address that the connection came to, and those that are allowed by name. A page of
    another site can let its own name point here, and would then read what it asked for as its own: but only by that
    name.
    """
    host = host_of(authority)
    if host in LOOPBACK_NAMES or host in {each.lower().rstrip(".") for each in allowed}:
        return True
    server = scope.get("server")
    address = str(server[0]) if server else ""
    return bool(host) and host == (f"[{address}]" if ":" in address else address)


def checked_origin(origin: str) -> str:
    """Return an origin as browsers send it; raise InvalidEvent for what no browser sends."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in _DEFAULT_PORTS or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}".lower():
        msg = f"{origin!r:.100} is not an origin: write it as in https://desk.example, without a path"
        raise InvalidEvent(msg)
    return origin


def is_same_origin(origin: str, authority: str) -> bool:
    """Return whether a page of an origin was served under the same host and port.

    The scheme is left out: where TLS ends in front of the service, the browser has https and the service http.
    """
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in _DEFAULT_PORTS or not parts.netloc:
        return False
    return _with_port(parts.netloc, parts.scheme) in {_with_port(authority, scheme) for scheme in _DEFAULT_PORTS}


def _with_port(authority: str, scheme: str) -> tuple[str, str]:
    host = host_of(authority)
    port = authority[len(host) :].lstrip(":.")
    return host, port or _DEFAULT_PORTS[scheme]
