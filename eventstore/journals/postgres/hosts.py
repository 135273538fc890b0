"""Which of several servers in a URL is connected to: the one that continues what was seen, or the newest timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from eventstore.errors import StoreError
from eventstore.journals.postgres import tables
from eventstore.journals.postgres.connection import Access, PostgresError, connect, hosts_of, translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location

PROBE_SECONDS = 2
"""How long one of several hosts is waited for."""


def newest(location: Location) -> Connection:
    """Connect to the server that accepts writes; of several that do, to the one with the highest timeline.

    An old primary that was started before it was rewound accepts writes too. Who has seen nothing of the log yet can
    tell it from the new one only by asking both.
    """
    found: list[tuple[int, Connection]] = []
    hosts = hosts_of(location)
    try:
        for host in hosts if len(hosts) > 1 else ():
            try:
                connection = connect(host, Access.WRITE, seconds=PROBE_SECONDS)
                found.append((tables.timeline(connection), connection))
            except (PostgresError, StoreError):
                # It is down, or a standby; if none is found, the error is that of asking for any.
                continue
        if not found:
            return connect(location, Access.WRITE)
        best = max(found, key=lambda each: each[0])
        found.remove(best)
        return best[1]
    finally:
        for _, connection in found:
            connection.close()


def primary(location: Location) -> Location:
    """Return a location where the primary alone is read: a standby may lack what is acknowledged.

    Of several hosts in a URL it is the newest one's. Raises Unavailable where there is none.
    """
    place = {"target_session_attrs": Access.READ.value}
    if len(hosts_of(location)) > 1:
        with translated(location):
            connection = newest(location)
        place |= {"host": connection.info.host, "port": str(connection.info.port)}
        connection.close()
    # The last of several values counts.
    sign = "&" if urlsplit(location.uri).query else "?"
    return location._replace(uri=f"{location.uri}{sign}{urlencode(place, quote_via=quote)}")


def accepted(location: Location, access: Access, check: Callable[[Connection], None]) -> Connection:
    """Connect to a server that a check accepts, of several in a URL: each is tried where the first is refused.

    Raises what the check raised of the first.
    """
    try:
        return _checked(location, access, check)
    except StoreError:
        hosts = hosts_of(location)
        for host in hosts if len(hosts) > 1 else ():
            try:
                return _checked(host, access, check, seconds=PROBE_SECONDS)
            except (PostgresError, StoreError):
                continue
        raise


def _checked(
    location: Location, access: Access, check: Callable[[Connection], None], *, seconds: int | None = None
) -> Connection:
    connection = connect(location, access) if seconds is None else connect(location, access, seconds=seconds)
    try:
        check(connection)
    except BaseException:
        connection.close()
        raise
    return connection
