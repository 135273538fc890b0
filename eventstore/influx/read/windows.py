"""Windows: a log's points in order, some thousands per response, the next ones fetched while these are used."""

from __future__ import annotations

import contextlib
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from eventstore.errors import Unavailable
from eventstore.influx.client import EVENT_ROWS, ResponseTooLarge
from eventstore.influx.points import EVENT_COLUMNS, EVENTS, PointRow
from eventstore.influx.read.timeline import Anchor

if TYPE_CHECKING:
    from eventstore.influx.client import RawResponse
    from eventstore.influx.read.queries import QueryClient
    from eventstore.influx.read.timeline import Timeline

# Each response costs the server 0.1 s to set up its cursors over all series: many points have to share it.
PAGE_POINTS_FIRST = 40_000
PAGE_GROWTH_MAX = 8
PAGE_POINTS_MAX = 100_000
PAGE_BYTES = 28_000_000
# The rest of a log is divided into so many pages, so that the last one too is fetched while the one before is decoded.
LAST_PAGES, LAST_PAGE_POINTS_MIN = 2, 40_000


class PageSizer:
    """How many points to ask for at once: as many as fit in PAGE_BYTES, estimated from earlier responses."""

    def __init__(self) -> None:
        self.count = PAGE_POINTS_FIRST

    def learn(self, rows: int, size: int) -> None:
        """Adjust to a response with so many rows and bytes."""
        if rows:
            fitting = PAGE_BYTES * rows // max(size, 1)
            # Growth is limited: the next events may be much larger than these.
            self.count = max(min(fitting, self.count * PAGE_GROWTH_MAX, PAGE_POINTS_MAX), 1)

    def halve(self, asked: int) -> None:
        """Adjust to a response that was too large."""
        self.count = max(min(self.count, asked) // 2, 1)

    def part(self, left: int) -> int:
        """Return how many of the remaining points to ask for next."""
        return min(-(-left // max(min(LAST_PAGES, left // LAST_PAGE_POINTS_MIN), 1)), self.count)


class Windows:
    """Fetches windows of one log. Used by one thread at a time."""

    def __init__(self, queries: QueryClient, times: Timeline, sizer: PageSizer, name: str) -> None:
        self._queries, self._times, self._sizer = queries, times, sizer
        self._prefetched: tuple[Anchor, Future[RawResponse]] | None = None
        self._left_over: tuple[Anchor, list[PointRow]] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    def rows(self, start: Anchor, count_max: int, stop: int) -> list[PointRow]:
        """Return rows after an anchor and up to a time: at most `count_max`, and no more than one response may hold."""
        while True:
            count = min(count_max, self._sizer.count)
            try:
                rows, size = self._queries.rows(EVENT_ROWS, _query(start, count, stop))
            except ResponseTooLarge:
                self._sizer.halve(count)
            else:
                self._sizer.learn(len(rows), size)
                return rows

    def next(self, start: Anchor, count_max: int, top: Anchor, *, prefetch: bool) -> list[PointRow]:
        """Return at most `count_max` rows after an anchor, none after `top`.

        With `prefetch` the rows that follow are requested too: the server prepares them while these are decoded.
        """
        rows = self._already_fetched(start)
        if rows is None:
            count = self._sizer.part(top.position - start.position) if prefetch else count_max
            stop = self._times.estimate(start, count, top)
            rows = self.rows(start, count, stop)
            if not rows and stop < top.recorded_at:  # the estimated time was too early
                rows = self.rows(start, count, top.recorded_at)
        # Not past a gap: the points that fill it would not be in what was fetched from behind it.
        if prefetch and rows and rows[-1].position == start.position + len(rows):
            self._prefetch(Anchor(rows[-1].position, rows[-1].recorded_at), top)
        if len(rows) > count_max:
            last, rest = rows[count_max - 1], rows[count_max:]
            rows = rows[:count_max]
            if last.position == start.position + count_max:
                self._left_over = Anchor(last.position, last.recorded_at), rest
        return rows

    def close(self) -> None:
        """Close without waiting for a pending request."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _already_fetched(self, start: Anchor) -> list[PointRow] | None:
        """Return the rows after an anchor that were left over or prefetched, None if there are none.

        They are returned once only: a caller that finds a gap in them and asks again needs a new response.
        """
        left_over, self._left_over = self._left_over, None
        if left_over is not None and left_over[0] == start:
            return left_over[1]
        prefetched, self._prefetched = self._prefetched, None
        if prefetched is None or prefetched[0] != start:
            return None
        try:
            raw = prefetched[1].result()
            rows = EVENT_ROWS.rows(raw)
        except (CancelledError, ResponseTooLarge):
            return None
        except Unavailable:
            self._queries.note_failure()
            return None
        self._sizer.learn(len(rows), len(raw.body))
        return rows

    def _prefetch(self, start: Anchor, top: Anchor) -> None:
        count = self._sizer.part(top.position - start.position)
        if self._prefetched is None and count > 0:
            query = _query(start, count, self._times.estimate(start, count, top))
            with contextlib.suppress(RuntimeError):  # the executor was closed meanwhile
                self._prefetched = start, self._thread.submit(self._queries.fetch, query)


def _query(start: Anchor, count: int, stop: int) -> str:
    """Return the query for at most `count` points after an anchor and up to a time."""
    return (
        f"SELECT {EVENT_COLUMNS} FROM {EVENTS} WHERE log = $log AND time > {start.recorded_at} AND time <= {stop} "  # noqa: S608 - numbers
        f"LIMIT {count}"
    )
