"""The timeline: which position was recorded when, found by interpolation, and the gaps in a span of positions.

InfluxDB indexes points by time and tags; by a field, such as `position`, it finds them by a scan only. Records are read
by position. So known pairs of position and time (anchors) are kept, and others are found from the nearest ones.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import Gap, Refused
from eventstore.influx.points import CHECK_HINT, EVENTS

if TYPE_CHECKING:
    from eventstore.influx.read.queries import QueryClient

ANCHORS_MAX = 4_096
# From an anchor so near, an OFFSET is cheaper than another guess.
NEAR_POSITIONS = 20_000
SCANNED_MAX = 2_000
# An estimated time is late rather than early: a response that is cut short by LIMIT costs less than a second one.
ESTIMATE_MARGIN = 1.5


class Anchor(NamedTuple):
    """A position and when it was recorded, in UNIX ns."""

    position: int
    recorded_at: int


class Timeline:
    """A bounded, sorted set of anchors of one log; finds further ones on demand."""

    def __init__(self, queries: QueryClient) -> None:
        self._queries = queries
        self._anchors: list[Anchor] = [Anchor(0, 0)]

    def add(self, anchor: Anchor) -> None:
        at = bisect.bisect_left(self._anchors, anchor)
        if at == len(self._anchors) or self._anchors[at].position != anchor.position:
            self._anchors.insert(at, anchor)
        if len(self._anchors) > ANCHORS_MAX:
            # Every second one is dropped, so that the rest still covers the whole log.
            self._anchors = self._anchors[::2]

    def bracket(self, position: int, top: Anchor) -> tuple[Anchor, Anchor]:
        """Return the nearest known anchors: one at or before a position, one after it, at most `top`."""
        at = bisect.bisect_right(self._anchors, position, key=lambda anchor: anchor.position)
        high = self._anchors[at] if at < len(self._anchors) else top
        return self._anchors[at - 1], min(high, top)

    def estimate(self, start: Anchor, count: int, top: Anchor) -> int:
        """Return a time by which `count` positions after an anchor are probably recorded, never later than `top`.

        A query with an upper bound spares the server from opening the shards of later weeks.
        """
        _, high = self.bracket(start.position + count, top)
        if high.position <= start.position + count or not start.position:
            return high.recorded_at
        share = count / (high.position - start.position)
        span = int((high.recorded_at - start.recorded_at) * share * ESTIMATE_MARGIN)
        return min(start.recorded_at + span, high.recorded_at)

    def locate(self, position: int, top: Anchor) -> Anchor:
        """Return a position with its time, found by interpolation between anchors, never by a scan.

        A missing position gets the time of the last one before it.
        """
        if position == top.position:
            return top
        low, high = self.bracket(position, top)
        if position == 0:
            return Anchor(0, 0)
        if low.position == 0:
            low = self._first()
            if low.position > position:
                return Anchor(position, 0)
        bisecting = False
        while position - low.position > NEAR_POSITIONS and high.recorded_at - low.recorded_at > 1:
            share = 0.5 if bisecting else (position - low.position) / (high.position - low.position)
            width = high.recorded_at - low.recorded_at
            at = low.recorded_at + max(int(width * share), 1)
            found = self._find(f"time >= {at} AND time <= {high.recorded_at} LIMIT 1") or high
            if found.position <= position:
                low = found
            else:
                # Continue from the point before the guess: a span without points is skipped in one step.
                high = self._find(f"time > {low.recorded_at} AND time < {at} ORDER BY time DESC LIMIT 1") or low
                if high.position <= position:
                    return Anchor(position, high.recorded_at)
            # Events are not spread evenly: where a guess hardly narrows the span, the next one is its middle.
            bisecting = high.recorded_at - low.recorded_at > width // 2
        return self._locate_near(low, position)

    def before(self, top: Anchor, count: int) -> Anchor | None:
        """Return the point with `count` others after it up to an anchor, None if there are fewer."""
        return self._find(f"time <= {top.recorded_at} ORDER BY time DESC LIMIT 1 OFFSET {count}")

    def _first(self) -> Anchor:
        found = self._find("time > 0 LIMIT 1")
        if found is None:
            raise Gap(self._queries.log, 0, 0)
        if found.position == 1:
            self.add(found)
        return found

    def _locate_near(self, low: Anchor, position: int) -> Anchor:
        """Return a position shortly after an anchor, found by counting the points between them."""
        fewest, most = 0, position - low.position
        at, middle = low, most
        while fewest < most:
            found = self._find(f"time > {low.recorded_at} LIMIT 1 OFFSET {middle - 1}")
            if found is not None and found.position == position:
                self.add(found)
                return found
            # Without a gap the first guess is right. With one, the last point before the position is bisected.
            if found is not None and found.position < position:
                fewest, at = middle, found
            else:
                most = middle - 1
            middle = (fewest + most + 1) // 2
        return Anchor(position, at.recorded_at)

    def _find(self, where: str) -> Anchor | None:
        rows = self._queries.positions(f"SELECT position FROM {EVENTS} WHERE log = $log AND {where}")  # noqa: S608 - numbers
        return Anchor(rows[0][1], rows[0][0]) if rows else None

    # Gaps

    def last_before_gap(self, low: Anchor, high: Anchor, fields: tuple[str, ...]) -> Anchor | None:
        """Return the last point before the first gap between two anchors, None if there is no gap.

        A point counts as present if it has all of `fields`. Spans are bisected by time, so that no response is long.
        """
        if self.count(low, high, fields) == high.position - low.position:
            return None
        stop = high.recorded_at
        while high.position - low.position > SCANNED_MAX and stop - low.recorded_at > 1:
            middle = (low.recorded_at + stop) // 2
            last = self._find(f"time > {low.recorded_at} AND time <= {middle} ORDER BY time DESC LIMIT 1")
            last = last or Anchor(low.position, middle)
            if self.count(low, last, fields) == last.position - low.position:
                low = last
            else:
                high, stop = last, last.recorded_at
        rows = self._queries.positions(
            f"SELECT position, {', '.join(fields)} FROM {EVENTS} WHERE log = $log AND time > {low.recorded_at} "  # noqa: S608 - numbers
            f"AND time <= {high.recorded_at} LIMIT {SCANNED_MAX}"
        )
        for row in rows:
            if row[1] != low.position + 1 or None in row:
                break
            low = Anchor(row[1], row[0])
        return low if low.position < high.position else None

    def count(self, low: Anchor, high: Anchor, fields: tuple[str, ...]) -> int:
        """Return how many points after one anchor up to another have all of `fields`."""
        if high.recorded_at <= low.recorded_at:
            return 0
        span = f"FROM {EVENTS} WHERE log = $log AND time > {low.recorded_at} AND time <= {high.recorded_at}"
        counts = self._queries.columns("; ".join(f"SELECT count({field}) AS {field} {span}" for field in fields))
        found = min(counts[field][0][1] if field in counts else 0 for field in fields)
        # A surplus could hide a gap of the same size: the count proves nothing then.
        if found > high.position - low.position:
            msg = (
                f"InfluxDB has {found:,} points of log {self._queries.log} for the positions {low.position + 1:,} to "
                f"{high.position:,}: {CHECK_HINT}"
            )
            raise Refused(msg)
        return int(found)

    def next_position(self, low: Anchor) -> int:
        """Return the position of the first point after an anchor, the anchor's own if there is none."""
        return (self._find(f"time > {low.recorded_at} LIMIT 1") or low).position
