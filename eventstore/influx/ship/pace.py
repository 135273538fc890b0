"""The pace of shipping: as fast as InfluxDB takes it, slower while somebody appends.

A server on the same machine needs all its processors for what it is sent, and an append's p99 went from 0.6 to 5 ms
while a mirror caught up: the past can wait, who trades cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from eventstore.influx.ship.batches import RECORDS_MAX

if TYPE_CHECKING:
    from eventstore.clock import Clock
    from eventstore.journal import Source

# A request each few milliseconds would keep the server, and one of the machine's processors, busy with little.
APART_SECONDS = 0.01
LOOK_SECONDS = 0.1
LIVE_SECONDS = 2.0
# Whoever appends more than the pace allows for is not fallen behind of.
FASTER_TIMES = 3
# So many at once keep the server busy for no longer than an append's p99 may bear; fewer cost it more each.
LIVE_RECORDS_MAX = 1_000


class Pace:
    """Says how many records to send at once and how long to wait after it, by how a journal's head moves."""

    def __init__(self, journal: Source, clock: Clock, per_second: float) -> None:
        self._journal, self._clock, self._per_second = journal, clock, per_second
        self._looked_at, self._head = clock.monotonic_ns(), journal.head()
        self._live_until = 0
        self._appended_per_second = 0.0

    @property
    def records_max(self) -> int:
        return LIVE_RECORDS_MAX if self._is_live() else RECORDS_MAX

    def seconds(self, records: int) -> float:
        """Return how long after the beginning of one sending, of so many records, the next may begin."""
        if not self._is_live():
            return APART_SECONDS
        return max(APART_SECONDS, records / max(self._per_second, self._appended_per_second * FASTER_TIMES))

    def _is_live(self) -> bool:
        now = self._clock.monotonic_ns()
        since = (now - self._looked_at) / NANOSECONDS
        if since >= LOOK_SECONDS:
            head = self._journal.head()
            self._appended_per_second = (head - self._head) / since
            if head > self._head:
                self._live_until = now + int(LIVE_SECONDS * NANOSECONDS)
            self._looked_at, self._head = now, head
        return now < self._live_until
