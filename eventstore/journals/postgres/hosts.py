"""Which of several servers in a URL is connected to: of those that continue what was seen, the newest timeline's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from eventstore.errors import StoreError
from eventstore.journals.postgres import tables
from eventstore.journals.postgres.connection import Access, PostgresError, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.journals.postgres.connection import Connection
    from eventstore.journals.postgres.location import Location

PROBE_SECONDS = 2
"""How long one of several hosts is waited for: the least that libpq takes."""


def newest(location: Location, access: Access, check: Callable[[Connection], None] | None = None) -> Connection:
    """Connect to the only host of a URL; of several that fit, to the one with the highest timeline.

    An old primary that was started before it was rewound accepts writes too, and continues what a process has seen
    that was idle meanwhile. Only asking all of them tells it from the new one. A standby is the last choice. `check`
    raises for a server that must not be used; what it raises of the best one is raised.
    """
    hosts = location.hosts()
    if len(hosts) == 1:
        return _checked(connect(location, access), check)
    with ThreadPoolExecutor(len(hosts), thread_name_prefix="probe of a host") as executor:
        probes = [executor.submit(_probe, host, access) for host in hosts]
        found = [each for probe in probes if (each := probe.result()) is not None]
    # Of primaries only the one with the highest timeline: the others are old ones, whatever it is refused for. Then
    # standbys, whose timeline is 0; of equals the one that is named first.
    found.sort(key=lambda each: -each[0])
    connections = [connection for _, connection in found]
    for timeline, old in found[1:]:
        if timeline:
            old.close()
            connections.remove(old)
    if not connections:
        # None fits: the error is that of asking for any.
        return _checked(connect(location, access, seconds=PROBE_SECONDS), check)
    return _first_accepted(connections, check)


def _first_accepted(connections: list[Connection], check: Callable[[Connection], None] | None) -> Connection:
    refused: StoreError | None = None
    chosen: Connection | None = None
    try:
        for connection in connections:
            try:
                _checked(connection, check)
            except StoreError as e:
                refused = refused or e
            else:
                chosen = connection
                return chosen
        assert refused is not None
        raise refused
    finally:
        for connection in connections:
            if connection is not chosen:
                connection.close()


def _probe(host: Location, access: Access) -> tuple[int, Connection] | None:
    """Return a host's timeline, and a connection to it; None where it is down, or does not fit."""
    try:
        connection = connect(host, access, seconds=PROBE_SECONDS)
    except (PostgresError, StoreError):
        return None
    try:
        return tables.timeline(connection), connection
    except PostgresError:
        connection.close()
        return None


def _checked(connection: Connection, check: Callable[[Connection], None] | None) -> Connection:
    try:
        if check is not None:
            check(connection)
    except BaseException:
        connection.close()
        raise
    return connection
