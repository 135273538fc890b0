"""How many requests a key may make: a bucket of tokens for each, which fills up as time passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS

if TYPE_CHECKING:
    from eventstore.clock import Clock

BURST_SECONDS = 2
"""A key that was silent may make at once what it may make in so many seconds."""
BUCKETS_MAX = 10_000


class TooManyRequests(Exception):
    """A key has made more requests than it may; `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__("too many requests of this key")


class RateLimits:
    """A bucket of tokens for each key; each request takes one."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._per_second, self._clock = per_second, clock
        self._buckets: dict[str, tuple[float, int]] = {}

    def take(self, key: str) -> None:
        """Take a token of a key; raise TooManyRequests, with nothing taken, where there is none left."""
        now, most = self._clock.monotonic_ns(), max(self._per_second * BURST_SECONDS, 1.0)
        left, since = self._buckets.get(key, (most, now))
        left = min(most, left + (now - since) / NANOSECONDS * self._per_second)
        if left < 1:
            raise TooManyRequests((1 - left) / self._per_second)
        if key not in self._buckets and len(self._buckets) >= BUCKETS_MAX:
            # Keys are few; this bounds what would otherwise grow with whatever names a bucket.
            self._buckets.clear()
        self._buckets[key] = (left - 1, now)
