"""The Merkle roots that a log's mirror wrote to InfluxDB: what is read from there is verified against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.influx.points import MIRROR

if TYPE_CHECKING:
    from eventstore.influx.client import Client


def roots(client: Client, log: str) -> dict[int, str]:
    """Return the roots that the mirror wrote, in hex, by position: the last one of each hour."""
    values = {"log": log}
    # GROUP BY time needs a span: by default it begins in 1970 and ends now.
    ends = [
        client.query_rows(f"SELECT {end}(tree) FROM {MIRROR} WHERE log = $log", values)  # noqa: S608 - constants
        for end in ("first", "last")
    ]
    if not all(ends):
        return {}
    span = f"time >= {ends[0][0][0]} AND time <= {ends[1][0][0]}"
    query = f"SELECT last(tree) FROM {MIRROR} WHERE log = $log AND {span} GROUP BY time(1h) fill(none)"  # noqa: S608 - numbers
    found = {}
    for _, tree in client.query_rows(query, values):
        position, _, root = str(tree).partition(":")
        if position.isdecimal():
            found[int(position)] = root
    return found
