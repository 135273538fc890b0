"""Counts by second, of the newest hours, for windows that end at any instant."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from eventstore.clock import NANOSECONDS

HOUR = 3_601
"""The number of seconds that a window of an hour can touch, because it may begin and end within one."""
SECONDS_MAX = 2 * HOUR


class SecondCounts(msgspec.Struct):
    """Counts by second of when something happened. Seconds up to `dropped_to` and from `dropped_from` on may be gone.

    `room`: with more seconds than this, those that no window of the present needs are dropped.
    """

    counts: dict[int, int] = {}
    room: int = SECONDS_MAX
    dropped_to: int | None = None
    dropped_from: int | None = None

    def add(self, at: int, recorded_at: int, by: int = 1) -> None:
        """Count what happened at an instant (UNIX ns)."""
        second = at // NANOSECONDS
        counts = self.counts
        count = counts.get(second)
        if count is not None:
            if count + by:
                counts[second] = count + by
            else:
                del counts[second]
            return
        counts[second] = by
        if len(counts) > self.room:
            self._drop(second, recorded_at // NANOSECONDS)

    def within(self, start: int, stop: int) -> int:
        """Return the count of the seconds from `start` to `stop`, both included."""
        # The list is copied in one step, whatever the fold does meanwhile.
        return sum(n for second, n in list(self.counts.items()) if start <= second <= stop)

    def covers(self, start: int, stop: int) -> bool:
        """Return whether none of these seconds may have been dropped; ask after having taken `counts`."""
        to, later = self.dropped_to, self.dropped_from
        return (to is None or start > to) and (later is None or stop < later)

    def _drop(self, last: int, reached: int) -> None:
        """Drop the seconds that no window of the present needs.

        The present is not the newest second: one event from a clock that runs ahead would make everything else look
        old. Nor is it the last record's time: an import of past trades would drop the current hour. So what stays is
        the hour before the newest second that the log's own time has reached, as many later seconds, and the hour on
        either side of this record.
        """
        seconds = sorted(self.counts)
        place = bisect_right(seconds, reached)
        newest = seconds[place - 1] if place else last
        first = bisect_right(seconds, newest - HOUR)
        kept = set(seconds[first : first + 2 * HOUR])
        kept.update(seconds[bisect_right(seconds, last - HOUR) : bisect_right(seconds, last + HOUR)])
        gone = [second for second in seconds if second not in kept]
        earlier = [second for second in gone if second <= newest]
        later = [second for second in gone if second > newest]
        # Publish the bounds first: a reader who sees fewer seconds must also see that some were dropped.
        self.dropped_to = max([*earlier, *([] if self.dropped_to is None else [self.dropped_to])], default=None)
        self.dropped_from = min([*later, *([] if self.dropped_from is None else [self.dropped_from])], default=None)
        self.counts = {second: n for second, n in self.counts.items() if second in kept}
        self.room = max(HOUR, len(kept)) + HOUR
