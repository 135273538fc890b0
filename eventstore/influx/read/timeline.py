"""The timeline: positions whose times are known, others found near them, windows, and what is missing in a span."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import Gap, Refused
from eventstore.influx.points import CHECK, EVENTS

if TYPE_CHECKING:
    from eventstore.influx.read.queries import Asking

ANCHORS_MAX = 4_096
NEAR = 20_000
SCANNED_MAX = 2_000


class Anchor(NamedTuple):
    """A position and when it was recorded, in UNIX ns."""

    position: int
    recorded_at: int


class Timeline:
    """A bounded, sorted set of anchors of one log, and the way to new ones."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._known: list[Anchor] = [Anchor(0, 0)]

    def add(self, anchor: Anchor) -> None:
        at = bisect.bisect_left(self._known, anchor)
        if at == len(self._known) or self._known[at].position != anchor.position:
            self._known.insert(at, anchor)
        if len(self._known) > ANCHORS_MAX:
            # Every second one goes, so that what stays is spread over the whole.
            self._known = self._known[::2]

    def around(self, position: int, top: Anchor) -> tuple[Anchor, Anchor]:
        """Return the nearest known anchor up to a position, and the nearest past it, at most `top`."""
        at = bisect.bisect_right(self._known, position, key=lambda anchor: anchor.position)
        high = self._known[at] if at < len(self._known) else top
        return self._known[at - 1], min(high, top)

    def reach(self, start: Anchor, count: int, top: Anchor) -> int:
        """Return a time by which so many positions past an anchor are probably recorded, and never one past `top`.

        A bound keeps the server from opening what it keeps of later weeks.
        """
        _, high = self.around(start.position + count, top)
        if high.position <= start.position + count or not start.position:
            return high.recorded_at
        share = count / (high.position - start.position)
        return min(start.recorded_at + int((high.recorded_at - start.recorded_at) * share * 1.5), high.recorded_at)

    def at(self, position: int, top: Anchor) -> Anchor:
        """Return a position with its time, found by interpolation between known ones: never by a scan.

        A position that is not there has the time of the last before it.
        """
        if position == top.position:
            return top
        low, high = self.around(position, top)
        if position == 0:
            return Anchor(0, 0)
        if low.position == 0:
            low = self._first()
            if low.position > position:
                return Anchor(position, 0)
        halving = False
        while position - low.position > NEAR and high.recorded_at - low.recorded_at > 1:
            share = 0.5 if halving else (position - low.position) / (high.position - low.position)
            width = high.recorded_at - low.recorded_at
            at = low.recorded_at + max(int(width * share), 1)
            found = self._one(f"time >= {at} AND time <= {high.recorded_at} LIMIT 1") or high
            if found.position <= position:
                low = found
            else:
                # To the point before it, so that a span without any is left at once.
                high = self._one(f"time > {low.recorded_at} AND time < {at} ORDER BY time DESC LIMIT 1") or low
                if high.position <= position:
                    return Anchor(position, high.recorded_at)
            # A guess that hardly moves, as where the clock was set back, is followed by one in the middle.
            halving = high.recorded_at - low.recorded_at > width // 2
        return self._near(low, position)

    def before(self, top: Anchor, count: int) -> Anchor | None:
        """Return the point that has so many others after it up to an anchor, None where there are not so many."""
        return self._one(f"time <= {top.recorded_at} ORDER BY time DESC LIMIT 1 OFFSET {count}")

    def _first(self) -> Anchor:
        found = self._one("time > 0 LIMIT 1")
        if found is None:
            raise Gap(self._asking.log, 0, 0)
        if found.position == 1:
            self.add(found)
        return found

    def _near(self, low: Anchor, position: int) -> Anchor:
        """Return a position not far past one whose time is known: by how many points lie between."""
        fewest, most = 0, position - low.position
        at, middle = low, most
        while fewest < most:
            found = self._one(f"time > {low.recorded_at} LIMIT 1 OFFSET {middle - 1}")
            if found is not None and found.position == position:
                self.add(found)
                return found
            # Some are missing: the last point before the position is found by halves.
            if found is not None and found.position < position:
                fewest, at = middle, found
            else:
                most = middle - 1
            middle = (fewest + most + 1) // 2
        return Anchor(position, at.recorded_at)

    def _one(self, where: str) -> Anchor | None:
        rows = self._asking.positions(f"SELECT position FROM {EVENTS} WHERE log = $log AND {where}")  # noqa: S608 - numbers
        return Anchor(rows[0][1], rows[0][0]) if rows else None

    # What is missing

    def missing(self, low: Anchor, high: Anchor, fields: tuple[str, ...]) -> Anchor | None:
        """Return the last point before the first that is missing between two anchors, None where all are there.

        A point is there when it has these fields. Spans are halved by time, so that no answer is long.
        """
        if self.count(low, high, fields) == high.position - low.position:
            return None
        stop = high.recorded_at
        while high.position - low.position > SCANNED_MAX and stop - low.recorded_at > 1:
            middle = (low.recorded_at + stop) // 2
            last = self._one(f"time > {low.recorded_at} AND time <= {middle} ORDER BY time DESC LIMIT 1")
            last = last or Anchor(low.position, middle)
            if self.count(low, last, fields) == last.position - low.position:
                low = last
            else:
                high, stop = last, last.recorded_at
        rows = self._asking.positions(
            f"SELECT position, {', '.join(fields)} FROM {EVENTS} WHERE log = $log AND time > {low.recorded_at} "  # noqa: S608 - numbers
            f"AND time <= {high.recorded_at} LIMIT {SCANNED_MAX}"
        )
        for row in rows:
            if row[1] != low.position + 1 or None in row:
                break
            low = Anchor(row[1], row[0])
        return low if low.position < high.position else None

    def count(self, low: Anchor, high: Anchor, fields: tuple[str, ...]) -> int:
        """Return how many points with all of some fields there are past an anchor up to another."""
        if high.recorded_at <= low.recorded_at:
            return 0
        span = f"FROM {EVENTS} WHERE log = $log AND time > {low.recorded_at} AND time <= {high.recorded_at}"
        counts = self._asking.columns("; ".join(f"SELECT count({field}) AS {field} {span}" for field in fields))
        found = min(counts[field][0][1] if field in counts else 0 for field in fields)
        if found > high.position - low.position:
            msg = (
                f"InfluxDB has {found:,} points of log {self._asking.log} where positions {low.position + 1:,} to "
                f"{high.position:,} are: {CHECK}"
            )
            raise Refused(msg)
        return int(found)

    def following(self, low: Anchor) -> int:
        """Return the position of the first point past an anchor, the anchor's own where there is none."""
        return (self._one(f"time > {low.recorded_at} LIMIT 1") or low).position
