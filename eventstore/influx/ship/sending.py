"""Sending: one attempt to write a batch, the pause after a failure, the search for a rejected event, reading back."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from eventstore.errors import Refused
from eventstore.influx.backoff import Backoff
from eventstore.influx.client import REJECTED
from eventstore.influx.points import EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.influx.client import Client
    from eventstore.influx.points import PointKey
    from eventstore.influx.ship.batches import EncodedBatch

FAILURES_MAX = 3
PAUSE_SECONDS_MIN, PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.025, 0.1, 5.0
# A server may ask for a longer pause with Retry-After, but not for a day.
RETRY_AFTER_SECONDS_MAX = 300.0


class CircuitBreaker:
    """Counts failures in a row: once it is open, a short ping comes before megabytes are sent again."""

    def __init__(self, jitter: random.Random | None = None) -> None:
        self._pauses = Backoff(
            PAUSE_SECONDS, PAUSE_SECONDS_MAX, shortest=PAUSE_SECONDS_MIN, jitter=jitter or random.Random()
        )

    @property
    def is_open(self) -> bool:
        return self._pauses.failures >= FAILURES_MAX

    def record_success(self) -> None:
        """Close the circuit."""
        self._pauses.reset()

    def record_failure(self, retry_after: float) -> float:
        """Return how many seconds to pause before the next attempt, `retry_after` at least."""
        return max(self._pauses.next(), min(retry_after, RETRY_AFTER_SECONDS_MAX))


def send(client: Client, batch: EncodedBatch, breaker: CircuitBreaker) -> None:
    """Write a batch, in one attempt. Raises Unavailable if it may be retried, else Refused with the position."""
    if breaker.is_open:
        client.ping()
    try:
        client.write(batch.body)
    except Refused as e:
        if e.status not in REJECTED:
            raise
        # Bisected: either the server accepts smaller requests, or the one line that it rejects is found.
        # Nothing after a rejected line may be shipped: a gap in InfluxDB is worse than a mirror that is halted.
        _send_types(client, batch)
        _send_parts(client, batch, batch.lines, batch.first)


def first_missing(client: Client, keys: Sequence[PointKey]) -> int:
    """Return the first position of some points that InfluxDB does not have, 0 if it has all.

    Queried by all tags and the exact time of each, which costs the server least.
    """
    queries: list[str] = []
    values: dict[str, object] = {}
    for key in keys:
        where = " AND ".join(f'"{name}" = ${name}{key.position}' for name in key.tags)
        values |= {f"{name}{key.position}": value for name, value in key.tags.items()}
        queries.append(f"SELECT position FROM {EVENTS} WHERE {where} AND time = {key.recorded_at}")  # noqa: S608 - bound values
    found = {row[1] for _, rows in client.query_tables("; ".join(queries), values) for row in rows}
    return next((key.position for key in keys if key.position not in found), 0)


def _send_types(client: Client, batch: EncodedBatch) -> None:
    if not batch.types:
        return
    try:
        client.write("\n".join(batch.types).encode())
    except Refused as e:
        if e.status in REJECTED:
            raise _rejected(e, "its type", batch.first) from e
        raise


def _send_parts(client: Client, batch: EncodedBatch, lines: Sequence[str], first: int) -> None:
    if len(lines) > 1:
        middle = len(lines) // 2
        for part, start in ((lines[:middle], first), (lines[middle:], first + middle)):
            try:
                client.write("\n".join(part).encode())
            except Refused as e:
                if e.status not in REJECTED:
                    raise
                _send_parts(client, batch, part, start)
        return
    try:
        client.write(lines[0].encode())
    except Refused as e:
        if e.status in REJECTED:
            raise _rejected(e, lines[0].split(" ", 1)[0], first) from e
        raise


def _rejected(error: Refused, what: str, position: int) -> Refused:
    msg = f"position {position} ({what}): {error.reason}. Nothing after it is shipped until InfluxDB accepts it"
    return Refused(msg, status=error.status, position=position)
