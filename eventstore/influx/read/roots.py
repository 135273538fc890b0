"""Roots of a log's tree that its mirror leaves in InfluxDB, to prove by what is read from there later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.influx.points import MIRROR

if TYPE_CHECKING:
    from eventstore.influx.client import Client


def roots(client: Client, log: str) -> dict[int, str]:
    """Return the tree's roots that the mirror left, in hex, by position: the newest of each hour."""
    values = {"log": log}
    ends = [client.ask(f"SELECT {end}(tree) FROM {MIRROR} WHERE log = $log", values) for end in ("first", "last")]  # noqa: S608 - constants
    if not all(ends):
        return {}
    span = f"time >= {ends[0][0][0]} AND time <= {ends[1][0][0]}"
    query = f"SELECT last(tree) FROM {MIRROR} WHERE log = $log AND {span} GROUP BY time(1h) fill(none)"  # noqa: S608 - numbers
    found = {}
    for _, tree in client.ask(query, values):
        position, _, root = str(tree).partition(":")
        if position.isdecimal():
            found[int(position)] = root
    return found
