"""Sending: the same bytes again until InfluxDB has them, with pauses that grow, or a halt that names the position."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from eventstore.errors import Refused
from eventstore.influx.client import REJECTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.influx.client import Client
    from eventstore.influx.ship.batches import Batch

FAILURES_MAX = 3
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.05, 5.0
# A server may ask for a pause, but not for a day.
ASKED_SECONDS_MAX = 300.0


class Breaker:
    """A circuit breaker: after some failures in a row it asks a short question before it sends megabytes again."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.failures = 0
        self._chance = chance or random.Random()

    @property
    def is_open(self) -> bool:
        return self.failures >= FAILURES_MAX

    def closed(self) -> None:
        """Note a success."""
        self.failures = 0

    def pause(self, at_least: float) -> float:
        """Note a failure; return how many seconds to wait: twice as long each time, with full jitter."""
        self.failures += 1
        longest = min(PAUSE_SECONDS * 2 ** min(self.failures, 16), PAUSE_SECONDS_MAX)
        return max(self._chance.uniform(PAUSE_SECONDS / 2, longest), min(at_least, ASKED_SECONDS_MAX))


def send(client: Client, batch: Batch, breaker: Breaker) -> None:
    """Write a batch once. Raises Unavailable for what may pass; Refused, naming the position, for what may not."""
    if breaker.is_open:
        client.ping()
    try:
        client.write(batch.body)
    except Refused as e:
        if e.status not in REJECTED:
            raise
        # Halves, quarters …: either the server wants less at a time, or the line that it does not take is found.
        _send_types(client, batch)
        _send_parts(client, batch, batch.lines, batch.first)


def _send_types(client: Client, batch: Batch) -> None:
    if not batch.types:
        return
    try:
        client.write("\n".join(batch.types).encode())
    except Refused as e:
        if e.status in REJECTED:
            raise _rejected(e, "its type", batch.first) from e
        raise


def _send_parts(client: Client, batch: Batch, lines: Sequence[str], first: int) -> None:
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
    msg = f"position {position} ({what}): {error.reason}. Nothing past it is shipped until InfluxDB takes it"
    return Refused(msg, status=error.status, position=position)
