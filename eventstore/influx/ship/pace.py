"""The pace of shipping: as fast as InfluxDB accepts it, slower while events are appended.

An InfluxDB on the same machine uses all processors to ingest: while a mirror caught up at full speed, the p99 of an
append rose from 0.6 to 5 ms. History can wait, trading cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from eventstore.influx.ship.batches import RECORDS_MAX

if TYPE_CHECKING:
    from eventstore.clock import Clock
    from eventstore.journal import Source

# Requests every few milliseconds would keep the server and one processor busy with very little data.
INTERVAL_SECONDS_MIN = 0.01
SAMPLE_SECONDS = 0.1
LIVE_SECONDS = 2.0
# Never ship slower than the log grows: the lag would increase without bound.
SPEEDUP = 3
# Larger batches keep the server busy for longer than the p99 of an append allows; smaller ones cost more per record.
LIVE_RECORDS_MAX = 1_000


class Pace:
    """Decides how many records to send at once, and when to send the next ones, from how fast the journal grows."""

    def __init__(self, journal: Source, clock: Clock, per_second: float) -> None:
        self._journal, self._clock, self._per_second = journal, clock, per_second
        self._sampled_at, self._head = clock.monotonic_ns(), journal.head()
        self._live_until = 0
        self._appended_per_second = 0.0

    @property
    def records_max(self) -> int:
        return LIVE_RECORDS_MAX if self._is_live() else RECORDS_MAX

    def seconds(self, records: int) -> float:
        """Return the shortest time from the start of a batch of so many records to the start of the next."""
        if not self._is_live():
            return INTERVAL_SECONDS_MIN
        return max(INTERVAL_SECONDS_MIN, records / max(self._per_second, self._appended_per_second * SPEEDUP))

    def _is_live(self) -> bool:
        now = self._clock.monotonic_ns()
        since = (now - self._sampled_at) / NANOSECONDS
        if since >= SAMPLE_SECONDS:
            head = self._journal.head()
            self._appended_per_second = (head - self._head) / since
            if head > self._head:
                self._live_until = now + int(LIVE_SECONDS * NANOSECONDS)
            self._sampled_at, self._head = now, head
        return now < self._live_until
